//! A model that knows nothing: every token has a random logit.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use slm_grammar::Constraint;

use crate::tokenizers::Tokenizer;

/// Tokens that an answer may have.
const LIMIT: usize = 40;

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// Without the white space before the answer.
    pub(crate) bytes: Vec<u8>,
    /// By itself, not by the limit.
    pub(crate) ended: bool,
}

pub(crate) struct Writer(TestRng);

impl Writer {
    pub(crate) fn new(seed: u64) -> Self {
        let seed: Vec<u8> = seed.to_le_bytes().repeat(4);
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    }

    pub(crate) fn write(&mut self, tokenizer: &Tokenizer, mut constraint: Constraint) -> Written {
        let mut ids = Vec::new();
        let mut ended = constraint.is_complete();
        while !ended && ids.len() < LIMIT {
            let mut allowed = Vec::new();
            constraint
                .for_each_allowed(|id| allowed.push(id))
                .expect("it goes on or ends");
            let may_end = constraint.may_end().expect("it is simple");
            if may_end && (allowed.is_empty() || self.0.next_u32().is_multiple_of(3)) {
                ended = true;
                break;
            }
            let id = allowed[self.0.next_u32() as usize % allowed.len()];
            constraint.advance(id).expect("it is allowed");
            ids.push(id);
            ended = constraint.is_complete();
        }
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|id| tokenizer.bytes[*id as usize].clone())
            .collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text, constraint.text());
        let shown = tokenizer.tokenizer.decode(&ids, true).expect("it decodes");
        let without_blank = text.strip_prefix(' ').unwrap_or(&text);
        assert!(
            shown == text || shown == without_blank || !ended,
            "{shown:?} is not {text:?}"
        );
        let bare = match bytes.first() {
            Some(b' ' | b'\n') => bytes[1..].to_vec(),
            _ => bytes,
        };
        Written {
            text,
            bytes: bare,
            ended,
        }
    }
}
