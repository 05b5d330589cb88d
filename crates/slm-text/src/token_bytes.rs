//! What each token spells, in bytes.

use std::collections::HashMap;

use tokenizers::DecoderWrapper;

use crate::{ChatTokenizer, TextError};

impl ChatTokenizer {
    /// The bytes that each token adds to a text, by id; none for special tokens and for ids that stand for no token.
    ///
    /// Joined, they are what [`ChatTokenizer::decode`] gives without special tokens, but for the blank that a tokenizer of
    /// SentencePiece's kind leaves out at the beginning of a text.
    ///
    /// # Errors
    /// The decoder does more than to join what tokens spell: WordPiece, blanks taken out before punctuation.
    pub fn token_bytes(&self) -> Result<Vec<Vec<u8>>, TextError> {
        let spelling = self.spelling()?;
        let special = |id: &u32| {
            let added = self.tokenizer.get_added_tokens_decoder();
            added.get(id).is_some_and(|token| token.special)
        };
        let pieces = (0..self.vocab_size() as u32).map(|id| {
            let piece = self.tokenizer.id_to_token(id).filter(|_| !special(&id));
            piece.map_or_else(Vec::new, |piece| spelling.bytes(&piece))
        });
        Ok(pieces.collect())
    }

    fn spelling(&self) -> Result<Spelling, TextError> {
        let refused = |reason: &str| TextError::NotByTokens {
            dir: self.files.origin.clone(),
            reason: reason.into(),
        };
        if self.cleans_up {
            return Err(refused("it takes blanks before punctuation out"));
        }
        if self.is_byte_level {
            return Ok(Spelling::Bytes(gpt2_alphabet()));
        }
        match self.tokenizer.get_decoder() {
            Some(decoder) if writes_blanks(decoder) => Ok(Spelling::Text),
            Some(_) | None => Err(refused(
                "it is neither byte-level nor of SentencePiece's kind",
            )),
        }
    }
}

/// How a vocabulary spells.
enum Spelling {
    /// In GPT-2's alphabet, a character for each byte.
    Bytes(HashMap<char, u8>),
    /// In text, with `▁` for a blank and `<0x0A>` for a byte.
    Text,
}

impl Spelling {
    fn bytes(&self, piece: &str) -> Vec<u8> {
        match self {
            // A token that was added as text may have other characters; decoders take it as it is.
            Self::Bytes(alphabet) => {
                let bytes: Option<Vec<u8>> =
                    piece.chars().map(|c| alphabet.get(&c).copied()).collect();
                bytes.unwrap_or_else(|| piece.into())
            }
            Self::Text => match byte_of(piece) {
                Some(byte) => vec![byte],
                None => piece.replace('▁', " ").into_bytes(),
            },
        }
    }
}

fn byte_of(piece: &str) -> Option<u8> {
    let hex = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (hex.len() == 2).then(|| u8::from_str_radix(hex, 16).ok())?
}

/// GPT-2's characters for bytes: printable ones for themselves, the others from U+0100 on (openai/gpt-2, `bytes_to_unicode`).
fn gpt2_alphabet() -> HashMap<char, u8> {
    let is_printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let printable = (0..=255).filter(is_printable).map(|b| (char::from(b), b));
    let others = (0..=255).filter(|byte| !is_printable(byte));
    printable.chain(('\u{100}'..).zip(others)).collect()
}

/// Whether a decoder only turns `▁` into blanks and `<0x0A>` into bytes, and joins.
fn writes_blanks(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::Metaspace(_) => true,
        DecoderWrapper::Sequence(parts) => {
            let parts = parts.get_decoders();
            parts.iter().any(|part| {
                matches!(
                    part,
                    DecoderWrapper::Replace(_) | DecoderWrapper::Metaspace(_)
                )
            }) && parts.iter().all(|part| {
                matches!(
                    part,
                    DecoderWrapper::Replace(_)
                        | DecoderWrapper::Metaspace(_)
                        | DecoderWrapper::ByteFallback(_)
                        | DecoderWrapper::Fuse(_)
                        | DecoderWrapper::Strip(_)
                )
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    #[test]
    fn the_alphabet_is_that_of_the_tokenizers_crate() {
        let ours = gpt2_alphabet();
        let theirs: HashSet<char> = ByteLevel::alphabet().into_iter().collect();
        assert_eq!(ours.keys().copied().collect::<HashSet<char>>(), theirs);
        assert_eq!((ours[&'Ġ'], ours[&'Ċ'], ours[&'é']), (b' ', b'\n', 0xe9));
        assert_eq!(ours.values().collect::<HashSet<_>>().len(), 256);
    }

    #[test]
    fn a_tokenizer_of_words_is_refused() {
        let json = serde_json::json!({
            "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": false},
            "model": {"type": "WordLevel", "vocab": {"a": 0, "##b": 1}, "unk_token": "a"},
        });
        let file = crate::TokenizerFile {
            name: "tokenizer.json".into(),
            bytes: json.to_string().into_bytes(),
        };
        let tokenizer = ChatTokenizer::from_files(std::path::Path::new("words"), vec![file]);
        let error = tokenizer.unwrap().token_bytes().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the tokenizer in `words` does not spell a text token by token: it is neither byte-level nor of SentencePiece's kind"
        );
    }

    #[test]
    fn a_byte_is_two_digits() {
        assert_eq!(byte_of("<0x0A>"), Some(10));
        assert_eq!(byte_of("<0x0>"), None);
        assert_eq!(byte_of("<0xZZ>"), None);
    }
}
