//! Tasks of lm-evaluation-harness: its YAML, read as it is where it holds no Python.

mod index;
mod keys;
mod metrics;
mod pipelines;
mod sources;

use std::path::{Path, PathBuf};

use slm_recipe::Place;

use crate::error::SuiteError;
use crate::rows::Given;
use crate::task::Task;
use crate::yaml::{Entry, parse};

pub(crate) use index::tasks_of;

/// What the harness seeds its examples with.
const FEWSHOT_SEED: u32 = 1234;

/// The keys of a file over those of the files that it includes, and all the files.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) file: PathBuf,
    pub(crate) entries: Vec<Entry>,
    pub(crate) files: Vec<PathBuf>,
}

impl Document {
    /// Reads a file and what it includes.
    pub(crate) fn read(file: &Path) -> Result<Self, SuiteError> {
        Self::read_chain(file, None, &mut Vec::new())
    }

    fn read_chain(
        file: &Path,
        from: Option<&Entry>,
        chain: &mut Vec<PathBuf>,
    ) -> Result<Self, SuiteError> {
        if let Some(entry) = from
            && chain.iter().any(|seen| seen == file)
        {
            return Err(SuiteError::Circle {
                place: entry.node.place.clone(),
                key: entry.key.clone(),
                target: file.display().to_string(),
            });
        }
        chain.push(file.to_owned());
        let text = fs_err::read_to_string(file).map_err(|error| unreadable(file, &error, from))?;
        let own = parse(file, &text)?;
        let mut document = Self {
            file: file.into(),
            entries: Vec::new(),
            files: vec![file.into()],
        };
        if let Some(include) = own.iter().find(|entry| entry.key == "include") {
            for name in include.texts()? {
                let target = file.parent().unwrap_or(Path::new("")).join(name);
                let included = Self::read_chain(&target, Some(include), chain)?;
                document.files.extend(included.files);
                document.overlay(included.entries);
            }
        }
        document.overlay(own);
        document.entries.retain(|entry| entry.key != "include");
        chain.pop();
        Ok(document)
    }

    /// Lays keys over those that are there, as a whole.
    fn overlay(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match self.entries.iter_mut().find(|own| own.key == entry.key) {
                Some(own) => *own = entry,
                None => self.entries.push(entry),
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn whole(&self) -> Place {
        Place::File {
            file: self.file.clone(),
        }
    }

    /// The task that the keys describe, with its rows.
    fn task(self, given: &[Given]) -> Result<Task, SuiteError> {
        keys::Keys::of(&self)?.task(given)
    }
}

fn unreadable(file: &Path, error: &std::io::Error, from: Option<&Entry>) -> SuiteError {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".into(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8".into(),
        std::io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    };
    let reason = match from {
        Some(entry) => format!("{reason} (named at {})", entry.node.place),
        None => reason,
    };
    SuiteError::Unreadable {
        file: file.into(),
        reason,
    }
}
