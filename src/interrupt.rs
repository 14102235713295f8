//! Being asked to stop, as schedulers ask a job before they take its node away: SIGTERM or SIGUSR1.
//!
//! Who works looks at [`requested`] between two pieces and starts no more of them. What is at work may finish within the
//! grace time; after that the process ends with [`EXIT`] and leaves nothing half-written behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Exit code of work that was interrupted and can be started again: `EX_TEMPFAIL` of sysexits.h, on which schedulers
/// requeue a job.
pub const EXIT: u8 = 75;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether this process has been asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// From now on SIGTERM and SIGUSR1 ask this process to stop within `grace`. When it is still there then, `clean_up` runs
/// in place of destructors, and it ends.
///
/// # Errors
/// The system does not let signals be handled.
#[cfg(unix)]
pub fn listen(grace: Duration, clean_up: impl Fn() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGTERM, SIGUSR1};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGUSR1])?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            if signals.forever().next().is_none() {
                return;
            }
            REQUESTED.store(true, Ordering::Relaxed);
            eprintln!(
                "asked to stop: what is at work may take {} s to finish, then it is left undone",
                grace.as_secs()
            );
            std::thread::sleep(grace);
            clean_up();
            std::process::exit(EXIT.into());
        })?;
    Ok(())
}

/// Nothing to listen to where there are no such signals.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn listen(_: Duration, _: impl Fn() + Send + 'static) -> std::io::Result<()> {
    Ok(())
}
