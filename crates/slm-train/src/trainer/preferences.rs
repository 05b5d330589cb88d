//! Judged answers in the loop: what a batch says, against what the student said before its first step.

use slm_data::PreferenceBatch;
use slm_model::Decoder;
use slm_ops::DeviceSums;
use slm_recipe::Objective;

use super::micro_loss::MicroLoss;
use super::plan::{Content, Plan};
use super::{Corpus, Options};
use crate::gradients::{Gather, LossOptions, judged, judged_loss_and_gradients};
use crate::{JudgedCounts, JudgedSums, Preference, Ranks, Reference, TrainError, divergence};

/// How the answers of a run are judged.
pub(super) struct Preferences {
    pub(super) preference: Preference,
    reference: Reference,
    /// The student before its first step, where mismatched answers have to be put to it.
    initial: Option<Decoder>,
}

impl Preferences {
    /// None where nothing is judged. `decoder` is the student before its first step.
    pub(super) fn new(
        decoder: &Decoder,
        corpus: &Corpus<'_>,
        options: &Options,
    ) -> Result<Option<Self>, TrainError> {
        let objective = options.section.objective;
        let reference = &options.reference;
        let needs_reference = matches!(objective, Objective::Dpo | Objective::Kto);
        let has_reference = reference.train.len() == corpus.train.len()
            && reference.validation.len() >= corpus.validation.len();
        if needs_reference && !has_reference {
            return Err(TrainError::NoReference {
                found: reference.train.len(),
                needed: corpus.train.len(),
            });
        }
        Ok((objective != Objective::Sft).then(|| Self {
            preference: Preference {
                objective,
                section: options.preference.clone(),
            },
            reference: reference.clone(),
            initial: (objective == Objective::Kto).then(|| decoder.inference()),
        }))
    }

    /// The sums of a micro-batch of a step with `counts`; adds its gradients.
    pub(super) fn learn(
        &self,
        decoder: &Decoder,
        it: &PreferenceBatch,
        counts: JudgedCounts,
        options: &LossOptions,
        gradients: &mut dyn Gather,
    ) -> (DeviceSums, JudgedSums) {
        let scored = self.preference.scored(it);
        let kl = self.divergence(decoder, it);
        let judging = self
            .preference
            .judging(it, &self.reference.train, kl, counts);
        judged_loss_and_gradients(decoder, &scored, &judging, options, gradients)
    }

    /// What the held-out answers say in the batches that this process takes.
    pub(super) fn held_out(&self, decoder: &Decoder, plan: &Plan<'_>, ranks: &Ranks) -> MicroLoss {
        let decoder = decoder.inference();
        let batch = |place| match plan.get(place)?.content {
            Content::Judged(judged) => Some(*judged),
            Content::Rows(..) => None,
        };
        let all = (0..plan.len()).filter_map(batch);
        let counts = all.map(|it| self.preference.counts(&it)).sum();
        let (mut sums, mut tokens, mut judgement) = (Vec::new(), 0, JudgedSums::default());
        let own = (0..plan.len()).filter(|place| ranks.takes(*place));
        for it in own.filter_map(batch) {
            let scored = self.preference.scored(&it);
            let kl = self.divergence(&decoder, &it);
            let reference = &self.reference.validation;
            let judging = self.preference.judging(&it, reference, kl, counts);
            let (of_batch, judged) = judged(&decoder, &scored, &judging);
            sums.push(of_batch);
            tokens += scored.learned;
            judgement = judgement + judged;
        }
        MicroLoss {
            tokens: sums.into_iter().sum(),
            n_tokens: tokens,
            judged: Some(judgement),
            taught: None,
        }
    }

    fn divergence(&self, decoder: &Decoder, it: &PreferenceBatch) -> f64 {
        match (&self.initial, &it.mismatched) {
            (Some(initial), Some(mismatched)) => divergence(decoder, initial, mismatched),
            _ => 0.0,
        }
    }
}
