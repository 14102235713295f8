//! Which keys a query looks at.

use std::ops::Range;

/// How heads lie side by side, and which keys a query looks at.
#[derive(Clone, Copy, Debug)]
pub struct Attend<'a> {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values, a divisor of `heads`: head i of the queries looks at head ⌊i·key_heads/heads⌋ (grouped-query
    /// attention, Ainslie et al., 2023, arXiv 2305.13245).
    pub key_heads: usize,
    /// How many positions of every example can be looked at, its first ones; none when all can.
    pub lengths: Option<&'a [usize]>,
    /// Which of them a query looks at.
    pub reach: Reach,
}

/// Which positions a query looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    Everything,
    /// Its own and earlier ones. Of fewer queries than positions, these are an example's last: the last q of its first
    /// `length`.
    Past {
        /// Only so many, its own included.
        window: Option<usize>,
    },
}

impl Attend<'_> {
    /// As many heads of keys as of queries.
    pub fn heads(heads: usize, reach: Reach) -> Self {
        Self {
            heads,
            key_heads: heads,
            lengths: None,
            reach,
        }
    }
}

impl Reach {
    /// The keys that query `row` of `q` looks at, of the first `length` of `t`.
    pub fn keys(self, row: usize, [q, t]: [usize; 2], length: usize) -> Range<usize> {
        match self {
            Self::Everything => 0..length,
            Self::Past { window } => {
                let next = if q == t {
                    row + 1
                } else {
                    (length + row + 1).saturating_sub(q)
                };
                let end = next.min(length);
                let start = window.map_or(0, |window| next.saturating_sub(window));
                start.min(end)..end
            }
        }
    }
}
