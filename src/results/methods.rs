//! What the methods say of themselves, for those who read results.

use crate::influence::registry::Entry;
use crate::influence::{GRADIENT_METHODS, METHODS};
use crate::look::{Drawn, Given};

/// How the method `name` with these options is drawn and called; `None` when no method of this version has that name.
pub fn drawn(name: &str, options: &Given<'_>) -> Option<Drawn> {
    let (info, _) = METHODS.iter().find(|(info, _)| info.name == name)?;
    Some(info.drawn(options))
}

/// Whether the method of a label is a control, whose scores come from no gradient; a name that this version does not know
/// is none.
pub fn is_control(label: &str) -> bool {
    let name = Given::parse(label).0;
    let lists = |methods: &[Entry]| methods.iter().any(|(info, _)| info.name == name);
    lists(METHODS) && !lists(GRADIENT_METHODS)
}
