//! The environment of a run: versions, commit, hardware.

use std::process::Command;

use serde_json::{Map, Value};

use super::record::Provenance;

/// Where this process runs, with `seconds` still 0.
///
/// The git commit is that of the working folder, when it is in a repository and git is installed.
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

/// The commit of the working folder, `-dirty` when tracked files have changed.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if dirty.is_empty() {
        commit
    } else {
        format!("{commit}-dirty")
    })
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
    }
}
