//! Rows that cleaning found to belong together: duplicates, and rows that contradict each other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use slm_recipe::DataSection;
use slm_text::ChatTokenizer;

use crate::clean::{CLEANING, CleanRecord, CleanStep, Like};
use crate::error::DataError;
use crate::example::{HeldOut, Prompt};
use crate::intake::{Given, Intake};
use crate::manifest::Manifest;
use crate::reading::Reader;
use crate::records::each_record;

/// Rows of a group that are kept; the others are only counted.
const MOST_MEMBERS: usize = 6;

/// The largest groups of a prepared folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// Rows that say the same, or nearly: the one that stays comes first.
    pub duplicates: Vec<RowGroup>,
    /// All groups of duplicates, also those that are not kept here.
    pub n_duplicates: usize,
    /// Rows that give different answers to the same prompt.
    pub conflicts: Vec<RowGroup>,
    /// All groups of contradictions.
    pub n_conflicts: usize,
}

/// Rows that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowGroup {
    /// How many there are.
    pub rows: usize,
    /// The first of them.
    pub members: Vec<GroupedRow>,
}

/// A row of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedRow {
    /// Its number.
    pub row: usize,
    /// Where it came from.
    pub origin: String,
    /// How similar it is to the first of the group; 1 for equal rows.
    pub similarity: f64,
    /// What it says, once it is read again; none where its file is not what it was.
    pub text: Option<RowText>,
}

/// What a row says, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowText {
    /// What is given.
    pub prompt: String,
    /// What should be said.
    pub answer: String,
}

impl Groups {
    /// The largest groups of each kind, at most `most`.
    ///
    /// # Errors
    /// When the records of cleaning cannot be read.
    pub fn read(folder: &Path, most: usize) -> Result<Self, DataError> {
        let (mut duplicates, mut conflicts) = (Joining::default(), Joining::default());
        each_record(folder, CLEANING, &mut |record: CleanRecord| {
            let Some(like) = record.like.clone() else {
                return;
            };
            match record.step {
                CleanStep::Exact | CleanStep::Near => duplicates.join(&record, &like),
                CleanStep::Conflict => conflicts.join(&record, &like),
                _ => {}
            }
        })?;
        Ok(Self {
            n_duplicates: duplicates.groups.len(),
            duplicates: duplicates.largest(most),
            n_conflicts: conflicts.groups.len(),
            conflicts: conflicts.largest(most),
        })
    }

    /// Reads the files of a recipe again for what the rows say. A file that is not what it was says nothing.
    ///
    /// # Errors
    /// As for [`crate::prepare`].
    pub fn with_texts(
        mut self,
        section: &DataSection,
        manifest: &Manifest,
        tokenizer: &ChatTokenizer,
    ) -> Result<Self, DataError> {
        let groups = || self.duplicates.iter().chain(&self.conflicts);
        let wanted: BTreeSet<usize> = groups()
            .flat_map(|group| group.members.iter().map(|it| it.row))
            .collect();
        let mut texts = texts(section, manifest, tokenizer, &wanted)?;
        let groups = self.duplicates.iter_mut().chain(&mut self.conflicts);
        for member in groups.flat_map(|group| &mut group.members) {
            member.text = texts.remove(&member.row);
        }
        Ok(self)
    }
}

/// Groups while they are put together.
#[derive(Debug, Default)]
struct Joining {
    groups: Vec<RowGroup>,
    /// The group that a row is in.
    of: BTreeMap<usize, usize>,
}

impl Joining {
    /// Puts a row into the group of the one that it is like.
    fn join(&mut self, record: &CleanRecord, like: &Like) {
        let known = self.of.get(&like.row).or(self.of.get(&record.row));
        let group = known.copied().unwrap_or(self.groups.len());
        if group == self.groups.len() {
            self.groups.push(RowGroup::default());
        }
        self.add(group, like.row, &like.origin, 1.0);
        self.add(group, record.row, &record.origin, like.similarity);
    }

    fn add(&mut self, group: usize, row: usize, origin: &str, similarity: f64) {
        if self.of.contains_key(&row) {
            return;
        }
        self.of.insert(row, group);
        let group = &mut self.groups[group];
        group.rows += 1;
        if group.members.len() < MOST_MEMBERS {
            group.members.push(GroupedRow {
                row,
                origin: origin.to_owned(),
                similarity,
                text: None,
            });
        }
    }

    fn largest(mut self, most: usize) -> Vec<RowGroup> {
        self.groups.sort_by_key(|group| Reverse(group.rows));
        self.groups.truncate(most);
        self.groups
    }
}

/// What some rows say, before any cleaning.
fn texts(
    section: &DataSection,
    manifest: &Manifest,
    tokenizer: &ChatTokenizer,
    wanted: &BTreeSet<usize>,
) -> Result<BTreeMap<usize, RowText>, DataError> {
    let reader = Reader::of(section, Some(tokenizer), manifest.seed);
    let (mut texts, mut first_row) = (BTreeMap::new(), 0);
    let sources = section.train.iter().chain(&section.validation);
    for (source, record) in sources.zip(&manifest.sources) {
        let rows = first_row..first_row + record.rows;
        first_row = rows.end;
        if wanted.range(rows.clone()).next().is_none() {
            continue;
        }
        let given = Given {
            source,
            side: record.given_as,
            group_by: None,
            first_row: rows.start,
        };
        if let Ok(said) = said(reader, given, wanted, &record.sha256) {
            texts.extend(said);
        }
    }
    Ok(texts)
}

/// What some rows of a source say; nothing where it is not what it was.
fn said(
    reader: Reader<'_>,
    given: Given<'_>,
    wanted: &BTreeSet<usize>,
    sha256: &str,
) -> Result<Vec<(usize, RowText)>, DataError> {
    let (mut said, mut intake) = (Vec::new(), Intake::begin(reader, given)?);
    while let Some(rows) = intake.next()? {
        let rows = rows.into_iter().filter(|row| wanted.contains(&row.row));
        said.extend(rows.map(|row| (row.row, RowText::from(HeldOut::from(row)))));
    }
    if intake.record()?.0.sha256 != sha256 {
        said.clear();
    }
    Ok(said)
}

impl From<HeldOut> for RowText {
    fn from(row: HeldOut) -> Self {
        let prompt = match row.prompt {
            Prompt::Text(text) => text,
            Prompt::Chat(chat) => {
                let said = chat.messages.iter();
                let said = said.map(|it| format!("{}: {}", it.role, it.content));
                said.collect::<Vec<_>>().join("\n")
            }
            Prompt::Tokens { prompt, .. } => format!("{} tokens", prompt.len()),
        };
        Self {
            prompt,
            answer: row.target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::Effect;

    fn record(row: usize, like: usize) -> CleanRecord {
        CleanRecord {
            row,
            origin: format!("a:{row}"),
            digest: String::new(),
            step: CleanStep::Conflict,
            effect: Effect::Listed,
            chars_before: 0,
            chars_after: 0,
            like: Some(Like {
                row: like,
                origin: format!("a:{like}"),
                similarity: 1.0,
            }),
            personal: BTreeMap::new(),
            reasons: Vec::new(),
        }
    }

    #[test]
    fn rows_that_name_each_other_are_one_group() {
        let mut groups = Joining::default();
        // Rows 2 and 5 contradict row 0, which contradicts row 2; rows 7 and 8 contradict each other.
        for (row, like) in [(0, 2), (2, 0), (5, 0), (7, 8), (8, 7)] {
            let record = record(row, like);
            groups.join(&record, record.like.as_ref().unwrap());
        }
        let groups = groups.largest(9);
        let rows = |group: &RowGroup| group.members.iter().map(|it| it.row).collect::<Vec<_>>();
        assert_eq!(groups.len(), 2, "{groups:?}");
        assert_eq!(rows(&groups[0]), [2, 0, 5]);
        assert_eq!(rows(&groups[1]), [8, 7]);
    }
}
