//! From a server's tokens to a student's, by their bytes.
//!
//! Two tokens are one where they spell the same bytes of an answer, between the same two places. The first token of an answer may
//! have a blank before it in the row and none at the server, or the other way round: what stands between prompt and answer is
//! put before it, and before everything that the server had in its place.

use std::collections::HashMap;

use half::f16;
use slm_data::{Sample, TaughtRow};

use crate::Answer;
use crate::served_tokens::{ServedToken, ServedTokens};

/// How a student's vocabulary spells.
#[derive(Debug)]
pub struct Spelling {
    /// By id; empty for what is not text.
    tokens: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, u32>,
}

/// What of a server's log-probabilities a student's tokens have, over some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Alignment {
    /// Learned tokens of the rows.
    pub learned_tokens: usize,
    /// Of these, such that a token of the server spells as well.
    pub aligned_tokens: usize,
    /// Likely tokens at those places that the student has.
    pub kept: usize,
    /// Likely tokens at those places that no token of the student spells: they count among all others.
    pub unspelled: usize,
    /// Rows of which nothing is kept: the answer came without log-probabilities, or they are of another text.
    pub rows_without: usize,
}

/// The bytes of an answer's tokens, from its first character that is no blank.
struct Span {
    start: usize,
    end: usize,
    /// Blanks that the first token has before that character.
    lead: usize,
}

impl Spelling {
    /// Of the bytes of each id. Where two spell the same, the later one counts: bytes come first in a vocabulary, and are only used
    /// where nothing else is.
    pub fn new(tokens: Vec<Vec<u8>>) -> Self {
        let ids = tokens
            .iter()
            .zip(0..)
            .filter(|(bytes, _)| !bytes.is_empty());
        let ids = ids.map(|(bytes, id)| (bytes.clone(), id)).collect();
        Self { tokens, ids }
    }

    /// What an answer's log-probabilities say of the row that was made of it. At places that do not align, nothing is kept, and all
    /// tokens together have the probability 1: no student is far from that.
    pub fn taught(&self, sample: &Sample, answer: &Answer, counts: &mut Alignment) -> TaughtRow {
        let places = learned_places(sample);
        counts.learned_tokens += places.len();
        let said = self.aligned(sample, &places, answer);
        if said.is_none() {
            counts.rows_without += 1;
        }
        let mut row = TaughtRow::of(sample);
        let mut said = said.unwrap_or_default();
        for place in places {
            let (kept, unspelled) = said.remove(&place).unwrap_or_default();
            counts.aligned_tokens += usize::from(!kept.is_empty());
            counts.kept += kept.len();
            counts.unspelled += unspelled;
            self.put(kept, &mut row);
        }
        row
    }

    /// Writes down what is likely at a place, from likely to unlikely.
    fn put(&self, kept: Vec<(u32, f64)>, row: &mut TaughtRow) {
        let mass: f64 = kept.iter().map(|(_, logprob)| logprob.exp()).sum();
        let (rest, others) = (1.0 - mass, self.tokens.len() - kept.len());
        let half = |x: f64| f16::from_f64(x);
        let rest = if rest > 0.0 {
            rest.ln()
        } else {
            f64::NEG_INFINITY
        };
        // At most 21 a place.
        row.counts.push(kept.len() as u16);
        row.ids.extend(kept.iter().map(|(id, _)| *id));
        row.logprobs
            .extend(kept.iter().map(|(_, logprob)| half(*logprob)));
        row.rest.push(half(rest));
        // As if all others were alike; read at other temperatures than 1 alone, where these rows are not used.
        row.rest_roots
            .push(half((rest + (others as f64).ln()) / 2.0));
    }

    /// By place, what the student has of what was likely there, and how much it does not have. None if the texts differ.
    fn aligned(&self, sample: &Sample, places: &[usize], answer: &Answer) -> Option<Aligned> {
        let served = ServedTokens::parse(answer.logprobs.as_ref()?).ok()?;
        let text = answer.text.trim().as_bytes();
        let run = last_run(places);
        let own = run.iter().map(|place| self.bytes(sample.ids[*place]));
        let (own, theirs) = (
            spans(own, text)?,
            spans(served.0.iter().map(|it| &it.bytes[..]), text)?,
        );
        let by_span: HashMap<_, _> = theirs
            .iter()
            .zip(&served.0)
            .filter_map(|(span, token)| {
                Some((
                    (span.as_ref()?.start, span.as_ref()?.end),
                    (span.as_ref()?.lead, token),
                ))
            })
            .collect();
        let mut found = Aligned::new();
        for (place, span) in run.iter().zip(&own) {
            let Some(span) = span else { continue };
            if let Some((lead, token)) = by_span.get(&(span.start, span.end)) {
                let id = sample.ids[*place];
                found.insert(*place, self.likely(id, span.lead, token, *lead));
            }
        }
        Some(found)
    }

    /// What the student has of what was likely at the place of its token `id`, which begins with `own_lead` blanks, the server's
    /// with `lead`.
    fn likely(
        &self,
        id: u32,
        own_lead: usize,
        token: &ServedToken,
        lead: usize,
    ) -> (Vec<(u32, f64)>, usize) {
        let before = &self.bytes(id)[..own_lead];
        let (mut kept, mut unspelled): (Vec<(u32, f64)>, _) = (Vec::new(), 0);
        for (bytes, logprob) in &token.likely {
            let rest = bytes.strip_prefix(&token.bytes[..lead]);
            let rest = rest.filter(|rest| !rest.is_empty());
            let own = rest.map(|rest| [before, rest].concat());
            let known = match *bytes == token.bytes {
                true => Some(id),
                false => own.and_then(|own| self.ids.get(&own).copied()),
            };
            match known.filter(|id| kept.iter().all(|(held, _)| held != id)) {
                Some(id) => kept.push((id, *logprob)),
                None => unspelled += 1,
            }
        }
        kept.sort_by(|a, b| b.1.total_cmp(&a.1));
        (kept, unspelled)
    }

    fn bytes(&self, id: u32) -> &[u8] {
        self.tokens.get(id as usize).map_or(&[], |bytes| bytes)
    }
}

/// What is kept at a place, and how much is not.
type Aligned = HashMap<usize, (Vec<(u32, f64)>, usize)>;

/// The places that a model is asked to predict, in order: [`Sample::learned`] of them.
fn learned_places(sample: &Sample) -> Vec<usize> {
    let conversations = sample.conversations();
    let learned =
        conversations.flat_map(|places| places.skip(1).filter(|place| sample.learn[*place]));
    learned.collect()
}

/// The last places that follow each other: the answer.
fn last_run(places: &[usize]) -> &[usize] {
    let breaks = places.windows(2).rposition(|pair| pair[0] + 1 != pair[1]);
    &places[breaks.map_or(0, |at| at + 1)..]
}

/// Where each of some tokens lies in `text`, which they spell with blanks before it and anything behind; none for those that lie
/// outside.
fn spans<'a>(tokens: impl Iterator<Item = &'a [u8]>, text: &[u8]) -> Option<Vec<Option<Span>>> {
    let tokens: Vec<&[u8]> = tokens.collect();
    let all = tokens.concat();
    let blanks = String::from_utf8_lossy(&all);
    let blanks = blanks.len() - blanks.trim_start().len();
    if text.is_empty() || !all.get(blanks..)?.starts_with(text) {
        return None;
    }
    let mut start = 0;
    let of = |bytes: &&[u8]| {
        let end = start + bytes.len();
        let span =
            (end > blanks && end <= blanks + text.len() && !bytes.is_empty()).then(|| Span {
                start: start.saturating_sub(blanks),
                end: end - blanks,
                lead: blanks.saturating_sub(start),
            });
        start = end;
        span
    };
    Some(tokens.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Tokens;

    fn spelling() -> Spelling {
        let tokens = ["", "<end>", "a", " a", "b", " b", "ab", "c", "é", "a"];
        let mut tokens: Vec<Vec<u8>> = tokens.map(|it| it.as_bytes().to_vec()).into();
        tokens[1].clear();
        Spelling::new(tokens)
    }

    fn answer(text: &str, logprobs: Option<Value>) -> Answer {
        Answer {
            text: text.into(),
            finish: None,
            tokens: Tokens::default(),
            logprobs,
        }
    }

    fn token(text: &str, logprob: f64, top: &[(&str, f64)]) -> Value {
        let top: Vec<_> = top
            .iter()
            .map(|(text, logprob)| json!({"token": text, "logprob": logprob}))
            .collect();
        json!({"token": text, "logprob": logprob, "top_logprobs": top})
    }

    fn taught(ids: &[u32], answer: &Answer) -> (TaughtRow, Alignment) {
        let learn = (0..ids.len()).map(|at| at > 0).collect();
        let mut counts = Alignment::default();
        let row = spelling().taught(&Sample::new(0, ids.to_vec(), learn), answer, &mut counts);
        (row, counts)
    }

    fn rest(row: &TaughtRow) -> Vec<f64> {
        row.rest.iter().map(|it| it.to_f64().exp()).collect()
    }

    #[test]
    fn the_blank_between_prompt_and_answer_is_put_before_every_likely_token() {
        let logprobs =
            json!({"content": [token("a", -0.5, &[("b", -1.5), ("a", -0.5), ("x", -3.0)])]});
        // " a", then the end.
        let (row, counts) = taught(&[7, 3, 1], &answer("a", Some(logprobs)));
        assert_eq!((&row.counts[..], &row.ids[..]), (&[2, 0][..], &[3, 5][..]));
        let left = 1.0 - (-0.5_f64).exp() - (-1.5_f64).exp();
        assert!((rest(&row)[0] - left).abs() < 1e-3 && rest(&row)[1] == 1.0);
        let expected = Alignment {
            learned_tokens: 2,
            aligned_tokens: 1,
            kept: 2,
            unspelled: 1,
            rows_without: 0,
        };
        assert_eq!(counts, expected);
        // The server writes the blank, and the row has none.
        let logprobs = json!({"content": [token(" a", -0.5, &[(" b", -1.5), ("b", -2.0)])]});
        let (row, _) = taught(&[7, 9], &answer(" a", Some(logprobs)));
        assert_eq!(
            row.ids,
            [9, 4],
            "the id of the row, whatever else spells it"
        );
    }

    #[test]
    fn tokens_that_begin_or_end_elsewhere_are_left_out() {
        let logprobs = json!({"content": [token("a", -0.1, &[]), token("b", -0.2, &[("c", -2.0)]), token("c", -0.3, &[])]});
        let (row, counts) = taught(&[7, 6, 7, 1], &answer("abc", Some(logprobs)));
        assert_eq!((&row.counts[..], &row.ids[..]), (&[0, 1, 0][..], &[7][..]));
        assert_eq!((counts.aligned_tokens, counts.learned_tokens), (1, 3));
        // Parts of a character, by their bytes, make a token of the student's.
        let half = |byte: u8| json!({"token": "\u{fffd}", "bytes": [byte], "logprob": -0.1});
        let logprobs = json!({"content": [half(0xc3), half(0xa9), token("c", -0.3, &[])]});
        let (row, _) = taught(&[7, 8, 7], &answer("éc", Some(logprobs)));
        assert_eq!(row.counts, [0, 1]);
    }

    #[test]
    fn another_text_or_none_is_counted_and_kept_as_nothing() {
        let other = json!({"content": [token("c", -0.1, &[])]});
        for logprobs in [Some(other), None, Some(json!({"content": null}))] {
            let (row, counts) = taught(&[7, 2, 4], &answer("ab", logprobs));
            assert_eq!((counts.rows_without, counts.aligned_tokens), (1, 0));
            assert_eq!((row.counts, row.rest.len()), (vec![0, 0], 2));
        }
    }

    #[test]
    fn only_the_last_answer_of_a_conversation_is_the_servers() {
        let sample = Sample::new(0, vec![7, 2, 7, 2], vec![false, true, false, true]);
        let logprobs = json!({"content": [token("a", -0.1, &[])]});
        let mut counts = Alignment::default();
        let row = spelling().taught(&sample, &answer("a", Some(logprobs)), &mut counts);
        assert_eq!(row.counts, [0, 1]);
    }
}
