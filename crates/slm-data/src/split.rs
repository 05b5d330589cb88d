mod units;

use std::collections::HashSet;

use slm_recipe::DataSection;

use self::units::Unit;
use crate::error::DataError;
use crate::example::Example;
use crate::near::Nearness;
use crate::random::{bits, fraction};

/// Which rows are held out, a function of what a row says and of the seed.
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
    val_every: usize,
    /// Which rows are kept together for what they say.
    near: Option<Nearness>,
    stratify: bool,
    seed: u64,
}

impl Split {
    pub(crate) fn new(section: &DataSection, seed: u64) -> Self {
        // Files to hold out were given: nothing else is.
        let val_size = if section.validation.is_empty() {
            section.val_size
        } else {
            0.0
        };
        Self {
            val_size,
            val_every: section.val_every,
            near: section
                .keep_near_together
                .then(|| Nearness::of(&section.clean)),
            stratify: section.stratify,
            seed,
        }
    }

    /// Whether each row is held out.
    pub(crate) fn sides(&self, rows: &[Example]) -> Result<Vec<bool>, DataError> {
        let by_unit = self.near.is_some() || self.stratify;
        if self.val_every > 0 || self.val_size <= 0.0 || !by_unit {
            return Ok(rows.iter().map(|row| self.holds_out(row)).collect());
        }
        let units = Unit::all(rows, self.near);
        let held_out: Vec<&Unit> = match self.stratify {
            true => units::stratified(&units, rows, self.val_size, |unit| self.place(unit))?,
            false => {
                let units = units.iter();
                units
                    .filter(|unit| self.place(unit) < self.val_size)
                    .collect()
            }
        };
        let mut sides = vec![false; rows.len()];
        for row in held_out.into_iter().flat_map(|unit| &unit.rows) {
            sides[*row] = true;
        }
        Ok(sides)
    }

    /// A number in `[0, 1)` for a unit.
    fn place(&self, unit: &Unit) -> f64 {
        fraction("split", self.seed, &[&unit.key])
    }

    /// By the row's number with `val_every`, else by the hash of its group, or of its content where it has none, so that
    /// equal rows are never on both sides, and nor are judged answers to the same prompt.
    pub(crate) fn holds_out(&self, example: &Example) -> bool {
        if self.val_every > 0 {
            return example.row.is_multiple_of(self.val_every);
        }
        if self.val_size <= 0.0 {
            return false;
        }
        let key = units::key(example);
        fraction("split", self.seed, &[&key]) < self.val_size
    }
}

/// How many held-out rows say exactly what a training row says.
pub(crate) fn leaked(train: &[Example], held_out: &[Example]) -> usize {
    if held_out.is_empty() {
        return 0;
    }
    let key = |example: &Example| bits("leak", 0, &[&example.content.key()]);
    let known: HashSet<u64> = train.iter().map(key).collect();
    held_out
        .iter()
        .filter(|example| known.contains(&key(example)))
        .count()
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
    use super::*;
    use crate::content::Content;
    use crate::origin::Origin;

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
            val_every,
            near: None,
            stratify: false,
            seed,
        }
    }

    #[test]
    fn every_third_row_from_the_first() {
        let held_out: Vec<_> = (0..7)
            .filter(|row| split(0.0, 3, 1).holds_out(&example(*row, "x", None)))
            .collect();
        assert_eq!(held_out, [0, 3, 6]);
    }

    #[test]
    fn the_share_is_about_right_and_the_place_does_not_matter() {
        let by_content = split(0.2, 0, 7);
        let held_out =
            |row: usize, i: usize| by_content.holds_out(&example(row, &format!("row {i}"), None));
        let count = (0..5000).filter(|i| held_out(*i, *i)).count();
        assert!((900..1100).contains(&count), "{count}");
        assert!((0..5000).all(|i| held_out(i, i) == held_out(i + 17, i)));
        let other_seed = (0..5000).filter(|i| {
            split(0.2, 0, 8).holds_out(&example(0, &format!("row {i}"), None)) != held_out(0, *i)
        });
        assert!(other_seed.count() > 1000);
    }

    #[test]
    fn a_group_never_straddles() {
        let by_group = split(0.5, 0, 1);
        for group in ["a", "b", "c", "d", "e", "f"] {
            let sides: HashSet<bool> = (0..50)
                .map(|i| by_group.holds_out(&example(i, &i.to_string(), Some(group))))
                .collect();
            assert_eq!(sides.len(), 1, "{group}");
        }
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
        let split = Split {
            near: Some(Nearness::of(&Default::default())),
            ..split(0.3, 0, 7)
        };
        let one = |number| example(number, &words(number, 1000), None);
        let rows: Vec<Example> = (0..400).map(one).collect();
        let before = split.sides(&rows).unwrap();
        let share = before.iter().filter(|held_out| **held_out).count();
        assert!((95..145).contains(&share), "{share}");
        let two = (0..400).map(|number| example(400 + number, &words(number, 2000 + number), None));
        let both: Vec<Example> = rows.iter().cloned().chain(two).collect();
        let after = split.sides(&both).unwrap();
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
        assert_eq!(
            split.sides(&other.collect::<Vec<_>>()).unwrap()[..400],
            before
        );
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
            let split = Split {
                near: Some(Nearness::of(&Default::default())),
                ..split(0.5, 0, seed)
            };
            let one = split.sides(&[row("yes")]).unwrap();
            let three = split.sides(&[row("no, never"), row("yes"), row("who knows")]);
            assert_eq!(three.unwrap(), [one[0]; 3]);
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
        assert_eq!(leaked(&rows(&["a", "b", "a"]), &rows(&["a", "c", "a"])), 2);
    }
}
