//! A tiny pipeline trained from a few drawn images: losses fall, a run that was ended gives the same files, and the folder
//! opens as any other pipeline.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use infbench::config::pretraining::parse;
use infbench::data::Picture;
use infbench::device::DeviceChoice;
use infbench::generation::images::{ImageRequest, images};
use infbench::models::diffusion::Sampling;
use infbench::pretraining::{Outcome, PipelineSettings, PretrainingRecord, pretrain};
use infbench::progress::Progress;
use infbench::tasks::text::CaptionEncoder;

/// Squares and stripes of a few colours, with captions.
fn draw(folder: &Path) -> PathBuf {
    let colours = [
        ("red", [220, 30, 30]),
        ("green", [30, 180, 60]),
        ("blue", [30, 60, 220]),
    ];
    let mut lines = String::new();
    for (index, (shape, side)) in ["square", "bar"].iter().zip([6, 3]).enumerate() {
        for (name, colour) in colours {
            for place in 0..4 {
                let mut rgb = vec![255; 3 * 16 * 16];
                for y in 2 + place..2 + place + side {
                    for x in 3..13 - 2 * index {
                        rgb[3 * (16 * y + x)..][..3].copy_from_slice(&colour);
                    }
                }
                let picture = Picture {
                    width: 16,
                    height: 16,
                    rgb,
                };
                let file = format!("{shape}-{name}-{place}.png");
                fs::write(folder.join(&file), picture.png()).unwrap();
                lines +=
                    &format!("{{\"file_name\": \"{file}\", \"text\": \"a {name} {shape}\"}}\n");
            }
        }
    }
    let list = folder.join("metadata.jsonl");
    fs::write(&list, lines).unwrap();
    list
}

fn settings(list: &Path) -> PipelineSettings {
    parse("tiny.yaml", &text(list)).unwrap().pipeline
}

fn text(list: &Path) -> String {
    format!(
        "name: tiny\npipeline:
  images: {{path: {}, resolution: 16, held_out: 4}}
  autoencoder:
    channels: [4, 8]
    groups: 2
    training: {{steps: 60, batch_size: 12, lr: 1e-2, warmup: 5}}
  text_encoder: {{vocabulary: 520, length: 8, hidden: 8, ffn: 16, layers: 1, heads: 2}}
  unet:
    channels: [8, 8]
    groups: 4
    heads: 2
    training: {{steps: 60, batch_size: 20, lr: 1e-2, warmup: 5, ema: 0.9}}
  samples: {{sampling: {{steps: 3, guidance: 2}}}}
",
        list.display()
    )
}

fn train(settings: &PipelineSettings, out: &Path, stop: Option<usize>) -> Outcome {
    pretrain(settings, out, DeviceChoice::Flex, stop, &Progress::quiet()).unwrap()
}

/// All files of a folder but the record, whose times differ.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("pretraining.json") {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_pipeline_is_trained_and_a_run_that_was_ended_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&draw(folder.path()));
    let (whole, ended) = (folder.path().join("whole"), folder.path().join("ended"));
    let Outcome::Finished(record) = train(&settings, &whole, None) else {
        panic!("nothing stopped it");
    };
    let PretrainingRecord {
        autoencoder,
        denoiser,
        psnr,
        held_out_losses,
        ..
    } = &*record;
    for stage in [autoencoder, denoiser] {
        let [first, last] = [&stage.losses[..10], &stage.losses[50..]];
        let [first, last] = [first, last].map(|part| part.iter().sum::<f64>() / 10.0);
        assert!(last < 0.7 * first, "{first} → {last}");
    }
    // a white image has about 11 dB
    assert!(*psnr > 13.0, "{psnr}");
    assert_eq!(held_out_losses.len(), 6);
    assert!(held_out_losses.iter().all(|loss| (0.0..2.0).contains(loss)));

    // ended in the first stage, in the second, and then let go on to the end
    assert_eq!(train(&settings, &ended, Some(25)), Outcome::Stopped);
    assert!(!ended.exists());
    assert_eq!(train(&settings, &ended, Some(40)), Outcome::Stopped);
    assert!(matches!(
        train(&settings, &ended, None),
        Outcome::Finished(_)
    ));
    let [one, other] = [&whole, &ended].map(|folder| files(folder));
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &one {
        assert!(other[name] == *bytes, "{}", name.display());
    }
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().path().is_dir() })
            .count(),
        2
    );

    // what is there is left as it is, and other settings are not put over it
    let Outcome::AlreadyThere(found) = train(&settings, &whole, None) else {
        panic!("it is there");
    };
    assert_eq!(found.key, record.key);
    let other = PipelineSettings {
        seed: 1,
        ..settings.clone()
    };
    let refused = pretrain(&other, &whole, DeviceChoice::Flex, None, &Progress::quiet());
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("a pipeline of other settings"),
        "{message}"
    );

    // it opens as any other pipeline
    let tokenizer = CaptionEncoder::open(&whole).unwrap();
    let ids = tokenizer.encode(&["a red square", ""]).unwrap().ids;
    assert_eq!(
        (ids[0].len(), ids[0][1..4].iter().max() < Some(&518)),
        (8, true)
    );
    let request = ImageRequest {
        model: whole,
        adapter: None,
        prompts: vec!["a blue bar".to_owned()],
        images: 2,
        size: [None, Some(24)],
        sampling: Sampling {
            steps: 2,
            guidance: 2.0,
        },
        seed: 0,
        latents: None,
        device: DeviceChoice::Flex,
    };
    let found = images(&request).unwrap();
    let sizes = found[0]
        .images
        .iter()
        .map(|image| [image.width, image.height]);
    assert_eq!(sizes.collect::<Vec<_>>(), [[16, 24]; 2]);
}

#[test]
fn a_run_trains_the_pipeline_that_is_not_there_and_refuses_one_of_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    let list = draw(&images);
    fs::write(folder.path().join("tiny.yaml"), text(&list)).unwrap();
    fs::write(
        folder.path().join("t.yaml"),
        "name: t
task: {name: images, path: images, train: 6, query: 2, timesteps: [500]}
model: {path: pipeline, pretrain: tiny.yaml}
train: {epochs: 1}
influence: {methods: [hessian_free]}
outputs: {report: false}
",
    )
    .unwrap();
    let command = |words: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("infbench").unwrap();
        command.current_dir(folder.path()).args(words);
        command
    };
    let pipeline = folder.path().join("pipeline");
    let said = command(&["plan", "t.yaml"]).assert().success();
    let said = String::from_utf8_lossy(&said.get_output().stdout).into_owned();
    assert!(said.contains("`infbench run` trains it first"), "{said}");
    assert!(!pipeline.exists());
    command(&["run", "t.yaml", "--out", "out"])
        .assert()
        .success();
    let record = fs::read(pipeline.join("pretraining.json")).unwrap();
    command(&["run", "t.yaml", "--out", "again"])
        .assert()
        .success();
    assert_eq!(fs::read(pipeline.join("pretraining.json")).unwrap(), record);
    // where it lies decides the results, not how it came about
    let ids = |out: &str| -> Vec<PathBuf> {
        files(&folder.path().join(out).join("cells"))
            .into_keys()
            .collect()
    };
    assert_eq!(ids("out"), ids("again"));
    fs::write(
        folder.path().join("tiny.yaml"),
        text(&list).replace("lr: 1e-2", "lr: 2e-2"),
    )
    .unwrap();
    let said = command(&["run", "t.yaml", "--out", "other"])
        .assert()
        .code(2);
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("trained by other settings"), "{said}");
    assert!(!folder.path().join("other").exists());
}

#[test]
fn settings_have_a_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pretrain.schema.json");
    let schema = format!("{:#}\n", infbench::config::pretraining::schema());
    if std::env::var_os("INFBENCH_WRITE_FIXTURES").is_some() {
        fs::write(path, &schema).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap();
    assert_eq!(
        committed, schema,
        "infbench schema pretrain > docs/pretrain.schema.json"
    );
}

#[test]
fn wrong_settings_are_named_with_their_line() {
    let refused = |change: [&str; 2], expected: &str| {
        let text = "name: x\npipeline:\n  images: {path: a.jsonl, resolution: 32}\n  autoencoder: {channels: [8, 8], groups: 8}\n  unet: {channels: [8, 8], attends: [true, false], groups: 8, heads: 4}\n";
        assert!(text.contains(change[0]));
        let text = text.replacen(change[0], change[1], 1);
        let error = parse("x.yaml", &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        ["resolution: 32", "resolution: 33"],
        "33 is not divisible by 2",
    );
    refused(["groups: 8}", "groups: 3}"], "3 does not divide 8");
    refused(["[true, false]", "[true]"], "1 values for 2 levels");
    refused(["heads: 4", "heads: 3"], "3 does not divide 8");
    refused(
        ["heads: 4", "head: 4"],
        "unknown field `head`; allowed: channels",
    );
    refused(["channels: [8, 8]", "channels: []"], "channels");
    let missing = PathBuf::from("nowhere/metadata.jsonl");
    let settings = settings(&missing);
    let error = pretrain(
        &settings,
        Path::new("nowhere/x"),
        DeviceChoice::Flex,
        None,
        &Progress::quiet(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("nowhere/metadata.jsonl")
    );
}
