use serde_json::Value;
use slm_text::{ChatTokenizer, TextError};

use super::Cells;
use crate::content::TokenRow;
use crate::error::{DataError, NeededBy, json_kind};

/// What the ids of rows are ids of.
pub(super) type TokenColumns<'a> = &'a ChatTokenizer;

/// What a label says that is not learned (PyTorch's `ignore_index`, which Hugging Face's collators write).
const NOT_LEARNED: i64 = -100;

/// A row that is tokens already: `input_ids`, `labels`, optionally `position_ids` and `attention_mask`.
///
/// As with Hugging Face, `labels[i]` is the label of token i: its id, or -100 where it is not learned. A place where
/// `position_ids` goes back to 0 begins another conversation, whose first token is never learned, whatever its label is.
/// Padding is what `attention_mask` has 0 for at either end; it is cut off.
pub(super) fn tokens(cells: &Cells, tokenizer: &ChatTokenizer) -> Result<TokenRow, DataError> {
    let ids = integers(cells, "input_ids")?;
    let labels = integers(cells, "labels")?;
    let (ids, labels) = match (ids, labels) {
        (Some(ids), Some(labels)) => (ids, labels),
        (None, _) => return Err(cells.missing(cells.name("input_ids"), NEEDED_BY)),
        (_, None) => return Err(cells.missing(cells.name("labels"), NEEDED_BY)),
    };
    let positions = integers(cells, "position_ids")?;
    let mask = integers(cells, "attention_mask")?;
    let lists = [
        ("labels", Some(&labels)),
        ("position_ids", positions.as_ref()),
        ("attention_mask", mask.as_ref()),
    ];
    for (name, list) in lists {
        if let Some(list) = list.filter(|list| list.len() != ids.len()) {
            let (found, needed) = (
                format!("{} values", list.len()),
                format!(
                    "{}, as many as in `{}`,",
                    ids.len(),
                    cells.name("input_ids")
                ),
            );
            return Err(cells.wrong(cells.name(name), &found, &needed));
        }
    }
    let row = Columns { cells, ids, labels };
    let kept = row.kept(mask.as_deref())?;
    let breaks = match &positions {
        Some(positions) => row.breaks(&positions[kept.clone()], kept.start)?,
        None => Vec::new(),
    };
    let (ids, learn) = row.learned(kept, tokenizer.vocab_size())?;
    let target = target(tokenizer, &ids, &learn).map_err(|source| DataError::Encode {
        origin: cells.row.origin.clone(),
        source,
    })?;
    Ok(TokenRow {
        ids,
        learn,
        breaks,
        target,
    })
}

/// A prompt and an answer that are tokens already; the answer is learned.
pub(super) fn token_row(
    cells: &Cells,
    tokenizer: &ChatTokenizer,
    prompt: &'static str,
    answer: &'static str,
    needed_by: NeededBy,
) -> Result<TokenRow, DataError> {
    let [prompt, answer] = [prompt, answer].map(|name| -> Result<Vec<u32>, DataError> {
        let ids = integers(cells, name)?;
        let ids = ids.ok_or_else(|| cells.missing(cells.name(name), needed_by))?;
        let id = |(at, id): (usize, &i64)| known(cells, name, at, *id, tokenizer.vocab_size());
        ids.iter().enumerate().map(id).collect()
    });
    let (prompt, answer) = (prompt?, answer?);
    let target = tokenizer.decode(&answer, true);
    Ok(TokenRow {
        learn: [vec![false; prompt.len()], vec![true; answer.len()]].concat(),
        ids: [prompt, answer].concat(),
        breaks: Vec::new(),
        target: target.map_err(|source| DataError::Encode {
            origin: cells.row.origin.clone(),
            source,
        })?,
    })
}

const NEEDED_BY: NeededBy = NeededBy::Format("tokenized");

/// The two columns that have to be there.
struct Columns<'a> {
    cells: &'a Cells<'a>,
    ids: Vec<i64>,
    labels: Vec<i64>,
}

impl Columns<'_> {
    fn wrong(&self, name: &str, at: usize, found: i64, needed: &str) -> DataError {
        let column = format!("{}[{at}]", self.cells.name(name));
        self.cells.wrong(&column, &found.to_string(), needed)
    }

    /// The places that are no padding.
    fn kept(&self, mask: Option<&[i64]>) -> Result<std::ops::Range<usize>, DataError> {
        let Some(mask) = mask else {
            return Ok(0..self.ids.len());
        };
        if let Some(at) = mask.iter().position(|value| ![0, 1].contains(value)) {
            return Err(self.wrong("attention_mask", at, mask[at], "0 or 1"));
        }
        let start = mask.iter().position(|value| *value == 1).unwrap_or(0);
        let end = mask.iter().rposition(|value| *value == 1);
        let kept = start..end.map_or(0, |end| end + 1);
        if let Some(at) = kept.clone().find(|at| mask[*at] == 0) {
            let needed = "1 between two others (0 stands for padding, which is at an end)";
            return Err(self.wrong("attention_mask", at, 0, needed));
        }
        let padding = (0..start).chain(kept.end..mask.len());
        for at in padding {
            if self.labels[at] != NOT_LEARNED {
                let needed = "-100 where `attention_mask` is 0";
                return Err(self.wrong("labels", at, self.labels[at], needed));
            }
        }
        Ok(kept)
    }

    /// Where conversations begin, but for the first; `first` is the place of the first position in the row.
    fn breaks(&self, positions: &[i64], first: usize) -> Result<Vec<u32>, DataError> {
        let mut breaks = Vec::new();
        let mut next = 0;
        for (at, &position) in positions.iter().enumerate() {
            if position == 0 && at > 0 {
                breaks.push(at as u32);
            } else if position != next {
                let needed = match at {
                    0 => "0, the start of a conversation,".to_owned(),
                    _ => format!("{next}, the next place, or 0, another conversation,"),
                };
                return Err(self.wrong("position_ids", first + at, position, &needed));
            }
            next = position + 1;
        }
        Ok(breaks)
    }

    fn learned(
        &self,
        kept: std::ops::Range<usize>,
        vocab_size: usize,
    ) -> Result<(Vec<u32>, Vec<bool>), DataError> {
        let mut ids = Vec::with_capacity(kept.len());
        let mut learn = Vec::with_capacity(kept.len());
        for at in kept {
            let (id, label) = (self.ids[at], self.labels[at]);
            let known = known(self.cells, "input_ids", at, id, vocab_size)?;
            if label != id && label != NOT_LEARNED {
                let needed = format!("{id}, the id at this place, or -100 (not learned)");
                return Err(self.wrong("labels", at, label, &needed));
            }
            ids.push(known);
            learn.push(label == id);
        }
        Ok((ids, learn))
    }
}

/// An id that the vocabulary has.
fn known(
    cells: &Cells,
    name: &'static str,
    at: usize,
    id: i64,
    vocab_size: usize,
) -> Result<u32, DataError> {
    let known = u32::try_from(id)
        .ok()
        .filter(|id| (*id as usize) < vocab_size);
    known.ok_or_else(|| {
        let needed = format!("an id from 0 to {}", vocab_size.saturating_sub(1));
        let column = format!("{}[{at}]", cells.name(name));
        cells.wrong(&column, &id.to_string(), &needed)
    })
}

/// A column as a list of integers; none where it is not there. `true` and `false` count as 1 and 0.
fn integers(cells: &Cells, name: &'static str) -> Result<Option<Vec<i64>>, DataError> {
    let column = cells.name(name);
    let list = match cells.get(name) {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(cells.wrong(column, json_kind(other), "a list of integers")),
    };
    let integer = |(at, value): (usize, &Value)| {
        let number = value.as_i64().or(value.as_bool().map(i64::from));
        number.ok_or_else(|| {
            let found = match value {
                Value::Number(number) => number.to_string(),
                other => json_kind(other).to_owned(),
            };
            cells.wrong(&format!("{column}[{at}]"), &found, "an integer")
        })
    };
    list.iter()
        .enumerate()
        .map(integer)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The text of the last stretch that is learned.
fn target(tokenizer: &ChatTokenizer, ids: &[u32], learn: &[bool]) -> Result<String, TextError> {
    let end = learn
        .iter()
        .rposition(|learn| *learn)
        .map_or(0, |at| at + 1);
    let start = learn[..end]
        .iter()
        .rposition(|learn| !learn)
        .map_or(0, |at| at + 1);
    tokenizer.decode(&ids[start..end], true)
}
