//! What a cell will cost: gradients and method workspaces in bytes, work in floating-point operations.
//!
//! Orders of magnitude for planning, from the costs of the algorithms; the records hold what was measured.

use std::collections::BTreeSet;
use std::time::Instant;

use faer::{Accum, Mat, Par};

use super::companions::Requirements;
use super::generation_cost::generation;
use super::latents::Encoding;
use super::memory::{Memory, Stage};
use super::model_memory::model_memory;
use super::passes::Passes;
use super::source::tensors;
use super::stores::keeps_unrounded;
use super::tuning::examples;
use crate::batching::{self, streaming};
use crate::config::{Cell, ModelConfig, Outputs, Settings, TaskConfig};
use crate::data::{Inputs, TaskData};
use crate::device::DeviceChoice;
use crate::gradients::store::TensorInfo;
use crate::influence::BlockLayout;
use crate::models::Model;
use crate::models::diffusion::PipelineConfig;

/// Share of the matrix-product rate that training a small network reaches.
const TRAINING_EFFICIENCY: f64 = 0.36;
/// The same of a checkpoint: its matrices are large, and f32 products are faster than the f64 ones that
/// are measured.
const CHECKPOINT_EFFICIENCY: f64 = 1.65;
/// The same of a diffusion pipeline, whose convolutions and small feature maps reach less.
const PIPELINE_EFFICIENCY: f64 = 0.7;
/// What a process does before its first product, seconds.
const START: f64 = 0.05;
/// A number of a synthetic gradient, seconds.
const DRAWING: f64 = 6e-8;
/// Metrics and the record of a cell: of a score, and of a retraining, seconds.
const METRICS: [f64; 2] = [3.5e-7, 8e-4];
/// Bytes of f32 weights that are read, checked and hashed a second.
const LOADING: f64 = 250e6;

/// What a unit takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Wall time, seconds.
    pub seconds: f64,
    /// Peak of main memory, bytes.
    pub memory: f64,
    /// Peak of a GPU's memory, bytes; 0 on the CPU.
    pub gpu: f64,
    /// What it leaves on disk, and what lies there meanwhile, bytes.
    pub disk: f64,
}

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
    /// What lies in memory.
    pub memory: Memory,
    /// Floating-point operations of the fine-tune, its evaluations, of retraining, and of taking gradients.
    pub training_flops: f64,
    /// Those of the activations below the adapters that are kept: every unit computes them anew.
    pub once_flops: f64,
    /// Until a process has its model, or gradients without one, seconds.
    pub start: f64,
    /// Those of them that cells of the same [`fine_tune`] share: all but the gradients.
    pub shared_flops: f64,
    /// Those of the shared ones that fine-tune.
    pub fine_tune_flops: f64,
    /// Those of the shared ones that retrain without regard to a method.
    pub retraining_flops: f64,
    /// Floating-point operations of pretraining the base, or of encoding images and captions, beside those of training.
    pub pretraining_flops: f64,
    /// Share of the matrix-product rate at which they are done.
    pub training_efficiency: f64,
    /// Floating-point operations of all methods.
    pub method_flops: f64,
    /// Scores of all methods, a number.
    pub scores: f64,
}

impl Forecast {
    /// Seconds at a rate of matrix products, operations a second; without pretraining.
    pub fn seconds(&self, rate: f64) -> f64 {
        self.start + self.training_seconds(self.training_flops, rate) + self.method_flops / rate
    }

    /// Seconds of so many floating-point operations of training.
    pub(super) fn training_seconds(&self, flops: f64, rate: f64) -> f64 {
        flops / (self.training_efficiency * rate)
    }

    /// What a stage takes that lasts so long.
    pub(super) fn cost(&self, stage: Stage, seconds: f64) -> Cost {
        let metrics = if stage == Stage::Scoring {
            METRICS[0] * self.scores + METRICS[1] * self.memory.retrainings
        } else {
            0.0
        };
        let seconds = self.start + seconds + metrics;
        Cost {
            seconds,
            memory: self.memory.host(stage),
            gpu: self.memory.gpu(stage),
            disk: match stage {
                Stage::Scoring => self.memory.mapped,
                Stage::Base | Stage::Training | Stage::Retraining => 0.0,
            },
        }
    }

    /// The same for a cell whose fine-tune, retraining included, is there already.
    #[must_use]
    pub fn with_fine_tune(self) -> Self {
        Self {
            training_flops: self.training_flops - self.shared_flops,
            shared_flops: 0.0,
            fine_tune_flops: 0.0,
            retraining_flops: 0.0,
            ..self
        }
    }

    /// Peak memory, bytes.
    pub fn bytes(&self) -> f64 {
        self.memory.peak()
    }
}

/// What decides a cell's fine-tune and retraining: cells of which this is the same do them once, since both are kept.
pub fn fine_tune(cell: &Cell) -> String {
    let Settings {
        task,
        model,
        lora,
        train,
        ground_truth,
        ..
    } = &cell.settings;
    // what is asked of a fine-tune: retrained ones are asked on the way
    let asked: &[&str] = if ground_truth.is_none() { &ASKED } else { &[] };
    let task = without(task, asked);
    serde_json::json!([task, model, lora, train, ground_truth, cell.seed]).to_string()
}

/// Settings of a task of images that decide its gradients, not its fine-tune.
const ASKED: [&str; 2] = ["views", "draws"];

/// What decides how the images and captions of a cell are encoded.
pub(super) fn encoded(cell: &Cell) -> String {
    let Settings { task, model, .. } = &cell.settings;
    let task = without(task, &["views", "draws", "timesteps", "noise"]);
    serde_json::json!([task, model, cell.seed]).to_string()
}

/// A task without some settings.
fn without(task: &TaskConfig, fields: &[&str]) -> serde_json::Value {
    let mut task = serde_json::json!(task);
    if let Some(settings) = task.as_object_mut() {
        settings.retain(|name, _| !fields.contains(&name.as_str()));
    }
    task
}

/// Seconds of so many floating-point operations of a diffusion pipeline, at a rate of matrix products, operations a second.
pub fn pipeline_seconds(operations: f64, rate: f64) -> f64 {
    operations / (PIPELINE_EFFICIENCY * rate)
}

/// The forecast of a cell by itself, with what its plan writes beside the record and its model on a device, which need not be
/// here.
///
/// # Errors
/// A task or a model that cannot be built, as a sentence.
pub fn forecast(cell: &Cell, outputs: &Outputs, device: DeviceChoice) -> Result<Forecast, String> {
    let data = match cell.settings.task {
        TaskConfig::Gradients(_) => None,
        _ => Some(examples(cell, Encoding::Blank)?),
    };
    forecast_with(cell, outputs, data.as_ref(), device)
}

/// [`forecast`] with the examples of the cell; none where the task has none.
pub(super) fn forecast_with(
    cell: &Cell,
    outputs: &Outputs,
    data: Option<&TaskData>,
    device: DeviceChoice,
) -> Result<Forecast, String> {
    let on_gpu = !DeviceChoice::in_memory().contains(&device);
    let settings = &cell.settings;
    let mut wanted = Requirements::by(&settings.influence.methods);
    let (mut fine_tune_flops, mut shared_flops) = (0.0, 0.0);
    let (mut retraining_flops, mut pretraining_flops, mut once_flops) = (0.0, 0.0, 0.0);
    let mut memory = Memory::default();
    let (tensors, train, query, training_flops, stores) = match (&settings.task, data) {
        (TaskConfig::Gradients(task), _) => {
            let tensors = (0..task.blocks)
                .map(|b| TensorInfo::new(format!("block.{b}"), [task.dim]))
                .collect();
            (tensors, task.train, task.query, 0.0, [1.0, 1.0])
        }
        (task, None) => return Err(format!("the task `{}` has no examples", task.name())),
        (task, Some(data)) => {
            let (Some(config), Some(lora), Some(training)) =
                (&settings.model, &settings.lora, &settings.train)
            else {
                return Err(format!("the task `{}` needs a model", task.name()));
            };
            let input = batching::input_shape(&data.train);
            let device = DeviceChoice::default().inner();
            let mut model =
                Model::blank(config, &input, data.classes, &device).map_err(|e| e.to_string())?;
            model.adapt(lora, cell.seed).map_err(|e| e.to_string())?;
            let splits = [&data.train, &data.query];
            let of_model = streaming::Memory::of(&mut model, config.loading(), &splits);
            let of_model = of_model
                .map_err(|(field, problem)| format!("model.{field}: {}", problem.message))?;
            let activations = settings.store.activations_mib << 20;
            let passes = Passes::new(
                &mut model,
                data,
                lora,
                training,
                config.pretrain(),
                activations,
            );
            let epochs = training.epochs as f64;
            // a retraining on a part passes over that part alone, and looks at the queries once
            let cost = |(fits, looks)| fits * passes.epoch * epochs + looks * passes.look;
            let retraining = settings.ground_truth.as_ref().map_or(0.0, |truth| {
                let (n, methods) = (data.train.len(), settings.influence.methods.len());
                retraining_flops = cost(truth.independent_retrainings(n));
                cost(truth.retrainings(n, methods, training.epochs))
            });
            let pipeline = pipeline(task, config)?;
            pretraining_flops = passes.pretraining + encoding(task, pipeline.as_ref(), data);
            let generation = generation(outputs, data, &mut model, pipeline.as_ref());
            once_flops = passes.once;
            memory = model_memory(of_model, &mut model, data, config, training, activations);
            if let Some(truth) = &settings.ground_truth {
                let n = data.train.len();
                memory.retrainings = truth.independent_retrainings(n).1;
                memory.retrains_by_scores = truth.selection.is_some() || truth.removal.is_some();
            }
            if on_gpu {
                let activations = batching::activations_on_gpu(&model);
                memory.on_gpu = true;
                (memory.activations, memory.passes) = (activations, activations);
            }
            let tensors = tensors(&model, &data.train.targets);
            let dims =
                |tensors: &Vec<TensorInfo>| tensors.iter().map(TensorInfo::dim).sum::<usize>();
            // two passes a parameter, each through the graph of a gradient
            wanted = wanted.with_decomposition(settings, dims(&tensors));
            let parameters = wanted.hessian.map_or(0.0, |_| dims(&tensors) as f64);
            // gradients of training and query examples beside the model's own: a draw of labels looks at the
            // training examples, too
            let checkpoints = if wanted.checkpoints {
                training.checkpoint_epochs().len() as f64
            } else {
                0.0
            };
            let sampled = f64::from(u8::from(wanted.sampled));
            let beside = passes.gradients * (1.5 * sampled + checkpoints)
                + 2.0 * passes.look * checkpoints
                + 10.0 * parameters * passes.gradients;
            let looks = training.evaluated_epochs().len() as f64 + 1.0;
            fine_tune_flops = passes.epoch * epochs + passes.look * looks;
            shared_flops = fine_tune_flops + retraining;
            (
                tensors,
                data.train.len(),
                data.query.len(),
                shared_flops + passes.once + passes.gradients + passes.look + beside + generation,
                [1.0 + sampled + checkpoints, 1.0 + checkpoints],
            )
        }
    };
    let tensors: Vec<TensorInfo> = tensors;
    let layout = BlockLayout::new(&tensors, settings.influence.blocks);
    let dim: usize = tensors.iter().map(TensorInfo::dim).sum();
    let hessian_bytes = wanted.hessian.map_or(0.0, |_| 8.0 * (dim as f64).powi(2));
    let (n, m) = (train as f64, query as f64 + 1.0);
    let mut method_flops = 0.0;
    let mut workspace_bytes: f64 = 0.0;
    for spec in &settings.influence.methods {
        let (flops, bytes) = spec.method().total_cost(&tensors, &layout, n, m);
        method_flops += flops;
        workspace_bytes = workspace_bytes.max(bytes);
    }
    let rows = stores[0] * train as f64 + stores[1] * query as f64;
    let store = &settings.store;
    let number = store.dtype.bytes() as f64;
    let unrounded = if keeps_unrounded(settings) {
        4.0 * (train + query) as f64
    } else {
        0.0
    };
    let gradient_bytes = dim as f64 * (number * rows + unrounded) + hessian_bytes;
    // every store by itself goes to a file when it is larger than the settings allow
    let limit = (store.in_memory_mib << 20) as f64;
    let mut put = |bytes: f64, alike: f64| {
        if bytes <= limit {
            memory.gradients += alike * bytes;
        } else {
            memory.mapped += alike * bytes;
        }
    };
    for (rows, alike) in [(train, stores[0]), (query, stores[1])] {
        let numbers = (dim * rows) as f64;
        put(number * numbers, alike);
        if keeps_unrounded(settings) {
            put(4.0 * numbers, 1.0);
        }
    }
    // the matrix, its eigenvectors and copies of both; and what second derivatives leave in the allocator
    if wanted.hessian.is_some() {
        memory.gradients += 8.0 * hessian_bytes + 15e6;
    }
    memory.workspace = workspace_bytes;
    Ok(Forecast {
        train,
        query,
        blocks: layout.blocks().len(),
        dim,
        gradient_bytes,
        workspace_bytes,
        memory,
        training_flops,
        once_flops,
        start: START
            + if memory.files > 0.0 {
                memory.weights / LOADING
            } else {
                0.0
            }
            + if data.is_none() {
                DRAWING * (dim * (train + query)) as f64
            } else {
                0.0
            },
        shared_flops,
        fine_tune_flops,
        retraining_flops,
        pretraining_flops,
        training_efficiency: match settings
            .model
            .as_deref()
            .and_then(|model| model.checkpoint())
        {
            Some(_) if settings.task.images().is_some() => PIPELINE_EFFICIENCY,
            Some(_) => CHECKPOINT_EFFICIENCY,
            None => TRAINING_EFFICIENCY,
        },
        method_flops,
        scores: (settings.influence.methods.len() * train * query) as f64,
    })
}

/// The settings of the diffusion pipeline of a task of images.
fn pipeline(task: &TaskConfig, model: &ModelConfig) -> Result<Option<PipelineConfig>, String> {
    let folder = model.checkpoint().filter(|_| task.images().is_some());
    let pipeline = folder.map(PipelineConfig::read).transpose();
    pipeline.map_err(|error| error.to_string())
}

/// Operations of encoding the images and captions of a task for a diffusion pipeline; 0 without one.
fn encoding(task: &TaskConfig, pipeline: Option<&PipelineConfig>, data: &TaskData) -> f64 {
    let (Some(source), Some(pipeline), Some(images), Inputs::Latents(latents)) =
        (task.images(), pipeline, &data.images, &data.train.inputs)
    else {
        return 0.0;
    };
    let captions = images.iter().map(|split| BTreeSet::from_iter(&split.texts));
    let captions = captions.map(|distinct| distinct.len()).sum();
    let mirrored = usize::from(source.settings.random_flip);
    let [train, query] = [&images[0], &images[1]].map(|split| split.texts.len());
    let [_, height, width] = latents.shape;
    pipeline.encoding((1 + mirrored) * train + query, captions, [height, width])
}

/// Rate of f64 matrix products on this machine, operations a second: the best of many products of 384×384 matrices, which are
/// short enough that some of them are not interrupted on a busy machine. Takes about a tenth of a second.
pub fn product_rate() -> f64 {
    const SIZE: usize = 384;
    const TIMES: usize = 24;
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
    2.0 * (SIZE as f64).powi(3) / (0..TIMES).map(|_| seconds()).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::grid::parse;

    #[test]
    fn gradients_are_forecast_to_the_byte_and_exact_dominates() {
        let text = "name: t\ntask: {name: gradients, train: 300, query: 10, blocks: 2, dim: 64}\ninfluence: {methods: [exact]}\n";
        let plan = parse("t.yaml", text, None, &[]).unwrap();
        let exact = forecast(&plan.cells[0], &plan.outputs, DeviceChoice::Flex).unwrap();
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
        assert!(
            exact.method_flops
                > forecast(&free.cells[0], &free.outputs, DeviceChoice::Flex)
                    .unwrap()
                    .method_flops
        );
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
        let forecast = forecast(&plan.cells[0], &plan.outputs, DeviceChoice::Flex).unwrap();
        // four layers of A [2, 48] and B [48, 2], and the head [5, 48]
        assert_eq!((forecast.blocks, forecast.dim), (9, 4 * 2 * 96 + 240));
        // 16 patches of 4 pixels through a projection, four layers of width 48 and a head; positions are
        // looked up. Ten epochs and the gradients go forward and back, ten looks at the queries forward.
        let layer = 4 * (48 * 48 + 48) + 2 * 96 * 48 + 96 + 48 + 4 * 48 + 2 * 2 * 48;
        let multiplied = 5 * 48 + 2 * 48 + 4 * layer + 5 * 49;
        let tokens = 16.0 * (100.0 * 4.0 * 11.0 + 20.0 * 2.0 * 12.0);
        assert_eq!(forecast.training_flops, multiplied as f64 * tokens);
        // of which the gradients, and a look for those of the queries, are every cell's own
        let own = 16.0 * (100.0 * 4.0 + 20.0 * 2.0);
        let own = multiplied as f64 * own;
        assert_eq!(forecast.with_fine_tune().training_flops, own);
    }

    #[test]
    fn dropout_of_the_base_costs_the_activations_that_are_kept_while_training() {
        let flops = |dropout: &str, epochs: usize, activations: usize| {
            let text = format!(
                "name: t\ntask: {{name: digits, train: 100, query: 20}}\nlora: {{layers: {{last: 1}}}}\n\
                 train: {{epochs: {epochs}, base_dropout: {dropout}}}\nstore: {{activations_mib: {activations}}}\n"
            );
            let plan = parse("t.yaml", &text, None, &[]).unwrap();
            forecast(&plan.cells[0], &plan.outputs, DeviceChoice::Flex)
                .unwrap()
                .training_flops
        };
        // 16 patches through a projection and three layers below the adapted one, or the whole with the head and
        // what trains it
        let layer = 4 * (48 * 48 + 48) + 2 * 96 * 48 + 96 + 48 + 4 * 48;
        let (below, above) = (5 * 48 + 2 * 48 + 3 * layer, layer + 4 * 2 * 48 + 5 * 49);
        let [train, query] = [100, 20].map(|n| (n * 16) as f64);
        let (below, above) = (2.0 * below as f64, 2.0 * above as f64);
        for (dropout, again) in [("checkpoint", 0.0), ("0", 0.0), ("0.1", below)] {
            let epoch = (again + 2.0 * above) * train + above * query;
            assert_eq!(flops(dropout, 3, 4096) - flops(dropout, 2, 4096), epoch);
            // two looks at the queries: after the last epoch and for their gradients
            let all = below * (train + query) + 2.0 * above * train + epoch + 2.0 * above * query;
            assert_eq!(flops(dropout, 1, 4096), all, "{dropout}");
            let epoch = (below + 2.0 * above) * train + (below + above) * query;
            assert_eq!(flops(dropout, 3, 0) - flops(dropout, 2, 0), epoch);
        }
    }

    #[test]
    fn a_sweep_over_the_influence_alone_shares_its_fine_tunes() {
        let text = |axis: &str| {
            format!(
                "name: t\nseeds: [0, 1]\ntask: {{name: digits, train: 100}}\nsweep: {{{axis}}}\n"
            )
        };
        let fine_tunes = |axis: &str| {
            let plan = parse("t.yaml", &text(axis), None, &[]).unwrap();
            let all: std::collections::BTreeSet<_> = plan.cells.iter().map(fine_tune).collect();
            (plan.cells.len(), all.len())
        };
        assert_eq!(fine_tunes("influence.damping: [0.1, 1, 10]"), (6, 2));
        assert_eq!(fine_tunes("lora.rank: [1, 2, 4]"), (6, 6));
        let text = "name: t\ntask: {name: images, path: images}\nmodel: {path: pipeline}\n\
                    sweep: {task.draws: [1, 8], task.views: [mean, concatenate], task.noise: [own, index]}\n";
        let plan = parse("t.yaml", text, None, &[]).unwrap();
        let distinct = |of: fn(&Cell) -> String| {
            let all: BTreeSet<String> = plan.cells.iter().map(of).collect();
            all.len()
        };
        assert_eq!([distinct(fine_tune), distinct(encoded)], [2, 1]);
    }
}
