//! A tokenizer together with its chat template.

use std::collections::HashSet;
use std::path::Path;

use chrono::{DateTime, Utc};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::{Decoder, DecoderWrapper, ModelWrapper, Tokenizer};

use crate::chat_template::ChatTemplate;
use crate::clean_up;
use crate::error::tokenizer_failed;
use crate::special_tokens::SpecialTokens;
use crate::template_text::TemplateText;
use crate::tokenizer_files::{TEMPLATE, TOKENIZER, TokenizerFile, TokenizerFiles};
use crate::{StreamDecoder, TextError};

/// Text to ids and back, with the chat template of the same model.
///
/// Encodes as transformers does; [`ChatTokenizer::load`] says what is read.
#[derive(Debug)]
pub struct ChatTokenizer {
    pub(crate) files: TokenizerFiles,
    /// Without post-processor, truncation and padding: the ids of a text and nothing else, with untrimmed offsets.
    pub(crate) tokenizer: Tokenizer,
    pub(crate) special: SpecialTokens,
    template: Option<ChatTemplate>,
    /// Whether the template came from elsewhere than the tokenizer's folder.
    template_is_foreign: bool,
    /// The special tokens that a template may name.
    pub(crate) template_tokens: Vec<(String, String)>,
    /// What `strftime_now` tells.
    pub(crate) now: DateTime<Utc>,
    vocab_size: usize,
    pub(crate) is_byte_level: bool,
    /// Whether blanks before punctuation are taken out of a decoded text.
    pub(crate) cleans_up: bool,
}

impl ChatTokenizer {
    /// Loads the tokenizer in the folder `dir`.
    ///
    /// Read are `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `chat_template.jinja`, and for
    /// missing special tokens `generation_config.json` and `config.json`. `template` is `auto` for the folder's own
    /// chat template (`chat_template.jinja` wins over the one in `tokenizer_config.json`), or the path of a file.
    ///
    /// # Errors
    /// No `tokenizer.json` (a lone `tokenizer.model` has its own error, with the command that converts it), a file
    /// that does not parse, files that contradict each other, a template that does not compile.
    pub fn load(dir: &Path, template: &str) -> Result<ChatTokenizer, TextError> {
        Self::of(TokenizerFiles::read(dir)?, template)
    }

    /// The tokenizer that `files` describe, with the names and contents that a folder would have; they come from `origin`, which errors name.
    ///
    /// # Errors
    /// Those of [`ChatTokenizer::load`].
    pub fn from_files(
        origin: &Path,
        files: Vec<TokenizerFile>,
    ) -> Result<ChatTokenizer, TextError> {
        Self::of(TokenizerFiles::parse(origin, files)?, "auto")
    }

    fn of(files: TokenizerFiles, template: &str) -> Result<ChatTokenizer, TextError> {
        let mut tokenizer = parse_tokenizer(&files)?;
        let special = SpecialTokens::resolve(&mut tokenizer, &files)?;
        let template_is_foreign = template != "auto";
        let text = match template_is_foreign {
            true => Some(TemplateText::read(Path::new(template))?),
            false => files.template()?,
        };
        let compile = |text| ChatTemplate::compile(&text);
        let template = text.map(compile).transpose()?;
        let mut template_tokens = files.template_tokens();
        for (key, token) in [("bos_token", &special.bos), ("eos_token", &special.eos)] {
            template_tokens.extend(
                token
                    .iter()
                    .map(|(_, text)| (key.to_string(), text.clone())),
            );
        }
        let largest = tokenizer.get_vocab(true).into_values().max();
        Ok(ChatTokenizer {
            is_byte_level: is_byte_level(tokenizer.get_decoder()),
            cleans_up: files.cleans_up(matches!(tokenizer.get_model(), ModelWrapper::BPE(_))),
            vocab_size: largest.map_or(0, |id| id as usize + 1),
            files,
            tokenizer,
            special,
            template,
            template_is_foreign,
            template_tokens: template_tokens.into_iter().collect(),
            now: Utc::now(),
        })
    }

    /// Sets the time that templates are told, in seconds since 1970; by default that of loading.
    ///
    /// Some templates write the date into the system message: a run that pins it renders the same text whenever it
    /// is resumed.
    pub fn at(mut self, unix_time_s: i64) -> ChatTokenizer {
        self.now = DateTime::from_timestamp(unix_time_s, 0).unwrap_or(self.now);
        self
    }

    /// The largest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token before a text.
    pub fn bos_id(&self) -> Option<u32> {
        self.special.bos.as_ref().map(|token| token.0)
    }

    /// The token after a text.
    pub fn eos_id(&self) -> Option<u32> {
        self.special.eos.as_ref().map(|token| token.0)
    }

    /// The token that fills rows; `None` where the tokenizer names none, and any id will do.
    pub fn pad_id(&self) -> Option<u32> {
        self.special.pad.as_ref().map(|token| token.0)
    }

    /// Whether BOS is put before a text.
    pub fn adds_bos(&self) -> bool {
        let bos = self.bos_id();
        bos.is_some_and(|bos| self.special.prefix.contains(&bos))
    }

    /// What `strftime_now` tells a template, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now.timestamp()
    }

    /// The ids at which a model of this tokenizer stops, without repetition.
    ///
    /// These are EOS, the ids in `generation_config.json`, and the token with which the chat template ends an answer.
    pub fn stop_ids(&self) -> Vec<u32> {
        let eos = self.eos_id().into_iter();
        let all = eos
            .chain(self.files.model_ids("eos_token"))
            .chain(self.end_of_turn());
        let mut seen = HashSet::new();
        all.filter(|id| (*id as usize) < self.vocab_size && seen.insert(*id))
            .collect()
    }

    /// Whether messages can be encoded.
    pub fn has_template(&self) -> bool {
        self.template.is_some()
    }

    /// The text of the chat template in force.
    pub fn template_source(&self) -> Option<&str> {
        self.template.as_ref().map(ChatTemplate::source)
    }

    /// The ids of `text`; with `add_special`, between the tokens that the model expects around a text (BOS).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, TextError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(tokenizer_failed)?;
        let ids = encoding.get_ids();
        Ok(match add_special {
            true => [&self.special.prefix, ids, &self.special.suffix].concat(),
            false => ids.to_vec(),
        })
    }

    /// The ids of `text`, each with the bytes that it covers.
    ///
    /// Tokens that share a character each have that character's whole range.
    pub(crate) fn encode_with_ranges(
        &self,
        text: &str,
    ) -> Result<Vec<(u32, std::ops::Range<usize>)>, TextError> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(tokenizer_failed)?;
        let ranges = encoding
            .get_offsets()
            .iter()
            .map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(ranges).collect())
    }

    /// The text of `ids`; `skip_special` leaves special tokens out. Ids outside the vocabulary have no text.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
        let text = self.decode_as_it_is(ids, skip_special)?;
        Ok(match self.cleans_up {
            true => clean_up::clean(&text),
            false => text,
        })
    }

    /// [`Self::decode`] with every blank that the decoder writes.
    pub(crate) fn decode_as_it_is(
        &self,
        ids: &[u32],
        skip_special: bool,
    ) -> Result<String, TextError> {
        self.tokenizer
            .decode(ids, skip_special)
            .map_err(tokenizer_failed)
    }

    /// A decoder for ids that arrive one by one.
    pub fn stream(&self, skip_special: bool) -> StreamDecoder<'_> {
        StreamDecoder::new(self, skip_special)
    }

    /// One token for display: its text with its leading space, an unfinished character as `\u{FFFD}`.
    pub fn token(&self, id: u32) -> String {
        match self.tokenizer.id_to_token(id) {
            None => format!("<id {id}>"),
            Some(piece) if self.special.added.contains(&id) => piece,
            Some(piece) if self.is_byte_level => {
                let decoded = ByteLevel::default().decode_chain(vec![piece]);
                decoded.unwrap_or_default().concat()
            }
            Some(piece) => piece.replace('▁', " "),
        }
    }

    /// A token as the vocabulary spells it, if there is one.
    pub(crate) fn raw_token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// Checks that an embedding of `rows` rows has one for each id.
    ///
    /// # Errors
    /// Names the token with the largest id.
    pub fn check_fits(&self, rows: usize) -> Result<(), TextError> {
        if self.vocab_size <= rows {
            return Ok(());
        }
        let id = self.vocab_size as u32 - 1;
        let token = self.tokenizer.id_to_token(id).unwrap_or_default();
        Err(TextError::EmbeddingTooSmall { token, id, rows })
    }

    /// The files that an exported model needs, with the chat template in force.
    pub fn files(&self) -> Vec<TokenizerFile> {
        let mut files = self.files.copies();
        if let (true, Some(source)) = (self.template_is_foreign, self.template_source()) {
            files.retain(|file| file.name != TEMPLATE);
            let (name, bytes) = (TEMPLATE.to_string(), source.into());
            files.push(TokenizerFile { name, bytes });
        }
        files
    }

    pub(crate) fn require_template(&self) -> Result<&ChatTemplate, TextError> {
        let dir = || self.files.origin.clone();
        self.template
            .as_ref()
            .ok_or_else(|| TextError::NoTemplate { dir: dir() })
    }

    pub(crate) fn require_eos(&self) -> Result<u32, TextError> {
        let dir = || self.files.origin.clone();
        self.eos_id().ok_or_else(|| TextError::NoEos { dir: dir() })
    }
}

fn parse_tokenizer(files: &TokenizerFiles) -> Result<Tokenizer, TextError> {
    let invalid = |error: tokenizers::Error| TextError::InvalidTokenizer {
        path: files.origin.join(TOKENIZER),
        reason: error.to_string(),
    };
    let bytes = files.bytes(TOKENIZER).unwrap_or_default();
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(invalid)?;
    tokenizer
        .with_truncation(None)
        .map_err(invalid)?
        .with_padding(None);
    Ok(tokenizer)
}

/// Whether the pieces of a vocabulary spell bytes (GPT-2's alphabet) and not text.
fn is_byte_level(decoder: Option<&DecoderWrapper>) -> bool {
    match decoder {
        Some(DecoderWrapper::ByteLevel(_)) => true,
        Some(DecoderWrapper::Sequence(parts)) => parts
            .get_decoders()
            .iter()
            .any(|part| is_byte_level(Some(part))),
        _ => false,
    }
}
