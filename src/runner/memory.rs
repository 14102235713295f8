//! Peak memory of a process that does a cell or a part of it, and whether it fits.
//!
//! The terms are what lies in memory at a time; `docs/scale.md` holds the forecast against what was measured.

use std::path::Path;

use crate::results::environment;

/// The program itself, its threads' stacks and the allocator's reserve, bytes.
const PROGRAM: f64 = 64e6;
/// What the methods and metrics take besides, of the program and of their threads, bytes.
const METHODS: f64 = 14e6;
/// What the allocator holds of what was freed, over what is held.
const RESERVE: f64 = 1.15;

/// What lies in memory while a cell is computed, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Weights, adapters included.
    pub weights: f64,
    /// Gradients and moments of the optimiser while the base is pretrained.
    pub pretraining: f64,
    /// Activations of all threads at work.
    pub activations: f64,
    /// Examples.
    pub examples: f64,
    /// Activations below the first adapted layer that are kept.
    pub kept: f64,
    /// Gradients in memory.
    pub gradients: f64,
    /// Gradients in files.
    pub mapped: f64,
    /// The largest workspace of a method.
    pub workspace: f64,
}

impl Memory {
    /// While the base is pretrained.
    pub fn of_base(&self) -> f64 {
        PROGRAM + RESERVE * (self.weights + self.pretraining + self.activations + self.examples)
    }

    /// While adapters are trained.
    pub fn of_training(&self) -> f64 {
        PROGRAM + RESERVE * (self.weights + self.activations + self.examples + self.kept)
    }

    /// While a cell is scored: gradients are taken, then the methods run on them.
    pub fn of_scoring(&self) -> f64 {
        let held = self.weights + self.examples + self.kept + self.gradients;
        PROGRAM + METHODS + RESERVE * (held + self.activations.max(self.workspace))
    }

    /// The most of all.
    pub fn peak(&self) -> f64 {
        self.of_base()
            .max(self.of_training())
            .max(self.of_scoring())
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
                self.activations,
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

/// What there is on this host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// Main memory that this process may take, bytes; `None` where the system does not tell.
    pub memory: Option<f64>,
    /// Room on the disk of the results, bytes.
    pub disk: Option<f64>,
}

impl Host {
    /// This one: what a scheduler or the machine gives, and the room for `folder`.
    pub fn here(folder: &Path) -> Self {
        let of_job = std::env::var("SLURM_MEM_PER_NODE").ok();
        let of_job = of_job.and_then(|mib| mib.parse::<f64>().ok());
        let of_job = of_job.map(|mib| mib * f64::from(1 << 20));
        let machine = environment::memory().map(|bytes| bytes as f64);
        Self {
            memory: of_job.into_iter().chain(machine).reduce(f64::min),
            disk: environment::room(folder).map(|bytes| bytes as f64),
        }
    }
}

/// Why what takes this does not fit a host, and what would make it fit; `None` when it does.
pub fn misfit(memory: &Memory, host: Host) -> Option<String> {
    let peak = memory.peak();
    if let Some(there) = host.memory.filter(|&there| peak > there) {
        return Some(format!(
            "it takes about {} of memory and there are {}; {}",
            gigabytes(peak),
            gigabytes(there),
            memory.advice()
        ));
    }
    let disk = memory.mapped;
    if let Some(room) = host.disk.filter(|&room| disk > room) {
        return Some(format!(
            "its gradients take about {} of disk and there is room for {}; store.dtype=bf16 halves them",
            gigabytes(disk),
            gigabytes(room)
        ));
    }
    None
}

/// `1.2 GB`
fn gigabytes(bytes: f64) -> String {
    format!("{:.1} GB", bytes / 1e9)
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
        };
        assert_eq!(misfit(&memory, host(64e9, 6e9)), None);
        let full = misfit(&memory, host(8e9, 6e9)).unwrap();
        assert!(
            full.contains("10.4 GB") && full.contains("store.in_memory_mib"),
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
        let unknown = Host {
            memory: None,
            disk: None,
        };
        assert_eq!(misfit(&exact, unknown), None);
    }
}
