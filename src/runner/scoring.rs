//! The step of a cell from gradients to scores: blocks, damping, and a method run on them.

use ndarray::Array2;

use super::error::sentence;
use super::evaluation::Scored;
use super::reference::NoReference;
use crate::config::influence::DEFAULT_DAMPING;
use crate::config::{Cell, MethodSpec};
use crate::gradients::settings::Reference;
use crate::gradients::store::GradientStore;
use crate::influence::{
    BlockLayout, Companions, Influence, InfluenceError, Queries, RunOptions, damping, run_method,
};
use crate::input::listed;
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
        let zeros = zeros.filter(|(_, lambda)| **lambda == 0.0);
        let zeros: Vec<&str> = zeros.map(|(block, _)| block.name.as_str()).collect();
        if !zeros.is_empty() {
            progress.line(&format!(
                "{}: blocks whose training gradients are all zero (ignored): {}",
                cell.title(),
                listed(&zeros)
            ));
        }
        let options = RunOptions {
            precision: influence.precision,
            queries: Queries::EachAndMean,
            seed: cell.seed,
            companions: gradients.companions,
            parts: None,
            keep: 0,
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

    /// Runs a method; of the first `keep` queries it keeps what scores single tokens.
    ///
    /// # Errors
    /// Why it stopped, as a sentence.
    pub fn score(&self, spec: &MethodSpec, keep: usize) -> Result<Scored, String> {
        let Gradients { train, query, .. } = self.gradients;
        let options = RunOptions {
            keep,
            ..self.options
        };
        let influence = run_method(spec, train, query, &self.layout, &self.lambda, &options)
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

    /// Exact scores of the queries at the default damping, `[m, n]`, when a metric asks for them; NaN, with the reason
    /// in `no_reference`, when they cannot be computed.
    pub fn exact_at_default(
        &self,
        no_reference: &mut NoReference,
        progress: &Progress,
    ) -> Option<Array2<f64>> {
        let metrics = &self.cell.settings.metrics;
        if !metrics.iter().any(|name| name == "pearson_default_damping") {
            return None;
        }
        let what = "exact at the default damping";
        progress.stage(what);
        let Gradients { train, query, .. } = self.gradients;
        let exact: MethodSpec = "exact".parse().expect("the name of a method");
        let each = RunOptions {
            queries: Queries::Each,
            ..self.options
        };
        let found = self.run(&exact, [train, query], DEFAULT_DAMPING, &each);
        let shape = (query.rows(), train.rows());
        Some(no_reference.scores(what, found, shape))
    }

    /// Runs a method on other gradients or at another damping than the cell's.
    fn run(
        &self,
        spec: &MethodSpec,
        [train, query]: [&GradientStore; 2],
        damping: f64,
        options: &RunOptions,
    ) -> Result<Influence, InfluenceError> {
        let lambda = self::damping(train, &self.layout, damping)?;
        run_method(spec, train, query, &self.layout, &lambda, options)
    }

    /// Exact scores on the gradients before they were rounded, when the settings ask for them; NaN, with the reason in
    /// `no_reference`, when they cannot be computed.
    pub fn exact_before_rounding(
        &self,
        no_reference: &mut NoReference,
        progress: &Progress,
    ) -> Option<Array2<f64>> {
        let influence = &self.cell.settings.influence;
        let exact = influence.methods.iter().find(|spec| spec.is_exact());
        let first = self
            .gradients
            .unrounded
            .filter(|_| self.cell.settings.store.reference == Reference::F32);
        let (spec, [train, query]) = exact.zip(first)?;
        let what = "exact on f32 gradients";
        progress.stage(what);
        let found = self.run(spec, [train, query], influence.damping, &self.options);
        Some(no_reference.scores(what, found, self.shape()))
    }
}
