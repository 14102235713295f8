//! Per-example gradients of a model whose layers are in memory one at a time.
//!
//! A chunk of examples goes up through all layers, their inputs kept; the loss on top gives the gradients δ of the last
//! layer's output; on the way down each layer leaves x and δ of its adapted matrices, which are contracted before the next
//! layer is read. The results are those of the whole model, to rounding.

use super::GradientError;
use super::work::{Work, contracted};
use crate::batching::streaming;
use crate::models::{Layered, LoraLinear, Pass};

/// Takes the gradients of all pieces; their losses, or why there are none.
pub(super) fn collect(work: &Work, layered: &dyn Layered) -> Vec<Result<Vec<f32>, GradientError>> {
    let model = work.model;
    // tensors before each layer's
    let mut first_tensors = vec![0; model.layers() + 1];
    for linear in model.probed() {
        if let Some(layer) = model.layer_of(linear.name()) {
            first_tensors[layer + 1] += if linear.adapter().is_some() { 2 } else { 1 };
        }
    }
    for layer in 0..model.layers() {
        first_tensors[layer + 1] += first_tensors[layer];
    }
    streaming::gradients(
        (model, layered),
        work.split,
        work.pieces,
        |piece| (work.batch(piece), Pass::Plain),
        |batch, pass| {
            let (losses, grads) = work.backward(batch, pass);
            (Ok(losses), grads)
        },
        |turn, losses| {
            let first = first_tensors[turn.layer];
            let mut sums = work.sums.map(|sums| sums.piece_from(turn.piece, first));
            turn.pass = Pass::Probed(Vec::new());
            let mut grads = turn.gradients();
            let sites = std::mem::replace(&mut turn.pass, Pass::Plain).into_sites();
            let linears = turn.stage.linears().into_iter();
            let probed = linears.filter(|linear| linear.is_probed());
            let mut tensors = Vec::new();
            for (site, linear) in sites.into_iter().zip(probed) {
                let (x, delta) = site.take(&mut grads);
                let adapter = LoraLinear::adapter(linear);
                tensors.extend(contracted(x, delta, adapter, turn.batch(), sums.as_mut()));
            }
            if let Err(error) = work.write(turn.piece, first, &tensors) {
                *losses = Err(error);
            }
            grads
        },
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use burn::tensor::Tensor;

    use super::*;
    use crate::batching;
    use crate::data::{Inputs, Measurement, NextToken, Reduction, Split, Targets, TokenTargets};
    use crate::device::DeviceChoice;
    use crate::gradients::RowBuffer;
    use crate::gradients::work::Asked;
    use crate::models::checkpoint::Checkpoint;
    use crate::models::lora::settings::LoraConfig;
    use crate::models::parameter::Parameter;
    use crate::models::{Batch, Loading, Model, Role, Stage, Stream, files};

    /// Layers, and a list of what is fetched: which, which next, and how many others are held at that time.
    struct Watched<'a> {
        layers: &'a dyn Layered,
        held: Arc<()>,
        fetched: Mutex<Vec<(usize, Option<usize>, usize)>>,
    }

    impl Layered for Watched<'_> {
        fn enter(&self, batch: &Batch) -> (Tensor<3>, usize) {
            self.layers.enter(batch)
        }

        fn resident(&self) -> u64 {
            self.layers.resident()
        }

        fn fetch(&self, layer: usize, next: Option<usize>) -> Box<dyn Stage> {
            let held = Arc::strong_count(&self.held) - 1;
            self.fetched.lock().unwrap().push((layer, next, held));
            let stage = self.layers.fetch(layer, next);
            Box::new(Held(stage, self.held.clone()))
        }
    }

    /// A layer, counted as long as it is held.
    struct Held(Box<dyn Stage>, Arc<()>);

    impl Stage for Held {
        fn boxed(&self) -> Box<dyn Stage> {
            Box::new(Self(self.0.boxed(), self.1.clone()))
        }

        fn forward(&self, x: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
            self.0.forward(x, batch, pass)
        }

        fn pull(
            &self,
            x: Tensor<3>,
            delta: Tensor<3>,
            batch: &Batch,
            pass: &mut Pass,
        ) -> Tensor<1> {
            self.0.pull(x, delta, batch, pass)
        }

        fn linears(&self) -> Vec<&LoraLinear> {
            self.0.linears()
        }

        fn parameters(&mut self) -> Vec<Parameter<'_>> {
            self.0.parameters()
        }
    }

    /// A checkpoint of four layers, which the fixture's two are, twice.
    fn four_layers() -> tempfile::TempDir {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama/mha/model");
        let folder = tempfile::tempdir().unwrap();
        let config = std::fs::read_to_string(fixture.join("config.json")).unwrap();
        let deeper = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4");
        assert_ne!(config, deeper);
        std::fs::write(folder.path().join("config.json"), deeper).unwrap();
        let weights = files::load(&fixture.join("model.safetensors")).unwrap();
        let mut all = weights.clone();
        for (name, array) in weights {
            for (from, to) in [(".0.", ".2."), (".1.", ".3.")] {
                if name.contains(&format!("layers{from}")) {
                    all.insert(name.replace(from, to), array.clone());
                }
            }
        }
        files::save(
            &folder.path().join("model.safetensors"),
            &all,
            ("format", "pt"),
        )
        .unwrap();
        folder
    }

    /// Texts of which every token but the first is predicted.
    fn texts() -> Split {
        let ids: Vec<Vec<u32>> = (0..7u32)
            .map(|text| {
                (0..3 + text % 4)
                    .map(|t| (7 * text + 11 * t) % 40)
                    .collect()
            })
            .collect();
        let next = |ids: &Vec<u32>| NextToken::at(ids, 1..ids.len());
        Split {
            targets: Targets::Tokens(TokenTargets {
                examples: ids.iter().map(next).collect(),
                reduction: Reduction::Mean,
                measurement: Measurement::Loss,
            }),
            inputs: Inputs::Tokens {
                ids,
                types: Vec::new(),
                attended: None,
                vocabulary: 40,
                max_length: 8,
            },
        }
    }

    fn adapted(folder: &Path, split: &Split, streams: bool) -> Model {
        let checkpoint = Checkpoint::open(folder).unwrap().loaded(Loading {
            stream: Stream::Chosen(streams),
            ..Loading::default()
        });
        let device = DeviceChoice::Flex.inner();
        let input = batching::input_shape(split);
        let mut model = Model::from_checkpoint(&checkpoint, &input, 0, 1, &device).unwrap();
        model.adapt(&LoraConfig::default(), 3).unwrap();
        // B is zero at first
        let mut weights = model.export(&[Role::Adapter]);
        let numbers = weights.values_mut().flat_map(|array| &mut array.values);
        for (number, value) in numbers.enumerate() {
            *value += ((number * 37 % 11) as f32 - 5.0) / 40.0;
        }
        model.import(&[Role::Adapter], &weights).unwrap();
        model
    }

    /// Up and down again: every layer is asked for once on each way, together with the one after it, when no other is held
    /// any more; and the gradients are those of the whole model.
    #[test]
    fn layers_are_asked_for_one_ahead_and_let_go_one_by_one() {
        let (folder, split) = (four_layers(), texts());
        let all: Vec<usize> = (0..split.len()).collect();
        let tokens = 8;
        let pieces = batching::pieces(&split, &all, tokens);
        assert!(pieces.len() > 2);
        let results = [false, true].map(|streams| {
            let mut model = adapted(folder.path(), &split, streams);
            model.freeze();
            let widths = model.gradient_tensors().into_iter();
            let widths = widths.map(|tensor| tensor.shape[0] * tensor.shape[1]);
            let mut rows = RowBuffer::new(split.len(), widths.collect());
            let work = Work {
                model: &model,
                split: &split,
                targets: None,
                asked: Asked::Loss,
                pieces: &pieces,
                tokens,
                sums: None,
                sink: Mutex::new(&mut rows),
            };
            let losses: Vec<_> = match model.layered() {
                None => (0..pieces.len())
                    .map(|piece| work.of_piece(piece))
                    .collect(),
                Some(layers) => {
                    let watched = Watched {
                        layers,
                        held: Arc::new(()),
                        fetched: Mutex::default(),
                    };
                    let losses = collect(&work, &watched);
                    let up = [
                        (0, Some(1), 0),
                        (1, Some(2), 0),
                        (2, Some(3), 0),
                        (3, None, 0),
                    ];
                    let down = [
                        (3, Some(2), 0),
                        (2, Some(1), 0),
                        (1, Some(0), 0),
                        (0, None, 0),
                    ];
                    assert_eq!(watched.fetched.into_inner().unwrap(), [up, down].concat());
                    assert_eq!(Arc::strong_count(&watched.held), 1);
                    losses
                }
            };
            let losses: Vec<Vec<f32>> = losses.into_iter().map(Result::unwrap).collect();
            [losses.concat(), rows.tensors.concat()]
        });
        let [whole, streamed] = &results;
        for (expected, found) in whole.iter().zip(streamed) {
            let scale = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            // sums of some hundred products in f32
            for (a, b) in expected.iter().zip(found) {
                assert!((a - b).abs() <= 1e-5 * scale, "{a} and {b} of {scale}");
            }
        }
    }
}
