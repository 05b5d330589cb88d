//! What a GGUF file says about the tokenizer.
//!
//! Two kinds of `tokenizer.json` have a counterpart in llama.cpp: byte-level BPE is its `gpt2`, BPE over characters with
//! byte tokens to fall back on (what SentencePiece models become) is its `llama`.

use slm_gguf::{Metadata, keys};
use slm_run::{Emit, Event};
use slm_text::ChatTokenizer;

use crate::ExportError;
use crate::pre_tokenizer::pre_tokenizer;
use crate::tokenizer_json::{AddedToken, TokenizerJson, is_byte};

/// A tokenizer beside its `tokenizer.json`.
struct Vocabulary<'a> {
    tokenizer: &'a ChatTokenizer,
    parts: TokenizerJson,
}

/// The keys about the tokenizer, for a model whose embedding has `vocab_size` rows.
///
/// # Errors
/// [`ExportError::Tokenizer`] for a tokenizer of another kind, [`ExportError::Text`] where there are more ids than rows.
pub(crate) fn set_vocabulary(
    metadata: &mut Metadata,
    tokenizer: &ChatTokenizer,
    vocab_size: usize,
    emit: Emit<'_>,
) -> Result<(), ExportError> {
    use keys::tokenizer as key;
    tokenizer.check_fits(vocab_size)?;
    let parts = TokenizerJson::read(tokenizer)?;
    let vocabulary = Vocabulary { tokenizer, parts };
    if vocabulary.parts.is_byte_level() {
        let pre = vocabulary.pre_tokenizer(emit);
        vocabulary.tell_of_normalizer(emit);
        metadata.set(&key::MODEL, "gpt2".to_string());
        metadata.set(&key::PRE, pre.to_string());
        vocabulary.set_tokens(metadata, vocab_size, false);
        metadata.set(&key::MERGES, vocabulary.joined_merges());
    } else {
        vocabulary.warn_of_joins(emit);
        metadata.set(&key::MODEL, "llama".to_string());
        metadata.set(&key::PRE, "default".to_string());
        vocabulary.set_tokens(metadata, vocab_size, true);
        metadata.set(&key::SCORES, vocabulary.scores(vocab_size));
        metadata.set(&key::ADD_SPACE_PREFIX, vocabulary.parts.adds_space());
    }
    vocabulary.set_special(metadata, emit)?;
    if let Some(template) = tokenizer.template_source() {
        metadata.set(&key::CHAT_TEMPLATE, template.to_string());
    }
    Ok(())
}

impl Vocabulary<'_> {
    /// Tokens and their types by id; an embedding may have rows without a token.
    fn set_tokens(&self, metadata: &mut Metadata, vocab_size: usize, is_sentencepiece: bool) {
        use keys::token_type;
        let mut tokens: Vec<String> = (0..vocab_size).map(|id| format!("[PAD{id}]")).collect();
        let mut types = vec![token_type::UNUSED; vocab_size];
        for (token, &id) in &self.parts.ids {
            let is_byte = is_sentencepiece && is_byte(token);
            tokens[id as usize].clone_from(token);
            types[id as usize] = if is_byte {
                token_type::BYTE
            } else {
                token_type::NORMAL
            };
        }
        for (&id, token) in &self.parts.added {
            types[id as usize] = self.type_of(id, token);
            // llama.cpp looks for such a token in the text itself, where a space is a space.
            tokens[id as usize] = match types[id as usize] == token_type::USER_DEFINED {
                true if is_sentencepiece => token.content.replace('▁', " "),
                _ => token.content.clone(),
            };
        }
        if let (true, Some(id)) = (is_sentencepiece, self.parts.unknown_id()) {
            types[id as usize] = token_type::UNKNOWN;
        }
        metadata.set(&keys::tokenizer::TOKENS, tokens);
        metadata.set(&keys::tokenizer::TOKEN_TYPE, types);
    }

    /// Markers count as control tokens also where `tokenizer.json` forgot to call them special.
    fn type_of(&self, id: u32, token: &AddedToken) -> i32 {
        let text = &token.content;
        let looks_special = (text.starts_with("<|") && text.ends_with("|>"))
            || (text.starts_with("<｜") && text.ends_with("｜>"));
        let special = [
            self.tokenizer.bos_id(),
            self.tokenizer.eos_id(),
            self.tokenizer.pad_id(),
        ];
        match token.is_special || looks_special || special.contains(&Some(id)) {
            true => keys::token_type::CONTROL,
            false => keys::token_type::USER_DEFINED,
        }
    }

    fn pre_tokenizer(&self, emit: Emit<'_>) -> &'static str {
        pre_tokenizer(&self.parts.json).unwrap_or_else(|| {
            let text = "the pre-tokenizer in `tokenizer.json` is none that is known from llama.cpp: the GGUF names `default`, and text may be cut into other tokens there";
            emit(Event::Warning { text: text.into() });
            "default"
        })
    }

    /// llama.cpp takes the bytes of a text as they are.
    fn tell_of_normalizer(&self, emit: Emit<'_>) {
        let normalizer = &self.parts.json["normalizer"];
        if let Some(kind) = normalizer["type"].as_str() {
            let text = format!(
                "`tokenizer.json` normalizes text ({kind}), llama.cpp does not: text of another form may become other tokens there"
            );
            emit(Event::Note { text });
        }
    }

    fn joined_merges(&self) -> Vec<String> {
        let join = |(left, right): &(String, String)| format!("{left} {right}");
        self.parts.merges.iter().map(join).collect()
    }

    /// Scores by id. llama.cpp joins the two neighbours whose token has the highest score, so the score is minus the rank
    /// of the first merge that makes the token; what no merge makes comes after all of them.
    fn scores(&self, vocab_size: usize) -> Vec<f32> {
        let last = self.parts.merges.len();
        let mut scores: Vec<f32> = (0..vocab_size).map(|id| -((last + id) as f32)).collect();
        for (rank, (left, right)) in self.parts.merges.iter().enumerate().rev() {
            if let Some(&id) = self.parts.ids.get(&format!("{left}{right}")) {
                scores[id as usize] = -(rank as f32);
            }
        }
        scores
    }

    /// llama.cpp joins any two tokens that make a third, `tokenizer.json` only those that it lists.
    fn warn_of_joins(&self, emit: Emit<'_>) {
        let unlisted = self.parts.n_unlisted_pairs();
        if unlisted > 0 {
            emit(Event::Warning {
                text: format!(
                    "llama.cpp joins {unlisted} pairs of tokens that are no merges of `tokenizer.json`: text may become other tokens there"
                ),
            });
        }
    }

    fn set_special(&self, metadata: &mut Metadata, emit: Emit<'_>) -> Result<(), ExportError> {
        use keys::tokenizer as key;
        let (bos, eos) = (self.tokenizer.bos_id(), self.tokenizer.eos_id());
        let ids = [
            (key::BOS_TOKEN_ID, bos),
            (key::EOS_TOKEN_ID, eos),
            (key::EOT_TOKEN_ID, self.end_of_turn()),
            (key::UNKNOWN_TOKEN_ID, self.parts.unknown_id()),
            (key::PADDING_TOKEN_ID, self.tokenizer.pad_id()),
        ];
        for (key, id) in ids {
            if let Some(id) = id {
                metadata.set(&key, id);
            }
        }
        let (before, after) = self.affixes()?;
        let is = |ids: &[u32], id: Option<u32>| id.is_some_and(|id| ids == [id]);
        metadata.set(&key::ADD_BOS_TOKEN, is(&before, bos));
        metadata.set(&key::ADD_EOS_TOKEN, is(&after, eos));
        let is_told = |ids: &[u32], id| ids.is_empty() || is(ids, id);
        if !is_told(&before, bos) || !is_told(&after, eos) {
            let text = format!(
                "the tokenizer puts {before:?} before and {after:?} after a text, which a GGUF cannot say: give llama.cpp whole prompts"
            );
            emit(Event::Warning { text });
        }
        Ok(())
    }

    /// The token that ends a turn, where a chat template ends it with another one than EOS.
    fn end_of_turn(&self) -> Option<u32> {
        let mut others = self.tokenizer.stop_ids();
        others.retain(|id| Some(*id) != self.tokenizer.eos_id());
        match others.as_slice() {
            &[id] if self.tokenizer.has_template() => Some(id),
            _ => None,
        }
    }

    /// What stands before and after the ids of a text.
    fn affixes(&self) -> Result<(Vec<u32>, Vec<u32>), ExportError> {
        let whole = self.tokenizer.encode("a", true)?;
        let bare = self.tokenizer.encode("a", false)?;
        let at = whole.windows(bare.len().max(1)).position(|ids| ids == bare);
        let at = at.unwrap_or(0);
        let after = whole.get(at + bare.len()..).unwrap_or_default();
        Ok((whole[..at].to_vec(), after.to_vec()))
    }
}
