//! Rows that cleaning found to belong together: duplicates, and rows that contradict each other.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
        let mut joining = [Joining::default(), Joining::default()];
        let each = |take: &mut dyn FnMut(usize, CleanRecord, Like)| {
            each_record(folder, CLEANING, &mut |record: CleanRecord| {
                let kind = match record.step {
                    CleanStep::Exact | CleanStep::Near => 0,
                    CleanStep::Conflict => 1,
                    _ => return,
                };
                if let Some(like) = record.like.clone() {
                    take(kind, record, like);
                }
            })
        };
        each(&mut |kind, record, like| joining[kind].join(record.row, like.row))?;
        let mut largest = joining.each_ref().map(|it| Largest::of(it, most));
        each(&mut |kind, record, like| largest[kind].take(&joining[kind], &record, &like))?;
        let [n_duplicates, n_conflicts] = joining.map(|it| it.sizes.len());
        let [duplicates, conflicts] = largest.map(|it| it.groups);
        Ok(Self {
            duplicates,
            n_duplicates,
            conflicts,
            n_conflicts,
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

/// Which rows belong together, while that is found out: a few bytes a row, since there may be millions.
#[derive(Debug, Default)]
struct Joining {
    /// The group that a row is in.
    of: HashMap<u32, u32>,
    /// Rows of each group.
    sizes: Vec<u32>,
}

impl Joining {
    /// Puts a row into the group of the one that it is like.
    fn join(&mut self, row: usize, like: usize) {
        let (row, like) = (row as u32, like as u32);
        let known = self.of.get(&like).or(self.of.get(&row));
        let group = known.copied().unwrap_or(self.sizes.len() as u32);
        if group as usize == self.sizes.len() {
            self.sizes.push(0);
        }
        for row in [like, row] {
            if let Entry::Vacant(entry) = self.of.entry(row) {
                entry.insert(group);
                self.sizes[group as usize] += 1;
            }
        }
    }
}

/// The largest groups with their first rows.
#[derive(Debug)]
struct Largest {
    /// The place of a group in `groups`.
    place: HashMap<u32, usize>,
    groups: Vec<RowGroup>,
}

impl Largest {
    fn of(joining: &Joining, most: usize) -> Self {
        let mut order: Vec<u32> = (0..joining.sizes.len() as u32).collect();
        order.sort_by_key(|group| Reverse(joining.sizes[*group as usize]));
        order.truncate(most);
        let sized = order.iter().map(|group| RowGroup {
            rows: joining.sizes[*group as usize] as usize,
            members: Vec::new(),
        });
        Self {
            groups: sized.collect(),
            place: order.into_iter().zip(0..).collect(),
        }
    }

    /// Takes both rows of a record if their group is one of the largest.
    fn take(&mut self, joining: &Joining, record: &CleanRecord, like: &Like) {
        self.add(joining, like.row, &like.origin, 1.0);
        self.add(joining, record.row, &record.origin, like.similarity);
    }

    fn add(&mut self, joining: &Joining, row: usize, origin: &str, similarity: f64) {
        let group = joining.of.get(&(row as u32));
        let Some(place) = group.and_then(|group| self.place.get(group)) else {
            return;
        };
        let members = &mut self.groups[*place].members;
        if members.len() < MOST_MEMBERS && members.iter().all(|member| member.row != row) {
            members.push(GroupedRow {
                row,
                origin: origin.to_owned(),
                similarity,
                text: None,
            });
        }
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
    let sources = section.sources();
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
        let mut joining = Joining::default();
        // Rows 2 and 5 contradict row 0, which contradicts row 2; rows 7 and 8 contradict each other.
        let pairs = [(0, 2), (2, 0), (5, 0), (7, 8), (8, 7)];
        for (row, like) in pairs {
            joining.join(row, like);
        }
        let mut largest = Largest::of(&joining, 9);
        for (row, like) in pairs {
            let record = record(row, like);
            largest.take(&joining, &record, record.like.as_ref().unwrap());
        }
        let groups = largest.groups;
        assert_eq!(
            groups.iter().map(|group| group.rows).collect::<Vec<_>>(),
            [3, 2]
        );
        let rows = |group: &RowGroup| group.members.iter().map(|it| it.row).collect::<Vec<_>>();
        assert_eq!(groups.len(), 2, "{groups:?}");
        assert_eq!(rows(&groups[0]), [2, 0, 5]);
        assert_eq!(rows(&groups[1]), [8, 7]);
    }
}
