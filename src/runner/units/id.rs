//! Names of units.

use std::fmt;
use std::str::FromStr;

use crate::input::quote;
use crate::runner::memory::Stage;

/// What a unit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Pretrains a base.
    Base,
    /// Fine-tunes adapters, and takes the gradients that several cells share.
    Tune,
    /// Retrains on parts of the training examples.
    Retrain,
    /// Scores a cell and writes its record.
    Score,
    /// Collects the records and draws the report.
    Collect,
}

impl Kind {
    /// All, in the order in which they depend on one another.
    pub const ALL: [Self; 5] = [
        Self::Base,
        Self::Tune,
        Self::Retrain,
        Self::Score,
        Self::Collect,
    ];

    /// What is at work on the cell.
    pub fn stage(self) -> Option<Stage> {
        match self {
            Self::Base => Some(Stage::Base),
            Self::Tune => Some(Stage::Training),
            Self::Retrain => Some(Stage::Retraining),
            Self::Score => Some(Stage::Scoring),
            Self::Collect => None,
        }
    }

    /// As ids begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Tune => "tune",
            Self::Retrain => "retrain",
            Self::Score => "score",
            Self::Collect => "collect",
        }
    }
}

/// Which unit: its kind and a cell that needs it, so that the id says by itself what to do. `base-4f1c…`,
/// `tune-4f1c…`, `retrain-4f1c…-2of8`, `score-4f1c…`, `collect`. A unit that several cells need is listed under the
/// first of them and may be run under any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId {
    /// What it does.
    pub kind: Kind,
    /// Id of the cell; empty for `collect`.
    pub cell: String,
    /// Which of how many slices of a cell's retrainings, from 1; `(1, 1)` for all other kinds.
    pub slice: (usize, usize),
}

impl UnitId {
    /// A unit that is not a slice.
    pub fn new(kind: Kind, cell: &str) -> Self {
        Self {
            kind,
            cell: cell.to_owned(),
            slice: (1, 1),
        }
    }

    /// The unit that collects.
    pub fn collect() -> Self {
        Self::new(Kind::Collect, "")
    }

    /// Slice `number` of `count` of a cell's retrainings, from 1.
    pub fn slice(cell: &str, number: usize, count: usize) -> Self {
        Self {
            slice: (number, count),
            ..Self::new(Kind::Retrain, cell)
        }
    }

    /// Which of `jobs` retrainings are in this slice.
    pub fn range(&self, jobs: usize) -> std::ops::Range<usize> {
        let (number, count) = self.slice;
        (number - 1) * jobs / count..number * jobs / count
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, count) = self.slice;
        match self.kind {
            Kind::Collect => f.write_str(self.kind.name()),
            Kind::Retrain => write!(f, "retrain-{}-{number}of{count}", self.cell),
            kind => write!(f, "{}-{}", kind.name(), self.cell),
        }
    }
}

impl FromStr for UnitId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a unit; allowed: base-CELL, tune-CELL, retrain-CELL-2of8, score-CELL and collect, as `infbench plan --units` lists them",
                quote(text)
            )
        };
        if text == Kind::Collect.name() {
            return Ok(Self::collect());
        }
        let (name, rest) = text.split_once('-').ok_or_else(wrong)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.filter(|kind| *kind != Kind::Collect);
        let kind = kind.ok_or_else(wrong)?;
        let is_cell = |cell: &str| !cell.is_empty() && cell.chars().all(|c| c.is_ascii_hexdigit());
        if kind != Kind::Retrain {
            return Some(Self::new(kind, rest))
                .filter(|_| is_cell(rest))
                .ok_or_else(wrong);
        }
        let (cell, slice) = rest.split_once('-').ok_or_else(wrong)?;
        let (number, count) = slice.split_once("of").ok_or_else(wrong)?;
        match (number.parse(), count.parse()) {
            (Ok(number), Ok(count)) if is_cell(cell) && (1..=count).contains(&number) => {
                Ok(Self::slice(cell, number, count))
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_return_from_their_text() {
        let ids = [
            UnitId::new(Kind::Base, "4f1c"),
            UnitId::new(Kind::Tune, "4f1c"),
            UnitId::slice("4f1c", 2, 8),
            UnitId::new(Kind::Score, "00ff"),
            UnitId::collect(),
        ];
        for id in ids {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in [
            "",
            "base",
            "base-",
            "base-xyz",
            "collect-00ff",
            "retrain-00ff",
            "retrain-00ff-0of8",
            "retrain-00ff-9of8",
            "retrain-00ff-1of0",
            "cell-00ff",
        ] {
            assert!(wrong.parse::<UnitId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn slices_hold_every_retraining_once() {
        for (jobs, count) in [(10, 3), (3, 8), (0, 2), (1005, 16)] {
            let slices = (1..=count).map(|number| UnitId::slice("00", number, count));
            let all: Vec<usize> = slices.flat_map(|slice| slice.range(jobs)).collect();
            assert_eq!(all, (0..jobs).collect::<Vec<_>>());
        }
    }
}
