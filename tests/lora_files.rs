//! LoRA files of diffusers: one adapter under the names of three generations.

use std::path::{Path, PathBuf};

use infbench::checkpoints::diffusers_lora::{Layout, read, write};

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
