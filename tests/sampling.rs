//! Images of diffusion pipelines against what diffusers' `StableDiffusionPipeline` paints from the same noise.
//!
//! `tests/fixtures/sampling` is made by `scripts/parity/sampling.py`; the pipelines are in `$INFBENCH_SHARED` or a `shared`
//! folder above this one, and cases without theirs are left out, saying so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use infbench::device::DeviceChoice;
use infbench::generation::images::{ImageError, ImageRequest, PromptImages, images, write_table};
use infbench::models::diffusion::Sampling;
use infbench::models::files::load;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    pipeline: PathBuf,
    adapter: Option<PathBuf>,
    width: usize,
    height: usize,
    prompts: Vec<String>,
    steps: usize,
    guidance: f64,
    /// Relative distance of PyTorch's float32 from float64.
    tolerance: f64,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sampling")
}

fn cases() -> BTreeMap<String, Case> {
    let text = std::fs::read_to_string(fixtures().join("cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// `name` under `$INFBENCH_SHARED` or a `shared/` folder above this crate.
fn shared(name: &Path) -> Option<PathBuf> {
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut all = given
        .into_iter()
        .chain(above.map(|folder| folder.join("shared")));
    let found = all.find_map(|folder| Some(folder.join(name)).filter(|path| path.exists()));
    if found.is_none() {
        eprintln!("left out: there is no shared/{}", name.display());
    }
    found
}

/// The request of a case, when its pipeline is there.
fn request(name: &str, case: &Case) -> Option<ImageRequest> {
    let adapter = case.adapter.as_deref().map(shared);
    Some(ImageRequest {
        model: shared(&case.pipeline)?,
        adapter: match adapter {
            None => None,
            Some(path) => Some(path?),
        },
        prompts: case.prompts.clone(),
        images: 1,
        size: [Some(case.width), Some(case.height)],
        sampling: Sampling {
            steps: case.steps,
            guidance: case.guidance,
        },
        seed: 0,
        latents: Some(fixtures().join(name).with_extension("safetensors")),
        device: DeviceChoice::Flex,
    })
}

#[test]
fn images_are_those_of_diffusers() {
    let cases = cases();
    assert_eq!(cases.len(), 3);
    for (name, case) in &cases {
        let Some(request) = request(name, case) else {
            continue;
        };
        let path = request.latents.clone().unwrap();
        let file = load(&path).unwrap();
        let expected: Vec<f64> = file["images"].values.iter().map(|&v| v.into()).collect();
        let levels = &file["levels"].values;
        let found = images(&request).unwrap();
        assert_eq!(found.len(), case.prompts.len());
        // five times PyTorch's own error in float32, in levels of 0 to 255; a single value may be ten times as far off as
        // the root mean square
        let square = expected.iter().map(|v| v * v).sum::<f64>() / expected.len() as f64;
        let error = 10.0 * 5.0 * case.tolerance * square.sqrt() * 127.5;
        assert!(error < 0.1, "{name}: {error}");
        let area = case.width * case.height;
        let (mut worst, mut other) = (0.0_f64, 0);
        for (index, PromptImages { prompt, images }) in found.iter().enumerate() {
            assert_eq!((prompt, images.len()), (&case.prompts[index], 1));
            let picture = &images[0];
            assert_eq!([picture.width, picture.height], [case.width, case.height]);
            let own = index * 3 * area..(index + 1) * 3 * area;
            for (at, &level) in picture.rgb.iter().enumerate() {
                let (pixel, channel) = (at / 3, at % 3);
                let exact = expected[own.start + channel * area + pixel];
                let exact = (exact / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0;
                worst = worst.max((f64::from(level) - exact).abs());
            }
            let theirs = picture.rgb.iter().zip(&levels[own]);
            other += theirs.filter(|(a, b)| f32::from(**a) != **b).count();
        }
        eprintln!("{name}: {worst:.4} of a level, {other} levels unlike diffusers'");
        assert!(
            worst <= 0.5 + error,
            "{name}: {worst}; allowed: .5 + {error:.1e}"
        );
        // only where the exact value lies within the error of the border between two levels
        assert!(
            other as f64 <= (3.0 + 4.0 * error * levels.len() as f64),
            "{name}: {other}"
        );
    }
}

#[test]
fn noise_belongs_to_prompt_and_image() {
    let cases = cases();
    let Some(request) = request("tiny", &cases["tiny"]) else {
        return;
    };
    let of = |prompts: &[&str], images_each: usize, seed: u64| {
        let request = ImageRequest {
            prompts: prompts.iter().map(|&prompt| prompt.to_owned()).collect(),
            images: images_each,
            latents: None,
            seed,
            size: [None; 2],
            sampling: Sampling {
                steps: 2,
                guidance: 2.0,
            },
            ..request.clone()
        };
        images(&request).unwrap()
    };
    let two = of(&["a red square", "a dog"], 2, 7);
    assert_eq!(of(&["a red square", "a dog"], 2, 7), two);
    assert_eq!(of(&["a red square"], 1, 7)[0].images[0], two[0].images[0]);
    assert_ne!(two[0].images[0], two[0].images[1]);
    assert_ne!(of(&["a red square"], 1, 8)[0].images[0], two[0].images[0]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/table.png");
    let beside = write_table(&path, &request, &two, Some(1)).unwrap();
    let [side, _] = [two[0].images[0].width, two[0].images[0].height];
    let table = image::open(&path).unwrap();
    assert_eq!(table.width() as usize, 2 * (side + 4) + 4);
    let about = std::fs::read_to_string(beside).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["prompts"][2], case_prompt(&cases, 2));
}

fn case_prompt(cases: &BTreeMap<String, Case>, at: usize) -> &str {
    &cases["tiny"].prompts[at]
}

#[test]
fn wrong_requests_say_what_is_allowed() {
    let cases = cases();
    let Some(request) = request("tiny", &cases["tiny"]) else {
        return;
    };
    let refused = |change: &dyn Fn(&mut ImageRequest), expected: &str| {
        let mut request = request.clone();
        change(&mut request);
        let error: ImageError = images(&request).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
    };
    refused(
        &|r| r.sampling.steps = 0,
        "0 sampling steps; allowed: 1 to 1000",
    );
    refused(&|r| r.sampling.steps = 1001, "1001 sampling steps");
    refused(
        &|r| r.size[0] = Some(33),
        "33 x 24 pixels; allowed: multiples of",
    );
    refused(&|r| r.size[1] = Some(0), "32 x 0 pixels");
    refused(
        &|r| r.prompts.truncate(2),
        "`latents` has shape [3, 4, 6, 8]; expected [2, 4, 6, 8]",
    );
    let lora = shared(Path::new(
        "golden/sd_tiny/lora/pytorch_lora_weights.safetensors",
    ));
    refused(&|r| r.latents = lora.clone(), "has no tensor `latents`");
    refused(
        &|r| r.model = "nowhere".into(),
        "there is no folder nowhere",
    );
}

#[test]
fn options_belong_to_one_kind_of_model() {
    let pipeline = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/diffusion/pipeline"
    );
    let language = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/llama/mha/model"
    );
    let refused = |model: &str, options: &[&str], expected: &str| {
        assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
            .args(["generate", "--model", model, "--prompt", "a dog"])
            .args(options)
            .assert()
            .code(2)
            .stderr(predicates::str::contains(expected));
    };
    refused(pipeline, &[], "needs --out TABLE.png");
    refused(pipeline, &["--out", "a.jpg"], "ends in .png");
    refused(
        pipeline,
        &["--json"],
        "--json is an option of language models",
    );
    refused(
        pipeline,
        &["--max-new-tokens", "3"],
        "--max-new-tokens is an option",
    );
    refused(pipeline, &["--revision", "main"], "needs --out");
    refused(
        pipeline,
        &["--out", "a.png", "--revision", "main"],
        "--revision is for models on the hub",
    );
    refused(
        pipeline,
        &["--guidance-scale=-1"],
        "allowed: a number from 0 to 100",
    );
    refused(
        language,
        &["--steps", "3"],
        "--steps is an option of diffusion pipelines",
    );
    refused(
        language,
        &["--out", "a.png"],
        "--out is an option of diffusion pipelines",
    );
    // the fixture has no tokenizer
    refused(pipeline, &["--out", "a.png"], "tokenizer");
}
