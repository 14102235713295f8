//! Time and memory of a stage of work.
//!
//! In: a closure. Out: its result, seconds and peak bytes above what was resident before, as records hold them
//! ([`StageSeconds`], [`StageBytes`]).

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicIsize};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Wall time by stage, seconds. Damping, input and output, and set-up are outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Query-independent work.
    pub prepare: f64,
    /// (F+λI)⁻¹ on all queries.
    pub apply: f64,
    /// The contraction with the training gradients.
    pub score: f64,
}

impl StageSeconds {
    /// Sum of the stages.
    pub fn total(&self) -> f64 {
        self.prepare + self.apply + self.score
    }
}

/// Peak memory by stage, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBytes {
    /// While preparing.
    pub prepare: u64,
    /// While applying (what prepare left included).
    pub apply: u64,
    /// While scoring.
    pub score: u64,
}

impl StageBytes {
    /// The largest of the stages.
    pub fn peak(&self) -> u64 {
        self.prepare.max(self.apply).max(self.score)
    }
}

/// Lets mimalloc keep freed memory for the next request instead of giving its pages back to the system,
/// which would clear them again: passes over batches free and ask for the same sizes all the time. For
/// programs whose allocator is mimalloc; the largest size of the process stays what it was.
pub fn keep_freed_memory() {
    // mimalloc.h, `mi_option_purge_delay`: the same number in its versions 2 and 3; −1 is never
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: setting an option has no requirements.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

/// Bytes of memory that programs of this machine, or of this container, may take together; `None` where the system does not
/// tell.
pub fn machine_memory() -> Option<u64> {
    let ram = sysinfo::MemoryRefreshKind::nothing().with_ram();
    let system =
        sysinfo::System::new_with_specifics(sysinfo::RefreshKind::nothing().with_memory(ram))
            .ok()?;
    let all = Some(system.total_memory()).filter(|&bytes| bytes > 0)?;
    let limit = system.cgroup_limits().map(|limits| limits.total_memory);
    Some(limit.map_or(all, |limit| limit.min(all)))
}

/// Counts the bytes that the program holds, over any allocator. Install it in a binary:
///
/// ```
/// use infbench::measure::TrackingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: TrackingAllocator<std::alloc::System> = TrackingAllocator(std::alloc::System);
///
/// let ((), peak) = infbench::measure::peak_above_resident(|| drop(std::hint::black_box(vec![1u8; 1 << 20])));
/// assert!(peak.expect("the allocator is installed") >= 1 << 20);
/// ```
///
/// Every thread gathers its changes and passes them on once they reach 8 KiB, so that counting costs
/// next to nothing and a peak is right to within 8 KiB a thread. Memory-mapped files are not counted.
#[derive(Debug, Default)]
pub struct TrackingAllocator<A>(pub A);

/// Changes that a thread keeps to itself, bytes.
const BATCH: isize = 8 << 10;

static CURRENT: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static PENDING: Cell<isize> = const { Cell::new(0) };
}

/// Books a change, passing it on when enough has come together.
fn book(change: isize) {
    // the slot has no destructor, so it is there as long as its thread is
    let pending = PENDING.try_with(|slot| {
        let sum = slot.get() + change;
        let keep = sum.abs() < BATCH;
        slot.set(if keep { sum } else { 0 });
        if keep { 0 } else { sum }
    });
    pass_on(pending.unwrap_or(change));
}

fn pass_on(change: isize) {
    if change != 0 {
        let now = CURRENT.fetch_add(change, Relaxed) + change;
        if change > 0 {
            PEAK.fetch_max(now, Relaxed);
        }
        if !INSTALLED.load(Relaxed) {
            INSTALLED.store(true, Relaxed);
        }
    }
}

/// Passes on what the calling thread has kept to itself, and returns the bytes held.
fn resident() -> isize {
    pass_on(PENDING.try_with(|slot| slot.replace(0)).unwrap_or(0));
    CURRENT.load(Relaxed)
}

// SAFETY: every call goes to the inner allocator unchanged; the books never touch the memory, and do not
// allocate themselves.
unsafe impl<A: GlobalAlloc> GlobalAlloc for TrackingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are the inner allocator's.
        let block = unsafe { self.0.alloc(layout) };
        if !block.is_null() {
            book(layout.size() as isize);
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        if !block.is_null() {
            book(layout.size() as isize);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(block, layout) };
        book(-(layout.size() as isize));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { self.0.realloc(block, layout, size) };
        if !moved.is_null() {
            // a block that moves is held twice while it is copied
            if moved != block {
                book(size as isize);
                book(-(layout.size() as isize));
            } else {
                book(size as isize - layout.size() as isize);
            }
        }
        moved
    }
}

/// Processor time of this process so far, user and system, seconds; `None` where the system does not tell.
pub fn processor_seconds() -> Option<f64> {
    // proc(5): user and system time are fields 14 and 15, in hundredths of a second on every Linux
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // the second field, in parentheses, may hold anything
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

/// Bytes for a reader: `1.2 GB`.
pub fn size(bytes: f64) -> String {
    match bytes {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.0} kB", b / 1e3),
    }
}

/// Seconds for a reader: `12 min`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("{:.0} min", s / 60.0),
        s if s >= 1.0 => format!("{s:.0} s"),
        s => format!("{s:.2} s"),
    }
}

/// The most memory of this process that was resident at a time so far, bytes; `None` where the system does not tell.
pub fn peak_resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Runs `work` and returns the most memory held meanwhile, above what was held before, bytes; `None` when
/// the program runs without the [`TrackingAllocator`]. Everything that the program allocates counts, on
/// any thread. May be nested.
pub fn peak_above_resident<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let meter = Meter::start();
    let (value, spent) = meter.stage(work);
    (value, spent.peak_bytes)
}

/// Time and memory of one stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageCost {
    /// Wall time.
    pub seconds: f64,
    /// Peak memory above the meter's start; `None` without the [`TrackingAllocator`].
    pub peak_bytes: Option<u64>,
}

/// Measures the stages of a piece of work against the memory held at its start, so that what one stage
/// leaves behind counts in the next.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    base: isize,
}

impl Meter {
    /// Takes what is held now as the zero.
    pub fn start() -> Self {
        Self { base: resident() }
    }

    /// Runs and measures one stage.
    pub fn stage<T>(&self, work: impl FnOnce() -> T) -> (T, StageCost) {
        let outer = PEAK.swap(resident(), Relaxed);
        let clock = Instant::now();
        let value = work();
        let seconds = clock.elapsed().as_secs_f64();
        resident();
        let peak = PEAK.fetch_max(outer, Relaxed);
        let peak_bytes = INSTALLED
            .load(Relaxed)
            .then(|| (peak - self.base).max(0) as u64);
        (
            value,
            StageCost {
                seconds,
                peak_bytes,
            },
        )
    }
}
