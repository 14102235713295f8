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

/// `did you mean `name`?`, when a name of `allowed` is near enough to `found`.
pub fn did_you_mean(found: &str, allowed: &[&str]) -> Option<String> {
    nearest(found, allowed).map(suggestion)
}

/// [`did_you_mean`] after the end of a sentence: `; did you mean `name`?`, or nothing.
pub fn or_meant(found: &str, allowed: &[&str]) -> String {
    did_you_mean(found, allowed).map_or_else(String::new, |question| format!("; {question}"))
}

/// The question whether `name` was meant.
pub fn suggestion(name: impl std::fmt::Display) -> String {
    format!("did you mean `{name}`?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_when_it_is_near() {
        let allowed = ["exact", "datainf"];
        let question = did_you_mean("datinf", &allowed);
        assert_eq!(question.as_deref(), Some("did you mean `datainf`?"));
        assert_eq!(or_meant("Exct", &allowed), "; did you mean `exact`?");
        assert_eq!(or_meant("zebra", &allowed), "");
    }
}
