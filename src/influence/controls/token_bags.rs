//! Word overlap: cosines of token counts.

use ndarray::Array2;
use rayon::prelude::*;

use super::part::{CompareTexts, OF, Part, shown};
use crate::influence::registry::{Listed, MethodInfo, Values};
use crate::look::{Dash, Look, Marker};

/// Cosine of token bags: I(k, q) = −c_q·c_k/(‖c_q‖‖c_k‖) with c the number of times that each token occurs in a text.
///
/// A text without tokens has the cosine 0 with everything. Cost: the tokens of both texts, for every pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenBags {
    /// The part of the texts that is compared.
    pub of: Part,
}

impl Listed for TokenBags {
    const INFO: MethodInfo = MethodInfo {
        name: "token_bags",
        title: "Token overlap",
        look: Some(Look::new([0x3d, 0x7a, 0x1f], Marker::Square, Dash::Dotted)),
        variant: shown,
        summary: "control: cosines of token counts, without any model; needs the texts in tokens",
        formula: "cosine of the two texts' token counts, in place of a gradient product",
        cost: "the tokens of both texts, a pair",
        memory: "the tokens",
        passes: "0",
        damping: "none",
        source: "bags of words, Salton, Wong, Yang 1975",
        when: "beside every method on texts: a task that word overlap solves says nothing about influence",
        options: &[OF],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            of: Part::from_values(values),
        }
    }
}

impl CompareTexts for TokenBags {
    fn of(&self) -> Part {
        self.of
    }

    fn compare(&self, train: &[Vec<u32>], query: &[Vec<u32>]) -> Array2<f64> {
        let [train, query] = [train, query]
            .map(|texts| -> Vec<Bag> { texts.par_iter().map(|ids| Bag::new(ids)).collect() });
        let scores: Vec<f64> = query
            .par_iter()
            .flat_map_iter(|query| train.iter().map(|train| -query.cosine(train)))
            .collect();
        Array2::from_shape_vec((query.len(), train.len()), scores).expect("a score for every pair")
    }
}

/// Token counts of a text.
struct Bag {
    /// Tokens in rising order, with how often each occurs.
    counts: Vec<(u32, f64)>,
    norm: f64,
}

impl Bag {
    fn new(ids: &[u32]) -> Self {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let equal = ids.chunk_by(|a, b| a == b);
        let counts: Vec<(u32, f64)> = equal.map(|same| (same[0], same.len() as f64)).collect();
        let squares: f64 = counts.iter().map(|(_, count)| count * count).sum();
        Self {
            counts,
            norm: squares.sqrt(),
        }
    }

    fn cosine(&self, other: &Self) -> f64 {
        let norms = self.norm * other.norm;
        if norms == 0.0 {
            return 0.0;
        }
        let (mut a, mut b) = (
            self.counts.iter().peekable(),
            other.counts.iter().peekable(),
        );
        let mut sum = 0.0;
        while let (Some(&&(left, x)), Some(&&(right, y))) = (a.peek(), b.peek()) {
            if left == right {
                sum += x * y;
            }
            if left <= right {
                a.next();
            }
            if right <= left {
                b.next();
            }
        }
        sum / norms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Texts;
    use crate::influence::companions::Companions;
    use crate::influence::method::Control;

    #[test]
    fn cosines_are_those_of_dense_counts() {
        let texts = |seed: u32, count: u32| -> Vec<Vec<u32>> {
            (0..count)
                .map(|i| {
                    (0..(i * 7 + seed) % 13)
                        .map(|j| (i * j + seed * j * j) % 9)
                        .collect()
                })
                .collect()
        };
        let split = |seed, count| Texts {
            prompts: texts(seed, count),
            whole: texts(seed + 5, count),
        };
        let beside = [split(3, 11), split(4, 6)];
        let companions = Companions {
            texts: Some(&beside),
            ..Companions::default()
        };
        for of in [Part::Prompt, Part::Text] {
            let found = TokenBags { of }.scores(&companions, [6, 11], 0);
            let dense = |ids: &[u32]| {
                let mut counts = [0.0f64; 9];
                ids.iter().for_each(|&id| counts[id as usize] += 1.0);
                counts
            };
            let dot =
                |a: [f64; 9], b: [f64; 9]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            for (q, query) in of.of(&beside[1]).iter().enumerate() {
                for (k, train) in of.of(&beside[0]).iter().enumerate() {
                    let (a, b) = (dense(query), dense(train));
                    let norms = (dot(a, a) * dot(b, b)).sqrt();
                    let expected = if norms > 0.0 { -dot(a, b) / norms } else { 0.0 };
                    assert!((found[(q, k)] - expected).abs() < 1e-15);
                }
            }
        }
    }
}
