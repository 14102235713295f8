//! The entries of the table of methods: one source for parsing, listings, the schema and the tests.

use std::sync::Arc;

use super::method::InfluenceMethod;
use crate::look::{Drawn, Given, Look};

/// A method as it is listed.
#[derive(Debug)]
pub struct MethodInfo {
    /// Name in settings and on the command line.
    pub name: &'static str,
    /// Name for readers.
    pub title: &'static str,
    /// Colour, marker and dash; `None`: the next free ones of a figure.
    pub look: Option<Look>,
    /// Changes title and look as options ask, and says which options these then show; [`plain`] changes nothing.
    pub variant: fn(&Given<'_>, &mut Drawn),
    /// What it is, in a line.
    pub summary: &'static str,
    /// What it computes for one query v of one block.
    pub formula: &'static str,
    /// Cost a block, in operations: n examples of size d, m queries.
    pub cost: &'static str,
    /// Numbers held a block, beside the queries and their answers.
    pub memory: &'static str,
    /// How often all gradients are fetched from the store, the contraction included; k iterations. A test
    /// counts the bytes.
    pub passes: &'static str,
    /// How λ_l enters.
    pub damping: &'static str,
    /// Who it is due to.
    pub source: &'static str,
    /// When to use it.
    pub when: &'static str,
    /// Its options.
    pub options: &'static [OptionInfo],
}

/// For methods whose options do not change title and look.
pub fn plain(_: &Given<'_>, _: &mut Drawn) {}

impl MethodInfo {
    /// How it is drawn and called with these options.
    pub fn drawn(&self, options: &Given<'_>) -> Drawn {
        let mut drawn = Drawn {
            title: self.title.to_owned(),
            look: self.look,
            shown: Vec::new(),
        };
        (self.variant)(options, &mut drawn);
        drawn
    }
}

/// An option of a method.
#[derive(Debug)]
pub struct OptionInfo {
    /// Key in `NAME:key=value`.
    pub key: &'static str,
    /// Value when it is not given.
    pub default: &'static str,
    /// What may be given.
    pub allowed: Allowed,
    /// What it does.
    pub help: &'static str,
}

/// Values that an option may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// An integer, at least 1.
    Count,
    /// An integer, at least 1: how much of a block the method keeps. Once it keeps all, it is exact; a test goes
    /// through every option of this kind.
    Size(ExactAt),
    /// An integer, at least 1, or one of these words.
    CountOr(&'static [&'static str]),
    /// A positive number.
    Number,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A positive number, or one of these words.
    NumberOr(&'static [&'static str]),
}

impl Allowed {
    /// The words among the values.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Count | Self::Size(_) | Self::Number => &[],
            Self::Switch => &["true", "false"],
            Self::Word(words) | Self::NumberOr(words) | Self::CountOr(words) => words,
        }
    }

    /// The value a text stands for; `None` when it is not allowed.
    pub fn parse(self, text: &str) -> Option<Value> {
        if let Some(word) = self.words().iter().find(|word| **word == text) {
            return Some(Value::Word(word));
        }
        match self {
            Self::Count | Self::Size(_) | Self::CountOr(_) => text
                .parse()
                .ok()
                .filter(|&count: &usize| count > 0)
                .map(Value::Count),
            Self::Number | Self::NumberOr(_) => text
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite() && *v > 0.0)
                .map(Value::Number),
            Self::Switch | Self::Word(_) => None,
        }
    }
}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count | Self::Size(_) => f.write_str("an integer, at least 1"),
            Self::Number => f.write_str("a positive number"),
            Self::CountOr(words) => {
                write!(f, "an integer, at least 1, or {}", words.join(" or "))
            }
            Self::Switch | Self::Word(_) => f.write_str(&self.words().join(" or ")),
            Self::NumberOr(words) => write!(f, "a positive number or {}", words.join(" or ")),
        }
    }
}

/// The least [`Allowed::Size`] at which a method is exact to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactAt {
    /// d, the size of the block.
    Dim,
    /// min(n, d): F has no more nonzero eigenvalues.
    Rank,
    /// n, the number of examples.
    Examples,
    /// The rows of every gradient matrix in the block.
    Rows,
    /// The columns of every gradient matrix in the block.
    Columns,
}

impl ExactAt {
    /// The value for n examples and gradient matrices of these shapes, `[rows, columns]`.
    pub fn of(self, n: usize, shapes: &[[usize; 2]]) -> usize {
        let dim = shapes.iter().map(|[rows, columns]| rows * columns).sum();
        let largest = |side: usize| shapes.iter().map(|shape| shape[side]).max().unwrap_or(1);
        match self {
            Self::Dim => dim,
            Self::Rank => n.min(dim),
            Self::Examples => n,
            Self::Rows => largest(0),
            Self::Columns => largest(1),
        }
    }
}

impl std::fmt::Display for ExactAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dim => "d",
            Self::Rank => "min(n, d)",
            Self::Examples => "n",
            Self::Rows => "the rows of a matrix",
            Self::Columns => "the columns of a matrix",
        })
    }
}

/// A checked value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of [`Allowed::Count`], [`Allowed::Size`] or [`Allowed::CountOr`].
    Count(usize),
    /// Of [`Allowed::Number`] or [`Allowed::NumberOr`].
    Number(f64),
    /// One of [`Allowed::words`].
    Word(&'static str),
}

/// A checked value for every option of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Values(Vec<(&'static str, Value)>);

impl Values {
    /// The options of `info` as given, defaults elsewhere.
    ///
    /// # Panics
    /// When a default of the table is not among its own allowed values; a test goes through them all.
    pub fn new(info: &MethodInfo, given: &[(&str, Value)]) -> Self {
        let value = |option: &OptionInfo| {
            let given = given
                .iter()
                .find(|(key, _)| *key == option.key)
                .map(|(_, value)| *value);
            given
                .or_else(|| option.allowed.parse(option.default))
                .expect("the table's defaults are allowed values")
        };
        Self(
            info.options
                .iter()
                .map(|option| (option.key, value(option)))
                .collect(),
        )
    }

    /// The value of an option that the method's table has.
    ///
    /// # Panics
    /// When it has not: a mistake in the method's own file, which a test would meet at once.
    fn get(&self, key: &str) -> Value {
        self.0
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| *value)
            .expect("a method asks for its own options")
    }

    /// A [`Value::Count`]; 1 for any other kind.
    pub fn count(&self, key: &str) -> usize {
        if let Value::Count(count) = self.get(key) {
            count
        } else {
            1
        }
    }

    /// A [`Value::Count`]; `None` for a word in its place.
    pub fn count_or(&self, key: &str) -> Option<usize> {
        if let Value::Count(count) = self.get(key) {
            Some(count)
        } else {
            None
        }
    }

    /// Whether the word is `true`.
    pub fn switch(&self, key: &str) -> bool {
        self.word(key) == Some("true")
    }

    /// A [`Value::Word`].
    pub fn word(&self, key: &str) -> Option<&'static str> {
        if let Value::Word(word) = self.get(key) {
            Some(word)
        } else {
            None
        }
    }

    /// A [`Value::Number`].
    pub fn number(&self, key: &str) -> Option<f64> {
        if let Value::Number(number) = self.get(key) {
            Some(number)
        } else {
            None
        }
    }
}

/// A method that stands in the table.
pub trait Listed: Sized {
    /// Its entry.
    const INFO: MethodInfo;

    /// Its settings, from a value for every option.
    fn from_values(values: &Values) -> Self;
}

/// A line of the table of methods: what is said of the method, and how it is made.
pub type Entry = (&'static MethodInfo, fn(&Values) -> Arc<dyn InfluenceMethod>);

/// Modules with a method each, as `file: Type`, and the table of them, `LIST`: a method is a file and a line here.
macro_rules! methods {
    ($($file:ident: $Type:ident),+ $(,)?) => {
        $(pub mod $file;)+

        /// The methods of this folder, in the order they are listed.
        pub(crate) const LIST: &[$crate::influence::registry::Entry] = &[
            $((
                &<$file::$Type as $crate::influence::registry::Listed>::INFO,
                |values| {
                    std::sync::Arc::new(
                        <$file::$Type as $crate::influence::registry::Listed>::from_values(values),
                    )
                },
            )),+
        ];
    };
}
pub(crate) use methods;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::METHODS;

    #[test]
    fn every_entry_is_complete_and_buildable() {
        for (i, (info, build)) in METHODS.iter().enumerate() {
            assert!(
                METHODS[..i]
                    .iter()
                    .all(|(other, _)| other.name != info.name),
                "{} is listed twice",
                info.name
            );
            assert!(
                [
                    info.title,
                    info.summary,
                    info.formula,
                    info.cost,
                    info.memory,
                    info.passes,
                    info.damping,
                    info.source,
                    info.when,
                ]
                .iter()
                .all(|text| !text.is_empty()),
                "{}",
                info.name
            );
            assert!(
                info.options.iter().all(|option| !option.help.is_empty()),
                "{}",
                info.name
            );
            // the defaults are allowed values
            build(&Values::new(info, &[]));
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(Allowed::Count.parse("8"), Some(Value::Count(8)));
        assert_eq!(
            Allowed::NumberOr(&["auto"]).parse("2.5"),
            Some(Value::Number(2.5))
        );
        assert_eq!(
            Allowed::NumberOr(&["auto"]).parse("auto"),
            Some(Value::Word("auto"))
        );
        let or_auto = Allowed::CountOr(&["auto"]);
        assert_eq!(or_auto.parse("8"), Some(Value::Count(8)));
        assert_eq!(or_auto.parse("auto"), Some(Value::Word("auto")));
        assert_eq!(Allowed::Number.parse("1e-6"), Some(Value::Number(1e-6)));
        for (allowed, text) in [
            (or_auto, "1.5"),
            (or_auto, "0"),
            (Allowed::Number, "auto"),
            (Allowed::Number, "0"),
            (Allowed::Count, "0"),
            (Allowed::Count, "1.5"),
            (Allowed::Switch, "yes"),
            (Allowed::Word(&["a"]), "b"),
            (Allowed::NumberOr(&["auto"]), "0"),
            (Allowed::NumberOr(&["auto"]), "inf"),
        ] {
            assert_eq!(allowed.parse(text), None, "{text}");
        }
    }
}
