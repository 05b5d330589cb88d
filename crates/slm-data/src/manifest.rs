use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use slm_recipe::Format;

use crate::clean::{CleanTotals, PersonalTotals};
use crate::error::DataError;
use crate::leak::LeakTotals;
use crate::mask_proof::MaskProof;
use crate::side::{Side, told};

/// Version of the folder that [`crate::prepare`] writes.
pub const FORMAT_VERSION: u32 = 4;

/// Name of the file that is written last.
pub const MANIFEST: &str = "manifest.json";

/// What is in a folder of shards, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format_version: u32,
    /// Digest of everything that the shards depend on, see [`crate::input_digest`].
    pub input_digest: String,
    /// The seed of the split and of samples.
    pub seed: u64,
    /// The longest row that was allowed.
    pub max_length: usize,
    /// The files, in the order of the recipe.
    pub sources: Vec<SourceRecord>,
    /// What was done to the rows before they were split; each change and each row left out is in `cleaning.jsonl`.
    #[serde(default)]
    pub cleaning: Vec<CleanTotals>,
    /// Personal data that was found, by file and kind.
    #[serde(default)]
    pub personal: Vec<PersonalTotals>,
    /// Rows to learn from.
    pub train: SplitRecord,
    /// Rows that are held out.
    pub validation: SplitRecord,
    /// Rows that are held out for the tasks.
    #[serde(default, skip_serializing_if = "SplitRecord::is_empty")]
    pub test: SplitRecord,
    /// Held-out rows that say exactly what a training row says.
    pub leaked: usize,
    /// How many rows of tasks are among those to learn from; each is in `leaks.jsonl`.
    #[serde(default)]
    pub leaks: Vec<LeakTotals>,
    /// Rows to learn from that `data.on_leak` left out.
    #[serde(default)]
    pub leaked_out: usize,
    /// How often each target text occurs in the training rows, as it stands; empty where there are more than
    /// [`MAX_TARGETS`].
    pub targets: BTreeMap<String, usize>,
    /// Distinct target texts of the training rows.
    pub distinct_targets: usize,
    /// What is learned of the rows.
    pub mask: MaskProof,
    /// The files of the folder.
    pub shards: Vec<ShardRecord>,
}

/// Distinct targets up to which they are taken for labels and counted one by one.
pub const MAX_TARGETS: usize = 1000;

/// A file that rows came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// As the recipe writes it.
    pub path: String,
    /// Of its bytes, in hex.
    pub sha256: String,
    /// Of the file.
    pub size_bytes: u64,
    /// Given under `data.train`, `data.validation` or `data.test`.
    pub given_as: Side,
    /// What its rows were read as.
    pub format: Format,
    /// Rows in the file.
    pub rows: usize,
    /// Rows that `max_samples` left out.
    pub not_sampled: usize,
    /// How often its rows come up in an epoch, see [`crate::Share`].
    pub weight: f64,
    /// Bad rows that `data.on_bad_row = "skip"` left out; each is in `skipped.jsonl`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: usize,
    /// The files, where a folder or a pattern names several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRecord>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One of several files of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Below the folder that the recipe names.
    pub path: String,
    /// Of its bytes, in hex.
    pub sha256: String,
    /// Of the file.
    pub size_bytes: u64,
    /// Rows in the file.
    pub rows: usize,
}

/// What became of the rows of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// Rows that fell on this side.
    pub read: usize,
    /// Rows left out, by reason.
    pub dropped: Dropped,
    /// Rows that were cut to `max_length` and kept.
    pub truncated: usize,
    /// Rows in the shards.
    pub rows: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Those of them that a model is asked to predict.
    pub learned_tokens: usize,
}

impl SplitRecord {
    /// Whether no row fell on this side.
    pub fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// Adds what became of other rows.
    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.dropped.overlong += other.dropped.overlong;
        self.dropped.nothing_left_to_learn += other.dropped.nothing_left_to_learn;
        self.truncated += other.truncated;
        self.rows += other.rows;
        self.tokens += other.tokens;
        self.learned_tokens += other.learned_tokens;
    }
}

/// Rows left out, by reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// Longer than `max_length`, with `overlong = "drop"`.
    pub overlong: usize,
    /// Nothing to learn was left after truncation.
    pub nothing_left_to_learn: usize,
}

impl Dropped {
    /// Rows left out for any reason.
    pub fn total(&self) -> usize {
        self.overlong + self.nothing_left_to_learn
    }
}

/// A file of encoded rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Name in the folder.
    pub file: String,
    /// Which side its rows are on.
    pub side: Side,
    /// Rows in it.
    pub rows: usize,
    /// Of its bytes, in hex.
    pub sha256: String,
    /// Of the file.
    pub size_bytes: u64,
}

impl Manifest {
    /// Reads the manifest of a folder of shards.
    ///
    /// # Errors
    /// When there is none, which means that the folder is not complete, or when another version wrote it.
    pub fn read(dir: &Path) -> Result<Self, DataError> {
        let unusable = |reason: String| DataError::Shards {
            path: dir.display().to_string(),
            reason,
        };
        let text = fs_err::read(dir.join(MANIFEST)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                unusable(format!("found no `{MANIFEST}`, which is written last"))
            }
            _ => DataError::Io { source: error },
        })?;
        let broken =
            |error: serde_json::Error| unusable(format!("`{MANIFEST}` is broken: {error}"));
        let version: Version = serde_json::from_slice(&text).map_err(broken)?;
        if version.format_version != FORMAT_VERSION {
            let found = version.format_version;
            return Err(unusable(format!(
                "it has format version {found}, {FORMAT_VERSION} was needed"
            )));
        }
        serde_json::from_slice(&text).map_err(broken)
    }

    /// Rows that cleaning left out before they were on any side, and `data.on_leak` after.
    pub fn cleaned_out(&self) -> usize {
        let cleaned: usize = self.cleaning.iter().map(|step| step.left_out).sum();
        cleaned + self.leaked_out
    }

    /// The record of one side.
    pub fn side(&self, side: Side) -> &SplitRecord {
        side.of([&self.train, &self.validation, &self.test])
    }

    pub(crate) fn side_mut(&mut self, side: Side) -> &mut SplitRecord {
        side.of([&mut self.train, &mut self.validation, &mut self.test])
    }

    /// Training and held-out rows, and those of the test if there are any.
    pub fn sides(&self) -> impl Iterator<Item = (Side, &SplitRecord)> {
        told(|side| self.side(side), SplitRecord::is_empty)
    }

    /// Rows in the shards of all sides.
    pub fn rows(&self) -> usize {
        self.sides().map(|(_, side)| side.rows).sum()
    }

    /// Rows of all sides that were left out when they were encoded.
    pub fn left_out(&self) -> usize {
        self.sides().map(|(_, side)| side.dropped.total()).sum()
    }
}

#[derive(Deserialize)]
struct Version {
    format_version: u32,
}
