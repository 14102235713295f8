//! A store is the same numbers wherever it lives, and says what is wrong with a bad file.

use std::collections::HashMap;

use safetensors::tensor::TensorView;

use super::*;
use crate::gradients::settings::GradientType;

fn tensors() -> Vec<TensorInfo> {
    vec![
        TensorInfo::new("layer.10.lora_A", [2, 3]),
        TensorInfo::new("layer.2.lora_A", [5]),
    ]
}

fn values(rows: usize, dim: usize, salt: f32) -> Vec<f32> {
    (0..rows * dim).map(|i| (i as f32 + salt).sin()).collect()
}

fn sample(target: Target) -> GradientStore {
    let mut writer = StoreWriter::new(tensors(), 4, target).unwrap();
    let (a, b) = (values(4, 6, 0.0), values(4, 5, 1.0));
    writer.write_rows(1, 0, &b).unwrap();
    writer.write_rows(0, 2, &a[12..]).unwrap();
    writer.write_rows(0, 0, &a[..12]).unwrap();
    writer.finish().unwrap()
}

fn write_file(path: &Path, entries: &[(&str, safetensors::Dtype, Vec<usize>, Vec<u8>)]) {
    let views: HashMap<_, _> = entries
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            (
                *name,
                TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
            )
        })
        .collect();
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn mapped_and_memory_hold_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    let memory = sample(Target::Memory);
    let mapped = sample(Target::Mapped(path.clone()));
    assert_eq!((memory.storage(), mapped.storage()), ("memory", "mapped"));
    assert_eq!(memory.bytes(), 4 * 11 * 4);
    assert_eq!(mapped.bytes(), memory.bytes());
    // natural order in the file, given order in memory
    assert_eq!(mapped.tensors()[0].name, "layer.2.lora_A");
    let place = memory.matching(&mapped).unwrap();
    assert_eq!(place, [1, 0]);
    for (t, &p) in place.iter().enumerate() {
        assert_eq!(memory.tensors()[t], mapped.tensors()[p]);
        let view = mapped.tensor_rows(p, 1..4);
        assert!(
            matches!(view, Cow::Borrowed(_)),
            "aligned f32 is not copied"
        );
        assert_eq!(memory.tensor_rows(t, 1..4), view);
    }
    // a second copy under another name, byte for byte
    let copy = folder.path().join("copy.safetensors");
    mapped.save(&copy).unwrap();
    let copied = GradientStore::open(&copy).unwrap();
    assert_eq!(copied.tensor_rows(0, 0..4), mapped.tensor_rows(0, 0..4));
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "no temporary file stays: {names:?}");
}

#[test]
fn narrow_types_round_to_the_nearest_and_take_half_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let exact = sample(Target::Memory);
    // half a unit in the last place, relative to a number's power of two
    for (dtype, rounding) in [
        (GradientType::F16, 2f32.powi(-11)),
        (GradientType::Bf16, 2f32.powi(-8)),
    ] {
        let file = folder.path().join(format!("{dtype:?}.safetensors"));
        let memory = sample(Target::new(None, dtype));
        let mapped = sample(Target::new(Some(file), dtype));
        assert_eq!((memory.storage(), mapped.storage()), ("memory", "mapped"));
        assert_eq!([memory.bytes(), mapped.bytes()], [exact.bytes() / 2; 2]);
        assert!(memory.as_f32(0).is_none());
        let mut worst = 0.0f32;
        for (t, p) in exact.matching(&mapped).unwrap().into_iter().enumerate() {
            let narrow = memory.tensor_rows(t, 0..4);
            assert_eq!(narrow, mapped.tensor_rows(p, 0..4));
            for (narrow, exact) in narrow.iter().zip(exact.tensor_rows(t, 0..4).iter()) {
                let error = (narrow - exact).abs();
                assert!(error <= rounding * exact.abs(), "{narrow} for {exact}");
                worst = worst.max(error / exact.abs());
            }
        }
        assert!(worst > 0.1 * rounding, "{dtype:?} rounds: {worst}");
        // a copy is of the same type and loses nothing more
        let copy = folder.path().join("copy.safetensors");
        mapped.save(&copy).unwrap();
        let copied = GradientStore::open(&copy).unwrap();
        assert_eq!(copied.bytes(), mapped.bytes());
        assert_eq!(copied.tensor_rows(0, 0..4), mapped.tensor_rows(0, 0..4));
        // one in this type is what would have been written in it
        let rounded = exact.copy(Target::new(None, dtype)).unwrap();
        assert_eq!(rounded.tensor_rows(1, 0..4), memory.tensor_rows(1, 0..4));
    }
}

#[test]
fn an_unfinished_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    let mut writer = StoreWriter::new(tensors(), 4, Target::Mapped(path)).unwrap();
    writer.write_rows(1, 0, &values(3, 5, 0.0)).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Incomplete {
                found: 0,
                expected: 4,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn every_float_type_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    // exactly representable in all four types
    let numbers: Vec<f32> = (0..12).map(|i| (i as f32 - 5.0) * 0.25).collect();
    let bytes =
        |one: &dyn Fn(f32) -> Vec<u8>| numbers.iter().flat_map(|&v| one(v)).collect::<Vec<u8>>();
    let shape = vec![3, 2, 2];
    write_file(
        &path,
        &[
            (
                "a",
                safetensors::Dtype::F16,
                shape.clone(),
                bytes(&|v| half::f16::from_f32(v).to_le_bytes().to_vec()),
            ),
            (
                "b",
                safetensors::Dtype::BF16,
                shape.clone(),
                bytes(&|v| half::bf16::from_f32(v).to_le_bytes().to_vec()),
            ),
            (
                "c",
                safetensors::Dtype::F32,
                shape.clone(),
                bytes(&|v| v.to_le_bytes().to_vec()),
            ),
            (
                "d",
                safetensors::Dtype::F64,
                shape.clone(),
                bytes(&|v| f64::from(v).to_le_bytes().to_vec()),
            ),
        ],
    );
    let store = GradientStore::open(&path).unwrap();
    for t in 0..4 {
        assert_eq!(store.tensors()[t].shape, [2, 2]);
        assert_eq!(&*store.tensor_rows(t, 1..3), &numbers[4..]);
        let mut panel = [0.0f64; 4];
        store.read_panel(t, 1..3, 1..3, &mut panel);
        assert_eq!(panel, [5, 6, 9, 10].map(|i| f64::from(numbers[i])));
    }
    assert_eq!(store.bytes(), 12 * (2 + 2 + 4 + 8));
}

#[test]
fn an_unaligned_file_is_read_by_copying() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    let mut header = br#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#.to_vec();
    header.resize(header.len().next_multiple_of(4) + 1, b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(&path, bytes).unwrap();
    let store = GradientStore::open(&path).unwrap();
    assert!(store.as_f32(0).is_none());
    assert_eq!(&*store.tensor_rows(0, 0..2), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    let open = || GradientStore::open(&path).unwrap_err();
    assert!(matches!(open(), StoreError::Io { action: "open", .. }));

    for bytes in [
        &b"name,score\n1,2\n"[..],
        b"",
        b"PK\x03\x04\x14\0\0\0\x08\0",
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(open(), StoreError::Input(_)), "{}", open());
    }
    std::fs::write(&path, [0; 16]).unwrap();
    assert!(
        matches!(open(), StoreError::NotSafetensors { .. }),
        "{}",
        open()
    );

    drop(sample(Target::Mapped(path.clone())));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    match open() {
        StoreError::Truncated {
            expected, found, ..
        } => {
            assert_eq!(
                (expected, found),
                (whole.len() as u64, whole.len() as u64 - 5)
            );
        }
        other => panic!("{other}"),
    }
    std::fs::write(&path, &whole[..40]).unwrap();
    assert!(
        matches!(open(), StoreError::Truncated { found: 40, .. }),
        "{}",
        open()
    );

    write_file(
        &path,
        &[("a", safetensors::Dtype::I32, vec![2, 1], vec![0; 8])],
    );
    assert!(open().to_string().contains("I32"), "{}", open());
    write_file(
        &path,
        &[
            ("a", safetensors::Dtype::F32, vec![2, 1], vec![0; 8]),
            ("b", safetensors::Dtype::F32, vec![3, 1], vec![0; 12]),
        ],
    );
    assert!(
        matches!(
            open(),
            StoreError::RowCount {
                expected: 2,
                found: 3,
                ..
            }
        ),
        "{}",
        open()
    );
    write_file(&path, &[("a", safetensors::Dtype::F32, vec![0, 4], vec![])]);
    assert!(matches!(open(), StoreError::Shape { .. }), "{}", open());
}

#[test]
fn stores_that_do_not_match_are_told_apart() {
    let store = |name: &str, dim: usize| {
        GradientStore::from_memory(1, vec![(TensorInfo::new(name, [dim]), vec![1.0; dim])]).unwrap()
    };
    assert!(matches!(
        store("a", 2).matching(&store("a", 3)),
        Err(StoreError::Dim {
            expected: 2,
            found: 3,
            ..
        })
    ));
    assert!(matches!(
        store("a", 2).matching(&store("b", 2)),
        Err(StoreError::MissingTensor { .. })
    ));
    let two = GradientStore::from_memory(
        1,
        vec![
            (TensorInfo::new("a", [1]), vec![1.0]),
            (TensorInfo::new("b", [1]), vec![1.0]),
        ],
    )
    .unwrap();
    assert!(
        matches!(store("a", 1).matching(&two), Err(StoreError::MissingTensor { tensor, .. }) if tensor == "b")
    );
    assert!(matches!(
        GradientStore::from_memory(2, vec![(TensorInfo::new("a", [2]), vec![0.0; 3])]),
        Err(StoreError::Length {
            expected: 4,
            found: 3,
            ..
        })
    ));
}

#[test]
fn the_first_number_that_is_none_is_found() {
    let mut data = vec![1.0f32; 12];
    data[7] = f32::NAN;
    let store = GradientStore::from_memory(4, vec![(TensorInfo::new("a", [3]), data)]).unwrap();
    let error = store.non_finite(0, 0..4).unwrap();
    assert!(
        matches!(
            error,
            StoreError::NotFinite {
                row: 2,
                column: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(store.non_finite(0, 0..2).is_none());
}
