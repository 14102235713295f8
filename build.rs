//! Puts the locked versions of the libraries that decide the numbers and the commit of this source into the program,
//! for the provenance in every record; with the feature `libtorch`, also where to look for its libraries.

use std::{env, fs, path::Path, process::Command};

const LIBRARIES: [&str; 7] = [
    "burn",
    "burn-flex",
    "tch",
    "faer",
    "ndarray",
    "safetensors",
    "smartcore",
];

fn main() {
    find_libtorch();
    println!("cargo:rerun-if-changed=Cargo.lock");
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!(
        "cargo:rustc-env=INFBENCH_COMMIT={}",
        commit(Path::new(&manifest)).unwrap_or_default()
    );
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

/// The commit of this source, `-dirty` when tracked files differ from it; `None` outside its own repository, such as for
/// a package unpacked somewhere in another one.
fn commit(manifest: &Path) -> Option<String> {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(manifest)
            .args(arguments)
            // set where cargo runs in a hook of another repository
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    // of a package, whatever repository it lies in
    if manifest.join(".cargo_vcs_info.json").exists() {
        return None;
    }
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(manifest).ok()? {
        return None;
    }
    // what is not tracked here is another repository's neighbour
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    // anew when another commit is checked out, and when a source changes. A branch that is only in packed-refs has no
    // file of its own until the next commit, which the log of HEAD (one a worktree) then tells
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let watched = ["HEAD", "logs/HEAD", "packed-refs"];
    for file in watched.into_iter().chain(branch.as_deref()) {
        let path = git(&["rev-parse", "--git-path", file])?;
        let path = manifest.join(path);
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    for source in ["src", "assets", "experiments", "Cargo.toml", "build.rs"] {
        println!("cargo:rerun-if-changed={source}");
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() {
        commit
    } else {
        format!("{commit}-dirty")
    })
}

/// Lets the programs of this package find libtorch's libraries where they were when it was built, so that
/// they start without LD_LIBRARY_PATH.
fn find_libtorch() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    if env::var_os("CARGO_FEATURE_LIBTORCH").is_none() {
        return;
    }
    let folder = match env::var("LIBTORCH") {
        Ok(folder) if env::var_os("LIBTORCH_USE_PYTORCH").is_none() => {
            Some(format!("{folder}/lib"))
        }
        _ => std::process::Command::new("python3")
            .args([
                "-c",
                "import os, torch; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))",
            ])
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()),
    };
    if let Some(folder) = folder {
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{folder}");
        // nothing of libtorch_cuda is called by name: its operations register themselves when it is loaded,
        // which the linker has to be told not to save
        if Path::new(&folder).join("libtorch_cuda.so").exists() {
            println!("cargo:rustc-link-arg=-L{folder}");
            println!(
                "cargo:rustc-link-arg=-Wl,--push-state,--no-as-needed,-ltorch_cuda,--pop-state"
            );
        }
    }
}
