mod units;

use rayon::prelude::*;
use slm_recipe::{DataSection, Source};

use self::units::Units;
use crate::error::DataError;
use crate::example::Example;
use crate::near::{Candidates, Nearness};
use crate::plan::Draft;
use crate::random::{bits, fraction};
use crate::side::{Side, Sides};
use crate::survey::Equal;

/// Least shingles by which the side of near-duplicates is decided. More of them change more often when a row is added, fewer
/// are shared by rows that have only a phrase in common. Of the 10,003 questions of banking77, 3 leave 1.6 rows to a key and move
/// 3 % of the rows that a near-duplicate is added to, at a tenth held out; 1 leaves 117 to a key, 6 move 6 %, and the least key of
/// either row as a whole would move 9 %.
pub(crate) const LEAST: usize = 3;

/// Which rows are held out, a function of what a row says and of the seed: a number in `[0, 1)` made of both. The least are held out,
/// the greatest are of the test, so that to ask for more or less of either moves no row between these two.
///
/// - Alone, or with its group, a row is decided on by itself: adding rows moves none.
/// - Where near-duplicates are kept together, adding a row moves none that it is not near to, directly or through others. Those it
///   is near to stay for the most part, as the least shingles of them all decide, and a near-duplicate seldom brings a lesser one.
///   That they always stay cannot be had: a row would have to be on the side of each row that it is near to, these on that of
///   theirs, and so, as any text becomes any other in small steps, all rows on one.
/// - Where labels keep their shares, adding a row of a label can move rows of that label which are at the edge of its share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    val_size: f64,
    test_size: f64,
    val_every: usize,
    /// Which rows are kept together for what they say.
    near: Option<Nearness>,
    stratify: bool,
    seed: u64,
}

impl Split {
    pub(crate) fn new(section: &DataSection, seed: u64) -> Self {
        // Where files are given for a side, nothing else is on it.
        let share = |given: &[Source], share| if given.is_empty() { share } else { 0.0 };
        Self {
            val_size: share(&section.validation, section.val_size),
            test_size: share(&section.test, section.test_size),
            val_every: section.val_every,
            near: section
                .keep_near_together
                .then(|| Nearness::of(&section.clean)),
            stratify: section.stratify,
            seed,
        }
    }

    /// Decides on the side of every row that is left.
    pub(crate) fn decide(
        &self,
        equal: Equal,
        candidates: Option<&Candidates>,
        draft: &mut Draft,
    ) -> Result<(), DataError> {
        let sides: Vec<(usize, Side)> = if self.is_by_unit() {
            let near = candidates.filter(|_| self.near.is_some());
            let mut units = Units::all(equal, near, draft)?;
            match self.stratify {
                true => units.stratified(self, draft)?,
                false => {
                    let side = |at| (at, self.side_at(units.place(at, self, draft)));
                    draft.all().map(side).collect()
                }
            }
        } else {
            draft.all().map(|at| (at, draft.facts.sides[at])).collect()
        };
        let held_out = sides.into_iter().filter(|(_, side)| *side != Side::Train);
        held_out.for_each(|(at, side)| draft.put(at, side));
        Ok(())
    }

    /// Whether rows are decided on together with others.
    pub(crate) fn is_by_unit(&self) -> bool {
        let by_unit = self.near.is_some() || self.stratify;
        self.val_every == 0 && self.val_size + self.test_size > 0.0 && by_unit
    }

    pub(crate) fn keeps_near_together(&self) -> bool {
        self.is_by_unit() && self.near.is_some()
    }

    pub(crate) fn needs_labels(&self) -> bool {
        self.is_by_unit() && self.stratify
    }

    /// A number in `[0, 1)` for what decides on a unit.
    fn place(&self, key: &[u8]) -> f64 {
        fraction("split", self.seed, &[key])
    }

    /// That of a row to which no other is near.
    pub(crate) fn place_of(&self, row: &Example) -> f64 {
        let least = match (&self.near, &row.group) {
            (Some(nearness), None) => nearness.least(&row.content, LEAST),
            _ => Vec::new(),
        };
        match least.is_empty() {
            true => self.place(&Self::key(row)),
            false => self.place(&Self::bytes(&least)),
        }
    }

    fn bytes(least: &[u64]) -> Vec<u8> {
        least.iter().flat_map(|hash| hash.to_le_bytes()).collect()
    }

    /// What decides on the side of a row that is alone: its group, or what it says.
    pub(crate) fn key(row: &Example) -> Vec<u8> {
        match &row.group {
            Some(group) => group.as_bytes().to_vec(),
            None => row.content.split_key(),
        }
    }

    /// By the row's number with `val_every`, else by the hash of its group, or of its content where it has none, so that
    /// equal rows are never on both sides, and nor are judged answers to the same prompt.
    pub(crate) fn side(&self, example: &Example) -> Side {
        if self.val_every > 0 {
            return match example.row.is_multiple_of(self.val_every) {
                true => Side::Validation,
                false => Side::Train,
            };
        }
        match self.val_size + self.test_size > 0.0 {
            true => self.side_at(self.place(&Self::key(example))),
            false => Side::Train,
        }
    }

    /// The side of a place in `[0, 1)`.
    fn side_at(&self, place: f64) -> Side {
        if place < self.val_size {
            Side::Validation
        } else if place >= 1.0 - self.test_size {
            Side::Test
        } else {
            Side::Train
        }
    }
}

/// Counts the held-out rows that say exactly what a training row says.
#[derive(Debug, Default)]
pub(crate) struct SaidTwice {
    /// Hashes of what rows say.
    train: Vec<u64>,
    held_out: Vec<u64>,
}

impl SaidTwice {
    pub(crate) fn take(&mut self, rows: &Sides<Vec<Example>>) {
        let key = |example: &Example| bits("leak", 0, &[&example.content.key()]);
        self.train.par_extend(rows[Side::Train].par_iter().map(key));
        let held_out = [&rows[Side::Validation], &rows[Side::Test]];
        let held_out = held_out.into_par_iter().flatten();
        self.held_out.par_extend(held_out.map(key));
    }

    pub(crate) fn count(mut self) -> usize {
        self.train.par_sort_unstable();
        let held_out = self.held_out.iter();
        let known = |key: &&u64| self.train.binary_search(key).is_ok();
        held_out.filter(known).count()
    }
}

/// The places in `0..rows` of a seeded sample of at most `max_samples` (0 = all), in order. A larger sample of the same rows
/// contains the smaller one.
pub(crate) fn sample(rows: usize, max_samples: usize, path: &str, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    if max_samples == 0 || max_samples >= rows {
        return order;
    }
    order.sort_by_cached_key(|row| {
        bits(
            "sample",
            seed,
            &[path.as_bytes(), &(*row as u64).to_le_bytes()],
        )
    });
    order.truncate(max_samples);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::content::Content;
    use crate::origin::Origin;
    use crate::plan::Plan;

    fn example(row: usize, text: &str, group: Option<&str>) -> Example {
        Example {
            row,
            origin: Origin::line(&"a".into(), row + 1),
            content: Content::Text(text.into()),
            group: group.map(str::to_owned),
            slices: Default::default(),
        }
    }

    fn split(val_size: f64, val_every: usize, seed: u64) -> Split {
        Split {
            val_size,
            test_size: 0.0,
            val_every,
            near: None,
            stratify: false,
            seed,
        }
    }

    fn holds_out(split: &Split, row: &Example) -> bool {
        split.side(row) == Side::Validation
    }

    #[test]
    fn a_test_takes_rows_from_those_to_learn_from_alone() {
        let with = |test_size| Split {
            test_size,
            ..split(0.2, 0, 7)
        };
        let sides = |split: Split| -> Vec<Side> {
            let row = |i: usize| example(i, &format!("row {i}"), None);
            (0..5000).map(|i| split.side(&row(i))).collect()
        };
        let (none, some, more) = (sides(with(0.0)), sides(with(0.1)), sides(with(0.3)));
        let count = |sides: &[Side]| sides.iter().filter(|side| **side == Side::Test).count();
        assert_eq!(count(&none), 0);
        assert!((430..570).contains(&count(&some)), "{}", count(&some));
        assert!((1380..1620).contains(&count(&more)), "{}", count(&more));
        for (less, more) in [(&none, &some), (&some, &more)] {
            for (before, after) in less.iter().zip(more.iter()) {
                let taken = *before == Side::Train && *after == Side::Test;
                assert!(before == after || taken, "{before:?} became {after:?}");
            }
        }
    }

    #[test]
    fn every_third_row_from_the_first() {
        let held_out: Vec<_> = (0..7)
            .filter(|row| holds_out(&split(0.0, 3, 1), &example(*row, "x", None)))
            .collect();
        assert_eq!(held_out, [0, 3, 6]);
    }

    #[test]
    fn the_share_is_about_right_and_the_place_does_not_matter() {
        let by_content = split(0.2, 0, 7);
        let held_out =
            |row: usize, i: usize| holds_out(&by_content, &example(row, &format!("row {i}"), None));
        let count = (0..5000).filter(|i| held_out(*i, *i)).count();
        assert!((900..1100).contains(&count), "{count}");
        assert!((0..5000).all(|i| held_out(i, i) == held_out(i + 17, i)));
        let other_seed = (0..5000).filter(|i| {
            holds_out(&split(0.2, 0, 8), &example(0, &format!("row {i}"), None)) != held_out(0, *i)
        });
        assert!(other_seed.count() > 1000);
    }

    #[test]
    fn a_group_never_straddles() {
        let by_group = split(0.5, 0, 1);
        for group in ["a", "b", "c", "d", "e", "f"] {
            let sides: HashSet<bool> = (0..50)
                .map(|i| holds_out(&by_group, &example(i, &i.to_string(), Some(group))))
                .collect();
            assert_eq!(sides.len(), 1, "{group}");
        }
    }

    /// Which rows are held out where near-duplicates are kept together.
    fn sides(val_size: f64, seed: u64, rows: &[Example]) -> Vec<bool> {
        let section = DataSection {
            val_size,
            keep_near_together: true,
            ..DataSection::default()
        };
        let numbered = rows.iter().enumerate();
        let rows = numbered.map(|(row, example)| Example {
            row,
            ..example.clone()
        });
        Plan::held_out(&section, seed, rows.collect())
    }

    /// Twenty words that no other text has; of the same number, with the last word replaced by `last`.
    fn words(number: usize, last: usize) -> String {
        let word = |at: usize| {
            format!(
                "{:x}",
                bits("word", 0, &[&number.to_le_bytes(), &at.to_le_bytes()]) >> 40
            )
        };
        let words: Vec<String> = (0..19).map(word).chain([last.to_string()]).collect();
        words.join(" ")
    }

    /// One row more beside each of 400: nearly all of them stay, and never on the other side than the new one. The numbers moved
    /// are those that the comment at `LEAST` leads to expect: 0.17 * 2 * 0.3 * 0.7 = 7 %; a new row whose key decides when it is the
    /// lesser would move 21 %.
    #[test]
    fn a_near_duplicate_that_is_added_moves_few() {
        let sides = |rows: &[Example]| sides(0.3, 7, rows);
        let one = |number| example(number, &words(number, 1000), None);
        let rows: Vec<Example> = (0..400).map(one).collect();
        let before = sides(&rows);
        let share = before.iter().filter(|held_out| **held_out).count();
        assert!((95..145).contains(&share), "{share}");
        let two = (0..400).map(|number| example(400 + number, &words(number, 2000 + number), None));
        let both: Vec<Example> = rows.iter().cloned().chain(two).collect();
        let after = sides(&both);
        assert_eq!(after[..400], after[400..]);
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        let moved = moved.count();
        assert!(moved <= 40, "{moved} of 400");
        // One of another text moves none at all.
        let other = rows
            .iter()
            .cloned()
            .chain([example(400, &words(999, 0), None)]);
        assert_eq!(sides(&other.collect::<Vec<_>>())[..400], before);
    }

    #[test]
    fn an_answer_to_a_judged_prompt_moves_none() {
        let judged = |text: &str| crate::content::Judged {
            content: Box::new(Content::Pair {
                prompt: words(1, 1),
                completion: text.into(),
            }),
            given: 0,
        };
        let row = |answer: &str| Example {
            content: Content::Rated {
                answer: judged(answer),
                desirable: true,
            },
            ..example(0, "", None)
        };
        for seed in 0..20 {
            let one = sides(0.5, seed, &[row("yes")]);
            let three = sides(0.5, seed, &[row("no, never"), row("yes"), row("who knows")]);
            assert_eq!(three, [one[0]; 3]);
        }
    }

    #[test]
    fn samples_nest_and_keep_the_order() {
        let small = sample(100, 10, "a", 1);
        let large = sample(100, 30, "a", 1);
        assert_eq!(small.len(), 10);
        assert!(small.is_sorted() && large.is_sorted());
        assert!(small.iter().all(|row| large.contains(row)));
        assert_ne!(small, sample(100, 10, "a", 2));
        assert_eq!(sample(3, 0, "a", 1), [0, 1, 2]);
        assert_eq!(sample(3, 5, "a", 1), [0, 1, 2]);
    }

    #[test]
    fn leaks_are_counted_by_held_out_row() {
        let rows = |texts: &[&str]| -> Vec<Example> {
            texts.iter().map(|text| example(0, text, None)).collect()
        };
        let mut said_twice = SaidTwice::default();
        let sides = |train: &[&str], validation: &[&str], test: &[&str]| {
            let texts = [train, validation, test];
            Sides::new(|side| rows(texts[side as usize]))
        };
        said_twice.take(&sides(&["a", "b"], &["a"], &["d"]));
        said_twice.take(&sides(&["a"], &["c", "a"], &["b"]));
        assert_eq!(said_twice.count(), 3);
    }
}
