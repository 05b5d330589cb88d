use slm_recipe::{Overlong, TrainOn};
use slm_text::{ChatTokenizer, Encoded, EncodedRoles, Learned, TextError, TokenRole, TrainOnSpec};

use crate::content::{Content, Judged};
use crate::example::Example;
use crate::sample::{Answer, Sample};

/// How rows become ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding<'a> {
    pub(crate) tokenizer: &'a ChatTokenizer,
    pub(crate) train_on: TrainOn,
    pub(crate) train_on_eos: bool,
    pub(crate) overlong: Overlong,
    pub(crate) max_length: usize,
}

/// A row, or one of its two answers with the prompt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EncodedAnswer {
    pub(crate) sample: Sample,
    /// Whose the token at the same place is.
    pub(crate) roles: Vec<TokenRole>,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Kept {
        /// One, or the chosen and the rejected answer.
        answers: Vec<EncodedAnswer>,
        /// Whether any of them was cut.
        truncated: bool,
    },
    /// Left out, as `overlong = "drop"` says.
    DroppedOverlong,
    /// Left out: truncation cut everything that was learned.
    DroppedByTruncation,
    /// Too long, and the recipe says that this is an error.
    TooLong { length: usize },
    /// There is nothing to learn in the whole of it.
    NothingLearned,
}

impl Outcome {
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }
}

impl Encoding<'_> {
    pub(crate) fn row(&self, example: &Example) -> Result<Outcome, TextError> {
        let bos = self.tokenizer.bos_id();
        let mut kept = Vec::new();
        let mut any_is_cut = false;
        for (content, answer) in answers(&example.content) {
            let EncodedRoles { encoded, roles } = match content {
                Answered::Alone(content) => self.encode(content)?,
                Answered::Judged(judged) => self.encode_judged(judged)?,
            };
            let breaks = match content {
                Answered::Alone(Content::Tokens(row)) => row.breaks.clone(),
                _ => Vec::new(),
            };
            let sample = Sample {
                breaks,
                answer,
                ..Sample::new(example.row, encoded.ids, encoded.learn)
            };
            match fit(sample, roles, self.max_length, self.overlong, bos) {
                Outcome::Kept { answers, truncated } => {
                    kept.extend(answers);
                    any_is_cut |= truncated;
                }
                // Two answers stay together or go together.
                other => return Ok(other),
            }
        }
        Ok(Outcome::Kept {
            answers: kept,
            truncated: any_is_cut,
        })
    }

    /// The answer behind the given messages of a conversation, all of a completion, or what tokens say: never the prompt.
    fn encode_judged(&self, judged: &Judged) -> Result<EncodedRoles, TextError> {
        let (tokenizer, eos) = (self.tokenizer, self.train_on_eos);
        match &*judged.content {
            Content::Chat(conversation) => {
                let which = Learned::From(judged.given);
                tokenizer.encode_conversation_with_roles(conversation, TrainOnSpec { which, eos })
            }
            Content::Pair { prompt, completion } => {
                tokenizer.encode_pair_with_roles(prompt, completion, eos)
            }
            content => self.encode(content),
        }
    }

    fn encode(&self, content: &Content) -> Result<EncodedRoles, TextError> {
        let (tokenizer, eos) = (self.tokenizer, self.train_on_eos);
        match content {
            Content::Tokens(row) => Ok(EncodedRoles {
                encoded: Encoded {
                    ids: row.ids.clone(),
                    learn: row.learn.clone(),
                },
                roles: vec![TokenRole::Tokens; row.ids.len()],
            }),
            Content::Chat(conversation) => {
                let which = match self.train_on {
                    TrainOn::Assistant => Learned::Assistant,
                    TrainOn::LastAssistant | TrainOn::Completion => Learned::LastAssistant,
                    TrainOn::All => Learned::All,
                };
                tokenizer.encode_conversation_with_roles(conversation, TrainOnSpec { which, eos })
            }
            Content::Pair { prompt, completion } => {
                let mut row = tokenizer.encode_pair_with_roles(prompt, completion, eos)?;
                if self.train_on == TrainOn::All {
                    row.encoded.learn.fill(true);
                }
                Ok(row)
            }
            // Their answers are encoded one by one.
            Content::Preference { chosen, .. } => self.encode_judged(chosen),
            Content::Rated { answer, .. } => self.encode_judged(answer),
            Content::Text(text) => {
                let mut row = tokenizer.encode_pair_with_roles("", text, eos)?;
                let completion = |role: &&mut TokenRole| **role == TokenRole::Completion;
                let roles = row.roles.iter_mut().filter(completion);
                roles.for_each(|role| *role = TokenRole::Text);
                Ok(row)
            }
        }
    }
}

/// What is encoded for a sample.
#[derive(Clone, Copy, Debug)]
enum Answered<'a> {
    Alone(&'a Content),
    Judged(&'a Judged),
}

/// The samples that a row becomes.
fn answers(content: &Content) -> Vec<(Answered<'_>, Answer)> {
    match content {
        Content::Preference { chosen, rejected } => vec![
            (Answered::Judged(chosen), Answer::Chosen),
            (Answered::Judged(rejected), Answer::Rejected),
        ],
        Content::Rated { answer, desirable } => {
            let is = match desirable {
                true => Answer::Chosen,
                false => Answer::Rejected,
            };
            vec![(Answered::Judged(answer), is)]
        }
        content => vec![(Answered::Alone(content), Answer::Only)],
    }
}

fn fit(
    mut sample: Sample,
    mut roles: Vec<TokenRole>,
    max_length: usize,
    overlong: Overlong,
    bos: Option<u32>,
) -> Outcome {
    if sample.learned() == 0 {
        return Outcome::NothingLearned;
    }
    let length = sample.ids.len();
    if length <= max_length {
        return Outcome::Kept {
            answers: vec![EncodedAnswer { sample, roles }],
            truncated: false,
        };
    }
    match overlong {
        Overlong::Error => return Outcome::TooLong { length },
        Overlong::Drop => return Outcome::DroppedOverlong,
        Overlong::TruncateRight => cut(&mut sample, &mut roles, max_length..length),
        Overlong::TruncateLeft => {
            // A model that was trained with BOS in front does not do without; behind it, only its own conversation goes on.
            let begins_with_bos = bos.is_some() && sample.ids.first().copied() == bos;
            let kept = usize::from(begins_with_bos && sample.breaks.is_empty() && max_length > 0);
            let places = kept..length - max_length + kept;
            cut(&mut sample, &mut roles, places);
        }
    }
    match sample.learned() {
        0 => Outcome::DroppedByTruncation,
        _ => Outcome::Kept {
            answers: vec![EncodedAnswer { sample, roles }],
            truncated: true,
        },
    }
}

/// Takes places out of a row; conversations that are gone begin nowhere.
fn cut(sample: &mut Sample, roles: &mut Vec<TokenRole>, places: std::ops::Range<usize>) {
    roles.drain(places.clone());
    sample.ids.drain(places.clone());
    sample.learn.drain(places.clone());
    let still_there = |at: &u32| {
        let at = *at as usize;
        at < places.start || at >= places.end
    };
    let moved = |at: u32| match (at as usize) < places.start {
        true => at,
        false => at - places.len() as u32,
    };
    let breaks = sample.breaks.iter().copied().filter(still_there).map(moved);
    let length = sample.ids.len();
    sample.breaks = breaks
        .filter(|at| *at > 0 && (*at as usize) < length)
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(learned: std::ops::Range<usize>) -> Sample {
        let learn = (0..10).map(|at| learned.contains(&at)).collect();
        Sample::new(0, (10..20).collect(), learn)
    }

    fn fitted(sample: Sample, max_length: usize, overlong: Overlong, bos: Option<u32>) -> Outcome {
        let roles = vec![TokenRole::Text; sample.ids.len()];
        fit(sample, roles, max_length, overlong, bos)
    }

    fn kept(outcome: Outcome) -> (Vec<u32>, Vec<bool>) {
        match outcome {
            Outcome::Kept {
                mut answers,
                truncated: true,
            } => {
                let EncodedAnswer { sample, roles } = answers.remove(0);
                assert_eq!(roles.len(), sample.ids.len());
                (sample.ids, sample.learn)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_that_fits_stays_as_it_is() {
        let outcome = fitted(encoded(8..10), 10, Overlong::Error, None);
        assert_eq!(
            outcome,
            Outcome::Kept {
                answers: vec![EncodedAnswer {
                    sample: encoded(8..10),
                    roles: vec![TokenRole::Text; 10],
                }],
                truncated: false
            }
        );
    }

    #[test]
    fn each_policy_does_what_it_says() {
        assert_eq!(
            fitted(encoded(8..10), 4, Overlong::Error, None),
            Outcome::TooLong { length: 10 }
        );
        assert_eq!(
            fitted(encoded(8..10), 4, Overlong::Drop, None),
            Outcome::DroppedOverlong
        );
        let (ids, learn) = kept(fitted(encoded(8..10), 4, Overlong::TruncateLeft, None));
        assert_eq!(
            (ids, learn),
            (vec![16, 17, 18, 19], vec![false, false, true, true])
        );
        let (ids, _) = kept(fitted(encoded(8..10), 4, Overlong::TruncateLeft, Some(10)));
        assert_eq!(ids, [10, 17, 18, 19]);
        let (ids, learn) = kept(fitted(encoded(2..10), 4, Overlong::TruncateRight, None));
        assert_eq!(
            (ids, learn),
            (vec![10, 11, 12, 13], vec![false, false, true, true])
        );
    }

    #[test]
    fn conversations_of_a_row_stay_apart_when_it_is_cut() {
        let cut = |overlong, breaks: &[u32]| {
            let sample = Sample {
                breaks: breaks.to_vec(),
                ..encoded(0..10)
            };
            match fitted(sample, 6, overlong, Some(10)) {
                Outcome::Kept { answers, .. } => {
                    let sample = &answers[0].sample;
                    (sample.ids[0], sample.breaks.clone())
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(cut(Overlong::TruncateRight, &[2, 6, 8]), (10, vec![2]));
        assert_eq!(cut(Overlong::TruncateLeft, &[2, 4, 8]), (14, vec![4]));
        assert_eq!(cut(Overlong::TruncateLeft, &[2, 5, 8]), (14, vec![1, 4]));
    }

    #[test]
    fn nothing_to_learn_is_told_apart_from_nothing_left() {
        assert_eq!(
            fitted(encoded(8..10), 4, Overlong::TruncateRight, None),
            Outcome::DroppedByTruncation
        );
        assert_eq!(
            fitted(encoded(0..0), 4, Overlong::TruncateRight, None),
            Outcome::NothingLearned
        );
        assert_eq!(
            fitted(encoded(0..1), 4, Overlong::Drop, None),
            Outcome::NothingLearned
        );
    }
}
