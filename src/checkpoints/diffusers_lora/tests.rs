use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView};

use super::names::{METADATA, Part, UNET, parse};
use super::*;

fn adapters(scale: f64) -> LoraFile {
    let one = |rank: usize, inputs: usize, outputs: usize, scale: f64| LoraMatrices {
        rank,
        inputs,
        outputs,
        scale,
        a: (0..rank * inputs).map(|v| v as f32 / 7.0).collect(),
        b: (0..outputs * rank).map(|v| v as f32 / -3.0).collect(),
    };
    LoraFile::from([
        ("mid_block.attn1.to_q".to_owned(), one(2, 3, 4, scale)),
        ("mid_block.attn1.to_out.0".to_owned(), one(2, 3, 3, scale)),
        (
            "up_blocks.1.attn2.to_k".to_owned(),
            one(1, 5, 3, 3.0 * scale),
        ),
    ])
}

#[test]
fn every_layout_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(LORA_FILE);
    let mut plain = adapters(1.0);
    plain.values_mut().for_each(|adapter| adapter.scale = 1.0);
    for layout in Layout::ALL {
        write(&path, &plain, layout).unwrap();
        assert_eq!(read(folder.path()).unwrap(), plain, "{layout:?}");
    }
    let scaled = adapters(0.25);
    write(&path, &scaled, Layout::Peft).unwrap();
    assert_eq!(read(&path).unwrap(), scaled);
    for layout in [Layout::DownUp, Layout::Processors] {
        let error = write(&path, &scaled, layout).unwrap_err().to_string();
        assert!(error.contains("has scale 0.25"), "{error}");
    }
}

#[test]
fn names_of_all_layouts_are_known() {
    let out = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0";
    for layout in Layout::ALL {
        for (b, part) in [(false, Part::A), (true, Part::B)] {
            let name = layout.name(out, b);
            assert_eq!(parse(&name), Some((out.to_owned(), part)), "{name}");
            assert_eq!(parse(&name[UNET.len()..]), Some((out.to_owned(), part)));
        }
    }
    assert_eq!(
        Layout::Processors.name(out, true),
        "unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora.up.weight"
    );
    let alpha = |name: &str| assert_eq!(parse(name), Some(("a.to_q".to_owned(), Part::Alpha)));
    alpha("unet.a.to_q.alpha");
    alpha("a.processor.to_q_lora.alpha");
    assert_eq!(parse("unet.a.to_q.weight"), None);
}

/// What is read of a file with the given tensors of zeros.
fn with(tensors: &[(&str, &[usize])], metadata: Option<&str>) -> Result<LoraFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.safetensors");
    let zeros = [0u8; 4096];
    let view = |shape: &[usize]| {
        let bytes = 4 * shape.iter().product::<usize>();
        TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap()
    };
    let views = tensors.iter().map(|(name, shape)| (*name, view(shape)));
    let metadata = metadata.map(|text| HashMap::from([(METADATA.to_owned(), text.to_owned())]));
    std::fs::write(&path, safetensors::serialize(views, metadata).unwrap()).unwrap();
    read(&path).map_err(|error| {
        let text = error.to_string();
        text.replace(&path.display().to_string(), "F")
    })
}

#[test]
fn what_is_no_adapter_of_a_unet_is_refused_by_name() {
    let pair = [
        ("unet.m.to_q.lora_A.weight", &[2, 3][..]),
        ("unet.m.to_q.lora_B.weight", &[4, 2]),
    ];
    let and = |name: &'static str, shape: &'static [usize]| {
        let error = with(&[&pair[..], &[(name, shape)]].concat(), None).unwrap_err();
        assert!(
            error.starts_with("F: ") && error.chars().count() < 300,
            "{error}"
        );
        error
    };
    for (name, shape, expected) in [
        (
            "text_encoder.x.lora_A.weight",
            &[2, 3][..],
            "of the text encoder",
        ),
        (
            "unet.m.to_q.lora_magnitude_vector",
            &[4],
            "is no part of an adapter",
        ),
        (
            "unet.conv.lora_A.weight",
            &[2, 3, 3, 3],
            "[2, 3, 3, 3]; adapters of convolutions",
        ),
        (
            "unet.m.to_k.lora_A.weight",
            &[2, 3],
            "`m.to_k` has one of the two factors",
        ),
        (
            "unet.m.to_k.alpha",
            &[1],
            "`m.to_k` has one of the two factors",
        ),
        ("unet.m.to_q.alpha", &[2], "a single number is expected"),
        (
            "unet.m.to_q.lora.down.weight",
            &[2, 3],
            "another name has given already",
        ),
    ] {
        let error = and(name, shape);
        assert!(error.contains(expected), "{error}");
    }
    let ranks = [
        ("m.to_q.lora_A.weight", &[2, 3][..]),
        ("m.to_q.lora_B.weight", &[4, 1]),
    ];
    let error = with(&ranks, None).unwrap_err();
    assert!(
        error.contains("`m.to_q` has rank 2, its other factor 1"),
        "{error}"
    );
    assert_eq!(with(&[], None).unwrap_err(), "F holds no LoRA weights");
}

#[test]
fn scales_come_from_alpha_or_the_metadata() {
    let pair = [
        ("unet.m.to_q.lora_A.weight", &[4, 3][..]),
        ("unet.m.to_q.lora_B.weight", &[4, 4]),
    ];
    let scale = |metadata: &str| with(&pair, Some(metadata)).map(|file| file["m.to_q"].scale);
    assert_eq!(scale(r#"{"unet.r": 4, "unet.lora_alpha": 6}"#), Ok(1.5));
    assert_eq!(
        scale(r#"{"unet.r": 4, "unet.lora_alpha": 6, "unet.use_rslora": true}"#),
        Ok(3.0)
    );
    let patterns = r#"{"unet.r": 8, "unet.lora_alpha": 6, "unet.rank_pattern": {"to_q": 4}, "unet.alpha_pattern": {"to_q": 2}}"#;
    assert_eq!(scale(patterns), Ok(0.5));
    let error = scale(r#"{"unet.use_dora": true}"#).unwrap_err();
    assert!(
        error.contains("`unet.use_dora`") && error.contains("allowed: false"),
        "{error}"
    );
    assert_eq!(scale(r#"{"text_encoder.lora_alpha": 6}"#), Ok(1.0));
    assert!(scale("{").unwrap_err().contains("ends too early"));
    // α in a tensor of zeros goes before
    let with_alpha = [&pair[..], &[("unet.m.to_q.alpha", &[][..])]].concat();
    assert_eq!(
        with(&with_alpha, Some(patterns)).unwrap()["m.to_q"].scale,
        0.0
    );
}
