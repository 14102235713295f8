//! The experiment of `infbench theory`: on which gradients, at which settings, the claims are checked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::conform;
use super::document::{Document, Path};
use super::error::ConfigError;
use crate::input::Problem;
use crate::tasks::GradientsTask;
use crate::theory::infos;

mod raw;

use raw::{Combine, RawTheoryConfig};
pub use raw::{ComplexitySizes, StoredGradients, schema};

/// Where gradients come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// Drawn.
    Synthetic(GradientsTask),
    /// Read.
    Stored(StoredGradients),
}

/// One setting of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The gradients.
    pub source: Source,
    /// c.
    pub damping: f64,
    /// What can be varied, and its value here: what is not known before the file is read is absent.
    pub axes: BTreeMap<&'static str, f64>,
}

/// A checked experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct TheoryPlan {
    /// Name.
    pub name: String,
    /// What it asks.
    pub description: String,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// The claims, by name.
    pub claims: Vec<&'static str>,
    /// The setting that the others vary.
    pub base: Setting,
    /// The grid, `base` first.
    pub settings: Vec<Setting>,
    /// The varied settings and their values, in the order of [`Setting::axes`].
    pub varied: Vec<(&'static str, Vec<f64>)>,
    /// Sizes for `complexity`.
    pub complexity: Option<ComplexitySizes>,
}

/// Reads the text of an experiment; `file` is how errors name it.
///
/// # Errors
/// The first wrong setting, with its place.
pub fn parse(file: &str, text: &str) -> Result<TheoryPlan, Box<ConfigError>> {
    let document = Document::parse(file, text)?;
    let stored = document
        .get(&at("gradients.path"))
        .or_else(|| {
            document
                .get(&at("gradients.query"))
                .filter(|v| v.is_string())
        })
        .is_some();
    if stored {
        let written: RawTheoryConfig<StoredGradients> = typed(&document)?;
        for axis in ["spectrum_decay", "norm_tail"] {
            let path = at(&format!("vary.{axis}"));
            if document.get(&path).is_some_and(|v| !v.is_null()) {
                let problem = Problem::new(
                    "`spectrum_decay` and `norm_tail` apply to synthetic gradients only; allowed to vary: train, dim, damping",
                );
                return Err(document.error(&path, true, problem));
            }
        }
        if written.seeds.is_some() {
            let problem = Problem::new("stored gradients are not drawn: a seed would do nothing");
            return Err(document.error(&at("seeds"), true, problem));
        }
        let source = Source::Stored(written.gradients.clone());
        plan(&document, written, source)
    } else {
        let written: RawTheoryConfig<GradientsTask> = typed(&document)?;
        let source = Source::Synthetic(written.gradients.clone());
        plan(&document, written, source)
    }
}

fn at(path: &str) -> Path {
    path.split('.').map(str::to_owned).collect()
}

fn typed<G: JsonSchema + DeserializeOwned>(
    document: &Document,
) -> Result<RawTheoryConfig<G>, Box<ConfigError>> {
    let schema = serde_json::to_value(schemars::schema_for!(RawTheoryConfig<G>))
        .expect("a schema is plain JSON");
    conform::check(&schema, &document.value).map_err(|violation| {
        document.error(&violation.path, violation.at_key, violation.problem)
    })?;
    serde_json::from_value(document.value.clone())
        .map_err(|e| document.error(&[], false, Problem::new(e.to_string())))
}

fn plan<G>(
    document: &Document,
    written: RawTheoryConfig<G>,
    source: Source,
) -> Result<TheoryPlan, Box<ConfigError>> {
    let names: Vec<&'static str> = infos().map(|info| info.name).collect();
    let claims = match &written.claims {
        None => names.clone(),
        Some(asked) => {
            for (index, name) in asked.iter().enumerate() {
                let path = [at("claims"), vec![index.to_string()]].concat();
                if !names.contains(&name.as_str()) {
                    let problem = Problem::unknown("claim", name, names.iter().copied());
                    return Err(document.error(&path, false, problem));
                }
                if asked[..index].contains(name) {
                    let problem = Problem::new(format!("`{name}` is given twice"));
                    return Err(document.error(&path, false, problem));
                }
            }
            names
                .iter()
                .copied()
                .filter(|name| asked.iter().any(|asked| asked == name))
                .collect()
        }
    };
    let base = Setting {
        axes: axes(&source, written.damping),
        source,
        damping: written.damping,
    };
    let count = |list: Option<Vec<usize>>| {
        list.map(|list| list.into_iter().map(|value| value as f64).collect())
    };
    let vary = written.vary;
    let lists: [(&'static str, Option<Vec<f64>>); 5] = [
        ("train", count(vary.train)),
        ("dim", count(vary.dim)),
        ("damping", vary.damping),
        ("spectrum_decay", vary.spectrum_decay),
        ("norm_tail", vary.norm_tail),
    ];
    let mut varied = Vec::new();
    for (axis, list) in lists {
        let Some(list) = list else { continue };
        for (index, value) in list.iter().enumerate() {
            if list[..index].contains(value) {
                let path = [at(&format!("vary.{axis}")), vec![index.to_string()]].concat();
                let problem = Problem::new(format!("{value} is given twice"));
                return Err(document.error(&path, false, problem));
            }
        }
        varied.push((axis, list));
    }
    let mut settings = vec![base.clone()];
    match written.combine {
        Combine::OneAtATime => {
            for (axis, list) in &varied {
                settings.extend(list.iter().map(|value| base.with(axis, *value)));
            }
        }
        Combine::All => {
            let mut grid = vec![base.clone()];
            for (axis, list) in &varied {
                grid = grid
                    .iter()
                    .flat_map(|setting| list.iter().map(move |value| setting.with(axis, *value)))
                    .collect();
            }
            settings.extend(grid);
        }
    }
    let mut distinct: Vec<Setting> = Vec::new();
    for setting in settings {
        if !distinct.contains(&setting) {
            distinct.push(setting);
        }
    }
    Ok(TheoryPlan {
        name: written.name,
        description: written.description,
        seeds: written.seeds.unwrap_or_else(|| vec![0]),
        claims,
        base,
        settings: distinct,
        varied,
        complexity: written.complexity,
    })
}

fn axes(source: &Source, damping: f64) -> BTreeMap<&'static str, f64> {
    let mut axes = BTreeMap::from([("damping", damping)]);
    match source {
        Source::Synthetic(task) => {
            axes.insert("train", task.train as f64);
            axes.insert("dim", task.dim as f64);
            axes.insert("spectrum_decay", task.spectrum_decay);
            axes.insert("norm_tail", task.norm_tail);
        }
        Source::Stored(stored) => {
            let known = [("train", stored.train), ("dim", stored.dim)];
            axes.extend(known.into_iter().filter_map(|(k, v)| Some((k, v? as f64))));
        }
    }
    axes
}

impl Setting {
    /// The setting with one axis at another value.
    fn with(&self, axis: &str, value: f64) -> Self {
        let (mut source, mut damping) = (self.source.clone(), self.damping);
        match (axis, &mut source) {
            ("damping", _) => damping = value,
            ("train", Source::Synthetic(task)) => task.train = value as usize,
            ("train", Source::Stored(stored)) => stored.train = Some(value as usize),
            ("dim", Source::Synthetic(task)) => task.dim = value as usize,
            ("dim", Source::Stored(stored)) => stored.dim = Some(value as usize),
            ("spectrum_decay", Source::Synthetic(task)) => task.spectrum_decay = value,
            ("norm_tail", Source::Synthetic(task)) => task.norm_tail = value,
            _ => unreachable!("the axes are listed above"),
        }
        Self {
            axes: axes(&source, damping),
            source,
            damping,
        }
    }

    /// The settings as plain JSON, for the results.
    pub fn to_json(&self) -> Value {
        serde_json::json!({ "gradients": self.source, "damping": self.damping })
    }
}

#[cfg(test)]
mod tests;
