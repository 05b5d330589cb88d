//! What is written where, and whether what is committed is that.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::card::{self, Listed};
use crate::corpus;
use crate::domain::Domain;
use crate::finance::FINANCE;
use crate::grammar::capitalised;
use crate::healthcare::HEALTHCARE;
use crate::manufacturing::MANUFACTURING;
use crate::preference;
use crate::retail::RETAIL;
use crate::rows::{Row, TASKS, rows};
use crate::telecom::TELECOM;

/// The domains in alphabetical order.
pub(crate) const DOMAINS: &[&Domain] = &[&FINANCE, &HEALTHCARE, &MANUFACTURING, &RETAIL, &TELECOM];

/// A file by its path under the folder of all data sets.
pub(crate) struct Planned {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: usize,
}

impl Planned {
    /// A file with one JSON object a line.
    pub(crate) fn json_lines<T: Serialize>(path: &str, rows: &[T]) -> Result<Self> {
        let mut bytes = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut bytes, row).context("a row as JSON")?;
            bytes.push(b'\n');
        }
        Ok(Planned {
            path: path.into(),
            bytes,
            rows: rows.len(),
        })
    }

    pub(crate) fn text(path: &str, text: String) -> Self {
        Planned {
            path: path.into(),
            bytes: text.into_bytes(),
            rows: 0,
        }
    }

    pub(crate) fn listed(&self) -> Listed<'_> {
        let name = self
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        Listed {
            name,
            rows: self.rows,
            bytes: &self.bytes,
        }
    }
}

/// Everything that is committed under `datasets/`, without the generator itself.
pub(crate) fn committed() -> Result<Vec<Planned>> {
    let mut all = Vec::new();
    let mut index = String::from(INDEX);
    for domain in DOMAINS {
        let splits = rows(domain)?;
        let files = domain_files(domain, &splits)?;
        let [train, test] = [splits[0].len(), splits[1].len()];
        let link = format!("[{}]({}/README.md)", capitalised(domain.name), domain.name);
        index.push_str(&format!(
            "| {link} | {train} | {test} | {} |\n",
            domain.intents.len()
        ));
        all.extend(files);
    }
    index.push_str(INDEX_END);
    all.extend(preference::files()?);
    all.push(Planned::text("README.md", index));
    let base = corpus::files()?;
    let listed: Vec<Listed> = base.iter().map(Planned::listed).collect();
    all.push(Planned::text("base/README.md", card::base_card(&listed)));
    Ok(all)
}

fn domain_files(domain: &Domain, splits: &[Vec<Row>; 2]) -> Result<Vec<Planned>> {
    let path = |name: &str| format!("{}/{name}", domain.name);
    let everything: [Vec<&Row>; 2] = [splits[0].iter().collect(), splits[1].iter().collect()];
    let mut files = vec![
        Planned::json_lines(&path("train.jsonl"), &everything[0])?,
        Planned::json_lines(&path("test.jsonl"), &everything[1])?,
    ];
    for task in TASKS {
        let rows: Vec<&Row> = splits[1].iter().filter(|row| row.task == task).collect();
        files.push(Planned::json_lines(
            &path(&format!("test_{task}.jsonl")),
            &rows,
        )?);
    }
    let listed: Vec<Listed> = files.iter().map(Planned::listed).collect();
    let card = card::domain_card(domain, splits, &listed);
    files.push(Planned::text(&path("README.md"), card));
    Ok(files)
}

/// The folder of the data sets in the checkout that this binary was built from.
pub(crate) fn datasets_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Writes the files under `root`.
pub(crate) fn write(root: &Path, files: &[Planned]) -> Result<()> {
    for file in files {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("could not make `{}`", folder.display()))?;
        }
        fs::write(&path, &file.bytes)
            .with_context(|| format!("could not write `{}`", path.display()))?;
    }
    Ok(())
}

/// One line for each file under `root` that is missing or has other bytes.
pub(crate) fn differences(root: &Path, files: &[Planned]) -> Vec<String> {
    let compare = |file: &Planned| match fs::read(root.join(&file.path)) {
        Ok(bytes) if bytes == file.bytes => None,
        Ok(_) => Some(format!(
            "`{}` differs from what the generator makes",
            file.path.display()
        )),
        Err(error) => Some(format!("`{}` cannot be read: {error}", file.path.display())),
    };
    files.iter().filter_map(compare).collect()
}

const INDEX: &str = "# Data sets\n\n\
Small data sets that this project made itself, to learn and to measure with. All rows are invented and dedicated to the \
public domain (CC0-1.0). Each folder has a card with origin, columns, splits, labels, digests and limits.\n\n\
| data set | train rows | test rows | intents |\n|---|---:|---:|---:|\n";

const INDEX_END: &str = "\nThree tasks each: intent classification, field extraction to JSON, short answers from a note.\n\
[preference](preference/README.md) has the intents of retail as pairs of a right and a wrong answer, for DPO, ORPO and KTO.\n\
[base](base/README.md) is the corpus of the project's own base model; it is made on demand.\n\n    \
    cargo run --release -p slm-datasets              # writes all of this again\n    \
    cargo run --release -p slm-datasets -- --check   # fails where a committed file differs\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_what_the_generator_makes() {
        let files = committed().unwrap();
        assert_eq!(differences(&datasets_dir(), &files), Vec::<String>::new());
    }

    #[test]
    fn a_changed_or_missing_file_is_a_difference() {
        let files = [
            Planned::text("README.md", "other".to_owned()),
            Planned::text("none.jsonl", String::new()),
        ];
        let found = differences(&datasets_dir(), &files);
        assert!(found[0].contains("`README.md` differs"), "{found:?}");
        assert!(
            found[1].contains("`none.jsonl` cannot be read"),
            "{found:?}"
        );
    }
}
