//! Shares of the training examples.

/// Shares of the training examples that subsets may keep: one metric each (`lds_50`, `lds_90`, `lds_99`).
pub const FRACTIONS: [f64; 3] = [0.5, 0.9, 0.99];

/// A share in whole percent.
pub fn percent(share: f64) -> u32 {
    (100.0 * share).round() as u32
}

/// Whole examples nearest to a share of n.
pub fn count(n: usize, share: f64) -> usize {
    (n as f64 * share).round() as usize
}
