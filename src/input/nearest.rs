//! The name that was meant.

/// The name of `allowed` nearest to `found`, when it is near enough to be meant.
pub fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    if found.len() > 100 {
        return None;
    }
    let score = |name: &str| strsim::damerau_levenshtein(&found.to_lowercase(), name);
    let best = allowed.iter().copied().min_by_key(|name| score(name))?;
    let close = score(best) <= (found.len().max(best.len()) / 3).max(1);
    (close || (found.len() >= 3 && best.starts_with(found))).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_needs_to_be_near() {
        assert_eq!(nearest("datinf", &["exact", "datainf"]), Some("datainf"));
        assert_eq!(nearest("zebra", &["exact", "datainf"]), None);
    }
}
