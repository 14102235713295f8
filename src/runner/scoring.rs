//! The step of a cell from gradients to scores: blocks, damping, and a method run on them.

use ndarray::Array2;

use super::evaluation::Scored;
use super::reference::NoReference;
use super::sentence;
use crate::config::influence::DEFAULT_DAMPING;
use crate::config::store::Reference;
use crate::config::{Cell, MethodSpec};
use crate::gradients::store::GradientStore;
use crate::influence::{BlockLayout, Companions, Queries, RunOptions, damping, run_method};
use crate::progress::Progress;

/// What all methods of a cell are given.
pub(super) struct Scoring<'a> {
    cell: &'a Cell,
    gradients: Gradients<'a>,
    pub layout: BlockLayout,
    /// λ of each block.
    pub lambda: Vec<f64>,
    options: RunOptions<'a>,
}

/// What scores are computed from.
#[derive(Clone, Copy)]
pub(super) struct Gradients<'a> {
    pub train: &'a GradientStore,
    pub query: &'a GradientStore,
    /// Both before they were rounded.
    pub unrounded: Option<&'a [GradientStore; 2]>,
    pub companions: Companions<'a>,
}

impl<'a> Scoring<'a> {
    /// Blocks and damping of a cell's gradients; a block of zeros is said.
    ///
    /// # Errors
    /// Gradients that are not finite, as a sentence.
    pub fn new(
        cell: &'a Cell,
        gradients: Gradients<'a>,
        progress: &Progress,
    ) -> Result<Self, String> {
        let influence = &cell.settings.influence;
        let layout = BlockLayout::new(gradients.train.tensors(), influence.blocks);
        let lambda = damping(gradients.train, &layout, influence.damping).map_err(sentence)?;
        let zeros = layout.blocks().iter().zip(&lambda);
        for (block, _) in zeros.filter(|(_, lambda)| **lambda == 0.0) {
            progress.line(&format!(
                "{}: all training gradients of block `{}` are zero: it adds nothing to any score",
                cell.title(),
                block.name
            ));
        }
        let options = RunOptions {
            precision: influence.precision,
            queries: Queries::EachAndMean,
            seed: cell.seed,
            companions: gradients.companions,
        };
        Ok(Self {
            cell,
            gradients,
            layout,
            lambda,
            options,
        })
    }

    /// Rows of the scores (the queries and their mean) and training examples.
    pub fn shape(&self) -> (usize, usize) {
        let rows = self.options.queries.rows(self.gradients.query.rows());
        (rows, self.gradients.train.rows())
    }

    /// Runs a method.
    ///
    /// # Errors
    /// Why it stopped, as a sentence.
    pub fn score(&self, spec: &MethodSpec) -> Result<Scored, String> {
        let Gradients { train, query, .. } = self.gradients;
        let influence = run_method(
            spec,
            train,
            query,
            &self.layout,
            &self.lambda,
            &self.options,
        )
        .map_err(sentence)?;
        let (rows, examples) = self.shape();
        let (operations, _) =
            spec.method()
                .total_cost(train.tensors(), &self.layout, examples as f64, rows as f64);
        Ok(Scored {
            influence,
            operations,
        })
    }

    /// Exact scores of the queries at the default damping, `[m, n]`, when a metric asks for them.
    ///
    /// # Errors
    /// Why they cannot be had, as a sentence.
    pub fn exact_at_default(
        &self,
        no_reference: &mut NoReference,
        progress: &Progress,
    ) -> Result<Option<Array2<f64>>, String> {
        let metrics = &self.cell.settings.metrics;
        if !metrics.iter().any(|name| name == "pearson_default_damping") {
            return Ok(None);
        }
        let Gradients { train, query, .. } = self.gradients;
        let lambda = damping(train, &self.layout, DEFAULT_DAMPING).map_err(sentence)?;
        progress.stage("exact at the default damping");
        let exact: MethodSpec = "exact".parse().map_err(sentence)?;
        let each = RunOptions {
            queries: Queries::Each,
            ..self.options
        };
        let found = run_method(&exact, train, query, &self.layout, &lambda, &each);
        let size = [query.rows(), train.rows()];
        let what = "exact at the default damping";
        Ok(Some(no_reference.scores(
            what,
            found.map_err(sentence),
            size,
        )))
    }

    /// Exact scores on the gradients before they were rounded, when the settings ask for them.
    ///
    /// # Errors
    /// Why they cannot be had, as a sentence.
    pub fn exact_before_rounding(
        &self,
        no_reference: &mut NoReference,
        progress: &Progress,
    ) -> Result<Option<Array2<f64>>, String> {
        let influence = &self.cell.settings.influence;
        let exact = influence.methods.iter().find(|spec| spec.is_exact());
        let first = self
            .gradients
            .unrounded
            .filter(|_| self.cell.settings.store.reference == Reference::F32);
        let Some((spec, [train, query])) = exact.zip(first) else {
            return Ok(None);
        };
        progress.stage("exact on f32 gradients");
        let lambda = damping(train, &self.layout, influence.damping).map_err(sentence)?;
        let found = run_method(spec, train, query, &self.layout, &lambda, &self.options);
        let size = [self.options.queries.rows(query.rows()), train.rows()];
        let what = "exact on f32 gradients";
        Ok(Some(no_reference.scores(
            what,
            found.map_err(sentence),
            size,
        )))
    }
}
