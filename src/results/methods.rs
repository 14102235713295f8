//! What the methods say of themselves, for those who read results.

use crate::influence::METHODS;
use crate::look::{Drawn, Given};

/// How the method `name` with these options is drawn and called; `None` when no method of this version has that name.
pub fn drawn(name: &str, options: &Given<'_>) -> Option<Drawn> {
    let (info, _) = METHODS.iter().find(|(info, _)| info.name == name)?;
    Some(info.drawn(options))
}
