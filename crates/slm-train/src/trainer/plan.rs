//! The batches of an epoch, whatever they are for.

use slm_data::{
    Batch, BatchOptions, Batches, Pairing, PreferenceBatch, PreferenceBatches, Sample, batches,
    preference_batches,
};
use slm_recipe::Objective;

use crate::Author;

/// The batches of one epoch.
#[derive(Debug)]
pub(super) enum Plan<'a> {
    /// Rows to learn.
    Rows(Batches<'a>),
    /// Judged answers.
    Judged(PreferenceBatches<'a>, &'a [Sample]),
}

/// A micro-batch of a step, and its place among the batches of the epoch.
pub(super) struct MicroBatch {
    pub(super) place: usize,
    pub(super) content: Content,
    /// Who wrote the answers.
    pub(super) author: Author,
}

/// What a micro-batch holds.
pub(super) enum Content {
    /// Rows to learn, collated and as they are.
    Rows(Batch, Vec<Sample>),
    /// Judged answers.
    Judged(Box<PreferenceBatch>),
}

impl<'a> Plan<'a> {
    pub(super) fn new(samples: &'a [Sample], objective: Objective, options: &BatchOptions) -> Self {
        let pairing = match objective {
            Objective::Sft => return Self::Rows(batches(samples, options)),
            Objective::Dpo | Objective::Orpo => Pairing::Pairs,
            Objective::Kto => Pairing::Singles,
        };
        Self::Judged(preference_batches(samples, pairing, options), samples)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Rows(batches) => batches.len(),
            Self::Judged(batches, _) => batches.len(),
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<MicroBatch> {
        let content = match self {
            Self::Rows(batches) => {
                let rows = batches.samples(place).into_iter().cloned();
                Content::Rows(batches.get(place)?, rows.collect())
            }
            Self::Judged(batches, _) => Content::Judged(Box::new(batches.get(place)?)),
        };
        Some(MicroBatch {
            place,
            content,
            author: Author::Rows,
        })
    }

    /// The row numbers of the samples in the batch at a place.
    pub(super) fn sample_rows(&self, place: usize) -> Vec<usize> {
        match self {
            Self::Rows(batches) => batches.sample_rows(place),
            Self::Judged(batches, samples) => {
                let mut rows: Vec<usize> = batches
                    .get(place)
                    .map(|batch| batch.samples.iter().map(|at| samples[*at].row).collect())
                    .unwrap_or_default();
                rows.sort_unstable();
                rows.dedup();
                rows
            }
        }
    }
}

impl MicroBatch {
    pub(super) fn batch(&self) -> &Batch {
        match &self.content {
            Content::Rows(batch, _) => batch,
            Content::Judged(judged) => &judged.batch,
        }
    }
}
