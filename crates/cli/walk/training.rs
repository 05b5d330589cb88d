//! Rows and a base to a student.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;
use slm_data::{Answers, Sample, Shards};
use slm_eval::Task;
use slm_export::ensure_exportable;
use slm_model::Decoder;
use slm_recipe::{ModelSection, Objective};
use slm_run::{Event, RunDir, StageStatus, sha256_file, sha256_json, write_file_atomic};
use slm_train::{
    Checkpoint, Corpus, Options, Outcome, Ranks, Reference, Teaching, TrainError, Trainer, Turn,
};

use super::Walk;
use super::following::{BEGUN, SKIPPED, STAGE, metric_of};
use super::judge::Judge;
use super::log::{Log, METRICS, TENSORBOARD};
use super::teaching::TEACHER;
use crate::{
    base::{Base, make_trainable},
    batch,
    failure::{Interrupted, refuse},
    interrupt, mask,
    reporter::Reporter,
    teacher::TeacherModel,
};

/// How training ended, beside the checkpoints.
const OUTCOME: &str = "outcome.json";

/// A trained model.
pub(crate) struct Student {
    pub(crate) decoder: Decoder,
    pub(crate) outcome: Outcome,
}

impl Walk {
    /// Trains, or takes up what was trained.
    pub(crate) fn train(
        &mut self,
        base: &Base,
        shards: &Shards,
        tasks: &[Task],
    ) -> Result<Student> {
        check_answers(self.recipe.train.objective, shards)?;
        // A file that is not there is told before hours of training, not after.
        self.imatrix()?;
        let teacher = self.teacher(base, shards)?;
        self.settle(base, shards, teacher.as_ref())?;
        let digest = self.training_inputs(base, teacher.as_ref())?;
        self.refuse_changed("weights of the base", "train", &digest)?;
        self.ask(teacher.as_ref(), base, shards)?;
        let mut decoder = self.untrained(base)?;
        ensure_exportable(&self.recipe.export, &decoder)?;
        self.reporter.mask(&shards.manifest().mask);
        self.tell_tied(&decoder);
        let corpus = self.corpus(shards);
        let reference = self.reference(&decoder, corpus, &digest)?;
        let teaching = match self.run.stage_is_current("train", &digest) {
            true => None,
            false => self.teaching(teacher.as_ref(), base, shards, &decoder)?,
        };
        let options = self.options(shards, reference, teaching);
        let ranks = self.ranks.clone();
        let judge = self.judge(base, shards, tasks)?;
        let mut outcome = None;
        self.stage("train", &digest, |run, reporter| {
            if !options.resume {
                clear(run)?;
            }
            let kept = mask::keep(&shards.manifest().mask, run.root())?;
            ranks.tell(STAGE, BEGUN)?;
            let trainer = Trainer::among(ranks.clone(), &mut decoder, corpus, options);
            if let Some(why) = ranks.why_not_on_gpus() {
                let text = format!("gradients go through the memory of the host: {why}");
                reporter.show(Event::Note { text });
            }
            let ended = trainer.map_err(Into::into).and_then(|trainer| {
                train(trainer, &mut decoder, &ranks, judge.as_ref(), run, reporter)
            });
            let ended = ended.map_err(|error| match error.downcast::<TrainError>() {
                Ok(error) => error.with_origins(|row| shards.origin(row)).into(),
                Err(error) => error,
            })?;
            let mut outputs = finish(run, &ended)?;
            outputs.push(kept);
            outcome = Some(ended);
            Ok(outputs)
        })?;
        self.inputs = digest;
        match outcome {
            Some(outcome) => Ok(Student { decoder, outcome }),
            None => {
                self.ranks.tell(STAGE, SKIPPED)?;
                self.taken_up(decoder)
            }
        }
    }

    /// The rows of the run.
    pub(super) fn corpus<'a>(&self, shards: &'a Shards) -> Corpus<'a> {
        Corpus {
            train: shards.train(),
            validation: first(shards.validation(), self.recipe.eval.max_samples),
        }
    }

    /// What the loop needs besides model and rows.
    pub(super) fn options(
        &self,
        shards: &Shards,
        reference: Reference,
        teaching: Option<Teaching>,
    ) -> Options {
        Options {
            section: self.recipe.train.clone(),
            seed: self.recipe.seed,
            loraplus_lr_ratio: self.recipe.lora.loraplus_lr_ratio,
            max_length: self.recipe.model.max_length,
            packing: self.recipe.data.packing,
            shuffle: self.recipe.data.shuffle,
            shares: shards.shares(),
            preference: self.recipe.preference.clone(),
            reference,
            teaching,
            checkpoints: self.run.path("checkpoints"),
            resume: self.resume,
        }
    }

    /// Chooses the rows of a micro-batch where the recipe does not, and writes down what was chosen.
    fn settle(
        &mut self,
        base: &Base,
        shards: &Shards,
        teacher: Option<&TeacherModel>,
    ) -> Result<()> {
        let config = base.config(&self.recipe)?;
        let longest = batch::longest_row(&self.recipe, shards.train());
        if let Some(fit) = batch::settle(&mut self.recipe, &config, teacher, longest)? {
            let written = fs_err::read_to_string(self.run.path("recipe.toml"))?;
            self.run.write_recipe(&written, &self.recipe.to_toml())?;
            let text = format!(
                "`train.per_device_train_batch_size = \"auto\"`: {}",
                batch::told(&fit)
            );
            self.reporter.show(Event::Note { text });
        }
        Ok(())
    }

    /// Says that modules are one weight where the recipe names them to be trained whole.
    fn tell_tied(&mut self, decoder: &Decoder) {
        let saved = &self.recipe.lora.modules_to_save;
        let is_lora = self.recipe.train.method == slm_recipe::Method::Lora;
        if is_lora && decoder.config().tie_word_embeddings && !saved.is_empty() {
            let text = "embedding and head of this base are one weight: if `lora.modules_to_save` names either, both are trained, as one";
            self.reporter.show(Event::Note { text: text.into() });
        }
    }

    /// The student of a run that has been trained.
    pub(crate) fn student(&mut self, base: &Base) -> Result<Student> {
        let trained = self.run.record().stages.get("train");
        if trained.is_none_or(|stage| stage.status != StageStatus::Done) {
            let root = self.run.root().display();
            return Err(refuse(
                format!("the run in `{root}` is not trained to its end"),
                format!("`slm-tune resume {root}` does the rest"),
            ));
        }
        self.inputs = self.training_inputs(base, None)?;
        let decoder = self.untrained(base)?;
        self.taken_up(decoder)
    }

    /// Puts the weights that training ended with into a fresh model.
    fn taken_up(&self, mut decoder: Decoder) -> Result<Student> {
        let outcome: Outcome = serde_json::from_slice(&fs_err::read(self.run.path(OUTCOME))?)?;
        let step = outcome.weights_of_step;
        let checkpoint =
            Checkpoint::open(&Checkpoint::folder(&self.run.path("checkpoints"), step))?;
        checkpoint.restore_weights(&mut decoder)?;
        Ok(Student { decoder, outcome })
    }

    /// The base with its fresh adapter, or with all its weights to be trained.
    pub(super) fn untrained(&self, base: &Base) -> Result<Decoder> {
        let mut decoder = base.decoder(&self.recipe)?;
        make_trainable(&mut decoder, &self.recipe)?;
        Ok(decoder)
    }

    /// Digest of everything that the trained weights depend on; the device is not among it, so that a run may move. A teacher need
    /// not be there once it has taught.
    fn training_inputs(&mut self, base: &Base, teacher: Option<&TeacherModel>) -> Result<String> {
        if let Some(teacher) = teacher {
            self.run.set_digest(TEACHER, teacher.digest()?)?;
        }
        let recipe = &self.recipe;
        let weights = base.digest()?;
        let model = ModelSection {
            device: String::new(),
            ..recipe.model.clone()
        };
        let inputs = json!({
            "base": weights, "data": self.run.record().digests.get("data"), "model": model, "packing": recipe.data.packing,
            "shuffle": recipe.data.shuffle,
            "lora": recipe.lora, "train": recipe.train, "preference": recipe.preference, "seed": recipe.seed, "held_out": recipe.eval.max_samples,
        });
        let inputs = match self.taught_as() {
            None => inputs,
            Some(taught) => json!([inputs, taught, self.run.record().digests.get(TEACHER)]),
        };
        let digest = match &recipe.lora.adapter_path {
            None => sha256_json(&inputs),
            Some(path) => {
                let weights = Path::new(path).join("adapter_model.safetensors");
                sha256_json(&json!([inputs, sha256_file(&weights)?]))
            }
        };
        if self.run.record().digests.get("base") != Some(&weights) {
            self.run.set_digest("base", weights)?;
        }
        Ok(digest)
    }
}

fn train(
    mut trainer: Trainer<'_>,
    decoder: &mut Decoder,
    ranks: &Ranks,
    judge: Option<&Judge<'_>>,
    run: &mut RunDir,
    reporter: &mut Reporter,
) -> Result<Outcome> {
    reporter.log_every = trainer.section().logging_steps;
    let mut log = Log::open(run, trainer.section(), trainer.steps_taken())?;
    let outcome = interrupt::heeded(|stop| -> Result<Outcome> {
        loop {
            let mut emit = |event| {
                log.take(&event);
                reporter.show(event);
            };
            match (trainer.advance(decoder, stop, &mut emit)?, judge) {
                (Turn::Ended(outcome), _) => return Ok(outcome),
                (Turn::Measure, Some(judge)) => {
                    let metric = judge.measure(decoder, &mut emit)?;
                    ranks.tell(&metric_of(trainer.steps_taken()), &metric.to_string())?;
                    trainer.measured(decoder, metric, &mut emit)?;
                }
                (Turn::Measure, None) => bail!("`train.metric_for_best_model` names no task"),
            }
        }
    })??;
    if let Some(error) = log.failure {
        return Err(error.into());
    }
    if outcome.interrupted {
        return Err(Interrupted {
            run: run.root().into(),
            step: outcome.state.step,
        }
        .into());
    }
    Ok(outcome)
}

/// Removes what an earlier attempt left that is not resumed.
fn clear(run: &RunDir) -> Result<()> {
    for path in ["checkpoints", METRICS, TENSORBOARD, OUTCOME].map(|name| run.path(name)) {
        let removed = match path.is_dir() {
            true => fs_err::remove_dir_all(&path),
            false if path.exists() => fs_err::remove_file(&path),
            false => Ok(()),
        };
        removed.map_err(|error| slm_run::RunError::io(&path, error))?;
    }
    Ok(())
}

fn finish(run: &RunDir, outcome: &Outcome) -> Result<Vec<PathBuf>> {
    write_file_atomic(run.path(OUTCOME), &serde_json::to_vec_pretty(outcome)?)?;
    let checkpoint = Checkpoint::folder(Path::new("checkpoints"), outcome.weights_of_step);
    Ok(vec![OUTCOME.into(), checkpoint])
}

/// Whether the rows have the answers that an objective learns from. Learning every answer of judged ones would learn the
/// rejected ones as well.
fn check_answers(objective: Objective, shards: &Shards) -> Result<()> {
    let (needed, hint) = match (objective, shards.answers()) {
        (Objective::Sft, Answers::Single)
        | (Objective::Dpo | Objective::Orpo, Answers::Pairs)
        | (Objective::Kto, Answers::Pairs | Answers::Rated) => return Ok(()),
        (Objective::Sft, _) => (
            "rows with one answer",
            "to learn from both, `train.objective = \"dpo\"`; to learn the chosen ones, `data.format = \"prompt_completion\"` with `columns = { completion = \"chosen\" }`",
        ),
        (Objective::Dpo | Objective::Orpo, _) => (
            "a chosen and a rejected answer in every row",
            "rows look like {\"prompt\": \"..\", \"chosen\": \"..\", \"rejected\": \"..\"}; answers that were judged alone are for `train.objective = \"kto\"`",
        ),
        (Objective::Kto, _) => (
            "judged answers",
            "rows look like {\"prompt\": \"..\", \"completion\": \"..\", \"label\": true}",
        ),
    };
    let found = match shards.answers() {
        Answers::Single => "one answer each, to be learned",
        Answers::Pairs => "a chosen and a rejected answer each",
        Answers::Rated => "answers that were judged alone",
        Answers::Mixed => "answers that were judged and answers that were not",
    };
    let name = objective.name();
    Err(refuse(
        format!("the rows have {found}; `{name}` needs {needed}"),
        hint,
    ))
}

/// At most `max` rows, 0 for all; both answers of a row with two.
fn first(samples: &[Sample], max: usize) -> &[Sample] {
    let rows = samples.chunk_by(|a, b| a.row == b.row);
    match max {
        0 => samples,
        max => &samples[..rows.take(max).map(<[Sample]>::len).sum()],
    }
}
