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
