//! Which rows say nearly the same: `MinHash` finds candidates, the exact Jaccard similarity of their shingles decides.

mod candidates;
mod clusters;
mod shingles;
mod signature;

use std::collections::HashMap;

use slm_recipe::{CleanSection, Shingle};

pub(crate) use self::candidates::Candidates;
pub(crate) use self::clusters::Clusters;
pub(crate) use self::shingles::{Shingles, compared};
use self::signature::{Banding, Signature};
use crate::content::Content;

/// When two rows are near-duplicates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nearness {
    shingle: Shingle,
    size: usize,
    /// Jaccard similarity from which they are.
    threshold: f64,
}

/// A row as it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    shingles: Shingles,
    signature: Signature,
}

/// Rows among which near ones are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    nearness: Nearness,
    banding: Banding,
    /// The number of each row and its sketch, in the order in which they were added.
    rows: Vec<(usize, Sketch)>,
    /// Places in `rows` by the hash of a band.
    buckets: HashMap<u64, Vec<usize>>,
}

impl Nearness {
    pub(crate) fn of(section: &CleanSection) -> Self {
        Self {
            shingle: section.shingle,
            size: section.shingle_size,
            threshold: section.dedup_threshold,
        }
    }

    /// A row as it is compared.
    pub(crate) fn sketch(&self, content: &Content) -> Sketch {
        let shingles = Shingles::of(content, self.shingle, self.size);
        let signature = Signature::of(&shingles);
        Sketch {
            shingles,
            signature,
        }
    }

    /// The least shingles of what decides on a row's side of a split, as in [`Shingles::least`].
    pub(crate) fn least(&self, content: &Content, count: usize) -> Vec<u64> {
        let shingles = match content.is_tokens() {
            true => Shingles::of(content, self.shingle, self.size),
            false => {
                let text = compared(content.split_texts().iter().map(String::as_str));
                Shingles::of_text(&text, self.shingle, self.size)
            }
        };
        shingles.least(count).to_vec()
    }

    /// The bands of a row's signature; none of a row without shingles, to which nothing is near.
    pub(crate) fn bands(&self, sketch: &Sketch) -> Vec<u64> {
        match sketch.shingles.is_empty() {
            true => Vec::new(),
            false => Banding::for_threshold(self.threshold)
                .keys(&sketch.signature)
                .collect(),
        }
    }
}

impl Index {
    pub(crate) fn new(nearness: Nearness) -> Self {
        Self {
            nearness,
            banding: Banding::for_threshold(nearness.threshold),
            rows: Vec::new(),
            buckets: HashMap::new(),
        }
    }

    /// Adds a row under a number.
    pub(crate) fn add(&mut self, number: usize, sketch: Sketch) {
        let place = self.rows.len();
        if !sketch.shingles.is_empty() {
            for key in self.banding.keys(&sketch.signature) {
                self.buckets.entry(key).or_default().push(place);
            }
        }
        self.rows.push((number, sketch));
    }

    /// The rows that a row is near to, with their similarity, in the order in which they were added.
    pub(crate) fn near(&self, sketch: &Sketch) -> Vec<(usize, f64)> {
        if sketch.shingles.is_empty() {
            return Vec::new();
        }
        let keys = self.banding.keys(&sketch.signature);
        let mut candidates: Vec<usize> = keys
            .filter_map(|key| self.buckets.get(&key))
            .flatten()
            .copied()
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let similarity = |place: usize| {
            let (number, other) = &self.rows[place];
            (*number, sketch.shingles.jaccard(&other.shingles))
        };
        candidates
            .into_iter()
            .map(similarity)
            .filter(|(_, similarity)| *similarity >= self.nearness.threshold)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nearness(threshold: f64) -> Nearness {
        Nearness::of(&CleanSection {
            dedup_threshold: threshold,
            ..CleanSection::default()
        })
    }

    /// Texts of distinct random words.
    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-z]{4,9}( [a-z]{4,9}){11,20}", 40)
    }

    /// The text with its last word replaced as often as it takes to come near to a similarity from above.
    fn altered(text: &str, nearness: &Nearness, similarity: f64) -> String {
        let shingles = |text: &str| Shingles::of_text(text, nearness.shingle, nearness.size);
        let (original, mut altered) = (shingles(text), text.to_owned());
        for cut in (1..text.len()).rev() {
            let next = format!("{}{}", &text[..cut], "#".repeat(text.len() - cut));
            if shingles(&next).jaccard(&original) < similarity {
                break;
            }
            altered = next;
        }
        altered
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn near_ones_are_found_at_the_threshold_and_no_others(texts in texts()) {
            let nearness = nearness(0.8);
            let near: Vec<String> = texts.iter().map(|text| altered(text, &nearness, 0.8)).collect();
            let sketch = |text: &String| nearness.sketch(&Content::Text(text.clone()));
            let known: Vec<Sketch> = texts.iter().map(sketch).collect();
            let asked: Vec<Sketch> = near.iter().map(sketch).collect();
            let mut index = Index::new(nearness);
            known.iter().cloned().enumerate().for_each(|(number, sketch)| index.add(number, sketch));
            let mut found = 0;
            for (number, sketch) in asked.iter().enumerate() {
                let near = index.near(sketch);
                found += usize::from(near.iter().any(|(other, _)| *other == number));
                let exact: Vec<usize> = (0..known.len())
                    .filter(|other| sketch.shingles.jaccard(&known[*other].shingles) >= 0.8)
                    .collect();
                prop_assert!(near.iter().all(|(other, _)| exact.contains(other)));
            }
            prop_assert!(found >= 38, "{found} of 40");
        }
    }

    #[test]
    fn nothing_is_near_to_an_empty_row() {
        let sketches = [" ", ""].map(|text| nearness(0.5).sketch(&Content::Text(text.into())));
        let mut index = Index::new(nearness(0.5));
        index.add(0, sketches[0].clone());
        assert_eq!(index.near(&sketches[1]), []);
    }
}
