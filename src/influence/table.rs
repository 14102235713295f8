//! The table of all methods: what the command line lists, what settings may name, what tests go through.

use super::registry::Entry;
use super::{compat, methods};

/// Every method.
pub static METHODS: &[Entry] = &ALL;

const ALL: [Entry; methods::LIST.len() + compat::LIST.len()] = {
    let mut all = [methods::LIST[0]; methods::LIST.len() + compat::LIST.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < methods::LIST.len() {
            methods::LIST[i]
        } else {
            compat::LIST[i - methods::LIST.len()]
        };
        i += 1;
    }
    all
};
