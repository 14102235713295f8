//! Batches through the layers of a model that are in memory one at a time ([`Layered`]).
//!
//! In: pieces of a split. Out: what follows the layers for every piece, or a piece at a time what a layer leaves on the way
//! back. Pieces are led through a layer on all threads; chunks of pieces, whose inputs of all layers are kept for the way
//! back, one after another. Results do not depend on the chunks.

use std::ops::Range;
use std::sync::Mutex;

use burn::tensor::{Gradients, Tensor};

use crate::batching;
use crate::data::Split;
use crate::device;
use crate::input::Problem;
use crate::measure::machine_memory;
use crate::models::loading::{Loading, Residence};
use crate::models::{Batch, Layered, Model, ModelInput, Pass, Stage, ops};

/// Most bytes of layers' inputs that are kept.
const INPUTS: u64 = 4 << 30;

/// Bytes of layers' inputs that are kept at a time on the device of a model.
fn most_inputs(model: &Model) -> u64 {
    match ops::in_memory(model.device()) {
        true => INPUTS.min(machine_memory().map_or(INPUTS, |bytes| bytes / 4)),
        false => device::gpu_memory() / 2,
    }
}

/// Bytes of the inputs of `layers` layers of a batch with so many positions.
fn inputs(model: &Model, positions: usize, layers: usize) -> u64 {
    (positions * model.width() * layers.max(1) * size_of::<f32>()) as u64
}

/// Positions of every piece, padding included.
fn positions(split: &Split, pieces: &[Vec<usize>]) -> Vec<usize> {
    let lengths = batching::lengths(split);
    let of_piece = |piece: &Vec<usize>| {
        let longest = piece.iter().map(|&example| lengths[example]).max();
        piece.len() * longest.unwrap_or(0)
    };
    pieces.iter().map(of_piece).collect()
}

/// Consecutive pieces whose inputs of `layers` layers are kept together; at least one piece.
pub fn chunks(
    model: &Model,
    split: &Split,
    pieces: &[Vec<usize>],
    layers: usize,
) -> Vec<Range<usize>> {
    let most = most_inputs(model);
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut held = 0;
    for (index, positions) in positions(split, pieces).into_iter().enumerate() {
        let bytes = inputs(model, positions, layers);
        match chunks.last_mut() {
            Some(chunk) if held + bytes <= most => {
                chunk.end = index + 1;
                held += bytes;
            }
            _ => {
                chunks.push(index..index + 1);
                held = bytes;
            }
        }
    }
    chunks
}

/// What a model takes while its gradients are taken, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whether layers are in memory one at a time.
    pub streamed: bool,
    /// The weights; of streamed layers two, and all that a GPU keeps in narrower types; and matrices with their adapters
    /// merged.
    pub weights: u64,
    /// Inputs of layers that are kept for the way back.
    pub inputs: u64,
    /// What passes are computing, on all threads: an estimate.
    pub passes: u64,
}

impl Memory {
    /// Of an adapted model, blank or loaded in this way, for some splits.
    ///
    /// # Errors
    /// The field of `model` that asks for what does not fit, and the problem.
    pub fn of(
        model: &mut Model,
        loading: Loading,
        splits: &[&Split],
    ) -> Result<Self, (&'static str, Problem)> {
        let weights = model.weight_bytes(None);
        let streamed = Residence::of(model, weights, loading)? != Residence::Whole;
        let resident = model.layered().map_or(0, Layered::resident);
        let layers = model.layers() - model.layers_below_adapters();
        let tokens = batching::tokens_at_a_time(model);
        let (mut largest, mut kept) = (0, 0);
        for split in splits {
            let all: Vec<usize> = (0..split.len()).collect();
            let pieces = batching::pieces(split, &all, tokens);
            let positions = positions(split, &pieces);
            largest = positions.iter().copied().max().unwrap_or(0).max(largest);
            for chunk in chunks(model, split, &pieces, layers) {
                kept = kept.max(inputs(model, positions[chunk].iter().sum(), layers));
            }
        }
        // what the products of every layer on the graph give and what lies between them, and of one the gradients
        let numbers: usize = model.linears().iter().map(|linear| linear.outputs()).sum();
        let graph = if streamed { 1 } else { layers.max(1) };
        let of_a_layer = numbers / model.layers().max(1);
        // adapted matrices with their adapters merged, beside those without
        let adapted = model.adapted().into_iter();
        let sizes = adapted.map(|linear| 4 * (linear.inputs() * linear.outputs()) as u64);
        let merged = sizes.sum::<u64>() / if streamed { layers.max(1) as u64 } else { 1 };
        let threads = rayon::current_num_threads().min(batching::at_a_time(model.device()));
        let mut of_rows = None;
        for split in splits {
            if let Some(row) = batching::row_cost(model, split) {
                let of_a_row = match batching::recomputes(model, split, tokens) {
                    true => row.between,
                    false => row.kept,
                };
                let bytes = of_a_row * batching::rows_at_a_time(split, tokens) as u64;
                of_rows = of_rows.max(Some(bytes));
            }
        }
        let numbers = (3 * graph + 3) * of_a_layer * largest;
        let of_a_pass = of_rows.unwrap_or((size_of::<f32>() * numbers) as u64);
        let found = Self {
            streamed,
            weights: resident
                + merged
                + if streamed {
                    weights.streamed()
                } else {
                    weights.whole()
                },
            inputs: if streamed { kept } else { 0 },
            passes: of_a_pass * threads as u64,
        };
        let all = machine_memory().filter(|_| streamed && ops::in_memory(model.device()));
        match all.filter(|&all| all < found.bytes()) {
            None => Ok(found),
            Some(all) => {
                let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
                let message = format!(
                    "streaming takes {:.1} GiB, of which two layers and what is outside them {:.1}, the inputs of all layers for {largest} positions {:.1}, and there are {:.1} in all; shorter texts (max_length) or adapters on upper layers alone take less",
                    gib(found.bytes()),
                    gib(found.weights),
                    gib(found.inputs),
                    gib(all)
                );
                Err(("stream", Problem::new(message)))
            }
        }
    }

    /// All of it.
    pub fn bytes(self) -> u64 {
        self.weights + self.inputs + self.passes
    }
}

/// A batch behind the last of some layers, and what it was on the way.
struct Led {
    /// The batch as it was.
    batch: Batch,
    /// The layer after the last that it went through.
    next: usize,
    /// The inputs of the layers that are kept, `[n, t, width]`, and the passes that went through them, as they were.
    inputs: Vec<(Tensor<3>, Pass)>,
    /// The output of the last layer.
    output: Tensor<3>,
    /// The pass behind it.
    pass: Pass,
}

impl Led {
    /// The batch as the next layer takes it, with `x` for the output.
    fn further(&self, x: Tensor<3>) -> Batch {
        Batch {
            input: ModelInput::Activations {
                x,
                layer: self.next,
            },
            ..self.batch.clone()
        }
    }
}

/// Leads batches with their passes through the layers below `end`; the inputs of layers from `keep` on are kept.
fn forward(
    layered: &dyn Layered,
    batches: Vec<(Batch, Pass)>,
    keep: usize,
    end: usize,
) -> Vec<Led> {
    let Some((first, _)) = batches.first() else {
        return Vec::new();
    };
    let device = first.device.clone();
    let entered = batching::map_on(&device, batches.len(), |piece| {
        layered.enter(&batches[piece].0)
    });
    let begin = entered.first().map_or(0, |(_, layer)| *layer);
    let led = batches.into_iter().zip(entered);
    let led = led.map(|((batch, pass), (x, _))| {
        Mutex::new(Led {
            batch,
            next: end,
            inputs: Vec::new(),
            output: x,
            pass,
        })
    });
    let led: Vec<Mutex<Led>> = led.collect();
    const HELD: &str = "a panic in a piece ends the call";
    for layer in begin..end {
        let stage = layered.fetch(layer, Some(layer + 1).filter(|&next| next < end));
        batching::map_on(&device, led.len(), |piece| {
            let mut led = led[piece].lock().expect(HELD);
            let x = led.output.clone();
            if layer >= keep {
                let pass = led.pass.again();
                led.inputs.push((x.clone(), pass));
            }
            let Led { batch, pass, .. } = &mut *led;
            led.output = stage.forward(x, batch, pass);
        });
    }
    led.into_iter()
        .map(|led| led.into_inner().expect(HELD))
        .collect()
}

/// A batch in a layer on the way back.
pub struct Turn<'a> {
    /// Which batch.
    pub piece: usize,
    /// Which layer.
    pub layer: usize,
    /// The layer, whose tensors are shared with other turns.
    pub stage: Box<dyn Stage>,
    /// The pass that goes through it: a copy of the one that went through it before.
    pub pass: Pass,
    batch: &'a Batch,
    x: Tensor<3>,
    delta: Tensor<3>,
}

impl Turn<'_> {
    /// The batch.
    pub fn batch(&self) -> &Batch {
        self.batch
    }

    /// The gradients of Σ y·δ over the layer's output y, whose graph begins at the layer's input and at whatever leaves
    /// `stage` and `pass` have.
    pub fn gradients(&mut self) -> Gradients {
        let (x, delta) = (self.x.clone(), self.delta.clone());
        let sum = self.stage.pull(x, delta, self.batch, &mut self.pass);
        if sum.is_autodiff() {
            return sum.backward();
        }
        // nothing is to be learned but what the pass has seen
        let leaf = self.delta.clone().autodiff().require_grad();
        leaf.sum().backward()
    }
}

/// Gradients of all pieces: up through all layers, and back through those from the first adapted one on.
///
/// `top` makes of what follows the layers, a batch and its pass, a state and the gradients on the way back; `visit` hears of
/// every batch in every layer, takes what it wants of [`Turn::gradients`] and gives back what is left. States come in the
/// order of the pieces.
pub fn gradients<S: Send>(
    (model, layered): (&Model, &dyn Layered),
    split: &Split,
    pieces: &[Vec<usize>],
    batch: impl Fn(usize) -> (Batch, Pass),
    top: impl Fn(&Batch, &mut Pass) -> (S, Gradients) + Sync,
    visit: impl Fn(&mut Turn<'_>, &mut S) -> Gradients + Sync,
) -> Vec<S> {
    const HELD: &str = "a panic in a piece ends the call";
    let device = model.device();
    let (lowest, layers) = (model.layers_below_adapters(), model.layers());
    let mut states = Vec::with_capacity(pieces.len());
    for chunk in chunks(model, split, pieces, layers - lowest) {
        let led = forward(layered, chunk.clone().map(&batch).collect(), lowest, layers);
        let tops = batching::map_on(device, led.len(), |index| {
            let led = &led[index];
            let x = led.output.clone().autodiff().require_grad();
            let (state, mut left) = top(&led.further(x.clone()), &mut led.pass.again());
            let delta = x.grad_remove(&mut left);
            (state, delta.expect("the loss depends on the last layer"))
        });
        let held = led.into_iter().zip(tops).map(Mutex::new);
        let held: Vec<Mutex<(Led, (S, Tensor<3>))>> = held.collect();
        for layer in (lowest..layers).rev() {
            let stage = layered.fetch(layer, (layer > lowest).then(|| layer - 1));
            batching::map_on(device, held.len(), |index| {
                let mut held = held[index].lock().expect(HELD);
                let (led, (state, delta)) = &mut *held;
                let (x, pass) = led.inputs.pop().expect("an input of every layer was kept");
                let x = match layer > lowest {
                    true => x.autodiff().require_grad(),
                    false => x,
                };
                let mut turn = Turn {
                    piece: chunk.start + index,
                    layer,
                    stage: stage.boxed(),
                    pass,
                    batch: &led.batch,
                    x: x.clone(),
                    delta: delta.clone(),
                };
                let mut left = visit(&mut turn, state);
                if layer > lowest {
                    let grad = x.grad_remove(&mut left);
                    *delta = grad.expect("a layer's output depends on its input");
                }
            });
        }
        let left = held.into_iter().map(|held| held.into_inner().expect(HELD));
        states.extend(left.map(|(_, (state, _))| state));
    }
    states
}

/// `work` on the batches of all pieces, on all threads; results in the order of the pieces. Batches of a model whose layers
/// are streamed have gone through those below `depth`.
pub fn map_batches<T: Send>(
    model: &Model,
    split: &Split,
    pieces: &[Vec<usize>],
    depth: usize,
    work: impl Fn(Batch, &[usize]) -> T + Sync,
) -> Vec<T> {
    let batch = |piece: usize| batching::batch(split, &pieces[piece], model.device());
    let Some(layered) = model.layered() else {
        return batching::map_on(model.device(), pieces.len(), |piece| {
            work(batch(piece), &pieces[piece])
        });
    };
    let mut results = Vec::with_capacity(pieces.len());
    for chunk in chunks(model, split, pieces, 1) {
        let batches = chunk.clone().map(|piece| (batch(piece), Pass::Plain));
        let led = forward(layered, batches.collect(), depth, depth);
        results.extend(batching::map_on(model.device(), led.len(), |index| {
            let led = &led[index];
            work(
                led.further(led.output.clone()),
                &pieces[chunk.start + index],
            )
        }));
    }
    results
}
