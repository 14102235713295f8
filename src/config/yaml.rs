//! YAML text → plain values, within bounds.
//!
//! The values are those of JSON: a number that is not finite is refused here, where it can still be told from nothing
//! at all. Aliases are expanded against a budget, so that a small file cannot become a large tree. Merge keys (`<<`) are
//! applied; tags mean nothing here and are refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::input::Problem;
use crate::input::{quote, shorten};

/// Most values in a document, aliases expanded; a text counts once more for every 64 bytes.
const MOST_VALUES: usize = 100_000;
/// What is said of a document that is nested deeper than the parser allows.
const DEEP: &str = "nested more than 128 deep";
/// Most characters of the parser's message.
const LONGEST: usize = 160;

/// The value of a YAML text, or what is wrong with it and at which byte.
///
/// # Errors
/// Broken YAML, repeated keys, keys that are not text, tags, numbers that are not finite, more than one document, more
/// values than any experiment has.
pub(super) fn parse(text: &str) -> Result<Value, (usize, Problem)> {
    if let Some(at) = too_deep(text) {
        return Err((at, Problem::new(DEEP)));
    }
    let tree = Tree {
        left: &Cell::new(MOST_VALUES),
        refused: &Cell::new(false),
    };
    let error = match tree.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let place = error.location();
    let message = error.to_string();
    let message = match &place {
        Some(at) => {
            let suffix = format!(" at line {} column {}", at.line(), at.column());
            message.strip_suffix(&suffix).unwrap_or(&message)
        }
        None => &message,
    };
    let mut at = place.map_or(0, |at| at.index()).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    if tree.refused.get() {
        return Err((at, Problem::new(shorten(message, LONGEST))));
    }
    if message.contains("more than one document") {
        let problem = Problem::new("the file has several documents (`---`); one is expected");
        return Err((second_document(text), problem));
    }
    // the parser's own limit of jumps to anchors
    if message.contains("repetition limit") {
        return Err((at, Problem::new(too_many())));
    }
    if message.contains("recursion limit") {
        return Err((at, Problem::new(DEEP)));
    }
    let problem = Problem::new(format!("not valid YAML: {}", shorten(message, LONGEST)));
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = text[start..].chars().take_while(|c| c.is_whitespace());
    if indent.take_while(|&c| c != '\n').any(|c| c == '\t') {
        return Err((
            at,
            problem.with_help("indent with spaces: YAML allows no tabs"),
        ));
    }
    Err((at, problem))
}

/// Where brackets are nested so deep, whatever they stand in, that the parser would need time quadratic in their number
/// to say so.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 1000
    })
}

fn too_many() -> String {
    format!(
        "more than {MOST_VALUES} values once aliases are expanded; allowed: at most {MOST_VALUES}"
    )
}

/// Where a text's second document begins.
fn second_document(text: &str) -> usize {
    let mut offset = 0;
    let mut has_content = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") && has_content {
            return offset;
        }
        has_content |= !line.trim().is_empty() && !line.starts_with(['#', '%']);
        offset += line.len();
    }
    0
}

/// Reads a value and all below it.
#[derive(Clone, Copy)]
struct Tree<'c> {
    /// What remains of the budget.
    left: &'c Cell<usize>,
    /// Whether the error is ours, not the parser's.
    refused: &'c Cell<bool>,
}

impl Tree<'_> {
    fn refuse<E: de::Error>(self, message: impl fmt::Display) -> E {
        self.refused.set(true);
        E::custom(message)
    }

    fn spend<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(1 + bytes / 64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.refuse(too_many())),
        }
    }

    fn number<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.spend(0)?;
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| {
                let name = match value {
                    v if v.is_nan() => ".nan",
                    v if v > 0.0 => ".inf",
                    _ => "-.inf",
                };
                self.refuse(format!("`{name}` is not allowed; numbers must be finite"))
            })
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.spend(0)?;
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.spend(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.spend(0)?;
        Ok(value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.number(value as f64)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.number(value as f64)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.number(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        Ok(value.into())
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.spend(0)?;
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        while let Some(value) = from.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = from.next_key_seed(Key {
            tree: self,
            map: &map,
        })? {
            let value = from.next_value_seed(self)?;
            map.insert(key, value);
        }
        let Some(merged) = map.shift_remove("<<") else {
            return Ok(Value::Object(map));
        };
        let list = match merged {
            Value::Array(list) => list,
            one => vec![one],
        };
        for merged in list {
            let Value::Object(merged) = merged else {
                return Err(self.refuse("`<<` merges a mapping or a list of mappings"));
            };
            for (key, value) in merged {
                map.entry(key).or_insert(value);
            }
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<Value, A::Error> {
        let (tag, _) = from.variant::<String>()?;
        let tag = quote(tag.trim_start_matches('!'));
        Err(self.refuse(format!("the tag `!{tag}` means nothing here; remove it")))
    }
}

/// Reads a key of a mapping that has `map` already.
struct Key<'c> {
    tree: Tree<'c>,
    map: &'c Map<String, Value>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is text")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        self.tree.spend(key.len())?;
        if self.map.contains_key(key) {
            return Err(self.tree.refuse(format!("duplicate key `{}`", quote(key))));
        }
        Ok(key.to_owned())
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        self.visit_str(&key.to_string())
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<String, E> {
        self.visit_str(if key { "true" } else { "false" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    /// Line and message of the problem.
    fn problem(text: &str) -> (usize, String) {
        let (offset, problem) = parse(text).unwrap_err();
        (text[..offset].matches('\n').count() + 1, problem.message)
    }

    #[test]
    fn the_values_are_those_that_yaml_gives() {
        let text = "a: &x {n: 1, f: 1.5e-3, s: inf, t: \"1\"}\nb: *x\nc: [~, true, -3, 0x1F, 1_000]\n? 7\n: {<<: *x, n: 2}\nd: {<<: [{p: 1}, {p: 2, q: 3}]}\n";
        let x = json!({"n": 1, "f": 1.5e-3, "s": "inf", "t": "1"});
        let expected = json!({
            "a": x, "b": x, "c": [null, true, -3, 31, "1_000"],
            "7": {"n": 2, "f": 1.5e-3, "s": "inf", "t": "1"},
            "d": {"p": 1, "q": 3},
        });
        assert_eq!(parse(text).map_err(|e| e.1), Ok(expected));
        assert_eq!(
            parse("18446744073709551616").unwrap(),
            json!(18446744073709551616_f64)
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_wherever_they_stand() {
        for (text, line, expected) in [
            (
                "a: 1\nb: {c: .inf}\n",
                2,
                "b.c: `.inf` is not allowed; numbers must be finite",
            ),
            ("a: [1, .NaN]", 1, "a[1]: `.nan` is not allowed"),
            ("# é\na: -.INF", 2, "`-.inf`"),
            ("a: !!float .nan", 1, "`.nan`"),
            ("x: &x .inf\na: *x", 1, "`.inf`"),
        ] {
            let (found, message) = problem(text);
            assert!(message.contains(expected), "{text}: {message}");
            assert_eq!(found, line, "{text}");
        }
        assert!(problem(".inf").1.contains("`.inf`"));
    }

    #[test]
    fn what_multiplies_or_nests_is_refused_at_once() {
        let row = vec!["1"; 3000].join(", ");
        let wide = format!(
            "a: &a [{row}]\nb: &b [{}]\nc: [{}]\n",
            vec!["*a"; 3000].join(", "),
            vec!["*b"; 60].join(", ")
        );
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for level in 1..40 {
            deep += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
        }
        let heavy = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(1 << 16),
            vec!["*a"; 5000].join(", ")
        );
        let cyclic = "a: &a [*a, *a]\n".to_owned();
        let merged = "a0: &a0 {k: 1}\n".to_owned()
            + &(1..40)
                .map(|l| format!("a{l}: &a{l} {{x: *a{0}, y: *a{0}}}\n", l - 1))
                .collect::<String>();
        for text in [wide, deep, heavy, merged] {
            let start = Instant::now();
            let (_, message) = problem(&text);
            assert!(message.contains("more than 100000 values"), "{message}");
            assert!(start.elapsed() < Duration::from_secs(1));
        }
        for text in [
            cyclic,
            "[".repeat(10_000),
            "{a: ".repeat(250_000),
            "- ".repeat(10_000),
        ] {
            let start = Instant::now();
            let (_, message) = problem(&text);
            assert!(
                message.contains("nested")
                    || message.contains("not valid")
                    || message.contains("more than"),
                "{message}"
            );
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "{:?} {message}",
                start.elapsed()
            );
        }
    }

    #[test]
    fn other_mistakes_are_named_with_their_line() {
        for (text, line, expected) in [
            ("a: 1\nb: {c: 1,\n  c: 2}\n", 3, "duplicate key `c`"),
            (
                "a: 1\nb: !secret x\n",
                2,
                "the tag `!secret` means nothing here",
            ),
            ("a: 1\n---\nb: 1\n", 2, "several documents"),
            ("---\na: 1\n--- {b: 1}\n", 3, "several documents"),
            ("a: 1\n<<: 3\n", 1, "`<<` merges a mapping"),
            ("a: [1, 2\n", 2, "not valid YAML"),
            ("a: 1\nb: *c\n", 2, "not valid YAML: unknown anchor"),
            (
                "? [1, 2]\n: 3\n",
                1,
                "invalid type: sequence, expected a key that is text",
            ),
        ] {
            let (found, message) = problem(text);
            assert!(message.contains(expected), "{text}: {message}");
            assert_eq!(found, line, "{text}: {message}");
        }
        assert_eq!(
            parse("# only a comment\n").map_err(|e| e.1),
            Ok(Value::Null)
        );
        let (_, tabs) = parse("a:\n\tb: 1\n").unwrap_err();
        assert!(tabs.help.unwrap().contains("no tabs"));
        let long = problem(&format!("{}: [", "k".repeat(5000))).1;
        assert!(long.chars().count() < 200, "{long}");
    }
}
