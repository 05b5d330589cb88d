//! A file's tasks: its own, or those that its group names, looked up in the files beside it.

use std::path::{Path, PathBuf};

use super::Document;
use crate::error::SuiteError;
use crate::rows::Given;
use crate::task::Task;
use crate::yaml::{Entry, Yaml, parse, unknown};

/// The tasks of a file with their rows, in the order in which a group names them.
pub(crate) fn tasks_of(file: &Path, given: &[Given]) -> Result<Vec<Task>, SuiteError> {
    let mut tasks = Vec::new();
    collect(file, None, given, &mut Vec::new(), &mut tasks)?;
    Ok(tasks)
}

fn collect(
    file: &Path,
    from: Option<&Entry>,
    given: &[Given],
    chain: &mut Vec<PathBuf>,
    tasks: &mut Vec<Task>,
) -> Result<(), SuiteError> {
    if let Some(entry) = from
        && chain.iter().any(|seen| seen == file)
    {
        return Err(SuiteError::Circle {
            place: entry.node.place.clone(),
            key: entry.key.clone(),
            target: file.display().to_string(),
        });
    }
    let document = Document::read(file)?;
    let Some(members) = document
        .get("task")
        .filter(|entry| matches!(entry.node.value, Yaml::List(_)))
    else {
        tasks.push(document.task(given)?);
        return Ok(());
    };
    let known = [
        "task",
        "group",
        "group_alias",
        "tag",
        "aggregate_metric_list",
        "metadata",
    ];
    if let Some(entry) = document
        .entries
        .iter()
        .find(|entry| !known.contains(&entry.key.as_str()))
    {
        return Err(unknown(entry, &known));
    }
    let before = tasks.len();
    chain.push(file.into());
    let index = Index::of(file.parent().unwrap_or(Path::new("")))?;
    for name in members.texts()? {
        let files = index.named(&name);
        if files.is_empty() {
            return Err(SuiteError::UnknownTask {
                place: members.node.place.clone(),
                file: file.into(),
                name,
            });
        }
        for member in files {
            collect(member, Some(members), given, chain, tasks)?;
        }
    }
    chain.pop();
    if let (Some(_), Some(first)) = (document.get("aggregate_metric_list"), tasks.get_mut(before)) {
        let note = format!(
            "`aggregate_metric_list` of `{}` is not followed: each task has its own figures",
            file.display()
        );
        first.notes.push(note);
    }
    Ok(())
}

/// What the files of a folder, and of those within it, are called by.
struct Index {
    names: Vec<(String, PathBuf)>,
}

impl Index {
    fn of(folder: &Path) -> Result<Self, SuiteError> {
        let mut names = Vec::new();
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        walk(folder, &mut names)?;
        Ok(Self { names })
    }

    /// The files of a task, a group or a tag.
    fn named(&self, name: &str) -> Vec<&Path> {
        let of_name = self.names.iter().filter(|(own, _)| own == name);
        of_name.map(|(_, file)| file.as_path()).collect()
    }
}

fn walk(folder: &Path, names: &mut Vec<(String, PathBuf)>) -> Result<(), SuiteError> {
    let unreadable = |error: std::io::Error| SuiteError::Unreadable {
        file: folder.into(),
        reason: error.to_string(),
    };
    let entries = fs_err::read_dir(folder).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(unreadable))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, names)?;
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
        {
            // A file that is broken is told of when it is needed.
            let text = fs_err::read_to_string(&path).unwrap_or_default();
            for entry in parse(&path, &text).unwrap_or_default() {
                let own = match (entry.key.as_str(), &entry.node.value) {
                    ("task" | "group", Yaml::Text(name)) => vec![name.clone()],
                    ("tag" | "group", _) => entry.texts().unwrap_or_default(),
                    _ => Vec::new(),
                };
                names.extend(own.into_iter().map(|name| (name, path.clone())));
            }
        }
    }
    Ok(())
}
