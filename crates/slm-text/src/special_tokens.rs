//! The tokens that stand for something else than text, and what a model expects around a text.

use std::collections::HashSet;

use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, Tokenizer};

use crate::TextError;
use crate::error::tokenizer_failed;
use crate::tokenizer_files::{Named, TOKENIZER, TokenizerFiles};

/// A token's id and text.
pub(crate) type Token = (u32, String);

/// What the tokenizer's files name, resolved against its vocabulary.
#[derive(Debug)]
pub(crate) struct SpecialTokens {
    pub(crate) bos: Option<Token>,
    pub(crate) eos: Option<Token>,
    pub(crate) pad: Option<Token>,
    /// Ids before a text that is encoded with special tokens: usually BOS, or none.
    pub(crate) prefix: Vec<u32>,
    /// Ids after such a text: usually none.
    pub(crate) suffix: Vec<u32>,
    /// Tokens that are matched as a whole in any text, special or not.
    pub(crate) added: HashSet<u32>,
    /// Their texts, longest first.
    pub(crate) added_texts: Vec<Token>,
}

impl SpecialTokens {
    /// Adds what `tokenizer_config.json` lists to `tokenizer`, takes its post-processor off, and resolves the names.
    ///
    /// A padding token that is not in the vocabulary counts as none, because padding is never read.
    ///
    /// # Errors
    /// The files contradict each other, or name a BOS or EOS that does not exist.
    pub(crate) fn resolve(
        tokenizer: &mut Tokenizer,
        files: &TokenizerFiles,
    ) -> Result<SpecialTokens, TextError> {
        add_listed_tokens(tokenizer, files)?;
        let bos = required(tokenizer, files, "bos_token")?;
        let eos = required(tokenizer, files, "eos_token")?;
        let pad = find(tokenizer, &files.special_token("pad_token"));
        let (prefix, suffix) = affixes(tokenizer, files, bos.as_ref(), eos.as_ref())?;
        let decoder = tokenizer.get_added_tokens_decoder();
        let mut added_texts: Vec<Token> = decoder
            .iter()
            .filter(|(_, token)| !token.content.trim().is_empty())
            .map(|(id, token)| (*id, token.content.clone()))
            .collect();
        added_texts.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
        let added = decoder.keys().copied().collect();
        Ok(SpecialTokens {
            bos,
            eos,
            pad,
            prefix,
            suffix,
            added,
            added_texts,
        })
    }

    /// The token at the start of `text` that may end a turn: any added token but BOS.
    pub(crate) fn end_at(&self, text: &str) -> Option<&Token> {
        let mut added = self.added_texts.iter();
        added.find(|token| text.starts_with(token.1.as_str()) && self.may_end(token))
    }

    /// The token at the end of `text` that may end a turn.
    pub(crate) fn end_of(&self, text: &str) -> Option<&Token> {
        let mut added = self.added_texts.iter();
        added.find(|token| text.ends_with(token.1.as_str()) && self.may_end(token))
    }

    fn may_end(&self, token: &Token) -> bool {
        !is_id(self.bos.as_ref(), token.0) || is_id(self.eos.as_ref(), token.0)
    }
}

fn is_id(token: Option<&Token>, id: u32) -> bool {
    token.is_some_and(|token| token.0 == id)
}

/// Adds the tokens that `tokenizer_config.json` lists and `tokenizer.json` lacks, as transformers does.
fn add_listed_tokens(tokenizer: &mut Tokenizer, files: &TokenizerFiles) -> Result<(), TextError> {
    for (&config_id, field) in files.added_tokens() {
        let holder = tokenizer.id_to_token(config_id);
        if tokenizer.token_to_id(&field.content).is_none() && holder.is_none() {
            let token = AddedToken::from(field.content.clone(), field.special)
                .lstrip(field.lstrip)
                .rstrip(field.rstrip)
                .single_word(field.single_word)
                .normalized(field.normalized);
            tokenizer.add_tokens([token]).map_err(tokenizer_failed)?;
        }
        let id = tokenizer.token_to_id(&field.content);
        if id != Some(config_id) {
            let found = match (id, holder) {
                (Some(id), _) => format!("gives it the id {id}"),
                (None, Some(token)) => format!("gives that id to `{token}`"),
                (None, None) => "gives it no id".into(),
            };
            let token = field.content.clone();
            return Err(TextError::AddedTokenMismatch {
                token,
                config_id,
                found,
            });
        }
    }
    Ok(())
}

fn find(tokenizer: &Tokenizer, named: &Named) -> Option<Token> {
    match named {
        Named::Text(text) => Some((tokenizer.token_to_id(text)?, text.clone())),
        Named::Id(id) => Some((*id, tokenizer.id_to_token(*id)?)),
        Named::Nothing => None,
    }
}

fn required(
    tokenizer: &Tokenizer,
    files: &TokenizerFiles,
    key: &'static str,
) -> Result<Option<Token>, TextError> {
    let named = files.special_token(key);
    let found = find(tokenizer, &named);
    let token = match (named, &found) {
        (Named::Text(text), None) => text,
        (Named::Id(id), None) => id.to_string(),
        _ => return Ok(found),
    };
    let dir = files.origin.clone();
    Err(TextError::UnknownSpecialToken { dir, key, token })
}

/// Takes the post-processor off `tokenizer` and returns what it put before and after a text.
///
/// A post-processor may also trim offsets, which would move spans; so it is asked once, here.
fn affixes(
    tokenizer: &mut Tokenizer,
    files: &TokenizerFiles,
    bos: Option<&Token>,
    eos: Option<&Token>,
) -> Result<(Vec<u32>, Vec<u32>), TextError> {
    const PROBE: &str = "a";
    let ids = |tokenizer: &Tokenizer, special| {
        let encoding = tokenizer.encode_fast(PROBE, special);
        encoding
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(tokenizer_failed)
    };
    let whole = ids(tokenizer, true)?;
    let has_processor = tokenizer.get_post_processor().is_some();
    tokenizer.with_post_processor(None::<PostProcessorWrapper>);
    let bare = ids(tokenizer, false)?;
    let at = whole
        .windows(bare.len().max(1))
        .position(|window| window == bare)
        .ok_or_else(|| TextError::InvalidTokenizer {
            path: files.origin.join(TOKENIZER),
            reason: "its post-processor changes the text's own tokens".into(),
        })?;

    let chosen = |adds: Option<bool>, token: Option<&Token>, found: &[u32]| match adds {
        Some(true) => token.map(|token| token.0).into_iter().collect(),
        Some(false) => Vec::new(),
        None => found.to_vec(),
    };
    let prefix = chosen(files.adds_bos(has_processor), bos, &whole[..at]);
    let suffix = chosen(
        files.adds_eos(has_processor),
        eos,
        &whole[at + bare.len()..],
    );
    Ok((prefix, suffix))
}
