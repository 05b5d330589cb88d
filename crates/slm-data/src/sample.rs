use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What the answer of a sample is among those to the same prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The one to learn.
    #[default]
    Only,
    /// The better one of a row with two, or one that was judged desirable.
    Chosen,
    /// The worse one, or one that was judged undesirable.
    Rejected,
}

impl Answer {
    /// As it is written in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Chosen => "chosen",
            Self::Rejected => "rejected",
        }
    }
}

/// The answer of a name.
pub(crate) fn answer_of(name: &str) -> Result<Answer, String> {
    let all = [Answer::Only, Answer::Chosen, Answer::Rejected];
    let mut known = all.into_iter().filter(|answer| answer.name() == name);
    known
        .next()
        .ok_or_else(|| format!("it has the answer `{name}`"))
}

/// One encoded row, or one of its two answers with their prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// As in [`crate::Example::row`].
    pub row: usize,
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether the token at the same place is learned, that is: predicted from those before it.
    pub learn: Vec<bool>,
    /// Places after 0 at which another conversation begins, ascending; none in a row of one conversation. Nothing is
    /// predicted across them, and attention stops at them.
    pub breaks: Vec<u32>,
    /// Which answer it is. Of a row with two, the chosen one comes first and the rejected one right behind it.
    pub answer: Answer,
}

impl Sample {
    /// A row of one conversation.
    pub fn new(row: usize, ids: Vec<u32>, learn: Vec<bool>) -> Self {
        Self {
            row,
            ids,
            learn,
            breaks: Vec::new(),
            answer: Answer::Only,
        }
    }

    /// The places of each conversation, in order.
    pub fn conversations(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.breaks.iter().map(|at| *at as usize));
        let ends = self.breaks.iter().map(|at| *at as usize);
        starts
            .zip(ends.chain([self.ids.len()]))
            .map(|(start, end)| start..end)
    }

    /// The place of the first learned token: where the answer begins, in a row with one. All of it, if nothing is learned.
    pub fn answer_start(&self) -> usize {
        let first = self.learn.iter().position(|learn| *learn);
        first.unwrap_or(self.ids.len())
    }

    /// The tokens before its last answer, the last tokens in a row that are learned: of its conversation, and one at least. None
    /// where nothing is learned.
    pub fn last_prompt(&self) -> Option<&[u32]> {
        let last = self.learn.iter().rposition(|learn| *learn)?;
        let before = self.conversations().find(|places| places.contains(&last))?;
        let answer = self.learn[before.start..last]
            .iter()
            .rposition(|learn| !learn);
        let end = answer.map_or(before.start, |at| before.start + at + 1);
        Some(&self.ids[before.start..end.max(before.start + 1)])
    }

    /// Tokens that a model is asked to predict: learned ones, but for the first of a conversation, which nothing precedes.
    pub fn learned(&self) -> usize {
        self.conversations()
            .map(|places| {
                let learn = self.learn[places].iter().skip(1);
                learn.filter(|learn| **learn).count()
            })
            .sum()
    }
}

/// What kind of answers rows have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One each, to be learned.
    Single,
    /// A chosen and a rejected one each.
    Pairs,
    /// One or two each, all judged, and some row has one.
    Rated,
    /// Some are judged and some are not.
    Mixed,
}

impl Answers {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let judged = samples
            .iter()
            .filter(|sample| sample.answer != Answer::Only);
        match judged.count() {
            0 => Self::Single,
            n if n < samples.len() => Self::Mixed,
            _ if rows(samples).all(|places| places.len() == 2) => Self::Pairs,
            _ => Self::Rated,
        }
    }
}

/// The places of the samples of each row, in order.
pub(crate) fn rows(samples: &[Sample]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    samples.chunk_by(|a, b| a.row == b.row).map(move |row| {
        let places = start..start + row.len();
        start = places.end;
        places
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_what_precedes_the_last_answer() {
        let learn = |text: &str| text.bytes().map(|it| it == b'x').collect::<Vec<_>>();
        let prompt = |text: &str, breaks: &[u32]| {
            let ids = (0..text.len() as u32).collect();
            let mut sample = Sample::new(0, ids, learn(text));
            sample.breaks = breaks.to_vec();
            sample.last_prompt().map(<[u32]>::to_vec)
        };
        assert_eq!(prompt("..xx", &[]), Some(vec![0, 1]));
        assert_eq!(prompt("..x..xx.", &[]), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(prompt("xxx", &[]), Some(vec![0]));
        assert_eq!(prompt("..xx.xx.", &[4]), Some(vec![4]));
        assert_eq!(prompt(".x..", &[3]), Some(vec![0]));
        assert_eq!(prompt("...", &[]), None);
    }

    #[test]
    fn the_first_token_of_each_conversation_is_not_predicted() {
        let mut sample = Sample::new(0, vec![5, 6, 7, 8, 9], vec![true; 5]);
        assert_eq!(sample.learned(), 4);
        sample.breaks = vec![2, 3];
        let places: Vec<_> = sample.conversations().collect();
        assert_eq!(places, [0..2, 2..3, 3..5]);
        assert_eq!(sample.learned(), 2);
    }
}
