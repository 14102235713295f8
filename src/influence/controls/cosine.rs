//! Cosines of rows.

use ndarray::Array2;

/// −cos of every row of `query` with every row of `train`, `[queries, examples]`; a row of zeros has the cosine 0 with
/// everything.
pub(super) fn negative_cosines(query: &Array2<f32>, train: &Array2<f32>) -> Array2<f64> {
    -unit(query).dot(&unit(train).t())
}

/// The rows in f64, divided by their norms; a row of zeros stays.
fn unit(rows: &Array2<f32>) -> Array2<f64> {
    let mut rows = rows.mapv(f64::from);
    for mut row in rows.rows_mut() {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 0.0 {
            row /= norm;
        }
    }
    rows
}
