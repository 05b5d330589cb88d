use serde::Serialize;

use super::Placed;
use crate::clean::{CleanRecord, CleanStep, Effect};
use crate::leak::Leak;
use crate::manifest::{Manifest, SourceRecord};
use crate::side::Side;

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is in the shards.
    Kept(Side),
    /// A step of cleaning left it out.
    Cleaned(CleanStep),
    /// `data.on_leak` left it out.
    Leaked,
    /// It is not in the shards, and what left it out is only counted: the reasons that are possible.
    Missing {
        /// Rows of its file that `max_samples` did not take.
        not_sampled: usize,
        /// Rows that were left out for their length.
        too_long: usize,
    },
}

impl Fate {
    pub(super) fn of(
        placed: &[Placed],
        steps: &[CleanRecord],
        leaks: &[Leak],
        source: &SourceRecord,
        manifest: &Manifest,
    ) -> Self {
        if let Some(placed) = placed.first() {
            return Self::Kept(placed.side);
        }
        if let Some(step) = steps.iter().find(|step| step.effect == Effect::LeftOut) {
            return Self::Cleaned(step.step);
        }
        if !leaks.is_empty() && manifest.leaked_out > 0 {
            return Self::Leaked;
        }
        Self::Missing {
            not_sampled: source.not_sampled,
            too_long: manifest.left_out(),
        }
    }
}
