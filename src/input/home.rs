//! `~` in paths.

use std::path::{Path, PathBuf};

/// `path` with a leading `~` or `~/` replaced by the home folder, as a shell does it. Settings files and arguments such
/// as `--model=~/m` do not pass through a shell. `~name` stays as it is, and so does everything where the home folder
/// is unknown.
pub fn expand_home(path: &Path) -> PathBuf {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home,
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_tilde_of_ones_own_is_the_home_folder() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(expand_home(Path::new("~")), home);
        assert_eq!(expand_home(Path::new("~/")), home);
        assert_eq!(expand_home(Path::new("~/a/b")), home.join("a/b"));
        for other in ["a/~/b", "~someone/a", "./~/a", "/~", "a~", ""] {
            assert_eq!(expand_home(Path::new(other)), Path::new(other));
        }
    }
}
