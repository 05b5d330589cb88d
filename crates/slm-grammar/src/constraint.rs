//! One answer while it is written inside a grammar.

use std::fmt;

use llguidance::api::StopReason;
use llguidance::{Matcher, toktrie::SimpleVob};

use crate::{Grammar, GrammarError, Vocabulary};

/// Where an answer stands in a grammar: which tokens may come next, and whether it may end.
///
/// A clone goes its own way from there on; clones share what they learn about the grammar, so a clone of a fresh one is
/// how the next row begins.
#[derive(Clone)]
pub struct Constraint {
    matcher: Matcher,
    what: String,
    vocabulary: Vocabulary,
    ids: Vec<u32>,
}

impl Constraint {
    pub(crate) fn new(grammar: &Grammar, vocabulary: &Vocabulary) -> Result<Self, GrammarError> {
        let refused = |reason: String| GrammarError::Refused {
            what: grammar.what.clone(),
            reason: first_line(&reason).into(),
        };
        let parser = vocabulary.parsers.create_parser(grammar.rules());
        let parser = parser.map_err(|error| refused(error.to_string()))?;
        let fresh = Self {
            matcher: Matcher::new(Ok(parser)),
            what: grammar.what.clone(),
            vocabulary: vocabulary.clone(),
            ids: Vec::new(),
        };
        match fresh.clone().for_each_allowed(|_| {}) {
            Err(GrammarError::DeadEnd { .. }) => {
                Err(refused("no token begins any of its texts".into()))
            }
            begins => begins.map(|()| fresh),
        }
    }

    /// Calls `each` with every token that keeps the answer inside the grammar, in rising order: none when only the end is
    /// left.
    ///
    /// # Errors
    /// No token of the vocabulary goes on and the answer may not end either, or the grammar is too large.
    pub fn for_each_allowed(&mut self, mut each: impl FnMut(u32)) -> Result<(), GrammarError> {
        if self.is_complete() {
            return Ok(());
        }
        let mask: SimpleVob = match self.matcher.compute_mask() {
            Ok(mask) => mask,
            Err(error) => return Err(self.stopped(&error.to_string())),
        };
        let end = self.vocabulary.end();
        mask.iter_set_entries(|id| {
            if id as u32 != end {
                each(id as u32);
            }
        });
        Ok(())
    }

    /// Takes the next token.
    ///
    /// # Errors
    /// The token leaves the grammar.
    pub fn advance(&mut self, id: u32) -> Result<(), GrammarError> {
        let fits = match self.is_complete() || id >= self.vocabulary.end() {
            true => Ok(0),
            false => self.matcher.try_consume_tokens(&[id]),
        };
        match fits {
            Ok(1) => {
                self.ids.push(id);
                Ok(())
            }
            Ok(_) => Err(GrammarError::NotAllowed {
                id,
                what: self.what.clone(),
                text: self.text(),
            }),
            Err(error) => Err(self.stopped(&error.to_string())),
        }
    }

    /// Whether the answer is whole.
    ///
    /// # Errors
    /// The grammar is too large.
    pub fn may_end(&mut self) -> Result<bool, GrammarError> {
        if self.is_complete() {
            return Ok(true);
        }
        let may_end = self.matcher.is_accepting();
        may_end.map_err(|error| self.stopped(&error.to_string()))
    }

    /// Whether the answer is whole and nothing can follow it.
    pub fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && self.matcher.stop_reason().is_ok()
    }

    /// What the tokens so far spell, with the white space before the answer.
    pub fn text(&self) -> String {
        let trie = self.vocabulary.parsers.tok_env().tok_trie();
        String::from_utf8_lossy(&trie.decode_raw(&self.ids)).into_owned()
    }

    /// That no token can follow, though the answer is not whole.
    pub fn dead_end(&self) -> GrammarError {
        GrammarError::DeadEnd {
            what: self.what.clone(),
            text: self.text(),
        }
    }

    fn stopped(&self, reason: &str) -> GrammarError {
        // The matcher keeps its error as a text alone.
        match first_line(reason) {
            none if none == StopReason::NoExtensionBias.to_string() => self.dead_end(),
            reason => GrammarError::Refused {
                what: self.what.clone(),
                reason: reason.into(),
            },
        }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` within {}", self.text(), self.what)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}
