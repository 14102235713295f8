//! AdamW and plain gradient descent on plain arrays.

use super::settings::{ADAM_BETAS, ADAM_EPSILON, Optimizer as Kind};

/// AdamW (Loshchilov and Hutter, 2019), with ε = 1e-8, as PyTorch computes it:
/// θ ← θ − η w θ; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; θ ← θ − η (m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// w.
    pub weight_decay: f64,
}

/// m and v of every parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// m.
    pub first: Vec<Vec<f32>>,
    /// v.
    pub second: Vec<Vec<f32>>,
}

impl Moments {
    /// Before the first step, for parameters of these sizes.
    pub fn zeros(sizes: impl IntoIterator<Item = usize>) -> Self {
        let first: Vec<Vec<f32>> = sizes.into_iter().map(|size| vec![0.0; size]).collect();
        Self {
            second: first.clone(),
            first,
        }
    }
}

impl AdamW {
    /// Step `step`, from 0, with learning rate `lr`; `gradients` and `moments` as the parameters.
    pub fn update(
        &self,
        parameters: &mut [Vec<f32>],
        gradients: &[Vec<f32>],
        moments: &mut Moments,
        step: usize,
        lr: f64,
    ) {
        let ([beta1, beta2], t) = (self.betas, step as i32 + 1);
        let rate = (lr / (1.0 - beta1.powi(t))) as f32;
        let root = (1.0 - beta2.powi(t)).sqrt() as f32;
        let keep = (1.0 - lr * self.weight_decay) as f32;
        let moments = moments.first.iter_mut().zip(&mut moments.second);
        for ((parameter, gradient), (m, v)) in parameters.iter_mut().zip(gradients).zip(moments) {
            for (((value, &grad), m), v) in parameter.iter_mut().zip(gradient).zip(m).zip(v) {
                *m = beta1 as f32 * *m + (1.0 - beta1) as f32 * grad;
                *v = beta2 as f32 * *v + (1.0 - beta2) as f32 * grad * grad;
                *value = *value * keep - rate * *m / (v.sqrt() / root + ADAM_EPSILON as f32);
            }
        }
    }
}

/// Shortens gradients that are together longer than `longest`, as `torch.nn.utils.clip_grad_norm_`.
pub fn clip(gradients: &mut [Vec<f32>], longest: f64) {
    let all = gradients.iter().flatten();
    let squares = all.map(|&value| f64::from(value).powi(2));
    let factor = longest / (squares.sum::<f64>().sqrt() + 1e-6);
    if factor < 1.0 {
        let all = gradients.iter_mut().flatten();
        all.for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
}

/// An optimiser of fine-tuning with its state: [`AdamW`] with β = (0.9, 0.999), or gradient descent.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: Kind,
    adamw: AdamW,
    step: usize,
    moments: Moments,
}

impl Optimizer {
    /// For parameters of these sizes; `weight_decay` is AdamW's and unused by gradient descent.
    pub fn new(kind: Kind, weight_decay: f64, sizes: impl IntoIterator<Item = usize>) -> Self {
        Self {
            kind,
            adamw: AdamW {
                betas: ADAM_BETAS,
                weight_decay,
            },
            step: 0,
            moments: match kind {
                Kind::Adamw => Moments::zeros(sizes),
                Kind::Sgd => Moments::default(),
            },
        }
    }

    /// One step with learning rate `lr`; `gradients` as the parameters.
    pub fn update(&mut self, parameters: &mut [Vec<f32>], gradients: &[Vec<f32>], lr: f64) {
        match self.kind {
            Kind::Sgd => {
                for (parameter, gradient) in parameters.iter_mut().zip(gradients) {
                    parameter
                        .iter_mut()
                        .zip(gradient)
                        .for_each(|(value, grad)| *value -= lr as f32 * grad);
                }
            }
            Kind::Adamw => {
                let Self { adamw, moments, .. } = self;
                adamw.update(parameters, gradients, moments, self.step, lr);
            }
        }
        self.step += 1;
    }
}

/// The sums of two losses and of their gradients.
pub(crate) fn added(
    (loss, mut sums): (f64, Vec<Vec<f32>>),
    (other, gradients): (f64, Vec<Vec<f32>>),
) -> (f64, Vec<Vec<f32>>) {
    for (sum, gradient) in sums.iter_mut().zip(&gradients) {
        let pairs = sum.iter_mut().zip(gradient);
        pairs.for_each(|(sum, value)| *sum += value);
    }
    (loss + other, sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula in f64, written out step by step for one parameter.
    fn reference(start: f64, gradients: &[f64], lr: f64, decay: f64) -> f64 {
        let (mut theta, mut m, mut v) = (start, 0.0, 0.0);
        for (index, g) in gradients.iter().enumerate() {
            let t = index as i32 + 1;
            theta -= lr * decay * theta;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            theta -=
                lr * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
        }
        theta
    }

    #[test]
    fn adamw_follows_the_formula() {
        for (start, decay) in [(1.0, 0.0), (-2.5, 0.1)] {
            let gradients = [0.5, -0.25, 1e-3, 3.0, 0.0, -1.0];
            let mut optimizer = Optimizer::new(Kind::Adamw, decay, [1]);
            let mut parameters = vec![vec![start as f32]];
            for gradient in gradients {
                optimizer.update(&mut parameters, &[vec![gradient as f32]], 0.01);
            }
            let expected = reference(start, &gradients, 0.01, decay);
            // a handful of roundings a step at the size of θ
            assert!(
                (f64::from(parameters[0][0]) - expected).abs()
                    < 30.0 * f64::from(f32::EPSILON) * start.abs(),
                "{} against {expected}",
                parameters[0][0]
            );
        }
    }

    #[test]
    fn the_first_adamw_step_has_the_size_of_the_rate() {
        let mut optimizer = Optimizer::new(Kind::Adamw, 0.0, [3]);
        let mut parameters = vec![vec![0.0; 3]];
        optimizer.update(&mut parameters, &[vec![5.0, -0.1, 0.0]], 0.1);
        for (value, expected) in parameters[0].iter().zip([-0.1f32, 0.1, 0.0]) {
            assert!(
                (value - expected).abs() < 1e-6,
                "{value} against {expected}"
            );
        }
    }

    #[test]
    fn gradient_descent_subtracts() {
        let mut parameters = vec![vec![1.0, 2.0]];
        Optimizer::new(Kind::Sgd, 0.5, [2]).update(&mut parameters, &[vec![2.0, -4.0]], 0.25);
        assert_eq!(parameters, [[0.5, 3.0]]);
    }
}
