//! What is wrong with a method as written.

use crate::input::{quote, suggestion};

/// What is wrong with a method as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// No such method.
    #[error("unknown method `{}`{}; the methods are {}", quote(found), suggest(.closest), .allowed.join(", "))]
    Name {
        /// What was written.
        found: String,
        /// The nearest name, when one is near.
        closest: Option<&'static str>,
        /// All names.
        allowed: Vec<&'static str>,
    },
    /// The method has no such option.
    #[error("`{method}` has no option `{}`{}; {}", quote(found), suggest(.closest), options(.allowed))]
    Option {
        /// The method.
        method: &'static str,
        /// What was written.
        found: String,
        /// The nearest option, when one is near.
        closest: Option<&'static str>,
        /// The method's options.
        allowed: Vec<&'static str>,
    },
    /// The option does not take this value.
    #[error("`{method}`: {key} is `{}`, expected {expected}{}", quote(found), suggest(.closest))]
    Value {
        /// The method.
        method: &'static str,
        /// The option.
        key: &'static str,
        /// What was written.
        found: String,
        /// What is allowed.
        expected: String,
        /// The nearest word, when one is near.
        closest: Option<&'static str>,
    },
    /// An option given twice.
    #[error("`{method}`: {key} is given twice")]
    Repeated {
        /// The method.
        method: &'static str,
        /// The option.
        key: &'static str,
    },
    /// Not `key=value`.
    #[error(
        "`{method}`: found `{}` where key=value is expected, as in {method}:{example}",
        quote(found)
    )]
    Form {
        /// The method.
        method: &'static str,
        /// What was written.
        found: String,
        /// An option of the method as it would be written.
        example: String,
    },
}

fn suggest(closest: &Option<&str>) -> String {
    closest.map_or_else(String::new, |name| format!(" ({})", suggestion(name)))
}

fn options(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it has {}", allowed.join(", "))
    }
}
