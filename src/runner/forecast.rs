//! What a cell will cost: gradients and method workspaces in bytes, work in floating-point operations.
//!
//! Orders of magnitude for planning, from the costs of the algorithms; the records hold what was measured.

use std::time::Instant;

use faer::{Accum, Mat, Par};

use super::companions::Wanted;
use crate::batching;
use crate::config::{Cell, ModelConfig, TaskConfig};
use crate::device::DeviceChoice;
use crate::gradients::store::TensorInfo;
use crate::influence::conjugate_gradient::Conditioning;
use crate::influence::exact::Solver;
use crate::influence::hyperinf::Variant;
use crate::influence::{BlockLayout, Method};
use crate::models::Model;
use crate::tasks::{self, Split};

/// Share of the matrix-product rate that training a small network reaches.
const TRAINING_EFFICIENCY: f64 = 0.1;
/// The same of a checkpoint: its matrices are large, and f32 products are faster than the f64 ones that
/// are measured.
const CHECKPOINT_EFFICIENCY: f64 = 1.0;

/// A cell's forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Training examples n.
    pub train: usize,
    /// Query examples m.
    pub query: usize,
    /// Blocks.
    pub blocks: usize,
    /// Σ d_l.
    pub dim: usize,
    /// Size of the training and query gradients, those beside the fine-tuned model's own included, bytes.
    pub gradient_bytes: f64,
    /// Largest workspace of a method, bytes.
    pub workspace_bytes: f64,
    /// Floating-point operations of the fine-tune, its evaluations, of retraining, and of taking gradients.
    pub training_flops: f64,
    /// Share of the matrix-product rate at which they are done.
    pub training_efficiency: f64,
    /// Floating-point operations of all methods.
    pub method_flops: f64,
}

impl Forecast {
    /// Seconds at a rate of matrix products, operations a second.
    pub fn seconds(&self, rate: f64) -> f64 {
        self.training_flops / (self.training_efficiency * rate) + self.method_flops / rate
    }

    /// Peak memory, bytes.
    pub fn bytes(&self) -> f64 {
        self.gradient_bytes + self.workspace_bytes
    }
}

/// The forecast of a cell.
///
/// # Errors
/// A task or a model that cannot be built, as a sentence.
pub fn forecast(cell: &Cell) -> Result<Forecast, String> {
    let settings = &cell.settings;
    let wanted = Wanted::by(&settings.influence.methods);
    let (tensors, train, query, training_flops, stores) = match &settings.task {
        TaskConfig::Gradients(task) => {
            let tensors = (0..task.blocks)
                .map(|b| TensorInfo::new(format!("block.{b}"), [task.dim]))
                .collect();
            (tensors, task.train, task.query, 0.0, [1.0, 1.0])
        }
        task => {
            let (Some(config), Some(lora), Some(training)) =
                (&settings.model, &settings.lora, &settings.train)
            else {
                return Err(format!("the task `{}` needs a model", task.name()));
            };
            let data = tasks::build_for(task, config, cell.seed).map_err(|e| e.to_string())?;
            let input = batching::input_shape(&data.train);
            let device = DeviceChoice::default().inner();
            let mut model =
                Model::blank(config, &input, data.classes, &device).map_err(|e| e.to_string())?;
            model
                .adapt(config, lora, cell.seed)
                .map_err(|e| e.to_string())?;
            // rows of a table are looked up, not multiplied
            let multiplied: usize = model
                .parameters()
                .iter()
                .filter(|parameter| !parameter.name.ends_with("_embeddings.weight"))
                .map(|parameter| parameter.slot.shape().iter().product::<usize>())
                .sum();
            // forward 2, gradients of the inputs 2 operations a parameter and token
            let forward = |split: &Split| 2.0 * multiplied as f64 * tokens(split);
            let (pass, look) = (2.0 * forward(&data.train), forward(&data.query));
            let epochs = training.epochs as f64;
            // a retraining on a part passes over that part alone, and looks at the queries once
            let retraining = settings.ground_truth.as_ref().map_or(0.0, |truth| {
                let methods = settings.influence.methods.len();
                let (fits, looks) = truth.retrainings(data.train.len(), methods, training.epochs);
                fits * pass * epochs + looks * look
            });
            let tensors = model
                .gradient_tensors()
                .into_iter()
                .map(|t| TensorInfo::new(t.name, t.shape))
                .collect();
            // gradients of training and query examples beside the model's own: a draw of labels looks at the
            // training examples, too
            let checkpoints = if wanted.checkpoints {
                training.checkpoint_epochs().len() as f64
            } else {
                0.0
            };
            let sampled = f64::from(u8::from(wanted.sampled));
            let beside = pass * (1.5 * sampled + checkpoints) + 2.0 * look * checkpoints;
            (
                tensors,
                data.train.len(),
                data.query.len(),
                pass * (epochs + 1.0) + look * (epochs + 2.0) + beside + retraining,
                [1.0 + sampled + checkpoints, 1.0 + checkpoints],
            )
        }
    };
    let tensors: Vec<TensorInfo> = tensors;
    let layout = BlockLayout::new(&tensors, settings.influence.blocks);
    let dim: usize = tensors.iter().map(TensorInfo::dim).sum();
    let (n, m) = (train as f64, query as f64 + 1.0);
    let mut method_flops = 0.0;
    let mut workspace_bytes: f64 = 0.0;
    for spec in &settings.influence.methods {
        let mut largest: f64 = 0.0;
        for block in layout.blocks() {
            let d = block.dim as f64;
            // [out, in] of the largest matrix of the block, out + in; d + 1 of what is no matrix
            let shapes = block.segments.iter().map(|s| &tensors[s.tensor].shape);
            let sides = shapes.map(|shape| match shape[..] {
                [outputs, inputs] => outputs + inputs,
                _ => 1 + shape.iter().product::<usize>(),
            });
            let side = sides.max().unwrap_or(0) as f64;
            let (flops, bytes) = cost(&spec.method, n, m, d, side);
            method_flops += flops + 2.0 * m * n * d;
            largest = largest.max(bytes + 16.0 * m * d);
        }
        workspace_bytes = workspace_bytes.max(largest + 8.0 * m * n);
    }
    let rows = stores[0] * train as f64 + stores[1] * query as f64;
    let gradient_bytes = 4.0 * dim as f64 * rows;
    Ok(Forecast {
        train,
        query,
        blocks: layout.blocks().len(),
        dim,
        gradient_bytes,
        workspace_bytes,
        training_flops,
        training_efficiency: match settings.model {
            Some(ModelConfig::Checkpoint(_)) => CHECKPOINT_EFFICIENCY,
            _ => TRAINING_EFFICIENCY,
        },
        method_flops,
    })
}

/// Tokens of a split, without padding.
fn tokens(split: &Split) -> f64 {
    batching::lengths(split).iter().sum::<usize>() as f64
}

/// Operations of preparing and applying a method on one block, and the bytes it holds; `side` is in + out of
/// its largest matrix.
fn cost(method: &Method, n: f64, m: f64, d: f64, side: f64) -> (f64, f64) {
    let both_products = 4.0 * m * n * d;
    match method {
        Method::Exact(exact) if exact.choose(n as usize, d as usize, m as usize) == Solver::Cg => {
            let s = m.min(d);
            let step = 4.0 * s * n * d + 8.0 * s * s * d + 2.0 * m * s * d;
            (conjugate_steps(n, d) * step, 8.0 * (5.0 * m * d + m * n))
        }
        Method::Exact(_) | Method::ExactPydvl(_) => {
            let k = n.min(d);
            // half of a symmetric product, a factorisation, two solves, and the residual's products
            (
                n * d * k + k.powi(3) / 3.0 + 2.0 * m * k * k + 2.0 * both_products,
                8.0 * (k * k + m * n),
            )
        }
        Method::DataInf(method) => {
            let b = (method.group_size as f64).min(n);
            let groups = if b > 1.0 {
                n * b * d + n * b * b / 3.0
            } else {
                2.0 * n * d
            };
            (both_products + groups, 8.0 * (n * b + m * n))
        }
        Method::Lissa(method) => (
            both_products * method.iterations as f64,
            8.0 * (m * n + m * d),
        ),
        Method::ConjugateGradient(method) => {
            let steps = conjugate_steps(n, d).min(method.iterations as f64);
            let (flops, bytes) = match method.preconditioner {
                Conditioning::None => (0.0, 0.0),
                Conditioning::Diagonal => (2.0 * n * d, 8.0 * d),
                Conditioning::Nystrom { rank } => sketch(n, d, rank),
            };
            (
                steps * both_products + flops,
                bytes + 8.0 * (m * n + 4.0 * m * d),
            )
        }
        Method::Nystrom(method) => {
            let k = (method.rank as f64).min(d);
            let (flops, bytes) = sketch(n, d, method.rank);
            (flops + 4.0 * m * k * d, bytes + 8.0 * m * d)
        }
        Method::Lanczos(method) => krylov(n, m, d, method.rank, method.iterations),
        Method::Arnoldi(method) => krylov(n, m, d, method.rank, method.iterations),
        Method::HyperInf(method) => match method.variant {
            // from a condition of 1 + d/0.1 to ten digits
            Variant::Converged => (
                n * d * d + 4.0 * d.powi(3) * ((10.0 * d).log2() + 6.0) + 2.0 * m * d * d,
                8.0 * (4.0 * d * d + m * n),
            ),
            // sides are not known here: as of a square matrix
            Variant::Published | Variant::Code => {
                let r = d.sqrt();
                (2.0 * (n + m) * r * d, 8.0 * (16.0 * r * r + m * d))
            }
        },
        Method::DataInfDattri(_) | Method::DataInfPydvl(_) => {
            (both_products + 2.0 * n * d, 8.0 * (n + m * n))
        }
        Method::ExactDattri(method) => {
            let b = (method.batch_size as f64).min(n);
            (
                both_products + n * b * d + n * b * b / 3.0 + 2.0 * m * n * b,
                8.0 * (n * b + m * n),
            )
        }
        Method::LissaDattri(method) => (
            both_products * method.iterations as f64,
            8.0 * (m * n + m * d),
        ),
        Method::LissaPydvl(method) => (
            both_products * method.iterations as f64,
            8.0 * (m * n + m * d),
        ),
        Method::ConjugateGradientDattri(method) => (
            both_products * (method.iterations + 1) as f64,
            8.0 * (m * n + 3.0 * m * d),
        ),
        Method::DiagonalFisher(_) => (2.0 * n * d, 8.0 * d),
        Method::GradCos(_) => (2.0 * n * d, 0.0),
        Method::RandomProjection(method) => {
            projected(n, m, d, method.dim as f64, 2.0 * n * d * method.dim as f64)
        }
        // the sides of the tensors are not known here: as if both were larger than what is kept
        Method::Logra(method) => {
            let (out, inputs) = (method.out as f64, method.inputs as f64);
            projected(n, m, d, (out * inputs).min(d), 2.0 * n * d * (out + inputs))
        }
        Method::HessianFree(_) | Method::HessianFreeBlockWeighted(_) | Method::TracIn(_) => {
            (0.0, 0.0)
        }
        // all eigenvectors of a symmetric matrix cost about nine times its cube
        Method::Kfac(_) => (9.0 * side.powi(3) + 4.0 * m * d * side, 32.0 * side * side),
        Method::Ekfac(_) => (
            9.0 * side.powi(3) + (2.0 * n + 4.0 * m) * d * side,
            32.0 * side * side + 512.0 * d,
        ),
    }
}

/// Exact influence among k projected dimensions, with the operations of the projection.
fn projected(n: f64, m: f64, d: f64, k: f64, projection: f64) -> (f64, f64) {
    let small = n.min(k);
    (
        projection + n * k * small + small.powi(3) / 3.0 + 2.0 * m * small * small,
        8.0 * (k * (d + n) + small * small),
    )
}

/// Iterations of conjugate gradients to six digits and more: as many as eigenvalues, or √κ·ln(10⁶) with the
/// condition κ = 1 + d/0.1.
fn conjugate_steps(n: f64, d: f64) -> f64 {
    n.min(d).min(7.0 * (1.0 + 10.0 * d).sqrt())
}

/// Operations and bytes of a randomised rank-k Fisher.
fn sketch(n: f64, d: f64, rank: usize) -> (f64, f64) {
    let k = (rank as f64).min(d);
    (
        4.0 * k * n * d + 8.0 * k * k * d,
        8.0 * (3.0 * k * d + k * n),
    )
}

/// Operations and bytes of k Ritz pairs.
fn krylov(n: f64, m: f64, d: f64, rank: usize, steps: Option<usize>) -> (f64, f64) {
    let k = (rank as f64).min(n).min(d);
    let s = steps.map_or(k + k.max(20.0), |s| s as f64).max(k).min(d);
    (
        4.0 * s * n * d + 4.0 * s * s * d + 2.0 * s * k * d + 4.0 * m * k * d,
        8.0 * ((s + k) * d + m * d + n),
    )
}

/// Rate of f64 matrix products on this machine, operations a second: the best of three products of
/// 768×768 matrices, a few hundredths of a second.
pub fn product_rate() -> f64 {
    const SIZE: usize = 768;
    let a = Mat::<f64>::from_fn(SIZE, SIZE, |i, j| ((i * 31 + j * 17) % 97) as f64 / 97.0);
    let mut c = Mat::<f64>::zeros(SIZE, SIZE);
    let mut seconds = || {
        let start = Instant::now();
        faer::linalg::matmul::matmul(
            c.as_mut(),
            Accum::Replace,
            a.as_ref(),
            a.as_ref(),
            1.0,
            Par::rayon(0),
        );
        start.elapsed().as_secs_f64()
    };
    seconds();
    2.0 * (SIZE as f64).powi(3) / (0..3).map(|_| seconds()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::grid::parse;

    #[test]
    fn gradients_are_forecast_to_the_byte_and_exact_dominates() {
        let text = "name: t\ntask: {name: gradients, train: 300, query: 10, blocks: 2, dim: 64}\ninfluence: {methods: [exact]}\n";
        let plan = parse("t.yaml", text, None, &[]).unwrap();
        let exact = forecast(&plan.cells[0]).unwrap();
        assert_eq!(
            (exact.train, exact.query, exact.blocks, exact.dim),
            (300, 10, 2, 128)
        );
        assert_eq!(exact.gradient_bytes, 4.0 * 128.0 * 310.0);
        let free = parse(
            "t.yaml",
            &text.replace("[exact]", "[hessian_free]"),
            None,
            &[],
        )
        .unwrap();
        assert!(exact.method_flops > forecast(&free.cells[0]).unwrap().method_flops);
    }

    #[test]
    fn a_model_s_gradients_are_counted() {
        let plan = parse(
            "t.yaml",
            "name: t\ntask: {name: digits, train: 100, query: 20}\nlora: {rank: 2}\n",
            None,
            &[],
        )
        .unwrap();
        let forecast = forecast(&plan.cells[0]).unwrap();
        // four layers of A [2, 48] and B [48, 2], and the head [5, 48]
        assert_eq!((forecast.blocks, forecast.dim), (9, 4 * 2 * 96 + 240));
        // 16 patches of 4 pixels through a projection, four layers of width 48 and a head; positions are
        // looked up. Ten epochs and the gradients go forward and back, ten looks at the queries forward.
        let layer = 4 * (48 * 48 + 48) + 2 * 96 * 48 + 96 + 48 + 4 * 48 + 2 * 2 * 48;
        let multiplied = 5 * 48 + 2 * 48 + 4 * layer + 5 * 49;
        let tokens = 16.0 * (100.0 * 4.0 * 11.0 + 20.0 * 2.0 * 12.0);
        assert_eq!(forecast.training_flops, multiplied as f64 * tokens);
    }
}
