//! What the student held answers for before its first step.

use serde::{Deserialize, Serialize};
use slm_data::{Batch, Sample, collate};
use slm_model::Decoder;

use crate::gradients::row_logprobs;

/// ln p of every answer, at the places of the samples; empty where the objective needs no reference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Of the training rows.
    pub train: Vec<f64>,
    /// Of the held-out rows.
    pub validation: Vec<f64>,
}

/// ln p of the learned tokens of each sample, without dropout, `batch_size` samples at a time.
pub fn answer_logprobs(
    decoder: &Decoder,
    samples: &[Sample],
    batch_size: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<f64> {
    let decoder = decoder.inference();
    let mut logprobs = Vec::with_capacity(samples.len());
    for samples in samples.chunks(batch_size.max(1)) {
        let batch = collate(&samples.iter().collect::<Vec<_>>());
        logprobs.extend(row_logprobs(&decoder, &batch));
        done(logprobs.len());
    }
    logprobs
}

/// The mean of ln p by the student minus ln p by the reference over the rows of a batch, at least 0: an estimate of the
/// student's divergence from it, in nats.
pub fn divergence(student: &Decoder, reference: &Decoder, batch: &Batch) -> f64 {
    let [student, reference] = [student, reference].map(|it| row_logprobs(&it.inference(), batch));
    let apart: f64 = student.iter().zip(&reference).map(|(a, b)| a - b).sum();
    (apart / batch.rows.max(1) as f64).max(0.0)
}
