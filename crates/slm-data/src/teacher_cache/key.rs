//! What a cache is of.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use slm_run::{sha256_bytes, sha256_json};

use super::RowDigest;
use crate::sample::Sample;

/// Of the files of a cache.
const FORMAT_VERSION: u32 = 1;

/// Everything that what a teacher says depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheKey {
    /// Of the files.
    format_version: u32,
    /// Digest of the teacher's weights, and what they are computed in.
    pub teacher: String,
    /// Digest of the tokenizer's vocabulary.
    pub tokenizer: String,
    /// Digest of the chat template that the rows were written with.
    pub template: String,
    /// [`rows_digest`]
    pub rows: String,
    /// Most tokens that are kept of a learned one.
    pub top_k: usize,
    /// As few as have this probability together.
    pub mass: f64,
    /// Ids from 0 up to this have probabilities.
    pub vocab: usize,
}

impl CacheKey {
    /// Of rows, and a teacher that is not yet told.
    pub fn new(samples: &[Sample], top_k: usize, mass: f64, vocab: usize) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            teacher: String::new(),
            tokenizer: String::new(),
            template: String::new(),
            rows: rows_digest(samples),
            top_k,
            mass,
            vocab,
        }
    }

    /// The name of the folder.
    pub fn name(&self) -> String {
        sha256_json(self)[..16].to_owned()
    }

    /// In which parts another cache is not this one, in words.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            (self.format_version == other.format_version, "format"),
            (self.teacher == other.teacher, "teacher"),
            (
                (&self.tokenizer, self.vocab) == (&other.tokenizer, other.vocab),
                "tokenizer",
            ),
            (self.template == other.template, "chat template"),
            (self.rows == other.rows, "set of rows"),
            (self.top_k == other.top_k, "`distill.top_k`"),
            (self.mass == other.mass, "`distill.mass`"),
        ]
        .into_iter()
        .filter_map(|(is_same, name)| (!is_same).then_some(name))
        .collect()
    }
}

/// Digest of rows as a teacher reads them, whatever their order.
pub fn rows_digest(samples: &[Sample]) -> String {
    let mut digests: Vec<_> = samples.iter().map(row_digest).collect();
    digests.sort_unstable();
    digests.dedup();
    sha256_bytes(&digests.concat())
}

/// Of one row.
pub(crate) fn row_digest(sample: &Sample) -> RowDigest {
    let mut hasher = Sha256::new();
    for (id, learn) in sample.ids.iter().zip(&sample.learn) {
        hasher.update(id.to_le_bytes());
        hasher.update([u8::from(*learn)]);
    }
    for at in &sample.breaks {
        hasher.update(at.to_le_bytes());
    }
    let digest = hasher.finalize();
    std::array::from_fn(|place| digest[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_ids_what_is_learned_and_its_breaks() {
        let sample = Sample::new(0, vec![1, 2, 3], vec![false, true, true]);
        let same = Sample {
            row: 7,
            ..sample.clone()
        };
        assert_eq!(row_digest(&sample), row_digest(&same));
        let (mut ids, mut learn, mut breaks) = (sample.clone(), sample.clone(), sample.clone());
        ids.ids[2] = 4;
        learn.learn[1] = false;
        breaks.breaks = vec![1];
        for other in [ids, learn, breaks] {
            assert_ne!(row_digest(&sample), row_digest(&other));
        }
    }

    #[test]
    fn keys_differ_by_name_in_what_they_differ_in() {
        let one = Sample::new(0, vec![1, 2], vec![true; 2]);
        let two = Sample::new(1, vec![3, 4], vec![true; 2]);
        let key = CacheKey::new(&[one.clone(), two.clone()], 8, 0.9, 32);
        let turned = CacheKey::new(&[two, one.clone(), one.clone()], 8, 0.9, 32);
        assert_eq!(key.name(), turned.name());
        let mut other = CacheKey::new(&[one], 8, 0.9, 32);
        other.template = "another".into();
        assert_ne!(key.name(), other.name());
        assert_eq!(key.differences(&other), ["chat template", "set of rows"]);
    }
}
