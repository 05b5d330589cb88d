//! What the tokens of a tokenizer spell.

use std::fmt;
use std::sync::Arc;

use llguidance::ParserFactory;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

use crate::GrammarError;

/// The bytes of every token, as a trie.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Vocabulary {
    pub(crate) parsers: Arc<ParserFactory>,
    n_tokens: usize,
}

impl Vocabulary {
    /// The vocabulary whose token `i` spells `tokens[i]`; a token without bytes is never written (special tokens, holes).
    ///
    /// # Errors
    /// No token has bytes.
    pub fn new(mut tokens: Vec<Vec<u8>>) -> Result<Vocabulary, GrammarError> {
        let n_tokens = tokens.len();
        let refused = |reason: String| GrammarError::Vocabulary {
            tokens: n_tokens,
            reason,
        };
        // Marks special tokens in the trie, and is part of no UTF-8 text.
        let is_spelled = |token: &Vec<u8>| !token.contains(&TokTrie::SPECIAL_TOKEN_MARKER);
        for token in &mut tokens {
            if !is_spelled(token) {
                token.clear();
            }
        }
        if tokens.iter().all(Vec::is_empty) {
            return Err(refused("all of them are special".into()));
        }
        // The last one stands for the end, whatever tokens a model ends with.
        tokens.push(Vec::new());
        let info = TokRxInfo {
            vocab_size: tokens.len() as u32,
            tok_eos: n_tokens as u32,
            tok_bos: None,
            tok_pad: None,
            tok_unk: None,
            tok_end_of_turn: None,
        };
        let trie = TokTrie::from(&info, &tokens);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut parsers =
            ParserFactory::new_simple(&environment).map_err(|error| refused(error.to_string()))?;
        parsers.quiet();
        parsers.limits_mut().verbose_errors = false;
        Ok(Vocabulary {
            parsers: Arc::new(parsers),
            n_tokens,
        })
    }

    /// Tokens, special ones included.
    pub fn len(&self) -> usize {
        self.n_tokens
    }

    /// Whether there is no token; never.
    pub fn is_empty(&self) -> bool {
        self.n_tokens == 0
    }

    /// Stands for the end of an answer.
    pub(crate) fn end(&self) -> u32 {
        self.n_tokens as u32
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vocabulary of {} tokens", self.n_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_needs_bytes() {
        let error = Vocabulary::new(vec![vec![], vec![0xff]]).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "the tokenizer's 2 tokens give no vocabulary to spell answers with: all of them are special"
        );
    }
}
