//! Tasks of images from YAML to results, on a tiny diffusion pipeline: that of `tests/fixtures/diffusion` with a tokenizer
//! of letters.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use infbench::device::DeviceChoice;
use infbench::generation::images::{ImageRequest, images};
use infbench::models::diffusion::Sampling;
use infbench::tasks::pictures::read;
use safetensors::tensor::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Copies a folder with what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A folder with a pipeline of 16 x 16 images and an image folder of three styles, six images each.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion/pipeline");
        let pipeline = bench.path("pipeline");
        copy(&fixture, &pipeline);
        let tokenizer = pipeline.join("tokenizer");
        fs::create_dir_all(&tokenizer).unwrap();
        // letters within and at the end of a word; all others are unknown
        let letters = ('a'..='s').flat_map(|letter| [letter.to_string(), format!("{letter}</w>")]);
        let special = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned);
        let vocabulary: BTreeMap<String, usize> = letters.chain(special).zip(0..).collect();
        let settings = json!({
            "tokenizer_class": "CLIPTokenizer", "model_max_length": 9, "bos_token": "<|startoftext|>",
            "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
        });
        bench.write(
            "pipeline/tokenizer/vocab.json",
            &json!(vocabulary).to_string(),
        );
        bench.write("pipeline/tokenizer/merges.txt", "#version: 0.2\n");
        bench.write(
            "pipeline/tokenizer/tokenizer_config.json",
            &settings.to_string(),
        );
        let mut lines = String::new();
        for (style, name) in ["flat", "line", "dots"].iter().zip(["r", "g", "b"]) {
            fs::create_dir_all(bench.path("images").join(style)).unwrap();
            for number in 0..6u32 {
                let file = format!("{style}/{number}.png");
                let hue = |x: u32, y: u32| match *style {
                    "flat" => [200, 40 * (number as u8), 30],
                    "line" if x % 3 == number % 3 => [0, 0, 0],
                    "dots" if (x + y).is_multiple_of(2 + number) => [10, 200, 90],
                    _ => [255, 255, 255],
                };
                let image = RgbImage::from_fn(20, 20, |x, y| Rgb(hue(x, y)));
                image.save(bench.path("images").join(&file)).unwrap();
                let text = format!("a {style} of {name}");
                let line = json!({"file_name": file, "style": style, "name": name, "text": text});
                lines += &format!("{line}\n");
            }
        }
        bench.write("images/metadata.jsonl", &lines);
        let numbers = |style: &str, numbers: std::ops::Range<u32>| -> Vec<String> {
            numbers
                .map(|number| format!("{style}/{number}.png"))
                .collect()
        };
        let classes: BTreeMap<&str, Value> = (["flat", "line", "dots"].into_iter())
            .map(|style| {
                let lists = json!({"train": numbers(style, 0..4), "query": numbers(style, 4..6)});
                (style, lists)
            })
            .collect();
        bench.write("splits.json", &json!({"style": classes}).to_string());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// An experiment; `more` replaces or adds settings of the top level, `task` those of the task.
    fn experiment(&self, task: &Value, more: &Value) -> Value {
        let mut all = json!({
            "name": "t",
            "task": {
                "name": "styles", "path": self.path("images"), "splits": self.path("splits.json"), "train": 3,
                "query": 2, "timesteps": [30, 800],
            },
            "model": {"path": self.path("pipeline")},
            "lora": {"rank": 1, "dropout": 0.0},
            "train": {
                "epochs": 3, "lr": 0.01, "batch_size": 4, "schedule": "cosine", "accumulate": 2, "max_grad_norm": 1.0,
            },
            "influence": {"methods": ["exact", "datainf", "hessian_free", "token_bags", "random"]},
            "outputs": {"report": false},
        });
        for (fields, given) in [("task", task), ("", more)] {
            for (key, value) in given.as_object().into_iter().flatten() {
                match fields {
                    "" => all[key] = value.clone(),
                    fields => all[fields][key] = value.clone(),
                }
            }
        }
        all
    }

    /// `infbench run` of an experiment, which is written as JSON.
    fn run(&self, experiment: &Value) -> Command {
        self.write("t.yaml", &experiment.to_string());
        let mut command = Command::cargo_bin("infbench").unwrap();
        command
            .current_dir(self.0.path())
            .args(["run", "t.yaml", "--out", "out"]);
        command
    }

    /// The records, by their order.
    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out/records.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The message of a run that is refused.
    fn refused(&self, experiment: &Value) -> String {
        message(&mut self.run(experiment))
    }
}

/// What a command that ends with 2 says, in one line.
fn message(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // what wraps over lines carries a mark
    text.replace(" │ ", " ")
}

/// All float32 tensors of a file.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter().map(|(name, view)| {
        let values = view.data().as_chunks::<4>().0.iter();
        let values = values.map(|b| f64::from(f32::from_le_bytes(*b))).collect();
        (name.to_owned(), (view.shape().to_vec(), values))
    });
    tensors.collect()
}

/// The largest difference over the root mean square.
fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max) / scale
}

fn metric(record: &Value, label: &str, name: &str) -> Value {
    let methods = record["methods"].as_array().unwrap();
    let method = methods
        .iter()
        .find(|method| method["label"] == label)
        .unwrap();
    let metrics = method["metrics"].as_array().unwrap();
    metrics
        .iter()
        .find(|metric| metric["metric"] == name)
        .unwrap()["value"]
        .clone()
}

/// Gradients of an experiment's cells are those of `infbench gradients` on the adapter that they leave; those of views that
/// are averaged are the mean of those that are concatenated; cells that differ in views and draws share a fine-tune.
#[test]
fn gradients_of_a_cell_are_those_of_the_command() {
    let bench = Bench::new();
    let more = json!({
        "seed": 7,
        "sweep": {"task.views": ["concatenate", "mean"], "task.draws": [1, 2]},
        "outputs": {"report": false, "gradients": true, "adapters": true},
    });
    let experiment = bench.experiment(&json!({}), &more);
    bench.run(&experiment).assert().success();
    let records = bench.records();
    let cached: Vec<&Value> = records
        .iter()
        .map(|record| &record["training"]["cached"])
        .collect();
    assert_eq!(cached, [false, true, true, true]);
    let ids: Vec<&str> = records
        .iter()
        .map(|r| r["cell"]["id"].as_str().unwrap())
        .collect();
    let of = |id: &str, split: &str| {
        tensors(&bench.path(&format!("out/gradients/{id}.{split}.safetensors")))
    };
    for split in ["train", "query"] {
        for draws in [0, 1] {
            let (whole, mean) = (of(ids[draws], split), of(ids[2 + draws], split));
            for (name, (shape, values)) in &whole {
                let width = shape[1..].iter().product::<usize>() / 2;
                let rows = values.chunks(2 * width);
                let halves =
                    rows.flat_map(|row| (0..width).map(|at| (row[at] + row[at + width]) / 2.0));
                let far = distance(&mean[name].1, &halves.collect::<Vec<f64>>());
                // sums of 64 positions in another order
                assert!(far < 64.0 * f64::from(f32::EPSILON), "{name}: {far:e}");
            }
        }
    }
    // training image i of the seed has the same noise in both; classes are in the order of the file
    let mut lines = String::new();
    for (style, name) in [("dots", "b"), ("flat", "r"), ("line", "g")] {
        for number in 0..3 {
            let image = bench.path("images").join(format!("{style}/{number}.png"));
            let line = json!({"image": image, "text": format!("an icon of {name}")});
            lines += &format!("{line}\n");
        }
    }
    bench.write("train.jsonl", &lines);
    Command::cargo_bin("infbench")
        .unwrap()
        .current_dir(bench.0.path())
        .args([
            "gradients",
            "--quiet",
            "--task",
            "images",
            "--model",
            "pipeline",
            "--examples",
            "train.jsonl",
        ])
        .args([
            "--resolution",
            "16",
            "--timesteps",
            "30,800",
            "--seed",
            "7",
            "--out",
            "g.safetensors",
        ])
        .arg("--adapter")
        .arg(bench.path(&format!("out/adapters/{}", ids[0])))
        .assert()
        .success();
    let (ours, theirs) = (of(ids[0], "train"), tensors(&bench.path("g.safetensors")));
    assert!(ours.keys().eq(theirs.keys()));
    for (name, (_, values)) in &ours {
        let far = distance(values, &theirs[name].1);
        assert!(far < 64.0 * f64::from(f32::EPSILON), "{name}: {far:e}");
    }
    // and a run that goes on finds them all
    let output = bench.run(&experiment).output().unwrap();
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("4 finished cells found")
    );
}

/// Controls, metrics and pictures are in the record; images drawn by the seed, folders for each split and images without
/// classes are read.
#[test]
fn records_have_controls_classes_and_pictures() {
    let bench = Bench::new();
    let controls = [
        "token_bags",
        "embed_cos",
        "embed_cos:of=latents",
        "embed_cos:of=pooled",
        "embed_cos:of=caption",
        "random",
    ];
    let methods: Vec<&str> = ["exact", "hessian_free"]
        .into_iter()
        .chain(controls)
        .collect();
    let more = json!({
        "influence": {"methods": methods},
        "seed": 5,
        "outputs": {
            "report": true, "images": 2, "adapters": true,
            "samples": {"prompts": 2, "images": 3, "sampling": {"steps": 4, "guidance": 2.0}},
        },
    });
    let task =
        json!({"random_flip": true, "posterior": "mean", "noise": "index", "captions": "styled"});
    bench
        .run(&bench.experiment(&task, &more))
        .assert()
        .success();
    let record = &bench.records()[0];
    for label in &methods {
        for name in ["class_auc", "class_recall", "class_recall_published"] {
            assert!(metric(record, label, name).is_f64(), "{label} {name}");
        }
    }
    // a caption that names the style gives the class away to whoever compares captions
    assert_eq!(metric(record, "token_bags", "class_auc"), 1.0);
    assert_eq!(metric(record, "embed_cos:of=caption", "class_auc"), 1.0);
    let queries = record["by_image"].as_array().unwrap();
    assert_eq!(queries.len(), 2);
    for query in queries {
        assert_eq!(query["methods"].as_array().unwrap().len(), methods.len());
        for method in query["methods"].as_array().unwrap() {
            let scores = |kind: &str| -> Vec<f64> {
                let images = method[kind].as_array().unwrap().iter();
                images
                    .map(|image| image["score"].as_f64().unwrap())
                    .collect()
            };
            let (helpful, harmful) = (scores("helpful"), scores("harmful"));
            assert_eq!((helpful.len(), harmful.len()), (4, 4));
            assert!(helpful.is_sorted() && harmful.iter().rev().is_sorted());
            let first = &method["helpful"][0]["image"];
            assert!(
                bench
                    .path("out")
                    .join(first["picture"].as_str().unwrap())
                    .is_file()
            );
            assert!(first["text"].as_str().unwrap().starts_with("a "));
        }
    }
    samples_are_those_of_the_command(&bench, record);
    let page = fs::read_to_string(bench.path("out/report.html")).unwrap();
    for part in [
        "Most harmful",
        "<th>Before</th>",
        ".p0{background-image:url(data:image/png;base64,",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // as Hugging Face's datasets lay image folders out, with no classes
    for (split, style) in [("train", "flat"), ("test", "line")] {
        copy(
            &bench.path("images").join(style),
            &bench.path("own").join(split),
        );
        let lines: Vec<String> = (0..6)
            .map(|number| {
                json!({"file_name": format!("{number}.png"), "text": "a dog"}).to_string()
            })
            .collect();
        bench.write(&format!("own/{split}/metadata.jsonl"), &lines.join("\n"));
    }
    let mut own = bench.experiment(&json!({}), &json!({}));
    own["task"] =
        json!({"name": "images", "path": bench.path("own"), "query": 4, "timesteps": [30]});
    bench.run(&own).assert().success();
    let record = bench.records().pop().unwrap();
    assert_eq!(
        (&record["task"]["train"], &record["task"]["query"]),
        (&json!(6), &json!(4))
    );
    assert_eq!(metric(&record, "exact", "class_auc"), Value::Null);
    assert!(metric(&record, "datainf", "pearson").is_f64());
}

/// Samples before and after the fine-tune are what `infbench generate` draws without and with the saved LoRA.
fn samples_are_those_of_the_command(bench: &Bench, record: &Value) {
    let samples = record["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    let id = record["cell"]["id"].as_str().unwrap();
    let adapter = bench.path("out/adapters").join(id);
    let file = fs::read_dir(&adapter).unwrap().next().unwrap().unwrap();
    let prompts = samples
        .iter()
        .map(|sample| sample["prompt"].as_str().unwrap());
    let prompts: Vec<String> = prompts.map(str::to_owned).collect();
    let mut drawn = Vec::new();
    for (when, adapter) in [("before", None), ("after", Some(file.path()))] {
        let request = ImageRequest {
            model: bench.path("pipeline"),
            adapter,
            prompts: prompts.clone(),
            images: 3,
            // that of the training images
            size: [Some(16); 2],
            sampling: Sampling {
                steps: 4,
                guidance: 2.0,
            },
            seed: 5,
            latents: None,
            device: DeviceChoice::default(),
        };
        for (row, sample) in images(&request).unwrap().iter().zip(samples) {
            let files = sample[when].as_array().unwrap();
            assert_eq!(files.len(), 3);
            for (image, file) in row.images.iter().zip(files) {
                let found = read(&bench.path("out").join(file.as_str().unwrap())).unwrap();
                // a last bit may differ where pieces of the work are others
                let far = found
                    .rgb
                    .iter()
                    .zip(&image.rgb)
                    .map(|(a, b)| a.abs_diff(*b))
                    .max();
                assert!(far.unwrap() <= 1, "{when}: {far:?}");
                assert_eq!(found.rgb.len(), image.rgb.len());
            }
            drawn.push(files.clone());
        }
    }
    assert_ne!(drawn[0], drawn[2]);
}

/// A pipeline that is still to be trained is forecast by its settings; what needs its weights says that it is not there. The
/// hub is not asked for it.
#[test]
fn a_pipeline_that_is_not_there_yet_is_forecast_by_its_settings() {
    let bench = Bench::new();
    // of the shapes of the pipeline that is there
    let pipeline = "name: small
pipeline:
  images: {path: nowhere/metadata.jsonl, resolution: 16}
  autoencoder: {channels: [8, 8], groups: 4}
  text_encoder: {vocabulary: 600, length: 9, hidden: 8, ffn: 16, layers: 1, heads: 2}
  unet: {channels: [8, 16], attends: [true, true], groups: 4, heads: 2}
";
    bench.write("small.yaml", pipeline);
    let model = json!({"path": "models/small", "pretrain": "small.yaml"});
    let experiment = bench.experiment(&json!({}), &json!({"model": model}));
    bench.write("t.yaml", &experiment.to_string());
    let plan = |more: &[&str]| {
        let mut command = Command::cargo_bin("infbench").unwrap();
        command.current_dir(bench.0.path()).args(["plan", "t.yaml"]);
        // where nobody listens
        command.env("HF_ENDPOINT", "http://127.0.0.1:9").args(more);
        command
    };
    let output = plan(&[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let said = "The pipeline models/small is not there yet: `infbench run` trains it first by small.yaml, about ";
    assert!(text.contains(said), "{text}");
    let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    // three training images and two queries of three styles
    assert!(words.windows(2).any(|pair| pair == ["9", "6"]), "{text}");
    assert!(!text.contains("hub"), "{text}");
    assert!(!bench.path("models").exists());
    let units = message(&mut plan(&["--units"]));
    assert!(
        units.contains("the pipeline models/small is not there yet"),
        "{units}"
    );
    assert!(
        units.contains("as `infbench pretrain small.yaml --out models/small` does"),
        "{units}"
    );
    assert!(!units.contains("hub"), "{units}");
    // settings that are wrong are named
    bench.write(
        "small.yaml",
        &pipeline.replace("groups: 4, heads: 2", "groups: 3, heads: 2"),
    );
    let wrong = message(&mut plan(&[]));
    assert!(
        wrong.contains("model.pretrain") && wrong.contains("unet.groups"),
        "{wrong}"
    );
}

/// A pipeline in the cache of the Hugging Face hub, by its id; images are not looked at again for a forecast.
#[test]
fn a_pipeline_of_the_hub_comes_from_the_cache() {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    let bench = Bench::new();
    let snapshot = format!("hub/models--org--small/snapshots/{COMMIT}");
    copy(&bench.path("pipeline"), &bench.path(&snapshot));
    fs::create_dir_all(bench.path("hub/models--org--small/refs")).unwrap();
    bench.write("hub/models--org--small/refs/main", COMMIT);
    bench.write(&format!("{snapshot}/model_index.json"), "{}");
    // as `hf download --include "*.fp16.safetensors"` leaves it
    let weights = bench.path(&snapshot).join("vae/diffusion_pytorch_model");
    fs::rename(
        weights.with_extension("safetensors"),
        weights.with_extension("fp16.safetensors"),
    )
    .unwrap();
    let by_id = json!({"model": {"path": "org/small"}});
    let experiment = bench.experiment(&json!({}), &by_id);
    let run = |experiment: &Value| {
        let mut command = bench.run(experiment);
        command.env("HF_HUB_CACHE", bench.path("hub"));
        command.env("HF_HUB_OFFLINE", "1");
        command
    };
    run(&experiment).assert().success();
    let by_id = bench.records();
    assert_eq!(by_id[0]["model"]["commit"], COMMIT);
    fs::remove_dir_all(bench.path("out")).unwrap();
    run(&bench.experiment(&json!({}), &json!({})))
        .assert()
        .success();
    let by_folder = bench.records();
    let auc = |records: &[Value]| metric(&records[0], "datainf", "class_auc");
    assert_eq!(auc(&by_id), auc(&by_folder));
    fs::remove_file(bench.path(&snapshot).join("text_encoder/config.json")).unwrap();
    let lacks = message(&mut run(&experiment));
    assert!(
        lacks.contains("does not hold text_encoder/config.json"),
        "{lacks}"
    );
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_nothing_runs() {
    let bench = Bench::new();
    let plain = |task: Value| bench.experiment(&task, &json!({}));
    let expect = |message: String, parts: &[&str]| {
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!bench.path("out").exists(), "{message}");
    };
    // settings
    expect(
        bench.refused(&plain(json!({"timesteps": [30, 1000]}))),
        &["timesteps", "1000", "0 to 999"],
    );
    expect(
        bench.refused(&plain(json!({"timesteps": []}))),
        &["timesteps"],
    );
    expect(
        bench.refused(&plain(json!({"views": "means"}))),
        &["views", "mean"],
    );
    expect(
        bench.refused(&plain(json!({"train": 5}))),
        &["splits.json", "has 4 train images", "ask for 5"],
    );
    expect(
        bench.refused(
            &bench.experiment(&json!({}), &json!({"lora": {"targets": ["to_q", "to_w"]}})),
        ),
        &["lora.targets[1]", "to_w"],
    );
    expect(
        bench.refused(&bench.experiment(
            &json!({}),
            &json!({"influence": {"methods": ["ekfac:labels=sampled"]}}),
        )),
        &["ekfac", "noise"],
    );
    expect(
        bench.refused(&bench.experiment(&json!({}), &json!({"model": "mlp"}))),
        &["styles", "mlp", "cannot read"],
    );
    // folders
    expect(
        bench.refused(&plain(json!({"path": bench.path("nowhere")}))),
        &[
            "nowhere",
            "metadata.jsonl",
            "file_name, style, name and text",
        ],
    );
    expect(
        bench.refused(&bench.experiment(
            &json!({}),
            &json!({"model": {"path": bench.path("images")}}),
        )),
        &["unet"],
    );
    // images and lists
    let image = bench.path("images/line/1.png");
    let whole = fs::read(&image).unwrap();
    for (bytes, said) in [
        (&whole[..whole.len() / 2], "cannot be decoded"),
        (b"no image", "not a PNG"),
    ] {
        fs::write(&image, bytes).unwrap();
        expect(bench.refused(&plain(json!({}))), &["line/1.png", said]);
    }
    fs::write(&image, &whole).unwrap();
    let list = fs::read_to_string(bench.path("images/metadata.jsonl")).unwrap();
    for (from, to, parts) in [
        (
            "\"name\":\"g\"",
            "\"title\":\"g\"",
            &["metadata.jsonl:7", "`name` is missing"][..],
        ),
        (
            "\"style\":\"line\"",
            "\"style\":3",
            &["metadata.jsonl:7", "`style` is 3"][..],
        ),
        (
            "line/0.png",
            "line/7.png",
            &["splits.json", "line/0.png", "did you mean"][..],
        ),
        (
            "\"style\":\"line\"",
            "\"style\":\"lime\"",
            &["metadata.jsonl:7", "`lime`", "`line`"][..],
        ),
    ] {
        assert!(list.contains(from));
        bench.write("images/metadata.jsonl", &list.replacen(from, to, 1));
        expect(bench.refused(&plain(json!({}))), parts);
    }
    // without a file of splits
    let empty = list.replacen("\"style\":\"line\"", "\"style\":\"\"", 1);
    bench.write("images/metadata.jsonl", &empty);
    expect(
        bench.refused(&plain(json!({"splits": null}))),
        &["metadata.jsonl:7", "`style` is empty"],
    );
    bench.write("images/metadata.jsonl", &list);
    // the pipeline
    let config = fs::read_to_string(bench.path("pipeline/text_encoder/config.json")).unwrap();
    let wide = config.replace("\"hidden_size\": 6", "\"hidden_size\": 8");
    assert_ne!(config, wide);
    bench.write("pipeline/text_encoder/config.json", &wide);
    expect(
        bench.refused(&plain(json!({}))),
        &["text_encoder", "8", "6"],
    );
    bench.write("pipeline/text_encoder/config.json", &config);
    fs::remove_file(bench.path("pipeline/tokenizer/vocab.json")).unwrap();
    expect(bench.refused(&plain(json!({}))), &["tokenizer"]);
}

/// Weights that overflow on every image end the commands with the name of the image's file.
#[test]
fn latents_that_are_not_finite_are_named_by_their_image() {
    let bench = Bench::new();
    let weights = bench.path("pipeline/vae/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // about the largest number of bf16
    bytes[8 + header..].fill(0x7F);
    fs::write(&weights, &bytes).unwrap();
    let error = bench.refused(&bench.experiment(&json!({}), &json!({})));
    assert!(
        error.contains("dots/0.png: its latents are not finite") && error.contains("vae"),
        "{error}"
    );
    assert!(!bench.path("out").exists());
    let image = bench.path("images/line/1.png");
    bench.write(
        "own.jsonl",
        &json!({"image": image, "text": "a dog"}).to_string(),
    );
    let lora =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion/lora.safetensors");
    let mut command = Command::cargo_bin("infbench").unwrap();
    command
        .current_dir(bench.0.path())
        .args([
            "gradients",
            "--quiet",
            "--task",
            "images",
            "--model",
            "pipeline",
            "--examples",
            "own.jsonl",
        ])
        .args([
            "--resolution",
            "16",
            "--timesteps",
            "30",
            "--out",
            "g.safetensors",
        ])
        .arg("--adapter")
        .arg(lora);
    let error = message(&mut command);
    assert!(
        error.contains("line/1.png: its latents are not finite"),
        "{error}"
    );
    assert!(!bench.path("g.safetensors").exists());
}
