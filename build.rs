//! Puts the locked versions of the libraries that decide the numbers into the program, for the
//! provenance in every record.

use std::{env, fs, path::Path};

const LIBRARIES: [&str; 6] = [
    "burn",
    "burn-flex",
    "faer",
    "ndarray",
    "safetensors",
    "smartcore",
];

fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    // a dependency's build has no lock file of its own: the versions are then unknown, not wrong
    let lock = fs::read_to_string(Path::new(&manifest).join("Cargo.lock")).unwrap_or_default();
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let name = line
            .strip_prefix("name = \"")
            .and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| LIBRARIES.contains(name)) {
            let version = lines
                .next()
                .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
            found.push(format!("{name}={}", version.unwrap_or("unknown")));
        }
    }
    println!("cargo:rustc-env=INFBENCH_LIBRARIES={}", found.join(","));
}
