use std::collections::HashSet;

use sha2::{Digest, Sha256};
use slm_recipe::{Conflicts, DataSection, Dedup, OutlierAction, Pii};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::clean::{asked_and_answered, oddities, personal_found};
use crate::error::DataError;
use crate::example::Example;
use crate::leak::{Met, Search};
use crate::near::Nearness;
use crate::personal::WordList;
use crate::random::bits;
use crate::side::Side;
use crate::split::Split;

/// What the steps of a recipe have to know of every row.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    section: &'a DataSection,
    pub(super) split: Split,
    seed: u64,
    searches: &'a [Search],
    /// Those that the recipe names; without any, all are known.
    known_labels: HashSet<&'a str>,
    /// Words that are personal data, where such data stops the run.
    refused: Option<WordList>,
    pub(super) lengths: bool,
    pub(super) odd: bool,
    pub(super) equal: bool,
    pub(super) near: Option<Nearness>,
    pub(super) conflicts: bool,
    pub(super) balance: bool,
    pub(super) labels: bool,
}

/// What is known of a row.
pub(super) struct RowFacts {
    pub(super) chars: u32,
    pub(super) odd: bool,
    /// A digest of what it says.
    pub(super) said: [u8; 16],
    /// Hashes of what is asked and of what is answered.
    pub(super) asked: Option<(u128, u64)>,
    pub(super) bands: Vec<u64>,
    pub(super) tie: u64,
    pub(super) order: u64,
    pub(super) side: Side,
    pub(super) place: f64,
    /// A digest of what is the same for rows that are kept together.
    pub(super) unit: [u8; 16],
    /// By search.
    pub(super) met: Vec<Met>,
    /// Personal data that stops the run, for people.
    pub(super) refused: Option<String>,
}

impl<'a> Asked<'a> {
    pub(super) fn by(
        section: &'a DataSection,
        seed: u64,
        searches: &'a [Search],
    ) -> Result<Self, DataError> {
        let split = Split::new(section, seed);
        let clean = &section.clean;
        let minhash = clean.dedup == Dedup::Minhash;
        let balance = clean.balance.is_on();
        let outliers = clean.outliers.action != OutlierAction::Off;
        let refused = (clean.pii == Pii::Error).then(|| WordList::of(clean));
        Ok(Self {
            section,
            split,
            seed,
            searches,
            known_labels: section.labels.iter().map(String::as_str).collect(),
            refused: refused.transpose()?,
            lengths: outliers || minhash,
            odd: outliers,
            equal: clean.dedup != Dedup::Off,
            near: (minhash || split.keeps_near_together()).then(|| Nearness::of(clean)),
            conflicts: clean.conflicts != Conflicts::Off,
            balance,
            labels: balance || split.needs_labels(),
        })
    }

    /// Of a row to learn from.
    pub(super) fn facts(&self, row: &Example) -> RowFacts {
        let clean = &self.section.clean;
        let content = &row.content;
        let key = match self.equal || self.balance {
            true => content.key(),
            false => Vec::new(),
        };
        let sketch = (self.near.is_some() || !self.searches.is_empty())
            .then(|| Nearness::of(clean).sketch(content));
        let bands = match (&self.near, &sketch) {
            (Some(nearness), Some(sketch)) => nearness.bands(sketch),
            _ => Vec::new(),
        };
        let by_unit = self.split.is_by_unit();
        let met = self.searches.iter();
        let met = met.flat_map(|search| sketch.as_ref().map(|sketch| search.met(row, sketch)));
        RowFacts {
            chars: if self.lengths {
                content.chars() as u32
            } else {
                0
            },
            odd: self.odd && !oddities(&clean.outliers, &content.said()).is_empty(),
            said: short(&key),
            asked: match self.conflicts {
                true => asked_and_answered(row).map(|(prompt, answer)| {
                    (xxh3_128(prompt.as_bytes()), xxh3_64(answer.as_bytes()))
                }),
                false => None,
            },
            bands,
            tie: match self.equal || self.balance {
                true => tie(row),
                false => 0,
            },
            order: match self.balance {
                true => bits("balance", self.seed, &[&key]),
                false => 0,
            },
            side: match by_unit {
                true => Side::Train,
                false => self.split.side(row),
            },
            place: if by_unit {
                self.split.place_of(row)
            } else {
                0.0
            },
            unit: match by_unit {
                true => short(&Split::key(row)),
                false => [0; 16],
            },
            met: met.collect(),
            refused: self.personal(row),
        }
    }

    /// Personal data of a row on any side, if it stops the run.
    pub(super) fn personal(&self, row: &Example) -> Option<String> {
        let list = self.refused.as_ref()?;
        personal_found(row, list)
    }

    /// Whether a label is none of those that the recipe names.
    pub(super) fn is_unknown(&self, row: &Example) -> bool {
        let known = &self.known_labels;
        !known.is_empty() && !known.contains(row.content.target().trim())
    }
}

/// The first bytes of the SHA-256.
fn short(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    if !bytes.is_empty() {
        short.copy_from_slice(&Sha256::digest(bytes)[..16]);
    }
    short
}

fn tie(row: &Example) -> u64 {
    let told = serde_json::to_vec(&(&row.group, &row.slices)).unwrap_or_default();
    xxh3_64(&told)
}
