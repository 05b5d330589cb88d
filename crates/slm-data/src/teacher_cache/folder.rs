//! The folder of a cache: its shards, which of them are there, and when it is complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slm_run::{RunError, sha256_file, write_file_atomic};

use super::key::row_digest;
use super::shard::{read_shard, write_shard};
use super::{CacheError, CacheKey, RowDigest, TaughtRow};
use crate::sample::Sample;

/// Rows of a shard: little enough to be lost when a worker dies, and for many to share.
const SHARD_ROWS: usize = 1024;
/// What the cache is of.
const KEY: &str = "teacher.json";
/// The digests of all shards.
const COMPLETE: &str = "complete.json";

/// Where what a teacher says of some rows is kept.
#[derive(Clone, Debug)]
pub struct CacheFolder {
    dir: PathBuf,
    key: CacheKey,
}

/// A cache with all its shards.
#[derive(Clone, Debug, Default)]
pub struct Completed {
    /// What was said of each row.
    pub rows: Vec<TaughtRow>,
    /// Bytes of all shards.
    pub size_bytes: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Digests {
    /// Of the files.
    sha256: BTreeMap<String, String>,
}

impl CacheFolder {
    /// The folder of `key` below the recipe's `cache_dir`; it need not be there.
    pub fn new(dir: &Path, key: CacheKey) -> Self {
        Self {
            dir: dir.into(),
            key,
        }
    }

    /// What it is of.
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.join(self.key.name())
    }

    /// The rows of each shard, the same on every machine: each text once, and long and short ones in all shards alike.
    pub fn shards<'a>(&self, samples: &'a [Sample]) -> Vec<Vec<&'a Sample>> {
        let of_digest = samples.iter().map(|it| (row_digest(it), it));
        let rows: BTreeMap<RowDigest, &Sample> = of_digest.collect();
        let rows: Vec<_> = rows.into_values().collect();
        rows.chunks(SHARD_ROWS).map(<[_]>::to_vec).collect()
    }

    /// Whether a shard is there, of `n`; both counted from 0.
    pub fn has(&self, shard: usize, n: usize) -> bool {
        self.shard_path(shard, n).exists()
    }

    /// Says what the folder is of.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&self) -> Result<(), CacheError> {
        let path = self.path();
        let made = fs_err::create_dir_all(&path).map_err(|error| RunError::io(&path, error));
        made.and_then(|()| self.write_json(KEY, &self.key))
            .map_err(|source| CacheError::Write { source })
    }

    /// Writes a shard, of `n`: it is there when it is complete.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written; then the shard is absent.
    pub fn write(&self, shard: usize, n: usize, rows: &[TaughtRow]) -> Result<u64, CacheError> {
        let path = self.shard_path(shard, n);
        write_shard(&path, rows).map_err(|source| CacheError::Write { source })?;
        let written = fs_err::metadata(&path).map_err(|error| RunError::io(&path, error));
        let written = written.map_err(|source| CacheError::Write { source })?;
        Ok(written.len())
    }

    /// Reads all shards, checks that each is there and has its rows, and writes down their digests, or checks them.
    ///
    /// # Errors
    /// No cache; a shard is missing, was changed, or was cut off.
    pub fn complete(&self, samples: &[Sample]) -> Result<Completed, CacheError> {
        let (shards, folder) = (self.shards(samples), self.path());
        let n = shards.len();
        if !folder.join(KEY).exists() {
            return Err(CacheError::Absent {
                dir: self.dir.clone(),
                differences: self.nearest(),
            });
        }
        let missing = (0..n).filter(|shard| !self.has(*shard, n));
        let missing: Vec<_> = missing.map(|shard| shard + 1).collect();
        if !missing.is_empty() {
            return Err(CacheError::Incomplete {
                folder,
                missing,
                needed: n,
            });
        }
        let held = self.digests()?;
        let (mut completed, mut sha256) = (Completed::default(), BTreeMap::new());
        for (shard, samples) in shards.iter().enumerate() {
            let path = self.shard_path(shard, n);
            let unusable = |reason: String| CacheError::Unusable {
                path: path.clone(),
                reason,
            };
            let digest = sha256_file(&path).map_err(|error| unusable(error.to_string()))?;
            let name = shard_name(shard, n);
            let is_other = |held: &Digests| held.sha256.get(&name) != Some(&digest);
            if held.as_ref().is_some_and(is_other) {
                return Err(unusable(format!(
                    "its digest is not the one in `{COMPLETE}`"
                )));
            }
            let rows = read_shard(&path, samples).map_err(unusable)?;
            completed.rows.extend(rows);
            completed.size_bytes += fs_err::metadata(&path).map_or(0, |it| it.len());
            sha256.insert(name, digest);
        }
        if held.is_none() {
            let written = self.write_json(COMPLETE, &Digests { sha256 });
            written.map_err(|source| CacheError::Write { source })?;
        }
        Ok(completed)
    }

    fn digests(&self) -> Result<Option<Digests>, CacheError> {
        let path = self.path().join(COMPLETE);
        if !path.exists() {
            return Ok(None);
        }
        let read = fs_err::read(&path).map_err(|error| error.to_string());
        let parsed =
            read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()));
        parsed
            .map(Some)
            .map_err(|reason| CacheError::Unusable { path, reason })
    }

    /// What the cache that is most like this one differs in.
    fn nearest(&self) -> Vec<&'static str> {
        let entries = fs_err::read_dir(&self.dir).into_iter().flatten().flatten();
        let keys = entries.filter_map(|entry| {
            let text = fs_err::read(entry.path().join(KEY)).ok()?;
            serde_json::from_slice::<CacheKey>(&text).ok()
        });
        let differences = keys.map(|key| self.key.differences(&key));
        differences.min_by_key(Vec::len).unwrap_or_default()
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        let path = self.path().join(name);
        let bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
        let is_there = || fs_err::read(&path).is_ok_and(|held| held == bytes);
        if is_there() {
            return Ok(());
        }
        // Another worker may write the same at the same time, and be faster.
        let written = write_file_atomic(&path, &bytes);
        written.or_else(|error| if is_there() { Ok(()) } else { Err(error) })
    }

    fn shard_path(&self, shard: usize, n: usize) -> PathBuf {
        self.path().join(shard_name(shard, n))
    }
}

fn shard_name(shard: usize, n: usize) -> String {
    format!("shard-{:05}-of-{n:05}.parquet", shard + 1)
}
