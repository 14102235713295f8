//! What changed in the settings or the environment of many cells, each change once.

use serde_json::Value;

use super::text::{exact, setting};
use crate::progress::count;
use crate::report::data::entry;
use crate::results::difference::walk;

/// A line for every distinct change, with the number of cells that it concerns where that is not all of them.
pub fn lines<'v>(pairs: impl Iterator<Item = [&'v Value; 2]>) -> Vec<String> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut all = 0;
    for [a, b] in pairs {
        all += 1;
        walk(&mut String::new(), Some(a), Some(b), &mut |path, a, b| {
            if a == b {
                return;
            }
            let (mut before, mut after) = (setting(a), setting(b));
            if before == after {
                (before, after) = (exact(a), exact(b)); // rounded alike
            }
            *entry(&mut found, format!("{path}: {before} → {after}")) += 1;
        });
    }
    let text = |(line, cells): (String, usize)| match cells == all {
        true => line,
        false => format!("{line} ({} of {all})", count(cells, "cell")),
    };
    found.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_told_once_with_the_cells_that_it_concerns() {
        let of = |rank: u64, methods: &[&str]| json!({"lora": {"rank": rank}, "methods": methods});
        let cells = [of(1, &["exact"]), of(2, &["exact"])];
        let others = [of(1, &["exact", "lissa"]), of(4, &["exact", "lissa"])];
        let pairs = cells.iter().zip(&others).map(|(a, b)| [a, b]);
        let expected = [
            "methods[lissa]: nothing → lissa",
            "lora.rank: 2 → 4 (1 cell of 2)",
        ];
        assert_eq!(lines(pairs), expected);
        assert!(lines([[&cells[0], &cells[0]]].into_iter()).is_empty());
        let [a, b] = [25276502016_u64, 25276510208].map(|bytes| json!({"bytes": bytes}));
        let expected = ["bytes: 25276502016 → 25276510208"];
        assert_eq!(lines([[&a, &b]].into_iter()), expected);
    }
}
