use std::cell::RefCell;
use std::collections::HashSet;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::{Nearness, Shingles, compared};
use crate::error::DataError;
use crate::pass::Cleaned;
use crate::plan::Draft;
use crate::spill::{Scratch, Shelf, Slot};
use crate::split::{LEAST, Split};
use crate::survey::{Bands, place_in};

/// Bytes of a key of [`Bands`].
const KEY: usize = 8;

/// Rows that may be near to another, since they share a band of their signatures with it. Their shingles are on a shelf.
pub(crate) struct Candidates {
    nearness: Nearness,
    /// Their places among the facts, in order.
    places: Vec<u32>,
    looks: Vec<Look>,
    /// Which of them share a band, one group after the other.
    groups: Lists,
    /// The groups that each is in.
    groups_of: Lists,
    shelf: RefCell<Shelf>,
}

/// What is known of a candidate.
#[derive(Clone, Debug, Default)]
struct Look {
    said: Slot,
    answer: Slot,
    /// Of the answer as it is compared.
    answer_hash: u64,
    /// Of what it says, as records have it in hex.
    digest: [u8; 16],
    /// The least shingles of what decides on its side.
    least: Vec<u64>,
    /// What decides where there are none.
    key: Vec<u8>,
}

/// Lists one behind the other.
#[derive(Debug, Default)]
struct Lists {
    ends: Vec<usize>,
    items: Vec<u32>,
}

impl Lists {
    fn push(&mut self, list: impl IntoIterator<Item = u32>) {
        self.items.extend(list);
        self.ends.push(self.items.len());
    }

    fn list(&self, at: usize) -> &[u32] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.items[start..self.ends[at]]
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

impl Candidates {
    /// Those among the rows that are left.
    pub(crate) fn of(
        bands: Bands,
        draft: &Draft,
        nearness: Nearness,
        scratch: &Scratch,
    ) -> Result<Self, DataError> {
        let (mut groups, mut known) = (Lists::default(), HashSet::new());
        bands.each_group(KEY, &mut |group| {
            let places = group.iter().map(|record| place_in(record, KEY));
            let places = places.filter(|at| draft.is_kept(*at)).map(|at| at as u32);
            let places: Vec<u32> = places.collect();
            // Rows that are near share most of their bands.
            let bytes: Vec<u8> = places.iter().flat_map(|at| at.to_le_bytes()).collect();
            if places.len() > 1 && known.insert(xxh3_64(&bytes)) {
                groups.push(places);
            }
            Ok(())
        })?;
        let mut places = groups.items.clone();
        places.par_sort_unstable();
        places.dedup();
        for item in &mut groups.items {
            *item = places.partition_point(|place| place < item) as u32;
        }
        Ok(Self {
            nearness,
            looks: vec![Look::default(); places.len()],
            groups_of: groups_of(&groups, places.len()),
            groups,
            places,
            shelf: RefCell::new(Shelf::new(scratch)),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Looks at those among the next rows to learn from.
    pub(crate) fn look(&mut self, rows: &[Cleaned], draft: &Draft) -> Result<(), DataError> {
        let at = |row: &Cleaned| {
            let place = draft.facts.rows.binary_search(&(row.example.row as u32));
            let place = place.ok().filter(|_| row.fits)? as u32;
            self.places.binary_search(&place).ok()
        };
        let nearness = &self.nearness;
        let looked = |row: &Cleaned| Some((at(row)?, nearness.looked_at(row)));
        let looked: Vec<_> = rows.par_iter().filter_map(looked).collect();
        for (at, (look, said, answer)) in looked {
            let mut shelf = self.shelf.borrow_mut();
            self.looks[at] = Look {
                said: shelf.put(said.hashes())?,
                answer: shelf.put(answer.hashes())?,
                ..look
            };
        }
        Ok(())
    }

    /// The place of a candidate among the facts.
    pub(crate) fn place(&self, at: usize) -> usize {
        self.places[at] as usize
    }

    pub(crate) fn digest(&self, at: usize) -> &[u8; 16] {
        &self.looks[at].digest
    }

    /// The least shingles of a row that may be near to another, and what decides on its side where it has none.
    pub(crate) fn side_of(&self, at: usize) -> (&[u64], &[u8]) {
        (&self.looks[at].least, &self.looks[at].key)
    }

    /// The candidates that share a band with one, each once, in the order of their places.
    pub(crate) fn together_with(&self, at: usize) -> Vec<usize> {
        let groups = self.groups_of.list(at).iter();
        let others = groups.flat_map(|group| self.groups.list(*group as usize));
        let mut others: Vec<usize> = others.map(|other| *other as usize).collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|other| *other != at);
        others
    }

    /// Of some candidates the one that says, and answers, most nearly what another does; the first of several.
    pub(crate) fn most_similar(
        &self,
        at: usize,
        others: &[usize],
    ) -> Result<Option<(usize, f64)>, DataError> {
        let mut most: Option<(usize, f64)> = None;
        if others.is_empty() {
            return Ok(most);
        }
        let said = self.shingles(self.looks[at].said)?;
        for other in others {
            let similarity = said.jaccard(&self.shingles(self.looks[*other].said)?);
            let is_more = most.is_none_or(|(_, most)| similarity > most);
            if similarity >= self.nearness.threshold && is_more && self.answer_alike(at, *other)? {
                most = Some((*other, similarity));
            }
        }
        Ok(most)
    }

    /// Whether what two candidates say is near.
    pub(crate) fn are_near(&self, one: usize, other: usize) -> Result<bool, DataError> {
        let one = self.shingles(self.looks[one].said)?;
        let other = self.shingles(self.looks[other].said)?;
        Ok(one.jaccard(&other) >= self.nearness.threshold)
    }

    fn answer_alike(&self, one: usize, other: usize) -> Result<bool, DataError> {
        let (one, other) = (&self.looks[one], &self.looks[other]);
        if one.answer_hash == other.answer_hash {
            return Ok(true);
        }
        let (one, other) = (self.shingles(one.answer)?, self.shingles(other.answer)?);
        Ok(one.jaccard(&other) >= self.nearness.threshold)
    }

    fn shingles(&self, slot: Slot) -> Result<Shingles, DataError> {
        Ok(Shingles::put_away(self.shelf.borrow_mut().get(slot)?))
    }
}

fn groups_of(groups: &Lists, candidates: usize) -> Lists {
    let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(groups.items.len());
    for group in 0..groups.len() {
        let members = groups.list(group).iter();
        pairs.extend(members.map(|member| (*member, group as u32)));
    }
    pairs.par_sort_unstable();
    let mut lists = Lists::default();
    let mut rest = pairs.as_slice();
    for candidate in 0..candidates as u32 {
        let end = rest.partition_point(|(member, _)| *member <= candidate);
        lists.push(rest[..end].iter().map(|(_, group)| *group));
        rest = &rest[end..];
    }
    lists
}

impl Nearness {
    /// What is known of a row, with the shingles of what it says and of its answer.
    fn looked_at(&self, row: &Cleaned) -> (Look, Shingles, Shingles) {
        let content = &row.example.content;
        let answer = compared([content.target()]);
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(content.key())[..16]);
        let least = match row.example.group {
            Some(_) => Vec::new(),
            None => self.least(content, LEAST),
        };
        let key = match least.is_empty() {
            true => Split::key(&row.example),
            false => Vec::new(),
        };
        let look = Look {
            answer_hash: xxh3_64(answer.as_bytes()),
            digest,
            least,
            key,
            ..Look::default()
        };
        let said = Shingles::of(content, self.shingle, self.size);
        let answer = Shingles::of_text(&answer, self.shingle, self.size);
        (look, said, answer)
    }
}
