//! Peak memory of a process that does a cell or a part of it, and whether it fits.
//!
//! The terms are what lies in memory at a time; `docs/scale.md` holds the forecast against what was measured.

use std::path::Path;

use crate::device;
use crate::measure::size;
use crate::results::environment;

/// The program itself, its threads' stacks and the allocator's first pages by stage, bytes.
const PROGRAM: [f64; 4] = [51e6, 57.5e6, 57.5e6, 64.5e6];
/// The same, and what reading leaves in the allocator, while weights are read from their files.
const READING: f64 = 72e6;
/// What the allocator holds besides, since it gives nothing back and has pages for every size: shares of what is at work, of
/// gradients in memory, and of [`Memory::freed`], the first and the last by stage.
const AT_WORK: [f64; 4] = [0.12, 0.12, 0.12, 0.32];
const GRADIENTS: f64 = 0.82;
const FREED: [f64; 4] = [0.52, 0.57, 0.57, 1.8];
/// The most of the first two together, and of the last, bytes.
const MOST: f64 = 64e6;
const MOST_FREED: f64 = 38e6;
/// What it holds after this many retrainings, by stage, and no more after others.
const RETRAINED: [f64; 4] = [0.0, 0.0, 15e6, 26e6];
const MANY_RETRAININGS: f64 = 1000.0;

/// What is at work on a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The base is pretrained, or images are encoded.
    Base,
    /// Adapters are trained.
    Training,
    /// They are trained again and again, for the ground truth.
    Retraining,
    /// Gradients are taken, then the methods run on them.
    Scoring,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Base, Self::Training, Self::Retraining, Self::Scoring];
}

/// What lies in memory while a cell is computed, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Whether the model computes on a GPU: its weights, what pretraining keeps and its activations lie there.
    pub on_gpu: bool,
    /// Weights, adapters included.
    pub weights: f64,
    /// Files of weights, which are mapped while weights are read from them, and no longer when these are at work.
    pub files: f64,
    /// Gradients and moments of the optimiser while the base is pretrained.
    pub pretraining: f64,
    /// Activations of all threads that train.
    pub activations: f64,
    /// The same while gradients are taken.
    pub passes: f64,
    /// What evaluations allocate and free on all threads.
    pub freed: f64,
    /// Examples, and the tokenizer that reads them.
    pub examples: f64,
    /// Activations below the first adapted layer that are kept.
    pub kept: f64,
    /// Gradients in memory.
    pub gradients: f64,
    /// Gradients in files.
    pub mapped: f64,
    /// The largest workspace of a method.
    pub workspace: f64,
    /// Retrainings that no scores are needed for; a number.
    pub retrainings: f64,
    /// Whether others follow the scores.
    pub retrains_by_scores: bool,
}

impl Memory {
    /// Peak of main memory: while weights are read, or while something is computed with them.
    pub fn host(&self, stage: Stage) -> f64 {
        let [weights, computed] = self.of_model(stage, !self.on_gpu);
        let held = weights + self.examples;
        let reading = if self.files > 0.0 {
            READING + held + self.files
        } else {
            0.0
        };
        let is_scored = stage == Stage::Scoring;
        let kept = if stage == Stage::Base { 0.0 } else { self.kept };
        let at_work = kept + computed.max(if is_scored { self.workspace } else { 0.0 });
        let gradients = if is_scored { self.gradients } else { 0.0 };
        let freed = if self.on_gpu { 0.0 } else { self.freed };
        let retrains = !is_scored || self.retrains_by_scores;
        let retrainings = if retrains { self.retrainings } else { 0.0 };
        let stage = stage as usize;
        let retrained = RETRAINED[stage] * (retrainings / MANY_RETRAININGS).min(1.0);
        let freed = (FREED[stage] * freed).min(MOST_FREED);
        let reserve = (AT_WORK[stage] * at_work + GRADIENTS * gradients).min(MOST) + freed;
        reading.max(PROGRAM[stage] + held + at_work + gradients + reserve + retrained)
    }

    /// Peak of a GPU's memory, without what the driver and the framework hold for themselves.
    pub fn gpu(&self, stage: Stage) -> f64 {
        let [weights, worked] = self.of_model(stage, self.on_gpu);
        weights + worked
    }

    /// Weights, and what computing with them takes besides, where they are there.
    fn of_model(&self, stage: Stage, are_there: bool) -> [f64; 2] {
        let worked = match stage {
            Stage::Base => self.pretraining + self.activations,
            Stage::Training | Stage::Retraining => self.activations,
            Stage::Scoring => self.passes,
        };
        if are_there {
            [self.weights, worked]
        } else {
            [0.0; 2]
        }
    }

    /// The most of all stages in main memory.
    pub fn peak(&self) -> f64 {
        let of_stages = Stage::ALL.map(|stage| self.host(stage));
        of_stages.into_iter().fold(0.0, f64::max)
    }

    /// The largest term and the setting that makes it smaller.
    fn advice(&self) -> &'static str {
        let terms = [
            (
                self.gradients,
                "a smaller store.in_memory_mib keeps gradients in files, store.dtype=bf16 halves them",
            ),
            (
                self.workspace,
                "exact:solver=cg takes no matrix of n² or d²; or leave the largest method out",
            ),
            (
                self.activations.max(self.passes),
                "fewer --threads hold fewer activations, a smaller train.batch_size or task.max_length makes them smaller",
            ),
            (
                self.kept,
                "store.activations_mib=0 computes activations below the adapters anew",
            ),
            (self.weights + self.pretraining, "a smaller model"),
            (self.examples, "fewer examples"),
        ];
        let largest = terms.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        largest.map_or("", |(_, advice)| advice)
    }
}

/// What there is on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Host {
    /// Main memory that this process may take, bytes; `None` where the system does not tell.
    pub memory: Option<f64>,
    /// Memory of the GPU, bytes; `None` where it is not known.
    pub gpu: Option<f64>,
    /// Room on the disk of the results, bytes.
    pub disk: Option<f64>,
}

impl Host {
    /// This one: what a scheduler or the machine gives, and the room for `folder`.
    pub fn here(folder: &Path) -> Self {
        let of_job = std::env::var("SLURM_MEM_PER_NODE").ok();
        let of_job = of_job.and_then(|mib| mib.parse::<f64>().ok());
        // 0: all that the node has
        let of_job = of_job.filter(|&mib| mib > 0.0);
        let of_job = of_job.map(|mib| mib * f64::from(1 << 20));
        let machine = environment::memory().map(|bytes| bytes as f64);
        Self {
            memory: of_job.into_iter().chain(machine).reduce(f64::min),
            gpu: device::gpu_capacity().map(|bytes| bytes as f64),
            disk: environment::room(folder).map(|bytes| bytes as f64),
        }
    }
}

/// Why stages that take this do not fit a host, and what would make them fit; `None` when they do.
pub fn misfit(memory: &Memory, stages: &[Stage], host: Host) -> Option<String> {
    let most = |of: fn(&Memory, Stage) -> f64| {
        let of_stages = stages.iter().map(|&stage| of(memory, stage));
        of_stages.fold(0.0, f64::max)
    };
    for (takes, there, what) in [
        (most(Memory::host), host.memory, "memory"),
        (most(Memory::gpu), host.gpu, "the GPU's memory"),
    ] {
        if let Some(there) = there.filter(|&there| takes > there) {
            return Some(format!(
                "it takes about {} of {what} and there are {}; {}",
                size(takes),
                size(there),
                memory.advice()
            ));
        }
    }
    let disk = memory.mapped;
    let is_scored = stages.contains(&Stage::Scoring);
    if let Some(room) = host.disk.filter(|&room| is_scored && disk > room) {
        return Some(format!(
            "its gradients take about {} of disk and there is room for {}; store.dtype=bf16 halves them",
            size(disk),
            size(room)
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_refused_with_the_setting_that_makes_it_fit() {
        let memory = Memory {
            gradients: 8e9,
            workspace: 1e9,
            mapped: 5e9,
            ..Memory::default()
        };
        let host = |memory, disk| Host {
            memory: Some(memory),
            disk: Some(disk),
            ..Host::default()
        };
        let misfit = |memory: &Memory, host| super::misfit(memory, &Stage::ALL, host);
        assert_eq!(misfit(&memory, host(64e9, 6e9)), None);
        let full = misfit(&memory, host(8e9, 6e9)).unwrap();
        assert!(
            full.contains("9.1 GB") && full.contains("store.in_memory_mib"),
            "{full}"
        );
        let disk = misfit(&memory, host(64e9, 4e9)).unwrap();
        assert!(disk.contains("5.0 GB of disk"), "{disk}");
        let exact = Memory {
            workspace: 9e9,
            ..memory
        };
        let full = misfit(&exact, host(8e9, 6e9)).unwrap();
        assert!(full.contains("exact:solver=cg"), "{full}");
        // what the system does not tell refuses nothing
        assert_eq!(misfit(&exact, Host::default()), None);
        // training takes neither gradients nor a method's workspace
        let training = super::misfit(&exact, &[Stage::Training], host(8e9, 4e9));
        assert_eq!(training, None);
    }

    #[test]
    fn a_model_on_a_gpu_takes_the_gpu_s_memory() {
        let memory = Memory {
            on_gpu: true,
            weights: 4e9,
            pretraining: 16e9,
            activations: 8e9,
            gradients: 1e9,
            ..Memory::default()
        };
        assert_eq!(memory.gpu(Stage::Base), 28e9);
        assert_eq!(memory.gpu(Stage::Training), 12e9);
        assert!(memory.host(Stage::Base) < 1e9 && memory.host(Stage::Scoring) > 1e9);
        let host = Host {
            memory: Some(8e9),
            gpu: Some(24e9),
            ..Host::default()
        };
        let full = misfit(&memory, &[Stage::Base], host).unwrap();
        assert!(full.contains("28.0 GB of the GPU's memory"), "{full}");
        assert_eq!(misfit(&memory, &[Stage::Training], host), None);
    }
}
