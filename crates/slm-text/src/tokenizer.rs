//! A tokenizer together with its chat template.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chrono::Utc;
use minijinja::value::{Serde, Value};
use serde_json::Map;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, Decoder, Tokenizer};

use crate::chat_template::ChatTemplate;
use crate::error::tokenizer_failed;
use crate::tokenizer_files::{self, Named, TokenizerFile, TokenizerFiles};
use crate::{Message, StreamDecoder, TextError};

/// Text to ids and back, with the chat template of the same model.
///
/// Encodes as transformers does; see [`ChatTokenizer::load`] for what is read.
#[derive(Debug)]
pub struct ChatTokenizer {
    files: TokenizerFiles,
    /// Without post-processor, truncation and padding: ids of a text and nothing else, with untrimmed offsets.
    tokenizer: Tokenizer,
    /// Ids before a text that is encoded with special tokens: usually BOS, or none.
    prefix: Vec<u32>,
    /// Ids after such a text: usually none.
    suffix: Vec<u32>,
    bos: Option<(u32, String)>,
    eos: Option<(u32, String)>,
    pad: Option<u32>,
    template: Option<ChatTemplate>,
    template_is_foreign: bool,
    vocab_size: usize,
    added: AddedTokens,
}

/// The tokens that are matched as a whole in any text, special or not.
#[derive(Debug)]
struct AddedTokens {
    ids: HashSet<u32>,
    /// Longest first.
    texts: Vec<(String, u32)>,
}

/// What a chat template may read besides the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateArguments {
    /// Whether to end with the header of an answer that is still to be written.
    pub add_generation_prompt: bool,
    /// Tool descriptions (JSON schemas).
    pub tools: Vec<serde_json::Value>,
    /// Documents to answer from.
    pub documents: Vec<serde_json::Value>,
    /// Further variables, such as `enable_thinking`.
    pub extra: Map<String, serde_json::Value>,
}

impl TemplateArguments {
    /// For a prompt that the model is to answer.
    pub fn prompt() -> TemplateArguments {
        TemplateArguments {
            add_generation_prompt: true,
            ..TemplateArguments::default()
        }
    }
}

impl ChatTokenizer {
    /// Loads the tokenizer in the folder `dir`.
    ///
    /// Read are `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `chat_template.jinja`, and for
    /// missing special tokens `generation_config.json` and `config.json`. `template` is `auto` for the folder's own
    /// chat template (`chat_template.jinja` wins over the one in `tokenizer_config.json`), or the path of a file.
    ///
    /// # Errors
    /// No `tokenizer.json` (a lone `tokenizer.model` has its own error, with the command that converts it), a file that does
    /// not parse, files that contradict each other, a template that does not compile.
    pub fn load(dir: &Path, template: &str) -> Result<ChatTokenizer, TextError> {
        let files = TokenizerFiles::read(dir)?;
        let mut tokenizer = read_tokenizer(&dir.join(tokenizer_files::TOKENIZER))?;
        add_listed_tokens(&mut tokenizer, &files)?;
        let bos = required_token(&tokenizer, &files, "bos_token")?;
        let eos = required_token(&tokenizer, &files, "eos_token")?;
        let pad = find_token(&tokenizer, &files.special_token("pad_token")).map(|(id, _)| id);
        let (prefix, suffix) = affixes(&mut tokenizer, &files, bos.as_ref(), eos.as_ref())?;

        let template_is_foreign = template != "auto";
        let text = match template_is_foreign {
            true => Some(tokenizer_files::read_template(Path::new(template))?),
            false => files.template()?,
        };
        let template = text
            .map(|t| ChatTemplate::compile(&t.text, t.tool_use.as_deref(), &t.origin, Utc::now()))
            .transpose()?;
        let vocab_size = tokenizer
            .get_vocab(true)
            .into_values()
            .max()
            .map_or(0, |id| id as usize + 1);
        let added = AddedTokens::of(&tokenizer);
        Ok(ChatTokenizer {
            files,
            tokenizer,
            prefix,
            suffix,
            bos,
            eos,
            pad,
            template,
            template_is_foreign,
            vocab_size,
            added,
        })
    }

    /// The largest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token before a text.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos.as_ref().map(|(id, _)| *id)
    }

    /// The token after a text.
    pub fn eos_id(&self) -> Option<u32> {
        self.eos.as_ref().map(|(id, _)| *id)
    }

    /// The token that fills rows; `None` where the tokenizer names none, and any id will do.
    pub fn pad_id(&self) -> Option<u32> {
        self.pad
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
        if !add_special {
            return Ok(encoding.get_ids().to_vec());
        }
        Ok([&self.prefix, encoding.get_ids(), &self.suffix].concat())
    }

    /// The ids of `text` and the byte range that each of them covers.
    ///
    /// Tokens that share a character have that character's whole range.
    pub(crate) fn encode_with_ranges(
        &self,
        text: &str,
    ) -> Result<(Vec<u32>, Vec<(usize, usize)>), TextError> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(tokenizer_failed)?;
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()))
    }

    /// The ids put before a text, usually BOS or nothing.
    pub(crate) fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// The text of `ids`; `skip_special` leaves special tokens out. Ids outside the vocabulary have no text.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
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
        let Some(piece) = self.tokenizer.id_to_token(id) else {
            return format!("<id {id}>");
        };
        if self.added.ids.contains(&id) {
            return piece;
        }
        let is_byte_level = serde_json::to_string(&self.tokenizer.get_decoder())
            .is_ok_and(|d| d.contains("ByteLevel"));
        match is_byte_level {
            true => ByteLevel::default()
                .decode_chain(vec![piece])
                .unwrap_or_default()
                .concat(),
            false => piece.replace('▁', " "),
        }
    }

    /// Renders `messages` through the chat template.
    ///
    /// # Errors
    /// There is no template, or it refuses the messages.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        self.render_with(
            messages,
            &TemplateArguments {
                add_generation_prompt,
                ..TemplateArguments::default()
            },
        )
    }

    /// Renders `messages` with tools, documents and further variables.
    pub fn render_with(
        &self,
        messages: &[Message],
        arguments: &TemplateArguments,
    ) -> Result<String, TextError> {
        self.render_values(
            messages
                .iter()
                .map(|message| Value::from(Serde(message)))
                .collect(),
            arguments,
        )
    }

    pub(crate) fn render_values(
        &self,
        messages: Vec<Value>,
        arguments: &TemplateArguments,
    ) -> Result<String, TextError> {
        let template = self
            .template
            .as_ref()
            .ok_or_else(|| TextError::NoTemplate {
                dir: self.files.dir.clone(),
            })?;
        let list_or_none = |items: &[serde_json::Value]| match items {
            [] => Value::from(()),
            items => Value::from(Serde(items)),
        };
        // As in transformers, a special token that the model lacks stays undefined, and so renders as nothing.
        let tokens = self
            .files
            .template_tokens()
            .into_iter()
            .map(|(key, text)| (key, Value::from(text)));
        let found = [("bos_token", &self.bos), ("eos_token", &self.eos)];
        let found = found
            .into_iter()
            .filter_map(|(key, t)| Some((key.to_string(), Value::from(t.as_ref()?.1.clone()))));
        let given = [
            ("messages".to_string(), Value::from(messages)),
            ("tools".to_string(), list_or_none(&arguments.tools)),
            ("documents".to_string(), list_or_none(&arguments.documents)),
            (
                "add_generation_prompt".to_string(),
                Value::from(arguments.add_generation_prompt),
            ),
        ];
        let extra = arguments
            .extra
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(Serde(value))));
        let variables: Value = tokens.chain(found).chain(given).chain(extra).collect();
        template.render(variables, !arguments.tools.is_empty())
    }

    /// The ids of a prompt: `messages`, then the header of the answer.
    ///
    /// No special token is added beyond those that the template writes.
    pub fn render_prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, TextError> {
        self.encode(&self.render(messages, true)?, false)
    }

    /// The text of the end-of-text token.
    pub(crate) fn eos_text(&self) -> Option<&str> {
        self.eos.as_ref().map(|(_, text)| text.as_str())
    }

    /// The id of the end-of-text token, where one is needed.
    pub(crate) fn require_eos(&self) -> Result<u32, TextError> {
        self.eos_id().ok_or_else(|| TextError::NoEos {
            dir: self.files.dir.clone(),
        })
    }

    /// The added token at the start of `text` that may end a turn: any but BOS.
    pub(crate) fn end_token_at(&self, text: &str) -> Option<&(String, u32)> {
        let is_bos = |id: u32| self.bos_id() == Some(id) && self.eos_id() != Some(id);
        self.added
            .texts
            .iter()
            .find(|(token, id)| text.starts_with(token.as_str()) && !is_bos(*id))
    }

    /// The ids at which a model of this tokenizer stops, without repetition.
    ///
    /// These are EOS, the ids in `generation_config.json`, and the token with which the chat template ends an answer.
    pub fn stop_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self
            .eos_id()
            .into_iter()
            .chain(self.files.model_ids("eos_token"))
            .collect();
        ids.extend(self.end_of_turn());
        let mut seen = HashSet::new();
        ids.retain(|id| (*id as usize) < self.vocab_size && seen.insert(*id));
        ids
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
    pub fn files(&self) -> Result<Vec<TokenizerFile>, TextError> {
        let mut files = self.files.copies()?;
        if let (true, Some(source)) = (self.template_is_foreign, self.template_source()) {
            files.retain(|file| file.name != tokenizer_files::TEMPLATE);
            files.push(TokenizerFile {
                name: tokenizer_files::TEMPLATE.into(),
                bytes: source.into(),
            });
        }
        Ok(files)
    }
}

impl AddedTokens {
    fn of(tokenizer: &Tokenizer) -> AddedTokens {
        let decoder = tokenizer.get_added_tokens_decoder();
        let mut texts: Vec<_> = decoder
            .iter()
            .filter(|(_, token)| !token.content.trim().is_empty())
            .map(|(id, token)| (token.content.clone(), *id))
            .collect();
        texts.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        AddedTokens {
            ids: decoder.keys().copied().collect(),
            texts,
        }
    }
}

fn read_tokenizer(path: &PathBuf) -> Result<Tokenizer, TextError> {
    let bytes = fs_err::read(path)?;
    let invalid = |e: tokenizers::Error| TextError::InvalidTokenizer {
        path: path.clone(),
        reason: e.to_string(),
    };
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(invalid)?;
    tokenizer
        .with_truncation(None)
        .map_err(invalid)?
        .with_padding(None);
    Ok(tokenizer)
}

/// Adds the tokens that `tokenizer_config.json` lists and `tokenizer.json` lacks, as transformers does.
fn add_listed_tokens(tokenizer: &mut Tokenizer, files: &TokenizerFiles) -> Result<(), TextError> {
    for (&config_id, field) in files.added_tokens() {
        if tokenizer.token_to_id(&field.content).is_none()
            && tokenizer.id_to_token(config_id).is_none()
        {
            let token = AddedToken::from(field.content.clone(), field.special)
                .lstrip(field.lstrip)
                .rstrip(field.rstrip)
                .single_word(field.single_word)
                .normalized(field.normalized);
            tokenizer.add_tokens([token]).map_err(tokenizer_failed)?;
        }
        let id = tokenizer.token_to_id(&field.content);
        if id != Some(config_id) {
            let found = id.map(|id| format!("the id {id}")).or_else(|| {
                tokenizer
                    .id_to_token(config_id)
                    .map(|token| format!("gives that id to `{token}`"))
            });
            return Err(TextError::AddedTokenMismatch {
                token: field.content.clone(),
                config_id,
                found,
            });
        }
    }
    Ok(())
}

fn find_token(tokenizer: &Tokenizer, named: &Named) -> Option<(u32, String)> {
    match named {
        Named::Text(text) => Some((tokenizer.token_to_id(text)?, text.clone())),
        Named::Id(id) => Some((*id, tokenizer.id_to_token(*id)?)),
        Named::Nothing => None,
    }
}

fn required_token(
    tokenizer: &Tokenizer,
    files: &TokenizerFiles,
    key: &'static str,
) -> Result<Option<(u32, String)>, TextError> {
    let named = files.special_token(key);
    let found = find_token(tokenizer, &named);
    let token = match (&named, &found) {
        (Named::Text(text), None) => text.clone(),
        (Named::Id(id), None) => id.to_string(),
        _ => return Ok(found),
    };
    Err(TextError::UnknownSpecialToken {
        dir: files.dir.clone(),
        key,
        token,
    })
}

/// Takes the post-processor off `tokenizer` and returns what it put before and after a text.
///
/// The post-processor of `tokenizer.json` may also trim offsets, which would move spans; so it is asked once, here.
fn affixes(
    tokenizer: &mut Tokenizer,
    files: &TokenizerFiles,
    bos: Option<&(u32, String)>,
    eos: Option<&(u32, String)>,
) -> Result<(Vec<u32>, Vec<u32>), TextError> {
    const PROBE: &str = "a";
    let ids = |tokenizer: &Tokenizer, special| {
        tokenizer
            .encode_fast(PROBE, special)
            .map(|e| e.get_ids().to_vec())
            .map_err(tokenizer_failed)
    };
    let whole = ids(tokenizer, true)?;
    let has_processor = tokenizer.get_post_processor().is_some();
    tokenizer.with_post_processor(None::<PostProcessorWrapper>);
    let bare = ids(tokenizer, false)?;
    let at = whole
        .windows(bare.len().max(1))
        .position(|window| window == bare)
        .ok_or_else(|| {
            let path = files.dir.join(tokenizer_files::TOKENIZER);
            TextError::InvalidTokenizer {
                path,
                reason: "its post-processor changes the text's own tokens".into(),
            }
        })?;

    let id =
        |token: Option<&(u32, String)>| token.map(|(id, _)| *id).into_iter().collect::<Vec<_>>();
    let chosen = |class_says: Option<bool>, wanted: bool, token, found: &[u32]| match class_says {
        Some(true) => id(token),
        Some(false) => Vec::new(),
        None if !has_processor && wanted => id(token),
        None => found.to_vec(),
    };
    let prefix = chosen(files.adds_bos(), files.wants_bos(), bos, &whole[..at]);
    let suffix = chosen(
        files.adds_eos(),
        files.wants_eos(),
        eos,
        &whole[at + bare.len()..],
    );
    Ok((prefix, suffix))
}
