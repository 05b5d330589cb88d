//! How often the rows of each source come up in an epoch.

use serde::{Deserialize, Serialize};

use crate::manifest::SourceRecord;
use crate::random::permutation;
use crate::side::Side;

/// The training rows of one source, and how often each comes up in an epoch.
///
/// The rows are a deck of cards that is shuffled by the seed, dealt from, and shuffled anew when it is used up. An epoch is
/// dealt `weight * rows` of them, rounded to the nearest and at least one, and the next epoch goes on where it stopped. So
/// weight 1 gives every row once an epoch, 2 every row twice, and 0.5 half of them in one epoch and the other half in the
/// next. Without shuffling the deck stays in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Rows of the source among the training rows.
    pub rows: usize,
    /// The source's `weight`.
    pub weight: f64,
}

impl Share {
    /// Those of the sources to learn from, of which `kept` are the numbers of the rows that are kept, in order.
    pub(crate) fn all(sources: &[SourceRecord], kept: &[usize]) -> Vec<Self> {
        let (mut shares, mut first_row) = (Vec::new(), 0);
        for source in sources {
            let rows = first_row..first_row + source.rows;
            first_row = rows.end;
            if source.given_as == Side::Train {
                let before = |row| kept.partition_point(|kept| *kept < row);
                shares.push(Self {
                    rows: before(rows.end) - before(rows.start),
                    weight: source.weight,
                });
            }
        }
        shares
    }

    /// Rows that an epoch is dealt.
    pub fn per_epoch(&self) -> usize {
        match self.rows {
            0 => 0,
            rows => ((rows as f64 * self.weight).round() as usize).max(1),
        }
    }

    /// What an epoch is dealt, as places among the source's rows, deck by deck and ascending in each.
    fn dealt(&self, source: usize, shuffle: bool, seed: u64, epoch: usize) -> Vec<usize> {
        let (first, past) = (epoch * self.per_epoch(), (epoch + 1) * self.per_epoch());
        let mut dealt = Vec::with_capacity(past - first);
        let mut at = first;
        while at < past {
            let (deck, start) = (at / self.rows, at % self.rows);
            let end = self.rows.min(start + past - at);
            if shuffle && end - start < self.rows {
                let purpose = format!("deck of source {source}");
                let mut cards = permutation(self.rows, &purpose, seed, deck)[start..end].to_vec();
                cards.sort_unstable();
                dealt.extend(cards);
            } else {
                dealt.extend(start..end);
            }
            at += end - start;
        }
        dealt
    }
}

/// The places among `rows` training rows that an epoch takes, source by source; every row once without shares.
pub(crate) fn taken(
    rows: usize,
    shares: &[Share],
    shuffle: bool,
    seed: u64,
    epoch: usize,
) -> Vec<usize> {
    if shares.iter().all(|share| share.weight == 1.0) {
        return (0..rows).collect();
    }
    let mut taken = Vec::new();
    let mut first = 0;
    for (source, share) in shares.iter().enumerate() {
        let dealt = share.dealt(source, shuffle, seed, epoch);
        taken.extend(dealt.into_iter().map(|place| first + place));
        first += share.rows;
    }
    debug_assert_eq!(first, rows, "every row has a source");
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(rows: usize, weight: f64) -> Share {
        Share { rows, weight }
    }

    fn counts(rows: usize, places: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; rows];
        places.iter().for_each(|place| counts[*place] += 1);
        counts
    }

    #[test]
    fn an_epoch_is_dealt_its_share() {
        for (weight, dealt) in [
            (1.0, 10),
            (2.0, 20),
            (0.5, 5),
            (0.24, 2),
            (0.25, 3),
            (0.01, 1),
        ] {
            assert_eq!(share(10, weight).per_epoch(), dealt, "{weight}");
        }
        assert_eq!(share(0, 2.0).per_epoch(), 0);
    }

    #[test]
    fn in_order_by_hand() {
        let of = |weight, epoch| share(4, weight).dealt(0, false, 1, epoch);
        assert_eq!(of(2.0, 0), [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(
            (of(0.5, 0), of(0.5, 1), of(0.5, 2)),
            (vec![0, 1], vec![2, 3], vec![0, 1])
        );
        assert_eq!(of(1.5, 0), [0, 1, 2, 3, 0, 1]);
        assert_eq!(of(1.5, 1), [2, 3, 0, 1, 2, 3]);
    }

    #[test]
    fn a_deck_is_used_up_before_any_row_comes_again() {
        let third = share(9, 1.0 / 3.0);
        let epochs: Vec<_> = (0..6).map(|epoch| third.dealt(0, true, 7, epoch)).collect();
        assert_eq!(counts(9, &epochs[..3].concat()), [1; 9]);
        assert_eq!(counts(9, &epochs[3..].concat()), [1; 9]);
        assert_ne!(epochs[..3], epochs[3..], "shuffled anew");
        let more = share(9, 1.5).dealt(0, true, 7, 0);
        let counts = counts(9, &more);
        assert_eq!(more.len(), 14);
        assert!(
            counts.iter().all(|count| [1, 2].contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn sources_follow_each_other_and_weights_of_one_change_nothing() {
        let shares = [share(2, 2.0), share(0, 1.0), share(3, 1.0)];
        assert_eq!(taken(5, &shares, true, 1, 0), [0, 1, 0, 1, 2, 3, 4]);
        assert_eq!(taken(5, &[share(5, 1.0)], true, 1, 3), [0, 1, 2, 3, 4]);
        assert_eq!(taken(5, &[], true, 1, 3), [0, 1, 2, 3, 4]);
    }
}
