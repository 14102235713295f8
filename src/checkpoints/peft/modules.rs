//! Which modules PEFT means by the names in its settings.

use regex::Regex;

/// What regular expressions can be.
pub const PATTERN: &str = "a regular expression without look-around and back references";

/// Modules by name, as PEFT's `target_modules` and `exclude_modules`.
#[derive(Clone, Debug)]
pub enum Modules {
    /// `all-linear`.
    EveryLinear,
    /// Those whose whole name matches.
    Matching(Regex),
    /// Those whose name is one of these, or ends with a dot and one of these.
    Ending(Vec<String>),
}

impl Modules {
    /// `all-linear`, in any case, or else a regular expression that the whole name must match.
    ///
    /// # Errors
    /// Text that is no regular expression, or has look-around or back references.
    pub fn pattern(text: &str) -> Result<Self, regex::Error> {
        if text.eq_ignore_ascii_case("all-linear") {
            return Ok(Self::EveryLinear);
        }
        Ok(Self::Matching(Regex::new(&format!("^(?:{text})$"))?))
    }

    /// Whether `module` is one of them.
    pub fn contain(&self, module: &str) -> bool {
        match self {
            Self::EveryLinear => true,
            Self::Matching(pattern) => pattern.is_match(module),
            Self::Ending(names) => names.iter().any(|name| {
                let before = module.strip_suffix(name.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
        }
    }

    /// Whether `module` is named in full: then it is adapted whatever layer it is in.
    pub fn name_in_full(&self, module: &str) -> bool {
        match self {
            Self::Ending(names) => names.iter().any(|name| name == module),
            Self::EveryLinear | Self::Matching(_) => false,
        }
    }
}

/// The number N of a name `….N.…` and what follows it: PEFT's default for `layers_pattern`, the last part of the name
/// that is a number and is neither its first nor its last.
pub fn split_layer(module: &str) -> Option<(usize, &str)> {
    let mut end = module.rfind('.')?;
    loop {
        let start = module[..end].rfind('.')?;
        let part = &module[start + 1..end];
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some((part.parse().ok()?, &module[end + 1..]));
        }
        end = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_those_of_peft() {
        let ending = Modules::Ending(vec!["query".into(), "output.dense".into()]);
        for (module, found) in [
            ("encoder.layer.0.attention.self.query", true),
            ("query", true),
            ("encoder.layer.0.attention.self.subquery", false),
            ("encoder.layer.0.attention.output.dense", true),
            ("encoder.layer.0.intermediate.dense", false),
        ] {
            assert_eq!(ending.contain(module), found, "{module}");
        }
        assert!(ending.name_in_full("query") && !ending.name_in_full("x.query"));
        // the whole name, alternatives included
        let pattern = Modules::pattern(r"a|.*\.[02]\.value").unwrap();
        for (module, found) in [
            ("layer.2.value", true),
            ("layer.2.values", false),
            ("a", true),
            ("ab", false),
        ] {
            assert_eq!(pattern.contain(module), found, "{module}");
        }
        assert!(Modules::pattern("ALL-Linear").unwrap().contain("anything"));
        assert!(Modules::pattern("(").is_err() && Modules::pattern("(?=a)").is_err());
    }

    #[test]
    fn layers_are_numbered_by_the_last_number_within_a_name() {
        for (module, found) in [
            ("encoder.layer.11.output.dense", Some((11, "output.dense"))),
            ("layer.0.dense", Some((0, "dense"))),
            (
                "down_blocks.1.attentions.0.transformer_blocks.2.attn1.to_out.0",
                Some((2, "attn1.to_out.0")),
            ),
            ("pooler.dense", None),
            ("0.dense", None),
            ("to_out.0", None),
            ("dense", None),
            ("a.99999999999999999999.b", None),
        ] {
            assert_eq!(split_layer(module), found, "{module}");
        }
    }
}
