//! Labels that are likely wrong, by what models of a run think of them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Serialize;
use slm_data::{HeldOut, Shards, Side, SourceRecord, asked_rows};
use slm_eval::{Evaluator, LabelAudit, MetricName, Sample};
use slm_model::Decoder;
use slm_recipe::{EvalTask, Objective, OutputType};
use slm_run::{Event, sha256_file};
use slm_train::{Reference, Trainer, Turn};

use super::{Walk, measuring::read_rows};
use crate::{base::Base, failure::refuse, guarded::guarded, interrupt};

/// Name of the stage in events.
const STAGE: &str = "audit";

/// What was found among some rows.
#[derive(Debug, Serialize)]
pub(crate) struct Audited {
    /// Which rows: `held out`, `training`, or a file.
    pub(crate) of: String,
    /// What the models that were asked know of them.
    pub(crate) known: Known,
    /// Rows with an answer that is none of the labels.
    pub(crate) other_answers: usize,
    #[serde(flatten)]
    pub(crate) audit: LabelAudit,
}

/// Whether a model that was asked about rows has learned from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Known {
    /// It has not.
    Unseen,
    /// It has: errors that it learned by heart are not found.
    Learned,
    /// Each row was asked of the one of so many models that has not.
    Folds(usize),
}

impl Walk {
    /// Looks for label errors: among the rows of a file, among those to learn from by so many models that did not see them, or
    /// else among all rows of the run by its own model.
    pub(crate) fn audit(
        &mut self,
        file: Option<&str>,
        folds: Option<usize>,
    ) -> Result<Vec<Audited>> {
        let base = self.base()?;
        let shards = self.shards()?;
        let labels = self.labels(&shards)?;
        if let Some(folds) = folds {
            let rows = self.learned_rows(&base, &shards)?;
            return Ok(vec![self.by_folds(&base, &shards, &labels, rows, folds)?]);
        }
        let groups = match file {
            Some(file) => {
                let rows = read_rows(file, &self.recipe, &base.tokenizer)?;
                vec![(file, known_of(file, &shards)?, rows)]
            }
            None => vec![
                ("held out", Known::Unseen, shards.held_out().to_vec()),
                ("test", Known::Unseen, shards.test().to_vec()),
                (
                    "training",
                    Known::Learned,
                    self.learned_rows(&base, &shards)?,
                ),
            ],
        };
        let decoder = self.student(&base)?.decoder;
        let mut found = Vec::new();
        for (of, known, rows) in groups {
            // A run may hold nothing out.
            if !rows.is_empty() {
                found.push(self.by_one(&base, &decoder, (of, known), &labels, rows)?);
            }
        }
        Ok(found)
    }

    /// The closed set: that of the recipe, of its first task that has one, or what the training rows answer.
    fn labels(&self, shards: &Shards) -> Result<Vec<String>> {
        let tasks = self.recipe.eval.task.iter();
        let of_task = tasks
            .filter(|task| task.output_type == OutputType::MultipleChoice)
            .map(|task| &task.choices);
        let mut stated = std::iter::once(&self.recipe.data.labels).chain(of_task);
        let mut labels = match stated.find(|labels| !labels.is_empty()) {
            Some(labels) => labels.clone(),
            None => shards.targets().map(|it| it.trim().to_owned()).collect(),
        };
        labels.sort();
        labels.dedup();
        let rows = shards.manifest().train.rows;
        if labels.len() < 2 || labels.len() == rows {
            let distinct = shards.manifest().distinct_targets;
            return Err(refuse(
                format!(
                    "the {rows} training rows have {distinct} different answers, which are no labels"
                ),
                "label errors are looked for in a closed set: name it with `data.labels`, or with `choices` of a multiple_choice task",
            ));
        }
        Ok(labels)
    }

    /// The rows in the shards to learn from, as texts.
    fn learned_rows(&self, base: &Base, shards: &Shards) -> Result<Vec<HeldOut>> {
        let (recipe, tokenizer) = (&self.recipe, &base.tokenizer);
        let guarded = guarded(recipe)?;
        let max_length = recipe.model.max_length;
        let digest =
            slm_data::input_digest(&recipe.data, &guarded, tokenizer, max_length, recipe.seed)?;
        if self.run.record().digests.get("data") != Some(&digest) {
            return Err(refuse(
                format!(
                    "the rows have changed since the run in `{}` began",
                    self.run.root().display()
                ),
                "put them back, train again, or name the rows to look at with `--rows FILE`",
            ));
        }
        let mut rows = asked_rows(&recipe.data, tokenizer, recipe.seed)?;
        rows.retain(|row| shards.origin(row.row).is_some());
        Ok(rows)
    }

    /// Asks one model about all rows.
    fn by_one(
        &mut self,
        base: &Base,
        decoder: &Decoder,
        (of, known): (&str, Known),
        labels: &[String],
        rows: Vec<HeldOut>,
    ) -> Result<Audited> {
        let (rows, other_answers) = labelled(of, rows, labels)?;
        let samples = self.asked(base, decoder, of, labels, &rows)?;
        Ok(Audited {
            of: of.into(),
            known,
            other_answers,
            audit: LabelAudit::of(labels, &rows, &samples),
        })
    }

    /// Trains on all rows but a part of those with labels, and asks about that part, part by part.
    fn by_folds(
        &mut self,
        base: &Base,
        shards: &Shards,
        labels: &[String],
        rows: Vec<HeldOut>,
        folds: usize,
    ) -> Result<Audited> {
        let of = "training";
        let (mut rows, other_answers) = labelled(of, rows, labels)?;
        let seed = self.recipe.seed;
        rows.sort_by_cached_key(|row| (row.fold(folds, seed), row.row));
        let mut samples = Vec::new();
        let parts = rows.chunk_by(|a, b| a.fold(folds, seed) == b.fold(folds, seed));
        for part in parts {
            let nth = part[0].fold(folds, seed) + 1;
            let text = format!(
                "fold {nth} of {folds}: {} rows are not learned from",
                part.len()
            );
            self.reporter.show(Event::Note { text });
            let left_out: BTreeSet<usize> = part.iter().map(|row| row.row).collect();
            let decoder = self.trained_on(base, &shards.without(&left_out))?;
            let of = format!("fold {nth}");
            samples.extend(self.asked(base, &decoder, &of, labels, part)?);
        }
        Ok(Audited {
            of: of.into(),
            known: Known::Folds(folds),
            other_answers,
            audit: LabelAudit::of(labels, &rows, &samples),
        })
    }

    /// A student of its own, which leaves nothing behind. Of a recipe with a teacher, one without.
    fn trained_on(&mut self, base: &Base, shards: &Shards) -> Result<Decoder> {
        if self.recipe.train.objective != Objective::Sft {
            return Err(refuse(
                "rows with judged answers have no labels",
                "label errors are looked for in rows with one answer each",
            ));
        }
        let folder = tempfile::tempdir()?;
        let mut decoder = self.untrained(base)?;
        let mut options = self.options(shards, Reference::default(), None);
        options.checkpoints = folder.path().join("checkpoints");
        options.resume = false;
        // A task is not measured on the way.
        options.section.metric_for_best_model = "loss".into();
        options.section.load_best_model_at_end &= !shards.validation().is_empty();
        let corpus = self.corpus(shards);
        let mut trainer = Trainer::new(&mut decoder, corpus, options)?;
        interrupt::heeded(|stop| -> Result<()> {
            let mut emit = |event| self.reporter.show(event);
            match trainer.advance(&mut decoder, stop, &mut emit)? {
                Turn::Ended(outcome) if !outcome.interrupted => Ok(()),
                Turn::Ended(_) => bail!("interrupted; nothing was kept of the folds"),
                Turn::Measure => bail!("a task was to be measured for weights of a fold"),
            }
        })??;
        Ok(decoder)
    }

    /// Has a model score every label for every row.
    fn asked(
        &mut self,
        base: &Base,
        decoder: &Decoder,
        of: &str,
        labels: &[String],
        rows: &[HeldOut],
    ) -> Result<Vec<Sample>> {
        let evaluator = Evaluator {
            decoder: &decoder.inference().in_floats(),
            tokenizer: &base.tokenizer,
            eos: self.recipe.data.train_on_eos,
            seed: self.recipe.seed,
        };
        let task = EvalTask {
            name: format!("{STAGE}, {of}"),
            output_type: OutputType::MultipleChoice,
            choices: labels.to_vec(),
            metrics: vec![MetricName::Accuracy],
            ..EvalTask::default()
        };
        let report = evaluator.evaluate(&task, rows, &mut |event| self.reporter.show(event))?;
        Ok(report.samples)
    }
}

/// Whether a file is one that the run has learned from, under any name.
fn known_of(file: &str, shards: &Shards) -> Result<Known> {
    let digest = sha256_file(file)?;
    let sources = &shards.manifest().sources;
    let learned = |source: &SourceRecord| source.given_as == Side::Train && source.sha256 == digest;
    Ok(match sources.iter().any(learned) {
        true => Known::Learned,
        false => Known::Unseen,
    })
}

/// The rows whose answer is a label, and how many have another one.
fn labelled(of: &str, rows: Vec<HeldOut>, labels: &[String]) -> Result<(Vec<HeldOut>, usize)> {
    let is_label = |row: &HeldOut| labels.iter().any(|label| label == row.target.trim());
    let (labelled, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_label);
    if labelled.is_empty() {
        return Err(refuse(
            format!(
                "none of the {} rows ({of}) is answered by one of the {} labels",
                others.len(),
                labels.len()
            ),
            "name the labels with `data.labels`, or with `choices` of a multiple_choice task",
        ));
    }
    Ok((labelled, others.len()))
}
