//! What cells share: a base, a fine-tune and retrainings, and whether they are in the cache.

use std::collections::HashMap;
use std::rc::Rc;

use super::id::{Kind, UnitId};
use super::report;
use crate::config::Cell;
use crate::data::{Reads, TaskData};
use crate::finetune::{self, Base};
use crate::ground_truth::{self, RetrainCache};
use crate::models::ModelConfig;
use crate::runner::companions::Requirements;
use crate::runner::error::sentence;
use crate::runner::forecast::{encoded, fine_tune};
use crate::runner::latents::Encoding;
use crate::runner::tuning::{Place, Recipe};

/// Keys of bases that are known: that of a checkpoint is the hash of its files.
pub(super) type Bases = HashMap<String, String>;

/// The shared parts of a cell with a model.
pub(super) struct Shared<'a> {
    cell: &'a Cell,
    place: &'a Place,
    recipe: Recipe<'a>,
    pub data: Rc<TaskData>,
    /// Whether the examples are blanks in place of encoded images: what is shared is then known by its settings, and what
    /// is done by reports alone.
    blank: bool,
    /// Key of the base.
    pub base: String,
}

impl<'a> Shared<'a> {
    /// Of a cell with these examples.
    pub fn of(
        place: &'a Place,
        cell: &'a Cell,
        data: Rc<TaskData>,
        encoding: Encoding,
        bases: &mut Bases,
    ) -> Result<Self, String> {
        let recipe = Recipe::of(place, cell)?;
        let encodes = cell.settings.task.reads() == Reads::Images;
        let blank = encodes && matches!(encoding, Encoding::Blank);
        let known = serde_json::json!([recipe.settings.model, cell.seed]).to_string();
        let is_checkpoint = recipe.settings.model.checkpoint().is_some();
        let base = match bases.get(&known).filter(|_| is_checkpoint) {
            Some(key) => key.clone(),
            None => {
                let key = finetune::base_key(&recipe.settings, &data).map_err(sentence)?;
                bases.insert(known, key.clone());
                key
            }
        };
        Ok(Self {
            cell,
            place,
            recipe,
            data,
            blank,
            base,
        })
    }

    /// Whether the base has to be pretrained, or the images encoded.
    pub fn has_base(&self) -> bool {
        let model: &ModelConfig = self.recipe.settings.model;
        self.blank || (model.checkpoint().is_none() && model.pretrain().is_some())
    }

    /// What decides the base.
    pub fn base_key(&self) -> String {
        if self.blank {
            return encoded(self.cell);
        }
        self.base.clone()
    }

    /// Whether a unit of this cell has been reported as done.
    fn is_reported(&self, id: &UnitId) -> bool {
        let told = report::read(&self.place.root, id);
        told.is_some_and(|report| report.state == report::State::Done)
    }

    /// Whether the base has to be pretrained, or the images encoded, and is not there.
    pub fn lacks_base(&self) -> bool {
        if self.blank {
            return !self.is_reported(&UnitId::new(Kind::Base, &self.cell.id));
        }
        finetune::lacks_base(&self.recipe.settings, &self.base)
    }

    /// Epochs whose states are kept for the methods of the cell.
    fn kept_epochs(&self) -> Vec<usize> {
        if self.checkpoints() {
            self.recipe.train.checkpoint_epochs()
        } else {
            Vec::new()
        }
    }

    /// Whether the methods of the cell need states along the fine-tune.
    pub fn checkpoints(&self) -> bool {
        Requirements::by(&self.cell.settings.influence.methods).checkpoints
    }

    fn fine_tune_key(&self) -> String {
        let Recipe {
            lora,
            train,
            settings,
        } = &self.recipe;
        finetune::fine_tune_key(settings, &self.base, &self.data, lora, train)
    }

    /// What decides the fine-tune and the states that are kept of it.
    pub fn tune_key(&self) -> String {
        if self.blank {
            return format!("{} {:?}", fine_tune(self.cell), self.kept_epochs());
        }
        format!("{} {:?}", self.fine_tune_key(), self.kept_epochs())
    }

    /// Whether the fine-tune, or a state of it that is kept, is not there.
    pub fn lacks_tune(&self) -> bool {
        if self.blank {
            return !self.is_reported(&UnitId::new(Kind::Tune, &self.cell.id));
        }
        let (key, epochs) = (self.fine_tune_key(), self.kept_epochs());
        finetune::lacks_fine_tune(&self.recipe.settings, &key, &epochs)
    }

    /// The retrainings that need no scores.
    pub fn jobs(&self) -> Vec<ground_truth::Job> {
        let config = self.cell.settings.ground_truth.as_ref();
        config.map_or_else(Vec::new, |config| {
            ground_truth::jobs(config, self.data.tuned_on().len(), self.cell.seed)
        })
    }

    fn retraining_key(&self) -> String {
        let Recipe {
            lora,
            train,
            settings,
        } = &self.recipe;
        finetune::retraining_key(settings, &self.base, &self.data, lora, train)
    }

    /// What decides a list of retrainings and their outcomes.
    pub fn jobs_key(&self, jobs: &[ground_truth::Job]) -> String {
        let mut hasher = blake3::Hasher::new();
        if self.blank {
            hasher.update(fine_tune(self.cell).as_bytes());
        } else {
            hasher.update(self.retraining_key().as_bytes());
        }
        for job in jobs {
            hasher.update(job.name().as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Where outcomes of retrainings are kept.
    pub fn cache(&self) -> RetrainCache {
        RetrainCache::new(Some(&self.place.cache), &self.retraining_key())
    }

    /// Whether the outcome of one of the `jobs` of a slice is not there.
    pub fn lacks_outcome(&self, id: &UnitId, jobs: &[ground_truth::Job]) -> bool {
        if self.blank {
            return !self.is_reported(id);
        }
        let cache = self.cache();
        jobs.iter().any(|job| !cache.has(&job.name()))
    }

    /// The units that a unit of this cell needs and that are not done.
    pub fn lacking(&self, kind: Kind) -> Vec<UnitId> {
        let mut lacking = Vec::new();
        let unit = |kind| UnitId::new(kind, &self.cell.id);
        if kind > Kind::Base && self.lacks_base() {
            lacking.push(unit(Kind::Base));
        }
        if kind > Kind::Retrain {
            if self.lacks_tune() {
                lacking.push(unit(Kind::Tune));
            }
            let retrain = UnitId::slice(&self.cell.id, 1, 1);
            if self.lacks_outcome(&retrain, &self.jobs()) {
                lacking.push(retrain);
            }
        }
        lacking
    }

    /// How a cell is fine-tuned.
    pub fn recipe(&self) -> &Recipe<'a> {
        &self.recipe
    }

    /// The base, from the cache when it is there.
    pub fn make_base(&self, progress: &crate::progress::Progress) -> Result<Base, String> {
        self.recipe.base(&self.data, progress)
    }
}
