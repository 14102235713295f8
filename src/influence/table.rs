//! The table of all methods: what the command line lists, what settings may name, what tests go through.

use super::registry::Entry;
use super::{compat, controls, methods};

/// Every method.
pub static METHODS: &[Entry] = &ALL;

/// Every method that works on gradients: all but the [`controls`].
pub static GRADIENT_METHODS: &[Entry] = ALL.split_at(GRADIENTS).0;

const GRADIENTS: usize = methods::LIST.len() + compat::LIST.len();

const ALL: [Entry; GRADIENTS + controls::LIST.len()] = {
    let mut all = [methods::LIST[0]; GRADIENTS + controls::LIST.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < methods::LIST.len() {
            methods::LIST[i]
        } else if i < GRADIENTS {
            compat::LIST[i - methods::LIST.len()]
        } else {
            controls::LIST[i - GRADIENTS]
        };
        i += 1;
    }
    all
};
