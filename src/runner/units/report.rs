//! What became of a unit: a small file in `units/`, for `infbench status` and to hold forecasts against.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::id::UnitId;
use crate::atomic;
use crate::input;
use crate::results::environment;

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At work, unless its process ended without a word.
    Running,
    /// Finished.
    Done,
    /// Failed, for the reason that `message` gives.
    Failed,
}

/// Why a unit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// By itself, with an error message.
    Error,
    /// It ran longer than its job was allowed.
    Timeout,
    /// It took more memory than its job was allowed.
    OutOfMemory,
    /// Its node failed.
    NodeFail,
    /// A unit that it needs is not done.
    Blocked,
    /// Its job made room for another and was not started again.
    Preempted,
    /// Its job was cancelled.
    Cancelled,
    /// Its job ended in another way.
    Other,
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitReport {
    /// Its id.
    pub unit: String,
    /// Where it stands.
    pub state: State,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The host.
    pub host: String,
    /// The process there.
    pub process: u32,
    /// Id of the job and, after a `_`, of its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Start, RFC 3339, UTC.
    pub started: String,
    /// Wall time, seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Processor time of the process meanwhile, user and system, seconds; `null` where the system does not tell.
    #[serde(default)]
    pub cpu_seconds: Option<f64>,
    /// Most memory that the program held meanwhile, bytes.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// Most memory of the process since its start that was resident, bytes.
    #[serde(default)]
    pub resident_bytes: Option<u64>,
}

/// The file of a unit's report.
pub fn path(root: &Path, unit: &UnitId) -> PathBuf {
    root.join("units").join(format!("{unit}.json"))
}

/// The report of a unit, when there is a readable one.
pub fn read(root: &Path, unit: &UnitId) -> Option<UnitReport> {
    input::json(&path(root, unit)).ok()
}

impl UnitReport {
    /// Of a unit at work in this process since `started`.
    pub fn new(unit: &UnitId, started: &str) -> Self {
        Self {
            unit: unit.to_string(),
            state: State::Running,
            cause: None,
            message: None,
            host: environment::host(),
            process: std::process::id(),
            job: None,
            started: started.to_owned(),
            seconds: 0.0,
            cpu_seconds: None,
            peak_bytes: None,
            resident_bytes: None,
        }
    }

    /// Whether it says that this process is at work on the unit.
    pub fn is_of_this_process(&self) -> bool {
        let own = (environment::host(), std::process::id());
        self.state == State::Running && (&self.host, self.process) == (&own.0, own.1)
    }

    /// Writes the report, whole or not at all.
    ///
    /// # Errors
    /// What the file system answers, as a sentence.
    pub fn write(&self, root: &Path, unit: &UnitId) -> Result<(), String> {
        let path = path(root, unit);
        atomic::write_json(&path, self).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }
}
