//! Gradients of the task `gradients`: matrices with the shape that real LoRA gradients have, drawn without a model.

use std::f32::consts::TAU;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::store::{GradientStore, StoreError, StoreWriter, Target, TensorInfo};
use crate::data::Truth;
use crate::random::{Rng, rng};
use crate::tasks::GradientsTask;

/// Rows made together, side by side, so that a rotation works on vectors of them.
const LANES: usize = 16;
/// Numbers made before they are written.
const CHUNK: usize = 1 << 22;

/// Gradients and what is known about them.
#[derive(Debug)]
pub struct SyntheticGradients {
    /// Training gradients.
    pub train: GradientStore,
    /// Query gradients.
    pub query: GradientStore,
    /// Which training examples are flipped, and the classes.
    pub truth: Truth,
}

/// Draws the gradients of a task; the same seed gives the same bytes on any number of threads.
///
/// Block b of example i is
///
/// g = scale · 10^(−(b mod 5)/2) · a_i · (R_b (s ∘ z) + t · u_{b,c})
///
/// - z standard normal, s_j² ∝ j^(−`spectrum_decay`) with Σ s_j² = 1: a power-law spectrum;
/// - R_b a random rotation, the same for all examples: 2⌈log₂ d⌉ rounds (a Kac walk), each of which pairs the
///   coordinates at random and turns every pair by a random angle. It is orthogonal for any d, spreads every
///   axis over all coordinates, and costs O(d log d) an example;
/// - a_i = exp(`norm_tail` · normal), one an example: log-normal norms;
/// - u_{b,c} a random unit vector a class c, of `shared_directions` classes drawn uniformly (with 0 of them
///   there is one direction and no classes); t = `shared_strength`, and −`label_shift` for the flipped share
///   of the training examples;
/// - blocks differ in scale, over two decades, so that the weight of a block matters.
///
/// # Errors
/// The stores cannot be written.
pub fn generate(
    task: &GradientsTask,
    seed: u64,
    train: Target,
    query: Target,
) -> Result<SyntheticGradients, StoreError> {
    let classes = task.shared_directions.max(1);
    let mut random = rng(seed, "gradients", "classes");
    let mut draw = |count: usize| -> Vec<usize> {
        (0..count)
            .map(|_| random.random_range(0..classes))
            .collect()
    };
    let (train_classes, query_classes) = (draw(task.train), draw(task.query));

    let mut flipped = vec![false; task.train];
    flipped[..(task.flip * task.train as f64).round() as usize].fill(true);
    flipped.shuffle(&mut rng(seed, "gradients", "flip"));

    let generator = Generator {
        task,
        seed,
        spread: spread(task),
    };
    let split = |name, classes: &[usize], flipped: &[bool], target| {
        generator.split(name, classes, flipped, target)
    };
    let train = split("train", &train_classes, &flipped, train)?;
    let query = split("query", &query_classes, &vec![false; task.query], query)?;
    let known = task.shared_directions > 0;
    let truth = Truth {
        flipped: (task.flip > 0.0).then_some(flipped),
        train_classes: known.then_some(train_classes),
        query_classes: known.then_some(query_classes),
    };
    Ok(SyntheticGradients {
        train,
        query,
        truth,
    })
}

/// s: the square roots of the spectrum, of sum of squares 1.
fn spread(task: &GradientsTask) -> Vec<f32> {
    let spectrum: Vec<f64> = (1..=task.dim)
        .map(|j| (j as f64).powf(-task.spectrum_decay))
        .collect();
    let total: f64 = spectrum.iter().sum();
    spectrum
        .into_iter()
        .map(|value| (value / total).sqrt() as f32)
        .collect()
}

struct Generator<'a> {
    task: &'a GradientsTask,
    seed: u64,
    spread: Vec<f32>,
}

impl Generator<'_> {
    fn split(
        &self,
        name: &str,
        classes: &[usize],
        flipped: &[bool],
        target: Target,
    ) -> Result<GradientStore, StoreError> {
        let (n, d) = (classes.len(), self.task.dim);
        let tensors = (0..self.task.blocks)
            .map(|b| TensorInfo::new(format!("block.{b}"), [d]))
            .collect();
        let mut writer = StoreWriter::new(tensors, n, target)?;
        let mut random = rng(self.seed, &format!("gradients/{name}"), "norms");
        let norms: Vec<f64> = (0..n)
            .map(|_| (self.task.norm_tail * normal(&mut random)).exp())
            .collect();

        let rows_a_chunk = (CHUNK / d)
            .next_multiple_of(LANES)
            .min(n.next_multiple_of(LANES))
            .max(LANES);
        let mut values = vec![0.0f32; rows_a_chunk * d];
        for b in 0..self.task.blocks {
            let rotation = Rotation::new(
                d,
                &mut rng(self.seed, &format!("gradients/{b}"), "rotation"),
            );
            let directions = self.directions(b);
            let scale = self.task.scale * 10f64.powf(-((b % 5) as f64) / 2.0);
            for first in (0..n).step_by(rows_a_chunk) {
                let values = &mut values[..(n - first).min(rows_a_chunk) * d];
                values
                    .par_chunks_mut(LANES * d)
                    .enumerate()
                    .for_each(|(batch, out)| {
                        let start = first + batch * LANES;
                        let mut random =
                            rng(self.seed, &format!("gradients/{name}/{b}/{start}"), "noise");
                        let mut lanes = vec![[0.0f32; LANES]; d];
                        for (lane, &spread) in lanes.iter_mut().zip(&self.spread) {
                            lane.iter_mut()
                                .for_each(|value| *value = spread * normal(&mut random) as f32);
                        }
                        rotation.apply(&mut lanes);
                        for (lane, out) in out.chunks_exact_mut(d).enumerate() {
                            let row = start + lane;
                            let shared = if flipped[row] {
                                -self.task.label_shift
                            } else {
                                self.task.shared_strength
                            };
                            let (shared, factor) = (shared as f32, (scale * norms[row]) as f32);
                            for ((out, values), &u) in
                                out.iter_mut().zip(&lanes).zip(&directions[classes[row]])
                            {
                                *out = factor * (values[lane] + shared * u);
                            }
                        }
                    });
                writer.write_rows(b, first, values)?;
            }
        }
        writer.finish()
    }

    /// u: a unit vector for each class.
    fn directions(&self, b: usize) -> Vec<Vec<f32>> {
        let mut random = rng(self.seed, &format!("gradients/{b}"), "directions");
        (0..self.task.shared_directions.max(1))
            .map(|_| {
                let vector: Vec<f64> = (0..self.task.dim).map(|_| normal(&mut random)).collect();
                let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
                vector.into_iter().map(|v| (v / norm) as f32).collect()
            })
            .collect()
    }
}

fn normal(random: &mut Rng) -> f64 {
    StandardNormal.sample(random)
}

/// A random rotation as rounds of plane rotations.
struct Rotation {
    /// Two coordinates, cosine and sine.
    turns: Vec<(usize, usize, f32, f32)>,
}

impl Rotation {
    fn new(d: usize, random: &mut Rng) -> Self {
        let rounds = 2 * d.next_power_of_two().ilog2();
        let mut order: Vec<usize> = (0..d).collect();
        let mut turns = Vec::with_capacity(rounds as usize * d / 2);
        for _ in 0..rounds {
            order.shuffle(random);
            turns.extend(order.as_chunks::<2>().0.iter().map(|&[i, j]| {
                let angle = TAU * random.random::<f32>();
                (i, j, angle.cos(), angle.sin())
            }));
        }
        Self { turns }
    }

    fn apply(&self, lanes: &mut [[f32; LANES]]) {
        for &(i, j, cosine, sine) in &self.turns {
            let (mut a, mut b) = (lanes[i], lanes[j]);
            for (a, b) in a.iter_mut().zip(&mut b) {
                (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
            }
            (lanes[i], lanes[j]) = (a, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> GradientsTask {
        GradientsTask {
            train: 400,
            query: 7,
            blocks: 2,
            dim: 48,
            ..GradientsTask::default()
        }
    }

    fn rows(store: &GradientStore, t: usize) -> Vec<Vec<f64>> {
        let d = store.tensors()[t].dim();
        store
            .tensor_rows(t, 0..store.rows())
            .chunks(d)
            .map(|row| row.iter().map(|&v| f64::from(v)).collect())
            .collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn the_same_bytes_on_any_number_of_threads_and_in_any_store() {
        let folder = tempfile::tempdir().unwrap();
        let make = |threads, target| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| generate(&task(), 3, target, Target::Memory))
                .unwrap()
        };
        let one = make(1, Target::Memory);
        let three = make(3, Target::Mapped(folder.path().join("g.safetensors")));
        assert_eq!(one.truth, three.truth);
        assert_eq!(rows(&one.train, 1), rows(&three.train, 1));
        assert_eq!(rows(&one.query, 0), rows(&three.query, 0));
        assert_ne!(
            rows(&one.train, 1),
            rows(
                &generate(&task(), 4, Target::Memory, Target::Memory)
                    .unwrap()
                    .train,
                1
            )
        );
    }

    #[test]
    fn rotations_keep_lengths_and_spread_every_axis() {
        for d in [1, 2, 5, 64, 300] {
            let rotation = Rotation::new(d, &mut rng(1, "test", "rotation"));
            for axis in [0, d / 2, d - 1] {
                let mut lanes = vec![[0.0; LANES]; d];
                lanes[axis] = [1.0; LANES];
                rotation.apply(&mut lanes);
                let squares: Vec<f32> = lanes.iter().map(|lane| lane[3] * lane[3]).collect();
                assert!((squares.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{d}");
                let largest = squares.iter().copied().fold(0.0, f32::max);
                // a uniform direction's largest square is about 2 ln d/d
                assert!(
                    d < 64 || largest < 8.0 * (d as f32).ln() / d as f32,
                    "{d}: {largest}"
                );
            }
        }
    }

    #[test]
    fn spectrum_and_scale_are_as_asked() {
        let task = GradientsTask {
            norm_tail: 0.0,
            shared_strength: 0.0,
            flip: 0.0,
            train: 2000,
            ..task()
        };
        let made = generate(&task, 5, Target::Memory, Target::Memory).unwrap();
        assert!(made.truth.flipped.is_none());
        let energy = |t| rows(&made.train, t).iter().map(|g| dot(g, g)).sum::<f64>() / 2000.0;
        // E‖g‖² = scale², with 2000 examples to within a few per cent; the second block is √10 times smaller
        assert!((energy(0) / 0.01 - 1.0).abs() < 0.1, "{}", energy(0));
        assert!((energy(0) / energy(1) - 10.0).abs() < 1.0);
        // top eigenvalue's share of the trace: 1/Σ j⁻¹
        let g = rows(&made.train, 0);
        let fisher = faer::Mat::from_fn(48, 48, |i, j| g.iter().map(|g| g[i] * g[j]).sum::<f64>());
        let eigenvalues = fisher.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
        let share = eigenvalues[47] / eigenvalues.iter().sum::<f64>();
        let expected = 1.0 / (1..=48).map(|j| 1.0 / f64::from(j)).sum::<f64>();
        assert!((share / expected - 1.0).abs() < 0.15, "{share} {expected}");
    }

    #[test]
    fn flipped_examples_move_against_their_class() {
        let made = generate(&task(), 6, Target::Memory, Target::Memory).unwrap();
        let (flipped, classes) = (
            made.truth.flipped.unwrap(),
            made.truth.train_classes.unwrap(),
        );
        assert_eq!(flipped.iter().filter(|&&f| f).count(), 80);
        assert_eq!(made.truth.query_classes.unwrap().len(), 7);
        let task = task();
        let generator = Generator {
            task: &task,
            seed: 6,
            spread: spread(&task),
        };
        let directions: Vec<Vec<f64>> = generator
            .directions(0)
            .iter()
            .map(|u| u.iter().map(|&v| f64::from(v)).collect())
            .collect();
        let mean = |which: bool| {
            let along: Vec<f64> = rows(&made.train, 0)
                .iter()
                .enumerate()
                .filter(|(i, _)| flipped[*i] == which)
                .map(|(i, g)| dot(g, &directions[classes[i]]))
                .collect();
            along.iter().sum::<f64>() / along.len() as f64
        };
        // scale · E[a] · t, with E[a] = exp(0.5²/2)
        let expected = 0.1 * (0.125f64).exp() * 0.5;
        assert!(
            (mean(false) / expected - 1.0).abs() < 0.25,
            "{}",
            mean(false)
        );
        assert!((mean(true) / -expected - 1.0).abs() < 0.5, "{}", mean(true));
    }
}
