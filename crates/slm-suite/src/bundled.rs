//! The suite and its rows that are part of the binary.

use std::path::Path;

use serde_json::Value;
use slm_recipe::{RecipeErrors, Suite};

use crate::task::Row;

/// What the paths of such rows begin with.
const PREFIX: &str = "bundled:";
const GENERAL: &str = include_str!("../../../recipes/eval/general.toml");
const FILES: [(&str, &str); 2] = [
    (
        "general/pages.jsonl",
        include_str!("../../../datasets/general/pages.jsonl"),
    ),
    (
        "general/facts.jsonl",
        include_str!("../../../datasets/general/facts.jsonl"),
    ),
];

/// The suite of this name.
pub(crate) fn suite(name: &Path) -> Option<Result<Suite, RecipeErrors>> {
    let is_general = name.as_os_str() == Suite::GENERAL;
    is_general.then(|| Suite::parse(name, GENERAL))
}

/// Whether a path names rows of the binary.
pub(crate) fn is_bundled(path: &Path) -> bool {
    path.to_string_lossy().starts_with(PREFIX)
}

/// The rows of a path that names some of the binary.
pub(crate) fn rows(path: &Path) -> Option<Vec<Row>> {
    let path = path.to_string_lossy();
    let name = path.strip_prefix(PREFIX)?;
    let (_, text) = FILES.iter().find(|(own, _)| *own == name)?;
    let rows =
        text.lines()
            .enumerate()
            .filter_map(|(number, line)| match serde_json::from_str(line) {
                Ok(Value::Object(fields)) => Some(Row {
                    number,
                    origin: format!("{path}:{}", number + 1),
                    fields,
                }),
                _ => None,
            });
    Some(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_row_is_read() {
        let suite = suite(Path::new("general")).unwrap().unwrap();
        let counts = suite
            .task
            .iter()
            .map(|task| rows(Path::new(task.path.as_ref().unwrap())).unwrap().len());
        assert_eq!(counts.collect::<Vec<_>>(), [16, 24]);
        assert!(super::suite(Path::new("general.toml")).is_none());
        assert!(rows(Path::new("bundled:general/nothing.jsonl")).is_none());
    }
}
