//! The Hessian of the mean training loss with respect to the tensors that gradients are taken of.
//!
//! The methods approximate the inverse of the *empirical Fisher*, (1/n) Σ g gᵀ; the theory of influence functions asks
//! for H = ∂²L̄/∂θ², with L̄ the mean loss of the training examples. The two agree in expectation where the model's
//! predictions are the truth and its second-order part vanishes, and nowhere else (Kunstner et al., 2019, arXiv
//! 1905.12558). For small models H can be had in full, see [`differences`].

pub mod differences;
mod files;

use faer::Mat;

/// Second derivatives, in one or more groups of tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Hessians {
    /// The groups, in any order: tensors are found by their names.
    pub groups: Vec<HessianGroup>,
}

/// Second derivatives with respect to some tensors side by side, those between two of them included.
#[derive(Clone, Debug, PartialEq)]
pub struct HessianGroup {
    /// Names and sizes d of the tensors, in the order of rows and columns.
    pub tensors: Vec<(String, usize)>,
    /// The matrix as it was found, `[Σ d, Σ d]`; symmetric but for the errors of its entries.
    pub matrix: Mat<f64>,
}

impl HessianGroup {
    /// First row of a tensor, and its size.
    fn place(&self, name: &str) -> Option<(usize, usize)> {
        let mut first = 0;
        for (known, dim) in &self.tensors {
            if known == name {
                return Some((first, *dim));
            }
            first += dim;
        }
        None
    }

    /// Rows of `tensors`, one after another; `None` when one of them is not here.
    fn rows(&self, tensors: &[&str]) -> Option<Vec<usize>> {
        let places = tensors.iter().map(|name| self.place(name));
        let places: Option<Vec<(usize, usize)>> = places.collect();
        let rows = places?
            .into_iter()
            .flat_map(|(first, dim)| first..first + dim);
        Some(rows.collect())
    }
}

impl Hessians {
    /// Size of a tensor's gradient; `None` when it is in no group.
    pub fn dim(&self, tensor: &str) -> Option<usize> {
        let mut found = self.groups.iter().filter_map(|group| group.place(tensor));
        found.next().map(|(_, dim)| dim)
    }

    /// (H + Hᵀ)/2 of `tensors` side by side; `None` when no group holds them all.
    pub fn block(&self, tensors: &[&str]) -> Option<Mat<f64>> {
        let (matrix, rows) = self.find(tensors)?;
        let size = rows.len();
        Some(Mat::from_fn(size, size, |i, j| {
            let (i, j) = (rows[i], rows[j]);
            0.5 * (matrix[(i, j)] + matrix[(j, i)])
        }))
    }

    /// ‖H − Hᵀ‖/‖H‖ of `tensors` side by side, Frobenius: the error of H as far as it can be seen from H alone; 0
    /// where H is. `None` when no group holds them all.
    pub fn asymmetry(&self, tensors: &[&str]) -> Option<f64> {
        let (matrix, rows) = self.find(tensors)?;
        let (mut difference, mut size) = (0.0, 0.0);
        for &i in &rows {
            for &j in &rows {
                difference += (matrix[(i, j)] - matrix[(j, i)]).powi(2);
                size += matrix[(i, j)].powi(2);
            }
        }
        Some(if difference == 0.0 {
            0.0
        } else {
            (difference / size).sqrt()
        })
    }

    fn find(&self, tensors: &[&str]) -> Option<(&Mat<f64>, Vec<usize>)> {
        let mut groups = self.groups.iter();
        groups.find_map(|group| Some((&group.matrix, group.rows(tensors)?)))
    }

    /// Size of all groups, bytes.
    pub fn bytes(&self) -> u64 {
        let numbers = |group: &HessianGroup| group.matrix.nrows().pow(2) as u64;
        self.groups.iter().map(|group| 8 * numbers(group)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_gathered_by_name_and_symmetrised() {
        let matrix = Mat::from_fn(4, 4, |i, j| (10 * i + j) as f64);
        let tensors = [("a", 1), ("b", 2), ("c", 1)].map(|(name, dim)| (name.to_owned(), dim));
        let whole = HessianGroup {
            tensors: tensors.to_vec(),
            matrix,
        };
        let alone = HessianGroup {
            tensors: vec![("d".to_owned(), 1)],
            matrix: Mat::from_fn(1, 1, |_, _| 7.0),
        };
        let hessians = Hessians {
            groups: vec![whole, alone],
        };
        assert_eq!(hessians.dim("b"), Some(2));
        assert_eq!(hessians.dim("e"), None);
        assert_eq!(hessians.bytes(), 8 * 17);
        // rows 3 and 0: (30 + 3)/2 beside the diagonal
        let block = hessians.block(&["c", "a"]).unwrap();
        assert_eq!(block, faer::mat![[33.0, 16.5], [16.5, 0.0]]);
        // the difference 27 stands twice
        let size = 33.0f64.powi(2) + 30.0f64.powi(2) + 3.0f64.powi(2);
        let asymmetry = hessians.asymmetry(&["c", "a"]).unwrap();
        assert!((asymmetry - (2.0 * 27.0f64.powi(2) / size).sqrt()).abs() < 1e-15);
        assert_eq!(hessians.asymmetry(&["d"]), Some(0.0));
        // second derivatives between groups are not known
        assert_eq!(hessians.block(&["a", "d"]), None);
    }
}
