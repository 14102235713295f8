//! Scores of gradients made elsewhere: safetensors in, safetensors out.
//!
//! In: files of training and query gradients and the methods. Out: one `[m, n]` tensor per method with λ, residuals,
//! seconds and peak bytes as metadata. The methods are those of [`crate::influence`].

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use safetensors::tensor::TensorView;
use serde::Serialize;
use serde_json::json;

mod companions;
mod error;
mod tokens;

pub use companions::{CheckpointFiles, CompanionFiles, SampledFiles};
pub use error::ScoreError;
pub use tokens::{ScoredToken, token_file};

use crate::atomic::AtomicFile;
use crate::gradients::store::{GradientStore, StoreError};
use crate::influence::MethodSpec;
use crate::influence::{BlockLayout, Evidence, Queries, RunOptions, damping, run_method};
use crate::influence::{Blocks, Precision};
use crate::measure::{StageBytes, StageSeconds};

/// What is asked.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// Training gradients: one `[n, ...]` tensor a matrix.
    pub train: PathBuf,
    /// Query gradients: the same names and sizes, `[m, ...]`.
    pub query: PathBuf,
    /// The methods; no label twice.
    pub methods: Vec<MethodSpec>,
    /// c in λ_l = c · tr(F_l)/d_l. The paper: 0.1.
    pub damping: f64,
    /// Score the mean query only: `[1, n]`.
    pub mean_query: bool,
    /// Precision of the approximations' products.
    pub precision: Precision,
    /// What one block is.
    pub blocks: Blocks,
    /// What seeded methods draw from.
    pub seed: u64,
    /// What some methods need besides.
    pub companions: CompanionFiles,
    /// What every target token of some training examples contributes to their gradients: the training gradients' tensors,
    /// a row per token, with a [list of the tokens](token_file) beside it.
    pub per_token: Option<PathBuf>,
    /// Where the scores go.
    pub out: PathBuf,
}

impl ScoreSummary {
    /// The methods that have no scores, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.methods.iter().filter_map(|method| {
            let error = method.outcome.as_ref().err()?;
            Some((method.label.as_str(), error.as_str()))
        })
    }

    /// Whether a file of scores was written: one method is enough.
    pub fn is_written(&self) -> bool {
        self.methods.iter().any(|method| method.outcome.is_ok())
    }
}

impl ScoreRequest {
    /// Every file that is read.
    fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.train, &self.query]
            .into_iter()
            .chain(self.companions.paths())
            .chain(&self.per_token)
    }
}

/// What was computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSummary {
    /// Training examples n.
    pub train: usize,
    /// Rows of scores: m, or 1 for the mean query.
    pub queries: usize,
    /// The blocks with their damping.
    pub blocks: Vec<ScoredBlock>,
    /// One entry a method, in the order asked.
    pub methods: Vec<ScoredMethod>,
}

/// A block of [`ScoreSummary`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredBlock {
    /// Name.
    pub name: String,
    /// Size d_l.
    pub dim: usize,
    /// Damping λ_l; 0 when all gradients of the block are zero, so that it adds nothing to any score.
    pub lambda: f64,
}

/// A method of [`ScoreSummary`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredMethod {
    /// The string given, which is also the tensor's name.
    pub label: String,
    /// What its scores cost, or why there are none.
    pub outcome: Result<Measured, String>,
}

/// What the scores of a method cost, and what is known about them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Wall time by stage.
    pub seconds: StageSeconds,
    /// Peak memory by stage; `null` when the allocator does not count.
    pub peak_bytes: Option<StageBytes>,
    /// Bytes of the training gradients fetched: over their size, the passes made.
    pub bytes_read: u64,
    /// What the solver says of its own answer.
    pub evidence: Evidence,
    /// Scores that are NaN or infinite; they are written as they are.
    pub non_finite: usize,
    /// How far the scores of an example's tokens add up to something else than its own, the worst difference over the
    /// largest score; `None` without scores by token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_difference: Option<f64>,
}

/// Computes scores from files to a file.
///
/// With gradients by token there is a tensor `tokens/LABEL`, `[m, tokens]`, beside that of every method that has such scores
/// ([`Influence::parts`](crate::influence::Influence::parts)), and the metadata `tokens` lists what each column is.
///
/// The output has one float64 tensor a method, `[m, n]` (`[1, n]` for the mean query), named by the very
/// string given, with positive = harmful; its metadata are JSON texts: `infbench` (version), `settings`,
/// `lambda` (by block), and `methods` (by label: seconds, peak bytes, evidence, scores that are not finite).
/// It appears whole or not at all, after the last method.
///
/// A method that fails has no tensor; its entry among `methods` is `{"error": …}`, and the scores of the others are
/// written. When all fail, nothing is.
///
/// # Errors
/// What is wrong with the input is said before anything is computed: duplicate or no methods, an
/// output that is an input, files that cannot be read or do not match, a method that lacks what it needs beside
/// the gradients, NaN or infinities in the gradients. After that, an output that cannot be written.
pub fn score_files(request: &ScoreRequest) -> Result<ScoreSummary, ScoreError> {
    let labels: Vec<&str> = request
        .methods
        .iter()
        .map(|method| method.label.as_str())
        .collect();
    if labels.is_empty() {
        return Err(ScoreError::NoMethod);
    }
    let repeated = |i: &usize| labels[..*i].contains(&labels[*i]);
    if let Some(i) = (0..labels.len()).find(repeated) {
        return Err(ScoreError::Duplicate {
            label: labels[i].to_owned(),
        });
    }
    for input in request.inputs() {
        if same_file(input, &request.out) {
            return Err(ScoreError::Overwrite {
                path: input.clone(),
            });
        }
    }
    let train = GradientStore::open(&request.train)?;
    let query = GradientStore::open(&request.query)?;
    train.matching(&query)?;
    let beside = request.companions.open()?;
    let companions = beside.companions();
    for method in &request.methods {
        let check = companions.check(method.name(), method.method().need());
        check.map_err(|source| ScoreError::Method {
            label: method.label.clone(),
            source,
        })?;
    }
    companions
        .fit(&train, &query)
        .map_err(ScoreError::Companion)?;
    let by_token = match &request.per_token {
        Some(path) => {
            let gradients = GradientStore::open(path)?;
            gradients.check_finite()?;
            Some(tokens::ByToken::new(gradients, path)?)
        }
        None => None,
    };
    if let Some(by_token) = &by_token {
        by_token
            .parts()
            .fit(&train)
            .map_err(ScoreError::Companion)?;
    }
    // the output's folder is tried before the work, not after
    let mut file = AtomicFile::create(&request.out)
        .map_err(StoreError::io(&request.out, "create a file beside"))?;

    query.check_finite()?;
    let layout = BlockLayout::new(train.tensors(), request.blocks);
    let lambda = damping(&train, &layout, request.damping).map_err(ScoreError::Damping)?;
    let options = RunOptions {
        precision: request.precision,
        queries: if request.mean_query {
            Queries::Mean
        } else {
            Queries::Each
        },
        seed: request.seed,
        companions,
        parts: by_token.as_ref().map(tokens::ByToken::parts),
    };
    let mut scores: Vec<(String, Array2<f64>)> = Vec::with_capacity(labels.len());
    let mut methods = Vec::with_capacity(labels.len());
    for method in &request.methods {
        let outcome = match run_method(method, &train, &query, &layout, &lambda, &options) {
            Ok(influence) => {
                let measured = Measured {
                    seconds: influence.seconds,
                    peak_bytes: influence.peak_bytes,
                    bytes_read: influence.bytes_read,
                    evidence: influence.evidence,
                    non_finite: influence
                        .scores
                        .iter()
                        .filter(|score| !score.is_finite())
                        .count(),
                    token_difference: by_token
                        .as_ref()
                        .zip(influence.parts.as_ref())
                        .map(|(by_token, parts)| by_token.difference(&influence.scores, parts)),
                };
                let parts = influence.parts;
                scores.extend(parts.map(|parts| (format!("tokens/{}", method.label), parts)));
                scores.push((method.label.clone(), influence.scores));
                Ok(measured)
            }
            Err(error) => Err(error.to_string()),
        };
        methods.push(ScoredMethod {
            label: method.label.clone(),
            outcome,
        });
    }
    let blocks = layout.blocks().iter().zip(&lambda);
    let summary = ScoreSummary {
        train: train.rows(),
        queries: options.queries.rows(query.rows()),
        blocks: blocks
            .map(|(block, &lambda)| ScoredBlock {
                name: block.name.clone(),
                dim: block.dim,
                lambda,
            })
            .collect(),
        methods,
    };

    if !summary.is_written() {
        return Ok(summary);
    }
    let bytes =
        encode(&scores, metadata(request, &summary, by_token.as_ref())).map_err(|error| {
            ScoreError::Encode {
                path: request.out.clone(),
                reason: error.to_string(),
            }
        })?;
    file.file()
        .write_all(&bytes)
        .map_err(StoreError::io(&request.out, "write"))?;
    file.commit()
        .map_err(StoreError::io(&request.out, "write"))?;
    Ok(summary)
}

/// Whether both paths lead to one file that exists.
fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn encode(
    scores: &[(String, Array2<f64>)],
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let views = scores
        .iter()
        .map(|(label, scores)| {
            let values = scores
                .as_slice()
                .expect("scores are made in standard order");
            let view = TensorView::new(
                safetensors::Dtype::F64,
                scores.shape().to_vec(),
                bytemuck::cast_slice(values),
            )?;
            Ok((label, view))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    safetensors::serialize(views, Some(metadata))
}

fn metadata(
    request: &ScoreRequest,
    summary: &ScoreSummary,
    by_token: Option<&tokens::ByToken>,
) -> HashMap<String, String> {
    let lambda: serde_json::Map<_, _> = summary
        .blocks
        .iter()
        .map(|block| (block.name.clone(), json!(block.lambda)))
        .collect();
    let methods: serde_json::Map<_, _> = summary
        .methods
        .iter()
        .map(|method| {
            let entry = match &method.outcome {
                Ok(measured) => json!(measured),
                Err(error) => json!({"error": error}),
            };
            (method.label.clone(), entry)
        })
        .collect();
    let settings = json!({
        "damping": request.damping,
        "mean_query": request.mean_query,
        "precision": request.precision,
        "blocks": request.blocks,
        "seed": request.seed,
        "companions": request.companions,
        "sign": "positive = harmful",
    });
    let texts = [
        ("infbench", json!({"version": env!("CARGO_PKG_VERSION")})),
        ("settings", settings),
        ("lambda", lambda.into()),
        ("methods", methods.into()),
    ];
    let tokens = by_token.map(|by_token| ("tokens", json!(by_token.tokens)));
    texts
        .into_iter()
        .chain(tokens)
        .map(|(key, value)| (key.to_owned(), value.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::InfluenceError;

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
        let other =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tall/query.safetensors");
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
}
