//! Label noise: a fixed share of labels, each changed uniformly to another class.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random::Rng;

/// Flips exactly round(`share`·n) labels in place, each to one of the other classes with equal
/// probability; says which.
///
/// With fewer than two classes nothing can be flipped.
pub fn flip(labels: &mut [usize], classes: usize, share: f64, rng: &mut Rng) -> Vec<bool> {
    let mut flipped = vec![false; labels.len()];
    if classes < 2 {
        return flipped;
    }
    let count = ((share * labels.len() as f64).round() as usize).min(labels.len());
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(rng);
    for &index in &order[..count] {
        labels[index] = (labels[index] + rng.random_range(1..classes)) % classes;
        flipped[index] = true;
    }
    flipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn exactly_the_share_is_flipped_to_every_other_class_alike() {
        let mut labels: Vec<usize> = (0..30_000).map(|index| index % 5).collect();
        let before = labels.clone();
        let flipped = flip(&mut labels, 5, 0.2, &mut random::rng(1, "test", "flip"));
        assert_eq!(flipped.iter().filter(|&&flipped| flipped).count(), 6000);
        let mut moves = [0usize; 5];
        for index in 0..labels.len() {
            assert_eq!(labels[index] != before[index], flipped[index]);
            moves[(labels[index] + 5 - before[index]) % 5] += 1;
        }
        // 1500 expected each, standard deviation 34
        assert!(
            moves[1..].iter().all(|&count| count.abs_diff(1500) < 170),
            "{moves:?}"
        );
    }

    #[test]
    fn shares_round_and_single_classes_stay() {
        let mut rng = random::rng(1, "test", "flip");
        assert_eq!(
            flip(&mut [0, 1, 0], 2, 0.5, &mut rng)
                .iter()
                .filter(|&&flipped| flipped)
                .count(),
            2
        );
        assert_eq!(flip(&mut [0, 0], 1, 1.0, &mut rng), [false, false]);
    }
}
