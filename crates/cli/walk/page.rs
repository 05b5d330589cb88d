//! The page about a run.

use anyhow::Result;
use chrono::DateTime;
use slm_data::SplitRecord;
use slm_eval::report::{Curves, DataSide, Digest, Page, ShippedFile, TaskResult, html};
use slm_export::Comparison;
use slm_recipe::Method;
use slm_run::{sha256_json, write_file_atomic};

use super::{Artifact, Walk, training::Student};
use crate::table::{duration, thousands};

const REPORT: &str = "report.html";

impl Walk {
    /// Writes `report.html`.
    pub(crate) fn report(
        &mut self,
        shards: &slm_data::Shards,
        student: &Student,
        results: &[TaskResult],
        artifacts: &[Artifact],
    ) -> Result<()> {
        let digest = sha256_json(&self.outputs());
        let page = self.page(shards, student, results, artifacts)?;
        self.stage("report", &digest, |run, _| {
            write_file_atomic(run.path(REPORT), html(&page).as_bytes())?;
            Ok(vec![REPORT.into()])
        })
    }

    fn page(
        &self,
        shards: &slm_data::Shards,
        student: &Student,
        results: &[TaskResult],
        artifacts: &[Artifact],
    ) -> Result<Page> {
        let manifest = shards.manifest();
        Ok(Page {
            name: self.recipe.name.clone(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            created: self.ended(),
            facts: self.facts(student),
            warnings: self.reporter.warnings_so_far().to_vec(),
            data: manifest
                .sides()
                .map(|(name, it)| side(name.told(), it))
                .collect(),
            curves: Curves::from_events(&self.run.metrics()?),
            tasks: results.to_vec(),
            files: artifacts.iter().map(shipped).collect(),
            recipe: self.recipe.to_toml(),
            digests: self.digests(),
        })
    }

    fn facts(&self, student: &Student) -> Vec<(String, String)> {
        let (decoder, outcome) = (&student.decoder, &student.outcome);
        let method = match self.recipe.train.method {
            Method::Lora => format!("LoRA, r = {}", self.recipe.lora.r),
            Method::Full => "all weights".into(),
        };
        let base = match self.recipe.model.base_model.as_str() {
            "" => "random weights",
            name => name,
        };
        let train = self.run.record().stages.get("train");
        let trained = format!(
            "{} of {}",
            thousands(decoder.n_trainable()),
            thousands(decoder.n_params())
        );
        let facts = [
            ("base", base.to_owned()),
            ("method", method),
            ("weights trained", trained),
            (
                "steps",
                format!("{} of {}", outcome.state.step, outcome.total_steps),
            ),
            ("weights of step", outcome.weights_of_step.to_string()),
            ("device", slm_model::device::name(decoder.device())),
            (
                "training took",
                duration(train.map_or(0.0, |stage| stage.elapsed_s)),
            ),
        ];
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        facts.into_iter().chain(self.taught_by()).collect()
    }

    /// When the last stage so far ended, in UTC.
    fn ended(&self) -> String {
        let stages = self.run.record().stages.values();
        let end = stages
            .map(|stage| stage.started_unix_s + stage.elapsed_s as u64)
            .max();
        let time = DateTime::from_timestamp(end.unwrap_or(0) as i64, 0).unwrap_or_default();
        time.format("%Y-%m-%d %H:%M UTC").to_string()
    }

    fn digests(&self) -> Vec<Digest> {
        let inputs = self.run.record().digests.iter();
        let inputs = inputs.map(|(what, sha256)| (what.clone(), sha256.clone()));
        let all = inputs.chain(self.outputs());
        all.map(|(what, sha256)| Digest {
            size_bytes: fs_err::metadata(self.run.path(&what))
                .ok()
                .filter(|it| it.is_file())
                .map(|it| it.len()),
            what,
            sha256,
        })
        .collect()
    }

    /// What the stages before the report wrote.
    fn outputs(&self) -> Vec<(String, String)> {
        let stages = self
            .run
            .record()
            .stages
            .iter()
            .filter(|(name, _)| *name != "report");
        stages
            .flat_map(|(_, stage)| stage.outputs.clone())
            .collect()
    }
}

fn shipped(artifact: &Artifact) -> ShippedFile {
    let name = artifact.path.file_name().unwrap_or_default();
    let compared = artifact.comparison.as_ref();
    let worst = compared.and_then(|it| it.worst.as_ref());
    ShippedFile {
        name: name.to_string_lossy().into(),
        size_bytes: artifact.size_bytes,
        weights: compared.map_or_else(String::new, |it| it.weights.clone()),
        figures: compared.map_or_else(Vec::new, figures),
        tasks: compared.map_or_else(Vec::new, tasks),
        // Floats differ by the order in which sums are taken, which says nothing of a text.
        worst: worst
            .filter(|_| compared.is_some_and(Comparison::is_rounded))
            .map(|it| it.text.clone()),
    }
}

fn figures(comparison: &Comparison) -> Vec<(String, String)> {
    let mut figures = vec![(
        "logits within",
        format!("{:.1e}", comparison.max_logit_difference),
    )];
    if comparison.is_rounded() {
        figures.extend([
            ("mean KL", format!("{:.1e}", comparison.mean_kl)),
            ("KL, 99 %", format!("{:.1e}", comparison.p99_kl)),
            ("KL, worst", format!("{:.1e}", comparison.max_kl)),
            (
                "same token",
                format!("{:.1} %", 100.0 * comparison.top1_agreement),
            ),
        ]);
        figures.extend(
            comparison
                .perplexity_ratio
                .map(|ratio| ("perplexity", format!("× {ratio:.4}"))),
        );
    }
    figures
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The first metric of each task, the one that it is known by.
fn tasks(comparison: &Comparison) -> Vec<String> {
    let mut told: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for it in &comparison.tasks {
        if !told.contains(&it.task.as_str()) {
            told.push(&it.task);
            lines.push(format!(
                "{} {} {:.3}, was {:.3}",
                it.task, it.metric, it.exported, it.trained
            ));
        }
    }
    lines
}

pub(crate) fn side(name: &str, record: &SplitRecord) -> DataSide {
    DataSide {
        name: name.into(),
        read: record.read,
        dropped: vec![
            ("too long".into(), record.dropped.overlong),
            (
                "nothing left to learn".into(),
                record.dropped.nothing_left_to_learn,
            ),
        ],
        truncated: record.truncated,
        rows: record.rows,
        tokens: record.tokens,
        learned_tokens: record.learned_tokens,
    }
}
