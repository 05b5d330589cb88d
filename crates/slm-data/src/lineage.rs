//! Where a row of a prepared folder came from, and everything that was done to it.

mod fate;
mod stored;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

pub use self::fate::Fate;
pub use self::stored::Placed;
pub(crate) use self::stored::{CUT, DIGEST, digests, hex};
pub use self::wanted::Wanted;
use crate::clean::{CLEANING, CleanRecord};
use crate::error::DataError;
use crate::leak::{LEAKS, Leak};
use crate::manifest::{Manifest, SourceRecord};
use crate::records::each_record;

/// One row, from its file to the tokens that are learned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lineage {
    /// Counted from 0 over all sources in the order of the recipe, before any row is left out.
    pub row: usize,
    /// Where it came from, as in `train.csv:12`; none where nothing is kept of it.
    pub origin: Option<String>,
    /// The file.
    pub source: SourceRecord,
    /// The file's place in the order of the recipe, training files first.
    pub source_index: usize,
    /// SHA-256 of what it said when it was read, in hex; none where nothing is kept of it.
    pub digest: Option<String>,
    /// What cleaning did to it, in order. The digest of a step is that of what the row said before it.
    pub steps: Vec<CleanRecord>,
    /// SHA-256 of what it said when it was encoded, in hex; none for a row that was left out.
    pub encoded_digest: Option<String>,
    /// Rows of tasks that it has.
    pub leaks: Vec<Leak>,
    /// What became of it.
    pub fate: Fate,
    /// Where it lies in the shards: in one place, or a place for each of its two answers.
    pub placed: Vec<Placed>,
}

/// What is known of rows of a prepared folder, by number; of a digest or a place there may be several.
///
/// # Errors
/// When the folder is not complete, when a file of it cannot be read, and when no row is the one that is asked for.
pub fn lineages(folder: &Path, wanted: &Wanted) -> Result<Vec<Lineage>, DataError> {
    let manifest = Manifest::read(folder)?;
    let mut rows: BTreeMap<usize, Known> = BTreeMap::new();
    for placed in stored::placed(folder, &manifest, wanted)? {
        rows.entry(placed.row).or_default().placed.push(placed);
    }
    let (mut cleaned, mut leaked) = (BTreeSet::new(), BTreeSet::new());
    each_record(folder, CLEANING, &mut |record: CleanRecord| {
        if wanted.is(record.row, &record.origin, &record.digest) {
            cleaned.insert(record.row);
        }
    })?;
    each_record(folder, LEAKS, &mut |leak: Leak| {
        if wanted.is(leak.row, &leak.origin, "") {
            leaked.insert(leak.row);
        }
    })?;
    for row in cleaned.into_iter().chain(leaked) {
        rows.entry(row).or_default();
    }
    let total = manifest.sources.iter().map(|source| source.rows).sum();
    if let Wanted::Row(row) = wanted
        && *row < total
    {
        rows.entry(*row).or_default();
    }
    if rows.is_empty() {
        return Err(DataError::NoSuchRow {
            path: folder.display().to_string(),
            wanted: wanted.to_string(),
            rows: total,
        });
    }
    each_record(folder, CLEANING, &mut |record: CleanRecord| {
        if let Some(known) = rows.get_mut(&record.row) {
            known.steps.push(record);
        }
    })?;
    each_record(folder, LEAKS, &mut |leak: Leak| {
        if let Some(known) = rows.get_mut(&leak.row) {
            known.leaks.push(leak);
        }
    })?;
    // What was found by an earlier digest has a place in the shards all the same.
    for (row, known) in rows.iter_mut().filter(|(_, known)| known.placed.is_empty()) {
        known.placed = stored::placed(folder, &manifest, &Wanted::Row(*row))?;
    }
    let rows = rows.into_iter();
    Ok(rows
        .filter_map(|(row, known)| known.told(row, &manifest))
        .collect())
}

/// What the files of a folder say of a row.
#[derive(Debug, Default)]
struct Known {
    placed: Vec<Placed>,
    steps: Vec<CleanRecord>,
    leaks: Vec<Leak>,
}

impl Known {
    fn told(self, row: usize, manifest: &Manifest) -> Option<Lineage> {
        let Self {
            placed,
            steps,
            leaks,
        } = self;
        let (source_index, source) = source_of(row, manifest)?;
        let encoded_digest = placed.first().map(|placed| placed.digest.clone());
        let read = steps.first().map(|step| step.digest.clone());
        let origins = [
            placed.first().map(|placed| placed.origin.clone()),
            steps.first().map(|step| step.origin.clone()),
            leaks.first().map(|leak| leak.origin.clone()),
        ];
        Some(Lineage {
            row,
            origin: origins.into_iter().flatten().next(),
            source: source.clone(),
            source_index,
            digest: read.or_else(|| encoded_digest.clone()),
            encoded_digest,
            fate: Fate::of(&placed, &steps, &leaks, source, manifest),
            steps,
            leaks,
            placed,
        })
    }
}

/// The file that a row came from, with its place among them.
fn source_of(row: usize, manifest: &Manifest) -> Option<(usize, &SourceRecord)> {
    let mut first_row = 0;
    let mut sources = manifest.sources.iter().enumerate();
    sources.find(|(_, source)| {
        first_row += source.rows;
        row < first_row
    })
}
