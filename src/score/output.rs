//! The file of scores: one tensor per method, and what is known about them as metadata.

use std::collections::HashMap;

use ndarray::Array2;
use safetensors::tensor::TensorView;
use serde_json::json;

use super::request::ScoreRequest;
use super::summary::ScoreSummary;
use super::tokens::ByToken;

/// The file's bytes: a float64 tensor `[m, n]` per label.
pub(super) fn encode(
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

/// Settings, damping by block and costs by method, as JSON texts.
pub(super) fn metadata(
    request: &ScoreRequest,
    summary: &ScoreSummary,
    by_token: Option<&ByToken>,
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
