use std::path::PathBuf;

use safetensors::tensor::TensorView;
use serde_json::json;

use super::*;
use crate::influence::InfluenceError;
use crate::influence::{Blocks, Precision};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/wide")
        .join(name)
}

fn request(folder: &Path, methods: &[&str]) -> ScoreRequest {
    ScoreRequest {
        train: fixture("train.safetensors"),
        query: fixture("query.safetensors"),
        methods: methods.iter().map(|text| text.parse().unwrap()).collect(),
        damping: 0.1,
        mean_query: false,
        precision: Precision::F64,
        blocks: Blocks::PerMatrix,
        seed: 1,
        companions: CompanionFiles::default(),
        per_token: None,
        out: folder.join("scores.safetensors"),
    }
}

#[test]
fn tensors_are_named_by_what_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let labels = [
        "exact",
        "datainf:group_size=7,shuffle=false",
        "lissa:scale=1e-9",
    ];
    for mean_query in [false, true] {
        let request = ScoreRequest {
            mean_query,
            ..request(folder.path(), &labels)
        };
        let summary = score_files(&request).unwrap();
        let rows = if mean_query { 1 } else { 3 };
        assert_eq!(
            (summary.train, summary.queries, summary.blocks.len()),
            (20, rows, 2)
        );
        let bytes = std::fs::read(&request.out).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for label in labels {
            let view = file.tensor(label).unwrap();
            assert_eq!(
                (view.dtype(), view.shape()),
                (safetensors::Dtype::F64, [rows, 20].as_slice())
            );
        }
        assert_eq!(file.len(), labels.len());
        // what diverges is counted and written as it is
        let lissa = summary.methods[2].outcome.as_ref().unwrap();
        assert_eq!(lissa.non_finite, 0);
        assert!(lissa.evidence.not_converged > 0);
    }
    let bytes = std::fs::read(request(folder.path(), &labels).out).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let methods: serde_json::Value = serde_json::from_str(&metadata["methods"]).unwrap();
    assert!(methods["exact"]["evidence"]["residual"].as_f64().unwrap() < 1e-11);
    let lambda: serde_json::Value = serde_json::from_str(&metadata["lambda"]).unwrap();
    assert!(lambda["layer.0.value.lora_A.weight"].as_f64().unwrap() > 0.0);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

/// A file of gradients by token: the rows of two examples in three parts each, exact multiples that add up to 1,
/// tensors in another order.
fn by_token(folder: &Path) -> PathBuf {
    let train = GradientStore::open(&fixture("train.safetensors")).unwrap();
    let (mut tensors, mut listed) = (Vec::new(), Vec::new());
    let shares = [
        (4, 0.25),
        (4, 0.25),
        (4, 0.5),
        (1, -2.0),
        (1, 1.0),
        (1, 2.0),
    ];
    for (position, (example, _)) in shares.iter().enumerate() {
        listed.push(json!({"example": example, "position": position, "token": 7}));
    }
    for (tensor, info) in train.tensors().iter().enumerate().rev() {
        let mut rows = Vec::new();
        for (example, share) in shares {
            let mut row = vec![0.0; info.dim()];
            train.read_row(tensor, example, 0..info.dim(), &mut row);
            rows.extend(row.iter().map(|value| (share * value) as f32));
        }
        tensors.push((info.name.clone(), info.dim(), rows));
    }
    let view = |(name, dim, rows): &(String, usize, Vec<f32>)| {
        let bytes = bytemuck::cast_slice(rows).to_vec();
        let shape = vec![shares.len(), *dim];
        (name.clone(), (safetensors::Dtype::F32, shape, bytes))
    };
    let owned: Vec<_> = tensors.iter().map(view).collect();
    let views = owned.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let path = folder.join("tokens.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    std::fs::write(token_file(&path), json!(listed).to_string()).unwrap();
    path
}

#[test]
fn scores_of_tokens_add_up_to_those_of_their_examples() {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["exact", "datainf", "hessian_free", "grad_cos", "logra"];
    let request = ScoreRequest {
        per_token: Some(by_token(folder.path())),
        ..request(folder.path(), &labels)
    };
    let summary = score_files(&request).unwrap();
    let bytes = std::fs::read(&request.out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (label, method) in labels.iter().zip(&summary.methods) {
        let measured = method.outcome.as_ref().unwrap();
        let name = format!("tokens/{label}");
        if *label == "logra" {
            // projects: it has scores, and none by token
            assert_eq!(measured.token_difference, None);
            assert!(file.tensor(&name).is_err());
            continue;
        }
        assert!(measured.token_difference.unwrap() < 1e-12, "{measured:?}");
        let numbers = |name: &str| -> Vec<f64> {
            let view = file.tensor(name).unwrap();
            let numbers = view.data().as_chunks::<8>().0.iter();
            numbers.map(|number| f64::from_le_bytes(*number)).collect()
        };
        let (scores, tokens) = (numbers(label), numbers(&name));
        assert_eq!((scores.len(), tokens.len()), (3 * 20, 3 * 6));
        let largest = scores
            .iter()
            .fold(0.0f64, |max, score| max.max(score.abs()));
        for (scores, tokens) in scores.chunks(20).zip(tokens.chunks(6)) {
            // the last part of example 1 is the opposite of the first
            assert!((tokens[5] + tokens[3]).abs() < 1e-12 * largest, "{label}");
            assert!(
                (tokens[0] - 0.25 * scores[4]).abs() < 1e-12 * largest,
                "{label}"
            );
        }
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let listed: Vec<ScoredToken> =
        serde_json::from_str(&header.metadata().clone().unwrap()["tokens"]).unwrap();
    assert_eq!((listed.len(), listed[3].example), (6, 1));
}

#[test]
fn a_list_of_tokens_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = by_token(folder.path());
    let error = |listed: serde_json::Value| {
        std::fs::write(token_file(&path), listed.to_string()).unwrap();
        let request = ScoreRequest {
            per_token: Some(path.clone()),
            ..request(folder.path(), &["datainf"])
        };
        let text = score_files(&request).unwrap_err().to_string();
        assert!(!request.out.exists());
        text
    };
    let token = |example: usize| json!({"example": example, "position": 0, "token": 1});
    assert!(error(json!([token(0)])).contains("6 rows of gradients by token, and a list of 1"));
    let beyond = error(json!(vec![token(20); 6]));
    assert!(beyond.contains("example 20; there are 20"), "{beyond}");
    let wrong = error(json!({"tokens": []}));
    assert!(wrong.contains("tokens.json"), "{wrong}");
}

#[test]
fn a_method_that_fails_leaves_the_others_their_scores() {
    let folder = tempfile::tempdir().unwrap();
    let stops = "conjugate_gradient:iterations=1";
    let request = request(folder.path(), &["exact", stops, "datainf"]);
    let summary = score_files(&request).unwrap();
    let failures: Vec<_> = summary.failures().collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, stops);
    assert!(failures[0].1.contains("after 1 iterations"), "{failures:?}");
    let bytes = std::fs::read(&request.out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, ["datainf", "exact"]);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let methods: serde_json::Value = serde_json::from_str(&metadata["methods"]).unwrap();
    assert_eq!(methods[stops]["error"], failures[0].1);

    let alone = ScoreRequest {
        methods: vec![stops.parse().unwrap()],
        out: folder.path().join("none.safetensors"),
        ..request
    };
    let summary = score_files(&alone).unwrap();
    assert!(!summary.is_written() && !alone.out.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn mistakes_are_said_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let good = request(folder.path(), &["datainf"]);
    let error = |request: ScoreRequest| score_files(&request).unwrap_err();
    assert!(matches!(
        error(request(folder.path(), &[])),
        ScoreError::NoMethod
    ));
    let twice = error(request(folder.path(), &["datainf", "exact", "datainf"]));
    assert!(matches!(twice, ScoreError::Duplicate { label } if label == "datainf"));
    let onto = ScoreRequest {
        out: good.train.clone(),
        ..good.clone()
    };
    assert!(matches!(error(onto), ScoreError::Overwrite { .. }));
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tall/query.safetensors");
    let mismatch = error(ScoreRequest {
        query: other,
        ..good.clone()
    });
    assert!(
        matches!(
            mismatch,
            ScoreError::Store(StoreError::Dim { .. } | StoreError::MissingTensor { .. })
        ),
        "{mismatch}"
    );
    let nowhere = ScoreRequest {
        out: folder.path().join("no/such/folder/s.safetensors"),
        ..good.clone()
    };
    assert!(matches!(
        error(nowhere),
        ScoreError::Store(StoreError::Io { .. })
    ));
    let negative = ScoreRequest {
        damping: -1.0,
        ..good
    };
    assert!(matches!(
        error(negative),
        ScoreError::Damping(InfluenceError::Damping { .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
