//! Scores of gradients made elsewhere: safetensors in, safetensors out.
//!
//! In: files of training and query gradients and the methods. Out: one `[m, n]` tensor per method with λ, residuals,
//! seconds and peak bytes as metadata. The methods are those of [`crate::influence`].

use std::io::Write;
use std::path::Path;

use ndarray::Array2;

mod companions;
mod error;
mod output;
mod request;
mod summary;
mod tokens;

pub use companions::{CheckpointFiles, CompanionFiles, SampledFiles};
pub use error::ScoreError;
pub use request::ScoreRequest;
pub use summary::{Measured, ScoreSummary, ScoredBlock, ScoredMethod};

use crate::atomic::AtomicFile;
use crate::gradients::store::{GradientStore, StoreError};
pub use crate::gradients::token_list::{ScoredToken, token_file};
use crate::influence::{BlockLayout, Queries, RunOptions, damping, run_method};
use output::{encode, metadata};

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
        keep: 0,
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

#[cfg(test)]
mod tests;
