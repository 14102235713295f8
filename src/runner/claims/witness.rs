//! Files of a case that violates a claim.

use std::path::{Path, PathBuf};

use faer::Mat;
use safetensors::tensor::{Dtype, TensorView};
use thiserror::Error;

use super::records::finding_record;
use crate::atomic;
use crate::theory::{Case, Claim, Finding, smallest_witness};

/// A witness that cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {path}: {source}")]
pub struct WitnessError {
    /// The file.
    path: PathBuf,
    /// What the system said.
    source: std::io::Error,
}

/// Writes `witness_<claim>.safetensors` (one tensor, `block` `[n', d']`, f64), the same of the queries as
/// `witness_<claim>.query.safetensors`, and what was found as `.json`, with the c that gives its λ, so that
/// `gradients: {path: …, query: …}` checks it again. Returns the name of the first.
pub fn save(
    claim: &dyn Claim,
    case: &Case,
    place: &str,
    finding: &Finding,
    out: &Path,
) -> Result<String, WitnessError> {
    let (gradients, queries) = smallest_witness(claim, case);
    let file = |ending: &str| format!("witness_{}{ending}", claim.info().name);
    let write = |name: String, bytes: &[u8]| {
        let path = out.join(name);
        atomic::write(&path, bytes).map_err(|source| WitnessError { path, source })
    };
    let save = |name: String, m: &Mat<f64>| {
        let bytes: Vec<u8> = (0..m.nrows())
            .flat_map(|i| (0..m.ncols()).flat_map(move |j| m[(i, j)].to_le_bytes()))
            .collect();
        let tensor = TensorView::new(Dtype::F64, vec![m.nrows(), m.ncols()], &bytes)
            .expect("the shape is that of the bytes");
        let file = safetensors::serialize([("block", tensor)], None).map_err(|e| WitnessError {
            path: out.join(&name),
            source: std::io::Error::other(e.to_string()),
        })?;
        write(name, &file)
    };
    save(file(".safetensors"), &gradients)?;
    if let Some(queries) = &queries {
        save(file(".query.safetensors"), queries)?;
    }
    let size = (gradients.nrows() * gradients.ncols()) as f64;
    let damping = case.lambda() * size / gradients.squared_norm_l2();
    let again = match Case::new(gradients, queries, case.lambda()) {
        Ok(small) => claim.check(&small),
        Err(error) => error.into(),
    };
    let name = claim.info().name;
    let about = serde_json::json!({
        "claim": name,
        "statement": claim.info().statement,
        "measures": claim.info().measures,
        "lambda": case.lambda(),
        "damping": damping,
        "found_at": place,
        "found": finding_record(name, finding),
        "cut_down": finding_record(name, &again),
    });
    write(file(".json"), format!("{about:#}\n").as_bytes())?;
    Ok(file(".safetensors"))
}
