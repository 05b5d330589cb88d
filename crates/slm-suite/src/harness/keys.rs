//! The keys of one task.

use slm_recipe::OutputType;

use super::metrics::measured;
use super::pipelines::{generation, pipelines};
use super::sources::Sources;
use super::{Document, FEWSHOT_SEED};
use crate::error::SuiteError;
use crate::fewshot::Sampler;
use crate::field::Field;
use crate::rows::Given;
use crate::task::{Fewshot, FewshotWording, Task, Wording};
use crate::template::Fields;
use crate::yaml::{Entry, Yaml, to_json, unknown};

/// Keys that are read.
const READ: [&str; 25] = [
    "task",
    "output_type",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "training_split",
    "validation_split",
    "test_split",
    "fewshot_split",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_config",
    "num_fewshot",
    "metric_list",
    "generation_kwargs",
    "repeats",
    "filter_list",
    "gen_prefix",
    "include",
    "group",
    "unsafe_code",
];
/// Keys that say nothing about the figures.
const IGNORED: [&str; 5] = ["task_alias", "tag", "group_alias", "metadata", "group"];
/// Keys that are not followed, which the user is told.
const NOTED: [&str; 2] = ["should_decontaminate", "doc_to_decontamination_query"];
/// Keys that are only understood where they are empty.
const EMPTY_ONLY: [&str; 6] = [
    "process_docs",
    "process_results",
    "use_prompt",
    "custom_dataset",
    "doc_to_image",
    "doc_to_audio",
];

/// A document whose keys are all known and hold no Python.
pub(super) struct Keys<'a> {
    pub(super) document: &'a Document,
    pub(super) name: String,
    pub(super) output_type: OutputType,
    notes: Vec<String>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(document: &'a Document) -> Result<Self, SuiteError> {
        let known: Vec<&str> = [&READ[..], &IGNORED, &NOTED, &EMPTY_ONLY].concat();
        let mut notes = Vec::new();
        for entry in &document.entries {
            let key = entry.key.as_str();
            let is_empty = matches!(entry.node.value, Yaml::Null | Yaml::Boolean(false));
            if !known.contains(&key) {
                return Err(unknown(entry, &known));
            }
            if is_empty {
                continue;
            }
            if IGNORED.contains(&key) {
                continue;
            }
            entry.without_python()?;
            if EMPTY_ONLY.contains(&key) {
                return Err(entry.needs("nothing: it is only run by lm-evaluation-harness"));
            }
            if NOTED.contains(&key) {
                notes.push(format!("`{key}` is not followed"));
            }
        }
        let name = match document.get("task") {
            Some(entry) => entry.text()?,
            None => {
                return Err(SuiteError::MissingKey {
                    place: document.whole(),
                    key: "task".into(),
                    reason: "a task needs a name".into(),
                });
            }
        };
        Ok(Self {
            output_type: output_type(document)?,
            document,
            name,
            notes,
        })
    }

    pub(super) fn task(self, given: &[Given]) -> Result<Task, SuiteError> {
        let fewshot_keys = self.table("fewshot_config")?;
        let sources = Sources::of(&self, fewshot_keys)?;
        let num_fewshot = self.get("num_fewshot").map_or(Ok(0), Entry::count)?;
        let rows = sources.evaluated(given)?;
        let fewshot = self.fewshot(fewshot_keys, num_fewshot, &sources, given)?;
        let mut files = self.document.files.clone();
        files.extend(rows.files);
        files.extend(fewshot.1);
        let repeats = self.get("repeats").map_or(Ok(1), Entry::count)?.max(1);
        let separator = self.text("fewshot_delimiter", "\n\n")?;
        Ok(Task {
            generation: generation(self.get("generation_kwargs"), &separator)?,
            constraint: None,
            labels: Vec::new(),
            repeats,
            batch_size: 16,
            files,
            rows: rows.rows,
            columns: rows.columns,
            wording: Wording {
                text: self.needed(
                    "doc_to_text",
                    self.output_type == OutputType::LoglikelihoodRolling,
                )?,
                target: self.needed("doc_to_target", false)?,
                choices: self.field("doc_to_choice")?,
                prefix: self.field("gen_prefix")?,
            },
            description: self.field("description")?,
            target_delimiter: self.text("target_delimiter", " ")?,
            delimits_likelihood: false,
            fewshot: fewshot.0,
            chat: false,
            filters: pipelines(self.get("filter_list"), repeats)?,
            measured: measured(self.get("metric_list"), self.output_type)?,
            output_type: self.output_type,
            name: self.name,
            notes: self.notes,
        })
    }

    fn fewshot(
        &self,
        keys: &[Entry],
        n: usize,
        sources: &Sources<'_>,
        given: &[Given],
    ) -> Result<(Fewshot, Vec<std::path::PathBuf>), SuiteError> {
        let known = [
            "sampler",
            "split",
            "samples",
            "fewshot_indices",
            "process_docs",
            "doc_to_text",
            "doc_to_choice",
            "doc_to_target",
            "gen_prefix",
            "fewshot_delimiter",
            "target_delimiter",
        ];
        for entry in keys {
            match entry.key.as_str() {
                key if !known.contains(&key) => return Err(unknown(entry, &known)),
                "process_docs" if !matches!(entry.node.value, Yaml::Null) => {
                    return Err(entry.needs("nothing: it is only run by lm-evaluation-harness"));
                }
                _ => {}
            }
        }
        let find = |key: &str| {
            keys.iter()
                .find(|entry| entry.key == key && !matches!(entry.node.value, Yaml::Null))
        };
        let sampler = match find("sampler") {
            None => Sampler::Random,
            Some(entry) => match entry.text()?.as_str() {
                "default" => Sampler::Random,
                "first_n" => Sampler::FirstN,
                _ => return Err(entry.needs("`default` or `first_n`")),
            },
        };
        let samples = find("samples").map(samples).transpose()?;
        let (mut rows, files) = match (n, sources.fewshot_split.is_some(), samples) {
            (0, ..) => (Vec::new(), Vec::new()),
            (_, false, Some(samples)) => (samples, Vec::new()),
            _ => {
                let read = sources.shown(given)?;
                (
                    read.rows.into_iter().map(|row| row.fields).collect(),
                    read.files,
                )
            }
        };
        if let Some(entry) = find("fewshot_indices") {
            rows = chosen(entry, &rows)?;
        }
        let delimiter = |key: &str, default: &str| match find(key) {
            Some(entry) => entry.text(),
            None => self.text(key, default),
        };
        let fewshot = Fewshot {
            n,
            rows,
            sampler,
            seed: FEWSHOT_SEED,
            leaves_out: sources.shows_what_is_asked(),
            wording: FewshotWording {
                text: find("doc_to_text").map(field).transpose()?,
                target: find("doc_to_target").map(field).transpose()?,
                choices: find("doc_to_choice").map(field).transpose()?,
                prefix: find("gen_prefix").map(field).transpose()?,
            },
            target_delimiter: delimiter("target_delimiter", " ")?,
            delimiter: delimiter("fewshot_delimiter", "\n\n")?,
        };
        Ok((fewshot, files))
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Entry> {
        let entry = self.document.get(key)?;
        (!matches!(entry.node.value, Yaml::Null)).then_some(entry)
    }

    fn table(&self, key: &str) -> Result<&'a [Entry], SuiteError> {
        self.get(key).map_or(Ok(&[]), Entry::table)
    }

    fn text(&self, key: &str, default: &str) -> Result<String, SuiteError> {
        self.get(key)
            .map_or_else(|| Ok(default.into()), Entry::text)
    }

    fn field(&self, key: &str) -> Result<Option<Field>, SuiteError> {
        self.get(key).map(field).transpose()
    }

    fn needed(&self, key: &str, may_be_empty: bool) -> Result<Field, SuiteError> {
        match self.field(key)? {
            Some(field) => Ok(field),
            None if may_be_empty => Ok(Field::Number(0)),
            None => Err(SuiteError::MissingKey {
                place: self.document.whole(),
                key: key.into(),
                reason: format!("task `{}` cannot be asked without it", self.name),
            }),
        }
    }
}

fn output_type(document: &Document) -> Result<OutputType, SuiteError> {
    let Some(entry) = document.get("output_type") else {
        return Ok(OutputType::GenerateUntil);
    };
    Ok(match entry.text()?.as_str() {
        "multiple_choice" => OutputType::MultipleChoice,
        "generate_until" => OutputType::GenerateUntil,
        "loglikelihood" => OutputType::Loglikelihood,
        "loglikelihood_rolling" => OutputType::LoglikelihoodRolling,
        _ => {
            return Err(entry.needs(
                "one of `multiple_choice`, `generate_until`, `loglikelihood`, `loglikelihood_rolling`",
            ));
        }
    })
}

fn field(entry: &Entry) -> Result<Field, SuiteError> {
    match &entry.node.value {
        Yaml::Integer(number) => Ok(Field::Number(*number)),
        Yaml::Text(text) => Field::jinja(text).map_err(|reason| SuiteError::Value {
            place: entry.node.place.clone(),
            key: entry.key.clone(),
            found: "no template".into(),
            needed: format!("a column or Jinja: {reason}"),
        }),
        Yaml::List(items) => {
            let texts =
                items.iter().map(|item| match &item.value {
                    Yaml::Text(text) => Ok(text.clone()),
                    _ => Err(entry
                        .needs("a list of texts; write numbers and `yes`, `no`, `true` in quotes")),
                });
            texts.collect::<Result<_, _>>().map(Field::List)
        }
        Yaml::Table(entries) => {
            let texts = entries.iter().map(Entry::text);
            texts.collect::<Result<_, _>>().map(Field::List)
        }
        _ => Err(entry.needs("a text, a number or a list of texts")),
    }
}

/// Examples that are written in the file.
fn samples(entry: &Entry) -> Result<Vec<Fields>, SuiteError> {
    let rows = entry.tables()?.into_iter().map(|(_, entries)| {
        let values = entries
            .iter()
            .map(|entry| (entry.key.clone(), to_json(&entry.node)));
        values.collect()
    });
    Ok(rows.collect())
}

fn chosen(entry: &Entry, rows: &[Fields]) -> Result<Vec<Fields>, SuiteError> {
    let Yaml::List(items) = &entry.node.value else {
        return Err(entry.needs("a list of row numbers"));
    };
    let chosen = items.iter().map(|item| {
        let number = match item.value {
            Yaml::Integer(number) => usize::try_from(number).ok(),
            _ => None,
        };
        let row = number.and_then(|number| rows.get(number));
        row.cloned()
            .ok_or_else(|| entry.needs(&format!("numbers of the {} rows, from 0", rows.len())))
    });
    chosen.collect()
}
