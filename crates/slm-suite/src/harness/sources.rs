//! Which files a task's splits are.

use std::path::PathBuf;

use super::keys::Keys;
use crate::error::SuiteError;
use crate::rows::{Given, given_file, read};
use crate::task::Row;
use crate::yaml::{Entry, Yaml};

/// The splits of a task, and the files that it names itself.
pub(super) struct Sources<'a> {
    task: String,
    dataset: String,
    training: Option<String>,
    validation: Option<String>,
    test: Option<String>,
    /// What the file names for examples.
    pub(super) fewshot_split: Option<String>,
    data_files: Option<&'a Entry>,
}

/// What was read.
pub(super) struct Read {
    pub(super) rows: Vec<Row>,
    pub(super) columns: Vec<String>,
    pub(super) files: Vec<PathBuf>,
}

impl<'a> Sources<'a> {
    pub(super) fn of(keys: &Keys<'a>, fewshot: &'a [Entry]) -> Result<Self, SuiteError> {
        let text = |key: &str| keys.get(key).map(Entry::text).transpose();
        let kwargs = keys
            .get("dataset_kwargs")
            .map_or(Ok(&[][..]), Entry::table)?;
        let dataset = [text("dataset_path")?, text("dataset_name")?];
        let own_split = fewshot.iter().find(|entry| entry.key == "split");
        Ok(Self {
            task: keys.name.clone(),
            dataset: dataset.into_iter().flatten().collect::<Vec<_>>().join("/"),
            training: text("training_split")?,
            validation: text("validation_split")?,
            test: text("test_split")?,
            fewshot_split: match own_split {
                Some(entry) => entry.optional_text()?,
                None => text("fewshot_split")?,
            },
            data_files: kwargs.iter().find(|entry| entry.key == "data_files"),
        })
    }

    /// The rows that are asked: those of the test split, else of the validation split.
    pub(super) fn evaluated(&self, given: &[Given]) -> Result<Read, SuiteError> {
        match self.evaluated_split() {
            Some(split) => self.read(split, given, true),
            None => Err(SuiteError::Task {
                task: self.task.clone(),
                reason: "names neither a `test_split` nor a `validation_split`".into(),
            }),
        }
    }

    /// The rows to show: those of `fewshot_split`, else of the training, validation or test split.
    pub(super) fn shown(&self, given: &[Given]) -> Result<Read, SuiteError> {
        let splits = [
            &self.fewshot_split,
            &self.training,
            &self.validation,
            &self.test,
        ];
        let split = splits.into_iter().flatten().next();
        match split {
            Some(split) => self.read(split, given, Some(split.as_str()) == self.evaluated_split()),
            None => self.evaluated(given),
        }
    }

    /// Whether the harness takes the row that is asked out of those to show: it does where the test split is named for both, or for neither.
    pub(super) fn shows_what_is_asked(&self) -> bool {
        self.fewshot_split == self.test
    }

    fn evaluated_split(&self) -> Option<&str> {
        self.test.as_deref().or(self.validation.as_deref())
    }

    fn read(&self, split: &str, given: &[Given], is_evaluated: bool) -> Result<Read, SuiteError> {
        let files = match given_file(given, &self.task, split, is_evaluated) {
            Some(file) => vec![file],
            None => self.named(split)?,
        };
        if files.is_empty() {
            return Err(SuiteError::NoRows {
                task: self.task.clone(),
                split: split.into(),
                dataset: self.dataset.clone(),
            });
        }
        let (rows, columns) = read(&files)?;
        Ok(Read {
            rows,
            columns,
            files,
        })
    }

    /// The files of `dataset_kwargs.data_files`.
    fn named(&self, split: &str) -> Result<Vec<PathBuf>, SuiteError> {
        let Some(entry) = self.data_files else {
            return Ok(Vec::new());
        };
        let names = match &entry.node.value {
            Yaml::Table(splits) => match splits.iter().find(|entry| entry.key == split) {
                Some(entry) => entry.texts()?,
                None => Vec::new(),
            },
            // Without splits, all rows are called `train`.
            _ if split == "train" => entry.texts()?,
            _ => Vec::new(),
        };
        Ok(names.into_iter().map(PathBuf::from).collect())
    }
}
