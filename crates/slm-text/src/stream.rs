//! Decoding while ids arrive.

use crate::clean_up::{clean, settled};
use crate::{ChatTokenizer, TextError};

/// Turns ids into text as they come, whole characters at a time.
///
/// The pieces joined are the text that [`ChatTokenizer::decode`] gives for all ids at once: a character that several
/// tokens share waits for the last of them, and a leading space appears where it belongs.
#[derive(Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a ChatTokenizer,
    skip_special: bool,
    /// Ids that still matter: some that were shown, for context, then those that wait.
    ids: Vec<u32>,
    /// How many of `ids` were shown.
    shown: usize,
    /// Text that waits for what follows it, where blanks are taken out; it begins with a blank or at the start.
    unsettled: String,
}

impl<'a> StreamDecoder<'a> {
    pub(crate) fn new(tokenizer: &'a ChatTokenizer, skip_special: bool) -> StreamDecoder<'a> {
        StreamDecoder {
            tokenizer,
            skip_special,
            ids: Vec::new(),
            shown: 0,
            unsettled: String::new(),
        }
    }

    /// The text that `id` completes; empty while a character is unfinished.
    pub fn push(&mut self, id: u32) -> Result<String, TextError> {
        self.ids.push(id);
        let text = self.waiting()?.unwrap_or_default();
        // Ids without text stay with the waiting ones, so that what was shown last always has text.
        if text.is_empty() || text.ends_with('\u{FFFD}') {
            return Ok(String::new());
        }
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        if !self.tokenizer.cleans_up {
            return Ok(text);
        }
        self.unsettled += &text;
        let settled: String = self.unsettled.drain(..settled(&self.unsettled)).collect();
        Ok(clean(&settled))
    }

    /// What is left when no more ids come: an unfinished character, as `\u{FFFD}`.
    pub fn finish(self) -> Result<String, TextError> {
        let rest = match self.waiting()? {
            Some(text) => text,
            None => self
                .tokenizer
                .decode_as_it_is(&self.ids[self.shown..], self.skip_special)?,
        };
        Ok(match self.tokenizer.cleans_up {
            true => clean(&(self.unsettled + &rest)),
            false => rest,
        })
    }

    /// The text of the waiting ids, decoded behind those that were shown, so that a leading space is kept.
    ///
    /// `None` while an unfinished character spoils those that were shown: byte-fallback decoders do that.
    fn waiting(&self) -> Result<Option<String>, TextError> {
        let before = self
            .tokenizer
            .decode_as_it_is(&self.ids[..self.shown], self.skip_special)?;
        let all = self
            .tokenizer
            .decode_as_it_is(&self.ids, self.skip_special)?;
        Ok(all.strip_prefix(&before).map(str::to_owned))
    }
}
