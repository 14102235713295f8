//! LoRA files of diffusers: one adapter under the names of three generations.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use infbench::checkpoints::diffusers_lora::{Layout, LoraFile, LoraMatrices, read, write};
use infbench::data::Targets;
use infbench::device::DeviceChoice;
use infbench::models::diffusion::{PipelineConfig, Unet, adapter};
use infbench::models::network::Network as _;
use infbench::models::parameter::to_f32;
use infbench::models::{Batch, Model, ModelInput, Pass};
use infbench::random;
use rand_distr::{Distribution as _, StandardNormal};

/// `name` under `$INFBENCH_SHARED` or a `shared/` folder above this crate.
fn shared(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut all = given
        .into_iter()
        .chain(above.map(|folder| folder.join("shared")));
    let found = all.find_map(|folder| Some(folder.join(name)).filter(|path| path.exists()));
    if found.is_none() {
        println!("SKIPPED: no {name} under $INFBENCH_SHARED or a shared/ folder above this crate");
    }
    found
}

#[test]
fn three_generations_of_one_file_hold_the_same_adapters() {
    let Some(golden) = shared("golden/sd_tiny/lora") else {
        return;
    };
    let newest = read(&golden).unwrap();
    assert_eq!(newest.len(), 128);
    let folder = tempfile::tempdir().unwrap();
    for (name, layout) in [
        ("diffusers_2023", Layout::Processors),
        ("diffusers_2024", Layout::DownUp),
        ("pytorch_lora_weights", Layout::Peft),
    ] {
        let path = golden.join(name).with_extension("safetensors");
        assert_eq!(read(&path).unwrap(), newest, "{name}");
        // what is written has the same names and numbers
        let ours = folder.path().join(name);
        write(&ours, &newest, layout).unwrap();
        let bytes = [&path, &ours].map(|path| std::fs::read(path).unwrap());
        let [theirs, ours] = bytes
            .each_ref()
            .map(|b| safetensors::SafeTensors::deserialize(b).unwrap());
        assert_eq!(theirs.len(), ours.len());
        for (name, view) in theirs.iter() {
            let found = ours.tensor(name).unwrap();
            assert_eq!(
                (found.shape(), found.data()),
                (view.shape(), view.data()),
                "{name}"
            );
        }
    }
    let to_k = &newest["down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"];
    assert_eq!(
        (to_k.rank, to_k.inputs, to_k.outputs, to_k.scale),
        (2, 24, 16, 1.0)
    );
}

/// Files of this folder are written by infbench, and `predictions.safetensors` is what diffusers predicts once it has
/// opened them (`scripts/parity/open_loras.py`). `INFBENCH_WRITE_FIXTURES=1` writes them anew.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/loras")
}

/// An adapter of every matrix of the attentions of a UNet: `pattern` gives rank and α by a module's name.
fn adapters(unet: &Unet, pattern: impl Fn(&str) -> (usize, f64)) -> LoraFile {
    let linears = unet.adaptable();
    let attention = |name: &str| name.contains(".attn") && name.contains(".to_");
    let linears = linears.iter().filter(|linear| attention(linear.name()));
    let one = linears.map(|linear| {
        let name = linear.name();
        let (rank, alpha) = pattern(name);
        let (inputs, outputs) = (linear.inputs(), linear.outputs());
        let draw = |part: &str, count: usize, deviation: f32| -> Vec<f32> {
            let mut rng = random::rng(1, name, part);
            let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
            (0..count).map(|_| deviation * normal()).collect()
        };
        let matrices = LoraMatrices {
            rank,
            inputs,
            outputs,
            scale: alpha / rank as f64,
            a: draw("a", rank * inputs, (inputs as f32).sqrt().recip()),
            b: draw("b", outputs * rank, 0.5),
        };
        (name.to_owned(), matrices)
    });
    one.collect()
}

#[test]
fn diffusers_opens_what_is_written() {
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion");
    let config = PipelineConfig::read(&pipeline.join("pipeline")).unwrap();
    let device = DeviceChoice::Flex.inner();
    let unet = config.load_unet(&device).unwrap();
    let even = adapters(&unet, |_| (2, 2.0));
    // α that differs from the rank, and both by module, as PEFT's `rank_pattern` and `alpha_pattern`
    let uneven = adapters(&unet, |name| {
        let rank = if name.ends_with("to_v") { 1 } else { 2 };
        let alpha = if name.contains("attn2") { 3.0 } else { 1.0 };
        (rank, alpha)
    });
    assert_eq!(even.len(), uneven.len());
    let cases = [
        ("processors_2023", &even, Layout::Processors),
        ("down_up_2024", &even, Layout::DownUp),
        ("peft", &even, Layout::Peft),
        ("peft_patterns", &uneven, Layout::Peft),
    ];
    let folder = tempfile::tempdir().unwrap();
    let anew = std::env::var_os("INFBENCH_WRITE_FIXTURES").is_some();
    for (name, adapters, layout) in cases {
        let committed = fixtures().join(name).with_extension("safetensors");
        let written = folder.path().join(name);
        write(&written, adapters, layout).unwrap();
        if anew {
            std::fs::copy(&written, &committed).unwrap();
        }
        let [written, committed] = [&written, &committed].map(|path| std::fs::read(path).unwrap());
        assert!(
            written == committed,
            "{name}: what is written is no longer what diffusers opened"
        );
    }
    if anew {
        return;
    }
    let read_all = |path: PathBuf| infbench::models::files::load(&path).unwrap();
    let expected = read_all(fixtures().join("predictions.safetensors"));
    let tensor = |name: &str, dims: &[usize]| {
        let values = expected[name].values.clone();
        TensorData::new(values, dims.to_vec())
    };
    let shape = expected["x"].shape.clone();
    let text = expected["text"].shape.clone();
    for (name, ..) in cases {
        let input = config.input([shape[2], shape[3]]);
        let mut model = Model::of_pipeline(&config, &input, &device).unwrap();
        adapter::load(
            &fixtures().join(name).with_extension("safetensors"),
            &mut model,
        )
        .unwrap();
        let batch = Batch {
            input: ModelInput::Latents {
                x: Tensor::from_data(tensor("x", &shape), &device),
                deviations: None,
                mirrored: None,
                text: Tensor::from_data(tensor("text", &text), &device),
            },
            types: None,
            lengths: None,
            attended: None,
            timesteps: Some(vec![800; shape[0]]),
            targets: Targets::Classes(Vec::new()),
            device: device.clone(),
        };
        let found = to_f32(model.output(&batch, &mut Pass::Plain).into_data());
        // both in float32: five times PyTorch's distance from float64, which the script measures, for each of the two
        let tolerance = 10.0 * f64::from(expected["tolerance"].values[0]);
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let theirs = &expected[name].values;
        let pairs = found.iter().zip(theirs);
        let distance = norm(&mut pairs.map(|(a, b)| f64::from(a - b)))
            / norm(&mut theirs.iter().map(|&v| v.into()));
        eprintln!("{name}: {distance:.1e}, allowed {tolerance:.1e}");
        assert!(distance <= tolerance, "{name}: {distance:.1e}");
        // and the adapter is not idle
        let plain = &expected["plain"].values;
        let moved = theirs.iter().zip(plain);
        let moved = norm(&mut moved.map(|(a, b)| f64::from(a - b)));
        assert!(
            moved > 0.1 * norm(&mut plain.iter().map(|&v| v.into())),
            "{moved}"
        );
    }
}
