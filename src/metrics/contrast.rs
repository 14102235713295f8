//! A paired difference with its standard error: over seeds, within one cell, or over several tasks.
//!
//! A difference over several tasks is one of two things. For *these* tasks ([`Contrast::of_fixed_tasks`]) only seeds
//! are random; as a statement about *tasks like these* ([`Contrast::of_sampled_tasks`]) the tasks are random as well,
//! and four of them are a sample of four. Whoever reports one says which.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::interval::{Interval, LEVEL, mean};
use super::paired::Difference;

/// A difference with its error: between two methods, or of one method between two settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// Value of the first less that of the second.
    pub difference: f64,
    /// Its standard error; `None` where there is nothing to take it from.
    pub error: Option<f64>,
    /// Degrees of freedom of the error, not always a whole number; `None` for many (the normal distribution).
    pub freedom: Option<f64>,
}

impl Contrast {
    /// The mean of paired differences, one a seed; `None` of none.
    pub fn of_seeds(differences: &[f64]) -> Option<Self> {
        let difference = mean(differences)?;
        let count = differences.len();
        let square: f64 = differences.iter().map(|d| (d - difference).powi(2)).sum();
        let error = (count > 1).then(|| (square / (count - 1) as f64 / count as f64).sqrt());
        Some(Self {
            difference,
            error,
            freedom: Some((count - 1) as f64),
        })
    }

    /// The mean over tasks of the mean of their paired differences (one a seed), for *these* tasks: only what seeds
    /// change counts as error. With s_t the deviation over the S_t seeds of task t of T,
    ///
    /// ```text
    /// error² = Σ_t v_t / T²,   v_t = s_t²/S_t,   degrees of freedom = (Σ_t v_t)² / Σ_t v_t²/(S_t − 1)
    /// ```
    ///
    /// (Welch, 1947; Satterthwaite, 1946: tasks need not vary alike). No error where a task has a single seed; `None`
    /// of no tasks. Tasks without differences do not count.
    pub fn of_fixed_tasks(tasks: &[Vec<f64>]) -> Option<Self> {
        let own: Vec<Self> = tasks.iter().filter_map(|d| Self::of_seeds(d)).collect();
        let means: Vec<f64> = own.iter().map(|task| task.difference).collect();
        let difference = mean(&means)?;
        // v_t and S_t − 1
        let parts: Option<Vec<(f64, f64)>> = own
            .iter()
            .map(|task| Some((task.error?.powi(2), task.freedom?)))
            .collect();
        let Some(parts) = parts else {
            return Some(Self {
                difference,
                error: None,
                freedom: Some(0.0),
            });
        };
        let sum: f64 = parts.iter().map(|(v, _)| v).sum();
        let spread: f64 = parts.iter().map(|(v, freedom)| v * v / freedom).sum();
        let freedom = if spread > 0.0 {
            sum * sum / spread
        } else {
            parts.iter().map(|(_, freedom)| freedom).sum()
        };
        Some(Self {
            difference,
            error: Some(sum.sqrt() / own.len() as f64),
            freedom: Some(freedom),
        })
    }

    /// The same mean where the tasks stand for all tasks like them: the T task means are the sample, with T − 1 degrees
    /// of freedom, and what tasks differ by counts as error.
    pub fn of_sampled_tasks(tasks: &[Vec<f64>]) -> Option<Self> {
        let means: Vec<f64> = tasks.iter().filter_map(|d| mean(d)).collect();
        Self::of_seeds(&means)
    }

    /// A difference within one cell.
    pub fn of_cell(found: Difference) -> Option<Self> {
        Some(Self {
            difference: found.value?,
            error: found.error,
            freedom: None,
        })
    }

    /// The same for the second less the first.
    pub fn reversed(self) -> Self {
        Self {
            difference: -self.difference,
            ..self
        }
    }

    /// 95 % interval of this difference alone.
    pub fn interval(&self) -> Option<Interval> {
        let half = quantile(0.5 + LEVEL / 2.0, self.freedom)? * self.error?;
        Some(Interval {
            low: self.difference - half,
            high: self.difference + half,
        })
    }

    /// Two-sided p-value of no difference. Values that are the same everywhere have 1. `None` without an error, and for
    /// a difference without any spread: so few numbers say nothing of their spread.
    pub fn p_value(&self) -> Option<f64> {
        let error = self.error?;
        if error > 0.0 {
            let t = (self.difference / error).abs();
            return tail(t, self.freedom).map(|p| (2.0 * p).min(1.0));
        }
        (self.difference == 0.0).then_some(1.0)
    }
}

/// Quantile of Student's t, or of the normal distribution.
pub(super) fn quantile(p: f64, freedom: Option<f64>) -> Option<f64> {
    match freedom {
        Some(k) if k <= 0.0 => None,
        Some(k) => Some(StudentsT::new(0.0, 1.0, k).ok()?.inverse_cdf(p)),
        None => Some(Normal::new(0.0, 1.0).ok()?.inverse_cdf(p)),
    }
}

/// P(T > t).
fn tail(t: f64, freedom: Option<f64>) -> Option<f64> {
    match freedom {
        Some(k) if k <= 0.0 => None,
        Some(k) => Some(StudentsT::new(0.0, 1.0, k).ok()?.sf(t)),
        None => Some(Normal::new(0.0, 1.0).ok()?.sf(t)),
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Rng, rng};

    #[test]
    fn contrasts_have_the_paired_t_test_of_the_tables() {
        // d = 1, 2, 3: mean 2, s = 1, t = 2·√3 = 3.4641 with 2 degrees of freedom: p = 1 − t/√(t² + 2) = 0.07418
        let contrast = Contrast::of_seeds(&[1.0, 2.0, 3.0]).expect("three seeds");
        let p = contrast.p_value().expect("a spread");
        assert!((p - 0.074_179_9).abs() < 1e-6, "{p}");
        let interval = contrast.interval().expect("a spread");
        assert!((interval.high - 2.0 - 4.302_653 / 3f64.sqrt()).abs() < 1e-5);
        assert_eq!(Contrast::of_seeds(&[1.0]).and_then(|c| c.p_value()), None);
        assert_eq!(Contrast::of_seeds(&[]), None);
        // no spread: equal everywhere is equal, and a constant difference tells nothing
        let same = |d: f64| Contrast::of_seeds(&[d, d]).and_then(|c| c.p_value());
        assert_eq!((same(0.0), same(1.0)), (Some(1.0), None));
    }

    #[test]
    fn over_tasks_the_error_is_welch_s() {
        let tasks = [vec![1.0, 2.0, 4.0], vec![0.0, 0.0, -1.0]];
        let found = Contrast::of_fixed_tasks(&tasks).expect("two tasks");
        // s² = 7/3 and 1/3: Σ v = 8/9, half of its root; (8/9)²/((7/9)²/2 + (1/9)²/2) = 64/25
        assert!((found.difference - 1.0).abs() < 1e-15);
        let error = found.error.expect("three seeds each");
        assert!((error - (8.0f64 / 9.0).sqrt() / 2.0).abs() < 1e-15);
        assert!((found.freedom.expect("few") - 64.0 / 25.0).abs() < 1e-12);
        // as a sample, the means 7/3 and −1/3 alone
        let sampled = Contrast::of_sampled_tasks(&tasks).expect("two tasks");
        let error = sampled.error.expect("two tasks");
        assert!((error - 4.0 / 3.0).abs() < 1e-12 && sampled.freedom == Some(1.0));
        // one task is over its seeds, and a task with one seed has no error to add
        let one = Contrast::of_fixed_tasks(&tasks[..1]);
        assert_eq!(
            one.map(|c| (c.error, c.freedom)),
            Contrast::of_seeds(&tasks[0]).map(|c| (c.error, c.freedom))
        );
        let single =
            Contrast::of_fixed_tasks(&[vec![1.0, 2.0], vec![3.0], vec![]]).expect("two tasks");
        assert_eq!(
            (single.difference, single.error, single.p_value()),
            (2.25, None, None)
        );
        assert_eq!(Contrast::of_fixed_tasks(&[]), None);
        let still = Contrast::of_fixed_tasks(&[vec![0.5; 3], vec![0.5; 2]]).expect("two tasks");
        assert_eq!((still.error, still.freedom), (Some(0.0), Some(3.0)));
    }

    fn normal(rng: &mut Rng) -> f64 {
        let u: f64 = rng.random::<f64>().max(1e-300);
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
    }

    #[test]
    fn each_interval_covers_what_it_speaks_of() {
        const REPETITIONS: usize = 2000;
        // four tasks around 1, some noisier than others, three seeds each
        let (mut fixed, mut sampled, mut wrong) = (0, 0, 0);
        for repetition in 0..REPETITIONS {
            let mut rng = rng(repetition as u64, "contrast", "coverage");
            let centres: Vec<f64> = (0..4).map(|_| 1.0 + normal(&mut rng)).collect();
            let tasks: Vec<Vec<f64>> = centres
                .iter()
                .enumerate()
                .map(|(t, centre)| {
                    let deviation = 0.2 * (1.0 + t as f64);
                    (0..3)
                        .map(|_| centre + deviation * normal(&mut rng))
                        .collect()
                })
                .collect();
            let covers = |contrast: Option<Contrast>, truth: f64| {
                let interval = contrast.and_then(|c| c.interval()).expect("three seeds");
                usize::from(interval.low <= truth && truth <= interval.high)
            };
            fixed += covers(
                Contrast::of_fixed_tasks(&tasks),
                mean(&centres).expect("four"),
            );
            sampled += covers(Contrast::of_sampled_tasks(&tasks), 1.0);
            wrong += covers(Contrast::of_fixed_tasks(&tasks), 1.0);
        }
        // 95 % of 2000, ± 0.5 %; Satterthwaite's degrees of freedom are themselves an estimate, good to 2 %
        let share = |count: usize| count as f64 / REPETITIONS as f64;
        assert!((share(fixed) - 0.95).abs() < 0.03, "{}", share(fixed));
        assert!((share(sampled) - 0.95).abs() < 0.015, "{}", share(sampled));
        // the tasks' own spread is far more than that of the seeds
        assert!(share(wrong) < 0.8, "{}", share(wrong));
    }
}
