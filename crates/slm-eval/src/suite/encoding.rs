//! Texts as the ids that lm-evaluation-harness gives a model: pairs split where the context ends, cut from the left, in windows.

use slm_model::Sequence;

use crate::error::EvalError;
use crate::request::Encoding;
use slm_text::TextError;

/// Encodes the texts of one task.
pub(crate) struct PairEncoder<'a> {
    encoding: &'a Encoding<'a>,
    /// What stands before a text that nothing comes before, and its text: BOS, else EOS.
    prefix: Option<(u32, String)>,
}

impl<'a> PairEncoder<'a> {
    pub(crate) fn of(encoding: &'a Encoding<'a>) -> Self {
        let tokenizer = encoding.tokenizer;
        let id = tokenizer.bos_id().or(tokenizer.eos_id());
        let prefix = id.map(|id| (id, tokenizer.decode(&[id], false).unwrap_or_default()));
        Self { encoding, prefix }
    }

    /// The token that stands before a text that nothing comes before.
    pub(crate) fn prefix(&self, origin: &str) -> Result<u32, EvalError> {
        let prefix = self.prefix.as_ref().map(|(id, _)| *id);
        prefix.ok_or_else(|| EvalError::EmptyPrompt {
            task: self.encoding.task.into(),
            origin: origin.into(),
        })
    }

    /// The ids of a text with what the tokenizer puts around it, unless it begins with that already.
    pub(crate) fn whole(&self, origin: &str, text: &str) -> Result<Vec<u32>, EvalError> {
        let has_prefix = self
            .prefix
            .as_ref()
            .is_some_and(|(_, prefix)| text.starts_with(prefix.as_str()));
        let ids = self.encoding.tokenizer.encode(text, !has_prefix);
        ids.map_err(|source| self.refused(origin, source))
    }

    /// A prompt alone, cut from the left so that `more` tokens still fit.
    pub(crate) fn prompt(
        &self,
        origin: &str,
        text: &str,
        more: usize,
    ) -> Result<Vec<u32>, EvalError> {
        let ids = self.whole(origin, text)?;
        let room = self.encoding.limit.saturating_sub(more);
        if ids.is_empty() || room == 0 {
            return Err(match ids.is_empty() {
                true => EvalError::EmptyPrompt {
                    task: self.encoding.task.into(),
                    origin: origin.into(),
                },
                false => self.too_long(origin, ids.len() + more),
            });
        }
        Ok(ids[ids.len().saturating_sub(room)..].to_vec())
    }

    /// A context with its continuation, cut from the left; white space at the end of the context belongs to the continuation.
    pub(crate) fn pair(
        &self,
        origin: &str,
        context: &str,
        continuation: &str,
    ) -> Result<Sequence, EvalError> {
        let (ids, from) = if context.is_empty() {
            let tokens = self.encoding.tokenizer.encode(continuation, false);
            let tokens = tokens.map_err(|source| self.refused(origin, source))?;
            let prefix = self.prefix(origin)?;
            match tokens.first() {
                Some(first) if *first == prefix => (tokens, 1),
                _ => ([&[prefix][..], &tokens].concat(), 1),
            }
        } else {
            let trimmed = context.trim_end();
            let whole = self.whole(origin, &format!("{context}{continuation}"))?;
            let before = self.whole(origin, trimmed)?;
            (whole, before.len())
        };
        if from == 0 {
            return Err(EvalError::EmptyPrompt {
                task: self.encoding.task.into(),
                origin: origin.into(),
            });
        }
        if from >= ids.len() {
            return Err(EvalError::EmptyTarget {
                task: self.encoding.task.into(),
                origin: origin.into(),
                target: continuation.into(),
            });
        }
        if ids.len() - from > self.encoding.limit {
            return Err(self.too_long(origin, ids.len() - from));
        }
        // The last token is only predicted, so one more than the model reads.
        let cut = ids.len().saturating_sub(self.encoding.limit + 1);
        Ok(Sequence {
            ids: ids[cut..].to_vec(),
            from: from - cut,
        })
    }

    fn too_long(&self, origin: &str, tokens: usize) -> EvalError {
        EvalError::TooLong {
            task: self.encoding.task.into(),
            origin: origin.into(),
            tokens,
            limit: self.encoding.limit,
        }
    }

    fn refused(&self, origin: &str, source: TextError) -> EvalError {
        EvalError::Text {
            task: self.encoding.task.into(),
            origin: origin.into(),
            source,
        }
    }
}

/// Cuts a text into windows of at most `limit` tokens to read. Each token is scored once; the first window is given `prefix` alone, a later
/// one the token before it, and the last one as much as fits.
pub(crate) fn windows(ids: &[u32], prefix: u32, limit: usize) -> Vec<Sequence> {
    let mut windows = Vec::new();
    let first = ids.len().min(limit);
    if first == 0 {
        return windows;
    }
    windows.push(Sequence {
        ids: [&[prefix][..], &ids[..first]].concat(),
        from: 1,
    });
    let mut done = first;
    while done < ids.len() {
        let n = (ids.len() - done).min(limit);
        let end = done + n;
        let start = end - limit - 1;
        windows.push(Sequence {
            ids: ids[start..end].to_vec(),
            from: done - start,
        });
        done = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(ids: &[u32], limit: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
        let windows = windows(ids, 99, limit).into_iter();
        windows
            .map(|window| {
                let (given, scored) = window.ids.split_at(window.from);
                (given.to_vec(), scored.to_vec())
            })
            .collect()
    }

    /// Expected: `get_rolling_token_windows(ids, 99, limit, 1)` of lm-evaluation-harness 0.4.13, made disjoint.
    #[test]
    fn windows_are_those_of_the_harness() {
        let ids: Vec<u32> = (0..10).collect();
        let expected = vec![
            (vec![99], vec![0, 1, 2, 3]),
            (vec![3], vec![4, 5, 6, 7]),
            (vec![5, 6, 7], vec![8, 9]),
        ];
        assert_eq!(parts(&ids, 4), expected);
        assert_eq!(parts(&ids[..3], 4), [(vec![99], vec![0, 1, 2])]);
        assert_eq!(parts(&ids[..4], 4), [(vec![99], vec![0, 1, 2, 3])]);
        assert!(parts(&[], 4).is_empty());
    }
}
