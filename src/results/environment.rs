//! The environment of a run: versions, commit of infbench, hardware.

use serde_json::{Map, Value};

use super::record::Provenance;

/// Where this process runs, with `seconds` still 0.
pub fn provenance(device: &str, threads: usize) -> Provenance {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing()
            .with_cpu(sysinfo::CpuRefreshKind::nothing())
            .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    // not every platform tells
    let system = system.ok();
    let brand = system
        .as_ref()
        .and_then(|s| s.cpus().first())
        .map(|cpu| cpu.brand().trim().to_owned());
    Provenance {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: commit(),
        started: now(),
        seconds: 0.0,
        device: device.to_owned(),
        threads,
        cpu: brand.filter(|brand| !brand.is_empty()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: system.map(|s| s.total_memory()).filter(|&bytes| bytes > 0),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        libraries: libraries(),
    }
}

/// Main memory of this machine, bytes; `None` where the system does not tell.
pub fn memory() -> Option<u64> {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing()
            .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    let system = system.ok()?;
    Some(system.total_memory()).filter(|&bytes| bytes > 0)
}

/// Room on the disk of a folder, which need not be there yet, bytes; `None` where the system does not tell.
pub fn room(folder: &std::path::Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    // the portable answer of POSIX: kibibytes in the fourth column
    let told = std::process::Command::new("df")
        .arg("-kP")
        .arg(there)
        .output();
    let text = String::from_utf8(told.ok()?.stdout).ok()?;
    let kib: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib << 10)
}

/// The name of this host.
pub fn host() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "unknown".to_owned())
}

/// The time, RFC 3339, UTC.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// The time to the millisecond, RFC 3339, UTC.
pub fn now_precisely() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

/// Versions of the libraries that decide the numbers, as locked when this program was built.
pub fn libraries() -> Map<String, Value> {
    let pairs = env!("INFBENCH_LIBRARIES")
        .split(',')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, version)| (name.to_owned(), Value::from(version)))
        .collect()
}

/// The commit of the source that this program was built from, `-dirty` when it had changes; `None` when it was built
/// outside its repository or from a package.
pub fn commit() -> Option<String> {
    let commit = env!("INFBENCH_COMMIT");
    (!commit.is_empty()).then(|| commit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_what_decides_the_numbers() {
        let here = provenance("flex", 2);
        assert_eq!(here.version, env!("CARGO_PKG_VERSION"));
        for library in ["burn", "faer"] {
            assert!(here.libraries.contains_key(library), "{library}");
        }
        assert!(here.cores > 0);
        let (folder, git) = (env!("CARGO_MANIFEST_DIR"), "git");
        let head = std::process::Command::new(git)
            .args(["-C", folder, "rev-parse", "HEAD", "--show-toplevel"])
            .output();
        let head = head.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        if let Some((commit, top)) = head.unwrap_or_default().trim().split_once('\n')
            && top == folder
        {
            let own = here.commit.unwrap();
            assert_eq!(own.trim_end_matches("-dirty"), commit);
        }
    }
}
