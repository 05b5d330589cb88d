//! A student to files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use slm_data::{HeldOut, Prompt, Shards};
use slm_eval::{ClassifierFile, Task, TaskReport};
use slm_export::{
    CALIBRATION_ROWS, COMPANIONS, Certified, Check, Comparison, Exported, Probe, ProbePrompt,
    Request, export, recertify,
};
use slm_recipe::ExportSection;
use slm_run::{RunError, sha256_bytes, sha256_file, sha256_json, write_file_atomic};
use slm_text::ChatTokenizer;

use super::measuring::TUNED;
use super::parity::Parity;
use super::{Walk, training::Student};
use crate::base::Base;

/// Rows on which every file is compared with the trained model.
const PROBES: usize = 16;

/// A file or folder to ship.
pub(crate) struct Artifact {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// How it compares with the trained model; nothing where there were no prompts to compare on.
    pub(crate) comparison: Option<Comparison>,
}

impl Walk {
    /// Writes the artifacts of the recipe, each compared with the student.
    pub(crate) fn export(
        &mut self,
        base: &Base,
        shards: &Shards,
        tasks: &[Task],
        student: &Student,
    ) -> Result<Vec<Artifact>> {
        let recipe = self.recipe.clone();
        let classifiers = self.classifiers(tasks, &base.tokenizer)?;
        let inputs = json!({
            "student": self.inputs, "export": recipe.export, "name": recipe.name, "tasks": recipe.eval.task,
            "suites": recipe.eval.suites(), "imatrix": self.imatrix()?, "classifiers": classifiers,
        });
        let (digest, out) = (sha256_json(&inputs), self.run.path("export"));
        let trained_tokenizer = self.run.path("tokenizer");
        let (probes, calibration) = (probes(shards), calibration(shards));
        let parity = Parity::new(&recipe, &student.decoder, &base.tokenizer, tasks);
        self.stage("export", &digest, |_, reporter| {
            if out.exists() {
                fs_err::remove_dir_all(&out).map_err(|error| RunError::io(&out, error))?;
            }
            let request = Request {
                section: &recipe.export,
                name: &recipe.name,
                base_model: &recipe.model.base_model,
                decoder: &student.decoder,
                tokenizer: &base.tokenizer,
                base_dir: base.folder.as_deref().unwrap_or(&trained_tokenizer),
                probes: &probes,
                calibration: &calibration,
                out: &out,
            };
            let mask = &shards.manifest().mask;
            mask.check(&base.tokenizer)?;
            let answer = |decoder: &_, tokenizer: &ChatTokenizer| parity.answer(decoder, tokenizer);
            export(&request, Some(&answer), &mut |event| reporter.show(event))?;
            let folders = ["merged", "adapter"].map(|name| out.join(name));
            for folder in folders
                .iter()
                .filter(|it| it.join("tokenizer.json").exists())
            {
                mask.check(&ChatTokenizer::load(folder, "auto")?)?;
            }
            if let Some(classifiers) = &classifiers {
                let mut text = serde_json::to_vec_pretty(classifiers)?;
                text.push(b'\n');
                write_file_atomic(out.join(ClassifierFile::NAME), &text)?;
            }
            Ok(vec!["export".into()])
        })?;
        let mut artifacts = self.artifacts(&Exported::read(&out)?);
        let path = out.join(ClassifierFile::NAME);
        if let Ok(file) = fs_err::metadata(&path) {
            artifacts.push(Artifact {
                path,
                size_bytes: file.len(),
                comparison: None,
            });
        }
        Ok(artifacts)
    }

    /// What the evaluation of the student calibrated; none where no task asks for it, or where it was not evaluated.
    fn classifiers(
        &self,
        tasks: &[Task],
        tokenizer: &ChatTokenizer,
    ) -> Result<Option<ClassifierFile>> {
        let mut found = BTreeMap::new();
        for task in tasks {
            let folder = self.run.path("eval").join(TUNED).join(task.name());
            if folder.exists()
                && let Some(calibration) = TaskReport::read(&folder)?.calibration
            {
                found.insert(task.name().to_owned(), calibration.classifier);
            }
        }
        let template = tokenizer.template_source();
        Ok((!found.is_empty()).then(|| ClassifierFile {
            format: ClassifierFile::FORMAT,
            promise: ClassifierFile::PROMISE.into(),
            template_sha256: template.map(|it| sha256_bytes(it.as_bytes())),
            tasks: found,
        }))
    }

    /// Compares a file with the student once more, and with what its certificate says.
    pub(crate) fn recertify(
        &self,
        base: &Base,
        tasks: &[Task],
        student: &Student,
        certified: &Certified,
        path: &Path,
    ) -> Result<Vec<Check>> {
        let recipe = &self.recipe;
        let parity = Parity::new(recipe, &student.decoder, &base.tokenizer, tasks);
        let answer = |decoder: &_, tokenizer: &ChatTokenizer| parity.answer(decoder, tokenizer);
        let request = Request {
            section: &recipe.export,
            name: &recipe.name,
            base_model: &recipe.model.base_model,
            decoder: &student.decoder,
            tokenizer: &base.tokenizer,
            base_dir: base.folder.as_deref().unwrap_or(Path::new("")),
            probes: &certified.certificate.prompts,
            calibration: &[],
            out: &self.run.path("export"),
        };
        Ok(recertify(&request, certified, Some(&answer), path)?)
    }

    /// Digest of the importance matrix that the recipe names.
    pub(super) fn imatrix(&self) -> Result<Option<String>> {
        let file = self.recipe.export.imatrix.as_ref();
        let file = file.filter(|file| *file != ExportSection::OWN_ROWS);
        Ok(file.map(sha256_file).transpose()?)
    }

    /// Folders and single files, in the order in which they were written.
    fn artifacts(&self, exported: &Exported) -> Vec<Artifact> {
        let mut artifacts: Vec<Artifact> = Vec::new();
        for file in &exported.files {
            let name = file.path.split('/').next().unwrap_or_default();
            if COMPANIONS.contains(&name) {
                continue;
            }
            let path = self.run.path("export").join(name);
            match artifacts.last_mut() {
                Some(last) if last.path == path => last.size_bytes += file.size_bytes,
                _ => {
                    let comparison = exported
                        .comparisons
                        .iter()
                        .find(|it| it.file == name)
                        .cloned();
                    artifacts.push(Artifact {
                        path,
                        size_bytes: file.size_bytes,
                        comparison,
                    });
                }
            }
        }
        artifacts
    }
}

impl Artifact {
    /// The figures that say how near it is to the trained model; empty where nothing could be compared.
    pub(crate) fn finding(&self) -> String {
        self.comparison.as_ref().map_or_else(String::new, finding)
    }
}

fn finding(comparison: &Comparison) -> String {
    if !comparison.is_rounded() {
        return format!("logits within {:.1e}", comparison.max_logit_difference);
    }
    let mut text = format!(
        "mean KL {:.1e}, same token {:.1} %",
        comparison.mean_kl,
        100.0 * comparison.top1_agreement
    );
    if let Some(task) = comparison.tasks.first() {
        text += &format!(
            ", {} {} {:.3} (was {:.3})",
            task.task, task.metric, task.exported, task.trained
        );
    }
    text
}

/// Held-out rows; where there are none, rows of the training side do as well, because only two models are compared.
fn probes(shards: &Shards) -> Vec<Probe> {
    let texts: HashMap<usize, &HeldOut> =
        shards.held_out().iter().map(|row| (row.row, row)).collect();
    let rows = shards.validation().iter().chain(shards.train());
    let probe = |sample: &slm_data::Sample| {
        let prompt = match texts.get(&sample.row).map(|row| &row.prompt) {
            Some(Prompt::Chat(conversation)) => ProbePrompt::Chat(conversation.clone()),
            Some(Prompt::Text(text)) => ProbePrompt::Text(text.clone()),
            Some(Prompt::Tokens { .. }) | None => ProbePrompt::Ids,
        };
        Probe {
            origin: shards.origin(sample.row).unwrap_or_default().into(),
            prompt,
            ids: sample.ids.clone(),
        }
    };
    rows.take(PROBES).map(probe).collect()
}

/// Rows of the training side, from all over it: sources follow one another.
fn calibration(shards: &Shards) -> Vec<Vec<u32>> {
    let rows = shards.train();
    let n = rows.len().min(CALIBRATION_ROWS);
    (0..n)
        .map(|i| rows[i * rows.len() / n].ids.clone())
        .collect()
}
