//! What the student holds answers for before its first step.

use anyhow::Result;
use slm_model::Decoder;
use slm_recipe::Objective;
use slm_run::{Event, write_file_atomic};
use slm_train::{Corpus, Reference, answer_logprobs};

use super::Walk;

/// Log-probabilities of all answers, in the run directory.
const REFERENCE: &str = "reference.json";
/// Name of the stage.
const STAGE: &str = "reference";

impl Walk {
    /// Computes it once, for the objectives that compare with it; `decoder` is the student before its first step, and
    /// `inputs` the digest of what it depends on.
    pub(super) fn reference(
        &mut self,
        decoder: &Decoder,
        corpus: Corpus<'_>,
        inputs: &str,
    ) -> Result<Reference> {
        if !self.has_reference() {
            return Ok(Reference::default());
        }
        let batch_size = self.recipe.train.per_device_eval_batch_size;
        let total = corpus.train.len() + corpus.validation.len();
        self.stage(STAGE, inputs, |run, reporter| {
            let mut before = 0;
            let mut of = |samples| {
                let logprobs = answer_logprobs(decoder, samples, batch_size, &mut |done| {
                    reporter.show(Event::Progress {
                        stage: STAGE.into(),
                        done: (before + done) as u64,
                        total: total as u64,
                        unit: "answers".into(),
                    });
                });
                before += logprobs.len();
                logprobs
            };
            let reference = Reference {
                train: of(corpus.train),
                validation: of(corpus.validation),
            };
            write_file_atomic(run.path(REFERENCE), &serde_json::to_vec(&reference)?)?;
            Ok(vec![REFERENCE.into()])
        })?;
        self.reference_kept()
    }

    /// What [`Self::reference`] has computed.
    pub(super) fn reference_kept(&self) -> Result<Reference> {
        if !self.has_reference() {
            return Ok(Reference::default());
        }
        let text = fs_err::read(self.run.path(REFERENCE))?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn has_reference(&self) -> bool {
        matches!(self.recipe.train.objective, Objective::Dpo | Objective::Kto)
    }
}
