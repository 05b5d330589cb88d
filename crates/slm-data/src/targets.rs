use std::collections::{BTreeMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use crate::manifest::MAX_TARGETS;

/// How often each target occurs, and how many there are; only the number where they are too many to be labels.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    counts: BTreeMap<String, usize>,
    /// Of all of them, once they are too many: 8 bytes each. Among ten million, two that are taken for one have a
    /// probability of 3e-6.
    hashes: HashSet<u64>,
}

impl Targets {
    pub(crate) fn take(&mut self, target: &str) {
        if !self.hashes.is_empty() {
            self.hashes.insert(xxh3_64(target.as_bytes()));
            return;
        }
        match self.counts.get_mut(target) {
            Some(count) => *count += 1,
            None => _ = self.counts.insert(target.to_owned(), 1),
        }
        if self.counts.len() > MAX_TARGETS {
            let counts = std::mem::take(&mut self.counts);
            self.hashes = counts.keys().map(|key| xxh3_64(key.as_bytes())).collect();
        }
    }

    /// Hashes of all of them, once they are too many.
    pub(crate) fn hashes(&self) -> &HashSet<u64> {
        &self.hashes
    }

    /// The counts, none where there are too many, and the number of distinct ones.
    pub(crate) fn into_counts(self) -> (BTreeMap<String, usize>, usize) {
        let distinct = self.counts.len().max(self.hashes.len());
        (self.counts, distinct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(targets: impl IntoIterator<Item = usize>) -> (BTreeMap<String, usize>, usize) {
        let mut counted = Targets::default();
        let targets = targets.into_iter();
        targets.for_each(|target| counted.take(&target.to_string()));
        counted.into_counts()
    }

    #[test]
    fn labels_are_counted_and_more_are_only_numbered() {
        let (counts, distinct) = counted([1, 2, 1]);
        assert_eq!((counts["1"], counts["2"], distinct), (2, 1, 2));
        let all = |n: usize| (0..n).chain(0..n);
        let (counts, distinct) = counted(all(MAX_TARGETS));
        assert_eq!((counts.len(), distinct), (MAX_TARGETS, MAX_TARGETS));
        let (counts, distinct) = counted(all(MAX_TARGETS + 7));
        assert_eq!((counts.len(), distinct), (0, MAX_TARGETS + 7));
    }
}
