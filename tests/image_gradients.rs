//! `infbench gradients --task images` against diffusers and PEFT: images, captions and noise of the tiny pipeline in, the
//! gradients of every example out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

/// `golden/sd_tiny` under `$INFBENCH_SHARED` or a `shared/` folder above this crate.
fn golden() -> Option<PathBuf> {
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut all = given
        .into_iter()
        .chain(above.map(|folder| folder.join("shared")));
    let found =
        all.find_map(|folder| Some(folder.join("golden/sd_tiny")).filter(|path| path.is_dir()));
    if found.is_none() {
        println!(
            "SKIPPED: no golden/sd_tiny under $INFBENCH_SHARED or a shared/ folder above this crate"
        );
    }
    found
}

/// The examples of a split as JSON lines in `folder`, with paths that are not relative.
fn listing(golden: &Path, folder: &Path, split: &str) -> PathBuf {
    let text = fs::read_to_string(golden.join("examples.json")).unwrap();
    let examples: Vec<Value> = serde_json::from_str(&text).unwrap();
    let lines: String = (examples.iter().filter(|example| example["split"] == split))
        .map(|example| {
            let image = golden.join(example["image"].as_str().unwrap());
            format!(
                "{}\n",
                json!({"image": image, "text": example["text"], "class": "a"})
            )
        })
        .collect();
    let path = folder.join(format!("{split}.jsonl"));
    fs::write(&path, lines).unwrap();
    path
}

/// Latents, noise and timesteps of the reference for the examples `first..first + n`.
fn noise(golden: &Path, folder: &Path, first: usize, n: usize) -> PathBuf {
    let bytes = fs::read(golden.join("reference.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let part = |name: &str| {
        let view = file.tensor(name).unwrap();
        let mut shape = view.shape().to_vec();
        let row = view.data().len() / shape[0];
        shape[0] = n;
        (shape, view.data()[first * row..(first + n) * row].to_vec())
    };
    let [latents, noise] = ["latents", "noise"].map(part);
    let timesteps = file.tensor("timesteps").unwrap();
    let view = |(shape, data): &(Vec<usize>, Vec<u8>)| {
        TensorView::new(
            Dtype::F32,
            shape.clone(),
            Box::leak(data.clone().into_boxed_slice()),
        )
        .unwrap()
    };
    let tensors = [
        ("latents", view(&latents)),
        ("noise", view(&noise)),
        ("timesteps", timesteps),
    ];
    let path = folder.join(format!("noise{first}.safetensors"));
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    path
}

/// All float32 tensors of a file.
fn read(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter().map(|(name, view)| {
        let values = view.data().as_chunks::<4>().0.iter();
        let values = values.map(|b| f64::from(f32::from_le_bytes(*b))).collect();
        (name.to_owned(), (view.shape().to_vec(), values))
    });
    tensors.collect()
}

fn gradients(arguments: &[&std::ffi::OsStr]) -> Command {
    let mut command = Command::cargo_bin("infbench").unwrap();
    command
        .args(["gradients", "--quiet", "--task", "images"])
        .args(arguments);
    command
}

/// `infbench gradients` of a list, with more arguments.
fn run(golden: &Path, lora: &Path, examples: &Path, out: &Path, more: &[&str]) -> Command {
    let pipeline = golden.join("pipeline");
    let paths = [
        ("--model", pipeline.as_path()),
        ("--adapter", lora),
        ("--examples", examples),
        ("--out", out),
    ];
    let mut command = gradients(&[]);
    for (option, path) in paths {
        command.arg(option).arg(path);
    }
    command.args(more);
    command
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn gradients_of_captioned_images_are_those_of_diffusers() {
    let Some(golden) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(golden.join("tolerance.json")).unwrap();
    let tolerance: BTreeMap<String, f64> = serde_json::from_str(&text).unwrap();
    // five times what float32 costs PyTorch itself
    let bar = 5.0 * tolerance["gradients, worst tensor"];
    for (split, first, n, lora) in [
        ("train", 0, 6, "pytorch_lora_weights"),
        ("query", 6, 2, "diffusers_2023"),
        ("query", 6, 2, "diffusers_2024"),
    ] {
        let out = folder.path().join(format!("{lora}.safetensors"));
        let noise = noise(&golden, folder.path(), first, n);
        let lora = golden.join("lora").join(lora).with_extension("safetensors");
        let examples = listing(&golden, folder.path(), split);
        run(
            &golden,
            &lora,
            &examples,
            &out,
            &["--noise", noise.to_str().unwrap()],
        )
        .assert()
        .success();
        let (found, expected) = (
            read(&out),
            read(&golden.join(split).with_extension("safetensors")),
        );
        assert!(found.keys().eq(expected.keys()));
        let mut worst: f64 = 0.0;
        for (name, (shape, values)) in &expected {
            let (ours, own) = &found[name];
            assert_eq!(ours, shape, "{name}");
            let error =
                norm(own.iter().zip(values).map(|(a, b)| a - b)) / norm(values.iter().copied());
            worst = worst.max(error);
        }
        println!("{split}: worst tensor {worst:.1e}, bar {bar:.1e}");
        assert!(worst <= bar, "{split}: {worst:.1e}; allowed: {bar:.1e}");
    }
}

#[test]
fn noise_of_our_own_is_drawn_from_the_seed() {
    let Some(golden) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    let examples = listing(&golden, folder.path(), "query");
    let lora = golden.join("lora");
    let made = |name: &str, more: &[&str]| {
        let out = folder.path().join(name).with_extension("safetensors");
        let base = ["--timesteps", "25,725"];
        run(&golden, &lora, &examples, &out, &[&base[..], more].concat())
            .assert()
            .success();
        let companion = fs::read_to_string(out.with_extension("json")).unwrap();
        let companion: Value = serde_json::from_str(&companion).unwrap();
        assert_eq!(companion["losses"].as_array().unwrap().len(), 2);
        read(&out)
    };
    let whole = made("whole", &[]);
    let mean = made("mean", &["--views", "mean"]);
    for (name, (shape, values)) in &whole {
        let (half, averaged) = &mean[name];
        assert_eq!(shape[1], 2 * half[1]);
        let scale = norm(values.iter().copied()) / (values.len() as f64).sqrt();
        for (row, own) in values.chunks(shape[1]).zip(averaged.chunks(half[1])) {
            for (at, value) in own.iter().enumerate() {
                let expected = (row[at] + row[at + half[1]]) / 2.0;
                assert!(
                    (value - expected).abs() < 1e-4 * scale,
                    "{name}: {value} {expected}"
                );
            }
        }
    }
    assert_eq!(whole, made("again", &[]));
    assert_ne!(whole, made("seed", &["--seed", "1"]));
    assert_ne!(whole, made("posterior", &["--posterior", "mean"]));
    assert_ne!(whole, made("draws", &["--draws", "2"]));
    // squares of 16 pixels: latents of 4 x 4
    assert_ne!(
        whole,
        made("square", &["--resolution", "16", "--fit", "stretch"])
    );
}

#[test]
fn what_is_wrong_with_images_is_named_and_nothing_is_written() {
    let Some(golden) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("g.safetensors");
    let good = listing(&golden, folder.path(), "query");
    let lora = golden.join("lora");
    let fails = |mut command: Command, expected: &[&str]| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // what wraps over lines carries a mark
        let text = text.replace(" │ ", " ");
        for part in expected {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!out.exists() && !out.with_extension("json").exists());
    };
    let list = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let image = golden.join("images/0.png").display().to_string();
    let icon = list("broken.png", "\u{89}PNG");
    let with = |name: &str, text: &str| run(&golden, &lora, &list(name, text), &out, &[]);
    let line = |image: &str| json!({"image": image, "text": "a"}).to_string();
    fails(
        with(
            "caption.jsonl",
            &format!("{}\n{}", line(&image), json!({"image": image})),
        ),
        &[
            "caption.jsonl:2:",
            "the field `text` is missing; found: image",
        ],
    );
    fails(
        with("image.jsonl", &json!({"text": "a"}).to_string()),
        &["image.jsonl:1:", "names no image"],
    );
    fails(
        with(
            "number.jsonl",
            &json!({"image": 3, "text": "a"}).to_string(),
        ),
        &["number.jsonl:1:", "`image` is 3"],
    );
    fails(
        with("none.jsonl", &line("none.png")),
        &["none.jsonl:1:", "none.png"],
    );
    fails(
        with("broken.jsonl", &line(&icon.display().to_string())),
        &["broken.jsonl:1:", "broken.png"],
    );
    fails(
        with("array.jsonl", "[{}]"),
        &["array.jsonl:1:", "JSON array"],
    );
    fails(with("empty.jsonl", "\n"), &["empty.jsonl has no examples"]);
    let small = folder.path().join("small.png");
    image::RgbImage::new(16, 16).save(&small).unwrap();
    let sizes = format!("{}\n{}", line(&image), line(&small.display().to_string()));
    fails(
        with("sizes.jsonl", &sizes),
        &["sizes.jsonl:2:", "16 x 16", "--resolution"],
    );
    let noise = noise(&golden, folder.path(), 0, 6);
    let noise = noise.to_str().unwrap();
    fails(
        run(&golden, &lora, &good, &out, &["--noise", noise]),
        &["`latents`", "[6, 6, 4, 12, 16]", "[2, 6, 4, height, width]"],
    );
    fails(
        run(&golden, &lora, &good, &out, &["--timesteps", "1000"]),
        &["`timesteps` holds 1000", "0 to 999"],
    );
    fails(
        run(&golden, &lora, &good, &out, &["--draws", "0"]),
        &["`draws` is 0"],
    );
    fails(
        run(
            &golden,
            &folder.path().join("no.safetensors"),
            &good,
            &out,
            &[],
        ),
        &["no.safetensors"],
    );
    let mut none = gradients(&[]);
    none.arg("--model")
        .arg(golden.join("pipeline"))
        .arg("--examples")
        .arg(&good)
        .arg("--out")
        .arg(&out);
    fails(none, &["needs --adapter"]);
    fails(
        run(&golden.join("lora"), &lora, &good, &out, &[]),
        &["there is no folder", "unet"],
    );
}
