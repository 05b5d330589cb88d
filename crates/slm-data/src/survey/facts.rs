use std::collections::HashMap;
use std::sync::Arc;

use crate::origin::{Origin, Place};
use crate::side::Side;

/// What is kept of every row to learn from: some tens of bytes. Rows have places here, from 0, in the order of their numbers; a list
/// that no step of the recipe asks for stays empty.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The number of each row.
    pub(crate) rows: Vec<u32>,
    /// The line of each, or the row in its file.
    places: Vec<u32>,
    files: Vec<FileRows>,
    /// Characters of its texts.
    pub(crate) chars: Vec<u32>,
    /// Whether its texts are odd.
    pub(crate) odd: Vec<bool>,
    /// A hash of its group and slices, to tell equal rows apart.
    pub(crate) ties: Vec<u64>,
    /// A hash of what it says and of the seed.
    pub(crate) orders: Vec<u64>,
    /// What it should say, as a place in `label_names`.
    pub(crate) labels: Vec<u32>,
    label_names: Vec<String>,
    label_places: HashMap<String, u32>,
    /// Its side, where rows are decided on by themselves.
    pub(crate) sides: Vec<Side>,
    /// The number in `[0, 1)` that decides on its side, where it is no near-duplicate.
    pub(crate) decided_by: Vec<f64>,
}

/// The rows of a file.
#[derive(Debug)]
struct FileRows {
    /// The place of its first one.
    first: usize,
    path: Arc<str>,
    has_lines: bool,
}

impl Facts {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn push(&mut self, row: usize, origin: &Origin) {
        let (place, has_lines) = match origin.place {
            Place::Line(line) => (line, true),
            Place::Row(row) => (row, false),
        };
        let last = self.files.last();
        if last.is_none_or(|last| last.path != origin.path || last.has_lines != has_lines) {
            self.files.push(FileRows {
                first: self.len(),
                path: origin.path.clone(),
                has_lines,
            });
        }
        self.rows.push(row as u32);
        self.places.push(place as u32);
    }

    pub(super) fn push_label(&mut self, label: &str) {
        let place = match self.label_places.get(label) {
            Some(place) => *place,
            None => {
                let place = self.label_names.len() as u32;
                self.label_names.push(label.to_owned());
                self.label_places.insert(label.to_owned(), place);
                place
            }
        };
        self.labels.push(place);
    }

    /// The label of a row.
    pub(crate) fn label(&self, at: usize) -> &str {
        &self.label_names[self.labels[at] as usize]
    }

    /// The number of a row.
    pub(crate) fn row(&self, at: usize) -> usize {
        self.rows[at] as usize
    }

    /// Where a row came from.
    pub(crate) fn origin(&self, at: usize) -> Origin {
        let file = self.file(at);
        let place = self.places[at] as usize;
        match file.has_lines {
            true => Origin::line(&file.path, place),
            false => Origin::row(&file.path, place),
        }
    }

    /// Which of equal rows comes first, whatever their order: by the name of the file, by group and slices, and of rows in one file
    /// that are equal in these as well, by number.
    pub(crate) fn rank(&self, at: usize) -> (&str, u64, usize) {
        (&self.file(at).path, self.ties[at], at)
    }

    fn file(&self, at: usize) -> &FileRows {
        &self.files[self.files.partition_point(|file| file.first <= at) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_come_back() {
        let (a, b): (Arc<str>, Arc<str>) = ("a.jsonl".into(), "b.parquet".into());
        let origins = [
            Origin::line(&a, 1),
            Origin::line(&a, 7),
            Origin::row(&b, 1),
            Origin::line(&a, 9),
        ];
        let mut facts = Facts::default();
        for (row, origin) in origins.iter().enumerate() {
            facts.push(row * 2, origin);
        }
        let told: Vec<Origin> = (0..4).map(|at| facts.origin(at)).collect();
        assert_eq!(told, origins);
        assert_eq!(facts.row(3), 6);
    }

    #[test]
    fn labels_have_one_name_each() {
        let mut facts = Facts::default();
        for label in ["b", "a", "b"] {
            facts.push_label(label);
        }
        assert_eq!(facts.labels, [0, 1, 0]);
        assert_eq!((facts.label(1), facts.label(2)), ("a", "b"));
    }
}
