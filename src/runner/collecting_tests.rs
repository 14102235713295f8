//! The steps from a model to gradients and what stands beside them, with a fake in place of the model.

use faer::Mat;
use ndarray::Array2;

use super::*;
use crate::config::{Cell, grid};
use crate::data::HiddenStates;
use crate::gradients::factors::{KroneckerFactors, TensorFactors};
use crate::gradients::hessian::{HessianGroup, Hessians};
use crate::gradients::store::{StoreWriter, TensorInfo};
use crate::progress::Progress;
use crate::runner::companions::{Requirements, beside};
use crate::runner::source::State;
use crate::runner::stores::{keeps_unrounded, unrounded};

/// Gradients whose numbers tell what they are of: `base`, 1000 for queries, 10 a row, 1 a column.
struct Fake {
    base: f32,
    /// The split whose gradients fail.
    fails: Option<Part>,
}

const TENSORS: [(&str, usize); 2] = [("a", 2), ("b", 3)];

impl Fake {
    fn fill(&self, part: Part, base: f32, into: &mut StoreWriter) -> Result<(), String> {
        if self.fails == Some(part) {
            return Err("the loss of example 1 is not finite".to_owned());
        }
        let base = base + if part == Part::Query { 1000.0 } else { 0.0 };
        for (t, (_, dim)) in TENSORS.into_iter().enumerate() {
            for row in 0..self.rows(part) {
                let values = (0..dim).map(|column| base + (10 * row + column) as f32);
                let values: Vec<f32> = values.collect();
                into.write_rows(t, row, &values).map_err(sentence)?;
            }
        }
        Ok(())
    }
}

impl Source for Fake {
    fn tensors(&self, _: Part) -> Vec<TensorInfo> {
        let tensors = TENSORS.into_iter();
        tensors
            .map(|(name, dim)| TensorInfo::new(name, [dim]))
            .collect()
    }

    fn rows(&self, part: Part) -> usize {
        if part == Part::Train { 4 } else { 2 }
    }

    fn gradients(&self, part: Part, into: &mut StoreWriter) -> Result<(), String> {
        self.fill(part, self.base, into)
    }

    fn with_factors(&self, at: At, into: &mut StoreWriter) -> Result<WithFactors, String> {
        let offset = match at {
            At::Own => 0.0,
            At::Sampled(seed) => 100.0 + seed as f32,
        };
        self.fill(Part::Train, self.base + offset, into)?;
        let tensors = TENSORS.map(|(name, dim)| TensorFactors {
            name: name.to_owned(),
            inputs: Mat::identity(dim, dim),
            outputs: Mat::identity(1, 1),
            tokens: None,
        });
        Ok(WithFactors {
            losses: vec![0.0; 4],
            factors: KroneckerFactors {
                tensors: tensors.into(),
            },
            seconds: 0.0,
        })
    }

    fn hessian(
        &self,
        limit: usize,
        report: &mut dyn FnMut(usize, usize),
    ) -> Result<Hessians, String> {
        if limit < 5 {
            return Err(format!("5 parameters are more than {limit}"));
        }
        report(5, 5);
        let mut matrix = Mat::identity(5, 5);
        // ‖H − Hᵀ‖/‖H‖ of the block `a`
        matrix[(0, 1)] = 0.5;
        Ok(Hessians {
            groups: vec![HessianGroup {
                tensors: TENSORS.map(|(name, dim)| (name.to_owned(), dim)).into(),
                matrix,
            }],
        })
    }

    fn hidden_states(&self, part: Part) -> HiddenStates {
        let last = Array2::from_elem((self.rows(part), 6), self.base);
        HiddenStates {
            mean: last.clone(),
            last,
        }
    }

    fn states(&self) -> Vec<State> {
        let state = |epoch| State {
            epoch,
            learning_rate: 0.1 / epoch as f64,
        };
        [2, 4].map(state).into()
    }

    fn at_state(&self, index: usize) -> Result<Box<dyn Source + '_>, String> {
        Ok(Box::new(Self {
            base: self.base + 1e4 * (index + 1) as f32,
            ..*self
        }))
    }
}

const FAKE: Fake = Fake {
    base: 0.0,
    fails: None,
};

fn cell(store: &str) -> Cell {
    let text = format!("name: t\nseed: 7\ntask: digits\nstore: {store}\n");
    let plan = grid::parse("t.yaml", &text, None, &[]).unwrap();
    plan.cells[0].clone()
}

/// Numbers of the second tensor's last row.
fn last_row(store: &GradientStore) -> Vec<f32> {
    store
        .tensor_rows(1, store.rows() - 1..store.rows())
        .to_vec()
}

#[test]
fn gradients_of_both_splits_go_where_the_settings_say() {
    for (limit, storage) in [(1, "memory"), (0, "mapped")] {
        let folder = tempfile::tempdir().unwrap();
        let cell = cell(&format!("{{in_memory_mib: {limit}}}"));
        let stores = Stores {
            root: folder.path(),
            cell: &cell,
        };
        for factors in [false, true] {
            let found = collect(&FAKE, &stores, factors).unwrap();
            assert_eq!(found.factors.is_some(), factors);
            assert_eq!(last_row(&found.train), [30.0, 31.0, 32.0]);
            assert_eq!(last_row(&found.query), [1010.0, 1011.0, 1012.0]);
            assert_eq!(found.train.storage(), storage);
        }
        assert_eq!(stores.part("train").exists(), storage == "mapped");
    }
}

#[test]
fn what_is_rounded_is_kept_in_f32_beside_and_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let cell = cell("{in_memory_mib: 0, dtype: bf16, reference: f32}");
    assert!(keeps_unrounded(&cell.settings));
    let stores = Stores {
        root: folder.path(),
        cell: &cell,
    };
    let found = collect(&FAKE, &stores, false).unwrap();
    assert!(stores.part(&unrounded("train")).exists() && !stores.part("train").exists());
    let rounded = stores.rounded("query", &found.query).unwrap();
    // 8 bits of precision: multiples of 4 from 512 on, 8 from 1024 on; ties go to even
    assert_eq!(last_row(&rounded), [1008.0, 1012.0, 1012.0]);
    assert_eq!(last_row(&found.query), [1010.0, 1011.0, 1012.0]);
    assert!(stores.part("query").exists());
}

#[test]
fn a_split_that_fails_leaves_no_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let cell = cell("{in_memory_mib: 0}");
    let stores = Stores {
        root: folder.path(),
        cell: &cell,
    };
    let fake = Fake {
        fails: Some(Part::Query),
        ..FAKE
    };
    let error = collect(&fake, &stores, false).err();
    assert_eq!(
        error.as_deref(),
        Some("the loss of example 1 is not finite")
    );
    assert!(!stores.part("query").exists());
}

#[test]
fn what_stands_beside_is_collected_when_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let cell = cell("{in_memory_mib: 1}");
    let stores = Stores {
        root: folder.path(),
        cell: &cell,
    };
    let quiet = Progress::quiet();
    let nothing = beside(&FAKE, &stores, Requirements::default(), None, &quiet).unwrap();
    assert_eq!(nothing.info(), Default::default());
    let wanted = Requirements {
        factors: true,
        sampled: true,
        checkpoints: true,
        embeddings: false,
        hidden_states: true,
        hessian: Some(5),
    };
    let made = collect(&FAKE, &stores, true).unwrap().factors;
    let all = beside(&FAKE, &stores, wanted, made, &quiet).unwrap();
    let info = all.info();
    let states = all.companions().hidden_states.unwrap();
    assert_eq!(
        states.each_ref().map(|split| split.last.dim()),
        [(4, 6), (2, 6)]
    );
    // [4, 6] and [2, 6], last and mean, f32
    assert_eq!(
        info.hidden_states.as_ref().map(|cost| cost.bytes),
        Some(288)
    );
    // two factors a tensor, of sides 2 and 1, 3 and 1
    assert_eq!(info.factors.map(|f| f.bytes), Some(8 * (4 + 1 + 9 + 1)));
    assert_eq!(info.hessian.as_ref().map(|h| h.bytes), Some(8 * 25));
    assert!(info.hessian.is_some_and(|h| h.asymmetry > 0.3));
    let checkpoints = info.checkpoints.unwrap();
    assert_eq!(checkpoints.epochs, [2, 4]);
    assert_eq!(checkpoints.learning_rates, [0.05, 0.025]);
    let rows: Vec<(String, f32)> = all
        .stores()
        .map(|(name, store)| (name, last_row(store)[0]))
        .collect();
    let expected = [
        ("sampled", 137.0),
        ("checkpoint-1.train", 10030.0),
        ("checkpoint-1.query", 11010.0),
        ("checkpoint-2.train", 20030.0),
        ("checkpoint-2.query", 21010.0),
    ];
    assert_eq!(rows, expected.map(|(name, value)| (name.to_owned(), value)));
    let too_large = Requirements {
        hessian: Some(4),
        ..Requirements::default()
    };
    let error = beside(&FAKE, &stores, too_large, None, &quiet).err();
    assert_eq!(error.as_deref(), Some("5 parameters are more than 4"));
}
