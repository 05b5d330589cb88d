//! What a teacher said of rows, kept so that it says it once: folders of Parquet files.
//!
//! A folder is named by the digest of everything that what it holds depends on, its [`CacheKey`]; neither the student nor how it
//! learns is among it. Its shards are complete or absent, and any of several machines may write each. When all are there,
//! `complete.json` has their digests; it is written last.

mod error;
mod folder;
mod key;
mod shard;

use std::collections::HashMap;
use std::ops::Range;

use half::f16;

pub use error::CacheError;
pub use folder::{CacheFolder, Completed};
pub use key::{CacheKey, rows_digest};

use crate::sample::Sample;

/// Digest of a row as a teacher reads it: of ids, of which are learned, and of where conversations begin.
pub(crate) type RowDigest = [u8; 16];

/// What a teacher says of the learned tokens of one row, from the first to the last; of each, its likeliest tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaughtRow {
    pub(crate) digest: RowDigest,
    /// How many are kept of each learned token.
    pub counts: Vec<u16>,
    /// Those of all learned tokens, one after the other.
    pub ids: Vec<u32>,
    /// ln p of each, at temperature 1.
    pub logprobs: Vec<f16>,
    /// ln of the probability that all others have together, of each learned token; −∞ where there are none.
    pub rest: Vec<f16>,
    /// ln of the sum of the square roots of the others' probabilities.
    pub rest_roots: Vec<f16>,
}

impl TaughtRow {
    /// Of a row of which nothing is said yet.
    pub fn of(sample: &Sample) -> Self {
        Self {
            digest: key::row_digest(sample),
            ..Self::default()
        }
    }
}

/// The same, borrowed from a cache.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub counts: &'a [u16],
    pub ids: &'a [u32],
    pub logprobs: &'a [f16],
    pub rest: &'a [f16],
    pub rest_roots: &'a [f16],
}

/// All that a teacher said of some rows, in memory.
#[derive(Debug)]
pub struct TeacherCache {
    vocab: usize,
    counts: Vec<u16>,
    ids: Vec<u32>,
    logprobs: Vec<f16>,
    rest: Vec<f16>,
    rest_roots: Vec<f16>,
    /// Where what was said of a row is: its learned tokens, and what is kept of them.
    places: HashMap<RowDigest, [Range<usize>; 2]>,
    /// The digest of each row number.
    digests: HashMap<usize, RowDigest>,
}

impl TeacherCache {
    /// Reads a complete folder, and checks every file against its digest and every row against what it has to have.
    ///
    /// # Errors
    /// See [`CacheError`]: nothing there, shards that are missing, a file that was changed or cut off.
    pub fn open(folder: &CacheFolder, samples: &[Sample]) -> Result<Self, CacheError> {
        let completed = folder.complete(samples)?;
        let mut cache = Self {
            vocab: folder.key().vocab,
            counts: Vec::new(),
            ids: Vec::new(),
            logprobs: Vec::new(),
            rest: Vec::new(),
            rest_roots: Vec::new(),
            places: HashMap::new(),
            digests: HashMap::new(),
        };
        for row in completed.rows {
            cache.take(row);
        }
        for sample in samples {
            cache.digests.insert(sample.row, key::row_digest(sample));
        }
        Ok(cache)
    }

    /// Ids from 0 up to this have probabilities.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// What was said of the row of this number.
    ///
    /// # Panics
    /// If it is not one of the rows that the cache was opened for.
    pub fn row(&self, row: usize) -> Said<'_> {
        let [tokens, kept] = self.places[&self.digests[&row]].clone();
        Said {
            counts: &self.counts[tokens.clone()],
            ids: &self.ids[kept.clone()],
            logprobs: &self.logprobs[kept],
            rest: &self.rest[tokens.clone()],
            rest_roots: &self.rest_roots[tokens],
        }
    }

    fn take(&mut self, row: TaughtRow) {
        let (tokens, kept) = (self.counts.len(), self.ids.len());
        self.counts.extend(row.counts);
        self.ids.extend(row.ids);
        self.logprobs.extend(row.logprobs);
        self.rest.extend(row.rest);
        self.rest_roots.extend(row.rest_roots);
        let places = [tokens..self.counts.len(), kept..self.ids.len()];
        self.places.insert(row.digest, places);
    }
}
