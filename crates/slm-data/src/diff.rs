//! Two prepared folders, row by row.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::path::Path;

use serde::Serialize;

use self::rows::rows_of;
pub use self::rows::{ComparedRow, RowPair};
use crate::error::DataError;
use crate::manifest::{Manifest, SplitRecord};
use crate::side::Side;

/// What is different between two prepared folders, A and B.
///
/// Rows that say the same are the same row. Of the others, two with the same prompt are one row with another answer; and two from
/// the same place of the same file are one row that was changed. Prompts are compared by their tokens: between folders of
/// different tokenizers, another answer is told as a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataDiff {
    /// Counts of A.
    pub a: SetCounts,
    /// Counts of B.
    pub b: SetCounts,
    /// Rows that say the same in both.
    pub same: usize,
    /// Those of them with other tokens: another tokenizer, template or longest row.
    pub encoded_anew: usize,
    /// Those of them that are on another side.
    pub moved: Vec<RowPair>,
    /// Rows with the same prompt and another answer.
    pub answered_anew: Vec<RowPair>,
    /// Other rows from the same place that say something else.
    pub changed: Vec<RowPair>,
    /// Rows that B does not have.
    pub only_a: Vec<ComparedRow>,
    /// Rows that A does not have.
    pub only_b: Vec<ComparedRow>,
    /// How often each answer occurs in the training rows, where that differs; nothing where either has too many to be labels.
    pub labels: BTreeMap<String, [usize; 2]>,
    /// SHA-256 of each source file in A and B, where they differ.
    pub sources: BTreeMap<String, [Option<String>; 2]>,
}

/// The rows of a folder in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetCounts {
    /// Rows to learn from.
    pub train: SplitRecord,
    /// Rows that are held out.
    pub validation: SplitRecord,
    /// Rows that are held out for the tasks.
    #[serde(skip_serializing_if = "SplitRecord::is_empty")]
    pub test: SplitRecord,
}

impl DataDiff {
    /// Compares two folders of shards.
    ///
    /// # Errors
    /// When one is not complete, or cannot be read.
    pub fn of(a: &Path, b: &Path) -> Result<Self, DataError> {
        let manifests = [Manifest::read(a)?, Manifest::read(b)?];
        let [ours, theirs] = [rows_of(a, &manifests[0])?, rows_of(b, &manifests[1])?];
        let (same, ours, theirs) = paired(ours, theirs, |row| Some(row.digest.clone()));
        let (asked, ours, theirs) = paired(ours, theirs, |row| row.asked);
        let (placed, only_a, only_b) = paired(ours, theirs, |row| Some(row.origin.clone()));
        // The same prompt and the same answer, and still not the same row: something else of it changed.
        let (answered_anew, else_changed): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|it| it.a.answer != it.b.answer);
        let changed = [else_changed, placed].concat();
        let anew = |it: &&RowPair| it.a.encoded != it.b.encoded;
        Ok(Self {
            a: SetCounts::of(&manifests[0]),
            b: SetCounts::of(&manifests[1]),
            same: same.len(),
            encoded_anew: same.iter().filter(anew).count(),
            moved: same
                .into_iter()
                .filter(|it| it.a.side != it.b.side)
                .collect(),
            answered_anew,
            changed,
            only_a,
            only_b,
            labels: labels(&manifests),
            sources: sources(&manifests),
        })
    }

    /// Whether both hold the same rows on the same sides, with the same tokens.
    pub fn is_empty(&self) -> bool {
        let pairs = [&self.moved, &self.answered_anew, &self.changed];
        let singles = [&self.only_a, &self.only_b];
        self.encoded_anew == 0
            && pairs.iter().all(|pairs| pairs.is_empty())
            && singles.iter().all(|rows| rows.is_empty())
    }

    /// Rows that went from one side of A to the other of B.
    pub fn moved_to(&self, side: Side) -> usize {
        self.moved.iter().filter(|it| it.b.side == side).count()
    }
}

impl SetCounts {
    fn of(manifest: &Manifest) -> Self {
        Self {
            train: manifest.train.clone(),
            validation: manifest.validation.clone(),
            test: manifest.test.clone(),
        }
    }

    /// The counts of one side.
    pub fn side(&self, side: Side) -> &SplitRecord {
        side.of([&self.train, &self.validation, &self.test])
    }
}

/// Pairs rows that have the same key, first with first; gives those that are left of both. Rows on the same side go together
/// before others.
fn paired<K: Hash + Eq>(
    ours: Vec<ComparedRow>,
    theirs: Vec<ComparedRow>,
    key: impl Fn(&ComparedRow) -> Option<K>,
) -> (Vec<RowPair>, Vec<ComparedRow>, Vec<ComparedRow>) {
    let mut theirs: Vec<Option<ComparedRow>> = theirs.into_iter().map(Some).collect();
    let mut places: HashMap<K, VecDeque<usize>> = HashMap::new();
    for (at, row) in theirs.iter().enumerate() {
        if let Some(key) = row.as_ref().and_then(&key) {
            places.entry(key).or_default().push_back(at);
        }
    }
    let (mut pairs, mut left) = (Vec::new(), Vec::new());
    for a in ours {
        let queue = key(&a).and_then(|key| places.get_mut(&key));
        let b = queue.and_then(|queue| {
            let on_side = |at: &usize| theirs[*at].as_ref().is_some_and(|b| b.side == a.side);
            let nearest = queue.iter().position(on_side).unwrap_or(0);
            theirs[queue.remove(nearest)?].take()
        });
        match b {
            Some(b) => pairs.push(RowPair { a, b }),
            None => left.push(a),
        }
    }
    (pairs, left, theirs.into_iter().flatten().collect())
}

fn labels(manifests: &[Manifest; 2]) -> BTreeMap<String, [usize; 2]> {
    let [a, b] = manifests.each_ref().map(|it| &it.targets);
    if a.is_empty() || b.is_empty() {
        return BTreeMap::new();
    }
    let all: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let counted = all.into_iter().map(|label| {
        let counts = [a, b].map(|targets| targets.get(label).copied().unwrap_or(0));
        (label.clone(), counts)
    });
    counted.filter(|(_, [a, b])| a != b).collect()
}

fn sources(manifests: &[Manifest; 2]) -> BTreeMap<String, [Option<String>; 2]> {
    let mut all: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
    for (at, manifest) in manifests.iter().enumerate() {
        for source in &manifest.sources {
            all.entry(source.path.clone()).or_default()[at] = Some(source.sha256.clone());
        }
    }
    all.retain(|_, [a, b]| a != b);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, side: Side, says: &str) -> ComparedRow {
        ComparedRow {
            row: number,
            origin: format!("a:{number}"),
            digest: says.into(),
            side,
            tokens: 0,
            learned: 0,
            asked: None,
            encoded: 0,
            answer: Vec::new(),
        }
    }

    #[test]
    fn equal_rows_go_together_on_their_side_first() {
        let (train, held_out) = (Side::Train, Side::Validation);
        let a = vec![
            row(0, train, "x"),
            row(1, held_out, "x"),
            row(2, train, "y"),
        ];
        let b = vec![
            row(5, held_out, "x"),
            row(6, train, "x"),
            row(7, train, "x"),
        ];
        let (pairs, only_a, only_b) = paired(a, b, |row| Some(row.digest.clone()));
        let numbers: Vec<_> = pairs.iter().map(|it| (it.a.row, it.b.row)).collect();
        assert_eq!(numbers, [(0, 6), (1, 5)]);
        let numbers = |rows: &[ComparedRow]| rows.iter().map(|it| it.row).collect::<Vec<_>>();
        assert_eq!((numbers(&only_a), numbers(&only_b)), (vec![2], vec![7]));
    }
}
