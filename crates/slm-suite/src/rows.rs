//! The rows of tasks: files on this machine, and which of them a task's split is.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use slm_data::read_rows;

use crate::bundled;
use crate::error::SuiteError;
use crate::task::Row;

/// Rows that the command line gives a task, as in `arc_easy=rows.jsonl` and `arc_easy:train=train.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The task.
    pub task: String,
    /// The split; without it, the one that is evaluated, and every split of a folder.
    pub split: Option<String>,
    /// The file, or a folder of files that are called like the splits.
    pub path: PathBuf,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let needed = "needs `TASK=FILE` or `TASK:SPLIT=FILE`";
        let (name, path) = text.split_once('=').ok_or(needed)?;
        let (task, split) = match name.split_once(':') {
            Some((task, split)) => (task, Some(split.to_owned())),
            None => (name, None),
        };
        if task.is_empty() || path.is_empty() || split.as_deref() == Some("") {
            return Err(needed.into());
        }
        Ok(Self {
            task: task.into(),
            split,
            path: path.into(),
        })
    }
}

/// Extensions in which a folder's split is looked for.
const EXTENSIONS: [&str; 5] = ["jsonl", "json", "parquet", "csv", "arrow"];

impl Given {
    /// The file of a split, if it is given here.
    fn file(&self, split: &str, is_evaluated: bool) -> Option<PathBuf> {
        if let Some(own) = &self.split {
            return (own == split).then(|| self.path.clone());
        }
        if self.path.is_dir() {
            let files = EXTENSIONS
                .iter()
                .map(|end| self.path.join(format!("{split}.{end}")));
            return files.into_iter().find(|file| file.exists());
        }
        is_evaluated.then(|| self.path.clone())
    }
}

/// The file that the command line gives for a split; the last one counts.
pub(crate) fn given_file(
    given: &[Given],
    task: &str,
    split: &str,
    is_evaluated: bool,
) -> Option<PathBuf> {
    let mut of_task = given.iter().rev().filter(|given| given.task == task);
    of_task.find_map(|given| given.file(split, is_evaluated))
}

/// Reads the rows of files, one after the other.
pub(crate) fn read(files: &[PathBuf]) -> Result<(Vec<Row>, Vec<String>), SuiteError> {
    let mut all = Vec::new();
    let mut columns = Vec::new();
    for file in files {
        for row in rows_of(file)? {
            for column in row.fields.keys() {
                if !columns.contains(column) {
                    columns.push(column.clone());
                }
            }
            all.push(Row {
                number: all.len(),
                ..row
            });
        }
    }
    Ok((all, columns))
}

fn rows_of(file: &Path) -> Result<Vec<Row>, SuiteError> {
    if let Some(rows) = bundled::rows(file) {
        return Ok(rows);
    }
    let rows = read_rows(&name_of(file))?.rows.into_iter().enumerate();
    let rows = rows.map(|(number, row)| Row {
        number,
        origin: row.origin.to_string(),
        fields: row.fields,
    });
    Ok(rows.collect())
}

fn name_of(file: &Path) -> String {
    file.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_given_by_task_and_split() {
        let given = |text: &str| text.parse::<Given>();
        assert_eq!(
            given("arc").unwrap_err(),
            "needs `TASK=FILE` or `TASK:SPLIT=FILE`"
        );
        assert!(given("arc:=x").is_err() && given("=x").is_err() && given("arc=").is_err());
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("train.csv"), "a\n1\n").unwrap();
        let all = [
            given("arc=rows.jsonl").unwrap(),
            given("arc:train=train.jsonl").unwrap(),
            given(&format!("piqa={}", folder.path().display())).unwrap(),
        ];
        let file = |task, split, evaluated| given_file(&all, task, split, evaluated);
        assert_eq!(file("arc", "test", true), Some("rows.jsonl".into()));
        assert_eq!(file("arc", "train", false), Some("train.jsonl".into()));
        assert_eq!(file("arc", "validation", false), None);
        assert_eq!(
            file("piqa", "train", false),
            Some(folder.path().join("train.csv"))
        );
        assert_eq!(file("piqa", "test", true), None);
    }
}
