use slm_recipe::{Overlong, TrainOn};
use slm_text::{ChatTokenizer, Encoded, Learned, TextError, TrainOnSpec};

use crate::example::Content;

/// How rows become ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding<'a> {
    pub(crate) tokenizer: &'a ChatTokenizer,
    pub(crate) train_on: TrainOn,
    pub(crate) train_on_eos: bool,
    pub(crate) overlong: Overlong,
    pub(crate) max_length: usize,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Kept {
        encoded: Encoded,
        truncated: bool,
    },
    /// Left out, as `overlong = "drop"` says.
    DroppedOverlong,
    /// Left out: truncation cut everything that was learned.
    DroppedByTruncation,
    /// Too long, and the recipe says that this is an error.
    TooLong {
        length: usize,
    },
    /// There is nothing to learn in the whole of it.
    NothingLearned,
}

impl Encoding<'_> {
    pub(crate) fn row(&self, content: &Content) -> Result<Outcome, TextError> {
        let encoded = self.encode(content)?;
        let bos = self.tokenizer.bos_id();
        Ok(fit(encoded, self.max_length, self.overlong, bos))
    }

    fn encode(&self, content: &Content) -> Result<Encoded, TextError> {
        let eos = self.train_on_eos;
        match content {
            Content::Chat(conversation) => {
                let which = match self.train_on {
                    TrainOn::Assistant => Learned::Assistant,
                    TrainOn::LastAssistant | TrainOn::Completion => Learned::LastAssistant,
                    TrainOn::All => Learned::All,
                };
                self.tokenizer
                    .encode_conversation(conversation, TrainOnSpec { which, eos })
            }
            Content::Pair { prompt, completion } => {
                let mut encoded = self.tokenizer.encode_pair(prompt, completion, eos)?;
                if self.train_on == TrainOn::All {
                    encoded.learn.fill(true);
                }
                Ok(encoded)
            }
            Content::Text(text) => self.tokenizer.encode_text(text, eos),
        }
    }
}

fn fit(mut encoded: Encoded, max_length: usize, overlong: Overlong, bos: Option<u32>) -> Outcome {
    // The first token is predicted from nothing.
    let learns = |encoded: &Encoded| encoded.learn.iter().skip(1).any(|learn| *learn);
    if !learns(&encoded) {
        return Outcome::NothingLearned;
    }
    let length = encoded.ids.len();
    if length <= max_length {
        return Outcome::Kept {
            encoded,
            truncated: false,
        };
    }
    match overlong {
        Overlong::Error => return Outcome::TooLong { length },
        Overlong::Drop => return Outcome::DroppedOverlong,
        Overlong::TruncateRight => {
            encoded.ids.truncate(max_length);
            encoded.learn.truncate(max_length);
        }
        Overlong::TruncateLeft => {
            // A model that was trained with BOS in front does not do without.
            let kept =
                usize::from(bos.is_some() && encoded.ids.first().copied() == bos && max_length > 0);
            let cut = kept..length - max_length + kept;
            encoded.ids.drain(cut.clone());
            encoded.learn.drain(cut);
        }
    }
    match learns(&encoded) {
        true => Outcome::Kept {
            encoded,
            truncated: true,
        },
        false => Outcome::DroppedByTruncation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(learned: std::ops::Range<usize>) -> Encoded {
        Encoded {
            ids: (10..20).collect(),
            learn: (0..10).map(|at| learned.contains(&at)).collect(),
        }
    }

    fn kept(outcome: Outcome) -> (Vec<u32>, Vec<bool>) {
        match outcome {
            Outcome::Kept {
                encoded,
                truncated: true,
            } => (encoded.ids, encoded.learn),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_that_fits_stays_as_it_is() {
        let outcome = fit(encoded(8..10), 10, Overlong::Error, None);
        assert_eq!(
            outcome,
            Outcome::Kept {
                encoded: encoded(8..10),
                truncated: false
            }
        );
    }

    #[test]
    fn each_policy_does_what_it_says() {
        assert_eq!(
            fit(encoded(8..10), 4, Overlong::Error, None),
            Outcome::TooLong { length: 10 }
        );
        assert_eq!(
            fit(encoded(8..10), 4, Overlong::Drop, None),
            Outcome::DroppedOverlong
        );
        let (ids, learn) = kept(fit(encoded(8..10), 4, Overlong::TruncateLeft, None));
        assert_eq!(
            (ids, learn),
            (vec![16, 17, 18, 19], vec![false, false, true, true])
        );
        let (ids, _) = kept(fit(encoded(8..10), 4, Overlong::TruncateLeft, Some(10)));
        assert_eq!(ids, [10, 17, 18, 19]);
        let (ids, learn) = kept(fit(encoded(2..10), 4, Overlong::TruncateRight, None));
        assert_eq!(
            (ids, learn),
            (vec![10, 11, 12, 13], vec![false, false, true, true])
        );
    }

    #[test]
    fn nothing_to_learn_is_told_apart_from_nothing_left() {
        assert_eq!(
            fit(encoded(8..10), 4, Overlong::TruncateRight, None),
            Outcome::DroppedByTruncation
        );
        assert_eq!(
            fit(encoded(0..0), 4, Overlong::TruncateRight, None),
            Outcome::NothingLearned
        );
        assert_eq!(
            fit(encoded(0..1), 4, Overlong::Drop, None),
            Outcome::NothingLearned
        );
    }
}
