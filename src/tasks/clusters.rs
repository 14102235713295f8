//! Gaussian clusters, labelled by cluster or by a frozen random two-layer network.

use std::path::Path;

use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{TaskError, require};
use super::flip;
use super::task::Task;
use crate::data::Reads;
use crate::data::{Inputs, Split, Targets, TaskData, Truth};
use crate::random::{self, Rng};

/// Points that the base is pretrained on, whatever the size of the training split.
const PRETRAIN_POINTS: usize = 2000;
/// Hidden units of the teacher.
const TEACHER_WIDTH: usize = 32;

/// Points of Gaussian clusters; the label is what a frozen random teacher network says of a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClustersTask {
    /// Training examples, ≥ 1.
    #[schemars(range(min = 1))]
    pub train: usize,
    /// Query (validation) examples, ≥ 1.
    #[schemars(range(min = 1))]
    pub query: usize,
    /// Dimension of a point, ≥ 1.
    #[schemars(range(min = 1))]
    pub features: usize,
    /// Classes, ≥ 2.
    #[schemars(range(min = 2))]
    pub classes: usize,
    /// Distance between cluster centres in units of a cluster's standard deviation.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub separation: f64,
    /// `teacher`: a random frozen network labels the points; `cluster`: the label is the cluster.
    pub labels: ClusterLabels,
    /// Share of the training labels flipped uniformly to another class.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
}

/// Who labels a point of [`ClustersTask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterLabels {
    /// The cluster that the point was drawn from.
    Cluster,
    /// The arg-max of a frozen random two-layer network.
    Teacher,
}

impl Default for ClustersTask {
    fn default() -> Self {
        Self {
            train: 1000,
            query: 200,
            features: 16,
            classes: 4,
            separation: 3.0,
            labels: ClusterLabels::Cluster,
            flip: 0.2,
        }
    }
}

impl Task for ClustersTask {
    fn reads(&self) -> Reads {
        Reads::Vector
    }

    fn train(&self) -> Option<usize> {
        Some(self.train)
    }

    fn flip(&self) -> f64 {
        self.flip
    }

    fn build(&self, _: Option<&Path>, seed: u64) -> Result<TaskData, TaskError> {
        build(self, seed)
    }
}

/// Points x = c_k + ε with ε ~ N(0, I), k uniform over the classes in turn. The centres c_k are N(0, I)
/// scaled so that two centres lie `separation` apart in root mean square.
///
/// Under `labels: teacher` the label is arg max of W₂ tanh(W₁ x), W₁ and W₂ Gaussian and frozen; the
/// rows of W₂ are centred over a sample so that no class takes all. For pretraining there are
/// 2,000 other points, labelled by the sign pattern of the first two coordinates (4 classes; 2 in
/// one dimension): another labelling of the same distribution.
///
/// # Errors
/// When a size is 0 or there are fewer than two classes.
pub fn build(config: &ClustersTask, seed: u64) -> Result<TaskData, TaskError> {
    require("task.train", config.train, 1)?;
    require("task.query", config.query, 1)?;
    require("task.features", config.features, 1)?;
    require("task.classes", config.classes, 2)?;
    let mut rng = random::rng(seed, "clusters", "centres");
    // two N(0, I) points lie √(2·features) apart in root mean square
    let scale = config.separation / (2.0 * config.features as f64).sqrt();
    let centres: Vec<f64> = (0..config.classes * config.features)
        .map(|_| scale * normal(&mut rng))
        .collect();
    let teacher = Teacher::new(config, &centres, seed);
    let draw = |count: usize, purpose: &str| -> (Vec<f32>, Vec<usize>) {
        let mut rng = random::rng(seed, "clusters", purpose);
        let mut values = Vec::with_capacity(count * config.features);
        let labels = (0..count)
            .map(|index| {
                let cluster = index % config.classes;
                let point = point(config, &centres, cluster, &mut rng);
                let label = match config.labels {
                    ClusterLabels::Cluster => cluster,
                    ClusterLabels::Teacher => teacher.label(&point),
                };
                values.extend(point.into_iter().map(|value| value as f32));
                label
            })
            .collect();
        (values, labels)
    };
    let split = |values: Vec<f32>, labels: Vec<usize>| Split {
        inputs: Inputs::Features {
            values,
            tokens: 1,
            features: config.features,
        },
        targets: Targets::Classes(labels),
    };
    let (train_values, train_classes) = draw(config.train, "train");
    let (query_values, query_classes) = draw(config.query, "query");
    let (other_values, _) = draw(PRETRAIN_POINTS, "pretrain");
    let signs = config.features.min(2);
    let patterns = other_values
        .chunks_exact(config.features)
        .map(|point| {
            point[..signs]
                .iter()
                .fold(0, |bits, &value| 2 * bits + usize::from(value > 0.0))
        })
        .collect();
    let mut labels = train_classes.clone();
    let flipped = flip::flip(
        &mut labels,
        config.classes,
        config.flip,
        &mut random::rng(seed, "clusters", "flip"),
    );
    Ok(TaskData {
        train: split(train_values, labels),
        query: split(query_values, query_classes.clone()),
        pretrain: Some((split(other_values, patterns), 1 << signs)),
        classes: config.classes,
        passed_over: 0,
        tuning: None,
        texts: None,
        images: None,
        truth: Truth {
            flipped: (config.flip > 0.0).then_some(flipped),
            train_classes: Some(train_classes),
            query_classes: Some(query_classes),
        },
    })
}

fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn point(config: &ClustersTask, centres: &[f64], cluster: usize, rng: &mut Rng) -> Vec<f64> {
    centres[cluster * config.features..][..config.features]
        .iter()
        .map(|centre| centre + normal(rng))
        .collect()
}

/// arg max of W₂ tanh(W₁ x) + b.
struct Teacher {
    first: Vec<f64>,
    second: Vec<f64>,
    bias: Vec<f64>,
    features: usize,
}

impl Teacher {
    fn new(config: &ClustersTask, centres: &[f64], seed: u64) -> Self {
        let mut rng = random::rng(seed, "clusters", "teacher");
        let spread = 1.0 / (config.features as f64).sqrt();
        let first = (0..TEACHER_WIDTH * config.features)
            .map(|_| spread * normal(&mut rng))
            .collect();
        let second = (0..config.classes * TEACHER_WIDTH)
            .map(|_| normal(&mut rng))
            .collect();
        let mut teacher = Self {
            first,
            second,
            bias: vec![0.0; config.classes],
            features: config.features,
        };
        // the mean output over a sample becomes 0
        let sample = 64 * config.classes;
        let mut mean = vec![0.0; config.classes];
        for index in 0..sample {
            let point = point(config, centres, index % config.classes, &mut rng);
            for (mean, output) in mean.iter_mut().zip(teacher.outputs(&point)) {
                *mean += output / sample as f64;
            }
        }
        teacher.bias = mean.into_iter().map(|mean| -mean).collect();
        teacher
    }

    fn outputs(&self, point: &[f64]) -> Vec<f64> {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let hidden: Vec<f64> = self
            .first
            .chunks_exact(self.features)
            .map(|row| dot(row, point).tanh())
            .collect();
        self.second
            .chunks_exact(TEACHER_WIDTH)
            .zip(&self.bias)
            .map(|(row, bias)| dot(row, &hidden) + bias)
            .collect()
    }

    fn label(&self, point: &[f64]) -> usize {
        let outputs = self.outputs(point);
        (0..outputs.len()).fold(0, |best, class| {
            if outputs[class] > outputs[best] {
                class
            } else {
                best
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_reproducible_and_flips_counted() {
        let config = ClustersTask::default();
        let data = build(&config, 3).unwrap();
        assert_eq!(data, build(&config, 3).unwrap());
        assert_ne!(data.train, build(&config, 4).unwrap().train);
        assert_eq!(
            data.truth
                .flipped
                .unwrap()
                .iter()
                .filter(|&&flipped| flipped)
                .count(),
            200
        );
        assert_eq!((data.train.len(), data.query.len()), (1000, 200));
    }

    #[test]
    fn clusters_lie_as_far_apart_as_asked() {
        let config = ClustersTask {
            features: 400,
            classes: 2,
            separation: 10.0,
            flip: 0.0,
            ..ClustersTask::default()
        };
        let data = build(&config, 1).unwrap();
        let Inputs::Features { values, .. } = &data.train.inputs else {
            panic!("features")
        };
        let mut means = vec![vec![0.0f64; 400]; 2];
        for (index, point) in values.chunks_exact(400).enumerate() {
            point
                .iter()
                .zip(&mut means[index % 2])
                .for_each(|(value, mean)| *mean += f64::from(*value) / 500.0);
        }
        let distance = means[0]
            .iter()
            .zip(&means[1])
            .map(|(a, b)| (a - b) * (a - b))
            .sum::<f64>()
            .sqrt();
        assert!((distance - 10.0).abs() < 1.0, "{distance}");
        assert_eq!(data.truth.flipped, None);
    }

    #[test]
    fn a_teacher_uses_every_class() {
        let config = ClustersTask {
            labels: ClusterLabels::Teacher,
            flip: 0.0,
            ..ClustersTask::default()
        };
        let data = build(&config, 1).unwrap();
        for class in 0..4 {
            let share = data
                .train
                .targets
                .classes()
                .iter()
                .filter(|&&label| label == class)
                .count();
            assert!(share > 40, "class {class}: {share} of 1000");
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for config in [
            ClustersTask {
                train: 0,
                ..ClustersTask::default()
            },
            ClustersTask {
                features: 0,
                ..ClustersTask::default()
            },
            ClustersTask {
                classes: 1,
                ..ClustersTask::default()
            },
        ] {
            assert!(matches!(build(&config, 1), Err(TaskError::TooSmall { .. })));
        }
    }
}
