//! Decoding while ids arrive.

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
}

impl<'a> StreamDecoder<'a> {
    pub(crate) fn new(tokenizer: &'a ChatTokenizer, skip_special: bool) -> StreamDecoder<'a> {
        StreamDecoder {
            tokenizer,
            skip_special,
            ids: Vec::new(),
            shown: 0,
        }
    }

    /// The text that `id` completes; empty while a character is unfinished.
    pub fn push(&mut self, id: u32) -> Result<String, TextError> {
        self.ids.push(id);
        let text = self.waiting()?;
        if text.ends_with('\u{FFFD}') {
            return Ok(String::new());
        }
        self.show();
        Ok(text)
    }

    /// What is left when no more ids come: an unfinished character, as `\u{FFFD}`.
    pub fn finish(mut self) -> Result<String, TextError> {
        let text = self.waiting()?;
        self.show();
        Ok(text)
    }

    /// The text of the waiting ids, decoded after those that were shown, so that a leading space is kept.
    fn waiting(&self) -> Result<String, TextError> {
        let before = self
            .tokenizer
            .decode(&self.ids[..self.shown], self.skip_special)?;
        let mut all = self.tokenizer.decode(&self.ids, self.skip_special)?;
        match all.starts_with(&before) {
            true => Ok(all.split_off(before.len())),
            false => Ok(String::new()),
        }
    }

    fn show(&mut self) {
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
    }
}
