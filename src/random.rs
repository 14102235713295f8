//! Every random draw comes from a generator seeded from (experiment seed, cell, purpose).
//!
//! In: a seed, a scope and a purpose. Out: a generator ([`rng`]) that is the same on every machine and for any number of
//! threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator used throughout: portable, reproducible bytes on every platform.
pub type Rng = ChaCha8Rng;

/// A generator for one purpose.
///
/// `seed` is the experiment's seed, `scope` names what the draw belongs to (a cell's or a stage's
/// content, so that equal content draws equal numbers), `purpose` what it is for ("flip", "lora_init").
/// The key is the BLAKE3 hash of the three.
pub fn rng(seed: u64, scope: &str, purpose: &str) -> Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(scope.len() as u64).to_le_bytes());
    hasher.update(scope.as_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn purposes_are_independent_and_reproducible() {
        let draw = |seed, scope, purpose| rng(seed, scope, purpose).random::<u64>();
        assert_eq!(draw(1, "a", "b"), draw(1, "a", "b"));
        assert_ne!(draw(1, "a", "b"), draw(2, "a", "b"));
        assert_ne!(draw(1, "a", "bc"), draw(1, "ab", "c"));
    }
}
