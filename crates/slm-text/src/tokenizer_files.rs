//! The files around a tokenizer, as transformers lays them out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::TextError;

pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const CONFIG: &str = "tokenizer_config.json";
pub(crate) const TEMPLATE: &str = "chat_template.jinja";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const SENTENCEPIECE: &str = "tokenizer.model";
/// What a tokenizer may consist of, in the order in which it is copied.
const COPIED: [&str; 7] = [
    TOKENIZER,
    CONFIG,
    SPECIAL_TOKENS,
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    SENTENCEPIECE,
];

/// One file to be copied along with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFile {
    /// Its name inside the model's folder.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// `tokenizer_config.json`, as far as it is read.
#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    #[serde(default)]
    tokenizer_class: Option<String>,
    #[serde(default)]
    add_bos_token: Option<bool>,
    #[serde(default)]
    add_eos_token: Option<bool>,
    #[serde(default)]
    chat_template: Option<TemplateField>,
    #[serde(default)]
    added_tokens_decoder: BTreeMap<u32, AddedTokenField>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// An entry of `added_tokens_decoder`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AddedTokenField {
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) lstrip: bool,
    #[serde(default)]
    pub(crate) rstrip: bool,
    #[serde(default)]
    pub(crate) single_word: bool,
    #[serde(default)]
    pub(crate) normalized: bool,
    #[serde(default)]
    pub(crate) special: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TemplateField {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

/// A chat template's text and where it came from.
#[derive(Debug)]
pub(crate) struct TemplateText {
    pub(crate) origin: String,
    pub(crate) text: String,
    pub(crate) tool_use: Option<String>,
}

/// What a key says about a special token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Named {
    /// This token.
    Text(String),
    /// This id (`config.json`, `generation_config.json`).
    Id(u32),
    /// Nowhere named, or named `null`.
    Nothing,
}

/// Everything that the files beside `tokenizer.json` say.
#[derive(Debug)]
pub(crate) struct TokenizerFiles {
    pub(crate) dir: PathBuf,
    config: TokenizerConfig,
    special_tokens: BTreeMap<String, Value>,
    /// `generation_config.json`, then `config.json`: the first that has a key wins.
    models: Vec<BTreeMap<String, Value>>,
}

impl TokenizerFiles {
    /// Reads the small files of `dir`.
    ///
    /// # Errors
    /// There is no `tokenizer.json`, or one of the others is not JSON.
    pub(crate) fn read(dir: &Path) -> Result<TokenizerFiles, TextError> {
        if !dir.join(TOKENIZER).is_file() {
            let dir = dir.to_path_buf();
            return Err(match dir.join(SENTENCEPIECE).is_file() {
                true => TextError::SentencePieceOnly { dir },
                false => TextError::NoTokenizer { dir },
            });
        }
        Ok(TokenizerFiles {
            dir: dir.to_path_buf(),
            config: read_json(&dir.join(CONFIG))?.unwrap_or_default(),
            special_tokens: read_json(&dir.join(SPECIAL_TOKENS))?.unwrap_or_default(),
            models: ["generation_config.json", "config.json"]
                .iter()
                .filter_map(|name| read_json(&dir.join(name)).transpose())
                .collect::<Result<_, _>>()?,
        })
    }

    /// What `key` (`bos_token`, `eos_token`, `pad_token`, ..) names.
    ///
    /// `tokenizer_config.json` counts first, then `special_tokens_map.json`. An id from `generation_config.json` or
    /// `config.json` counts where neither has the key; for `eos_token` also where they say `null`, because without
    /// one nothing ever ends.
    pub(crate) fn special_token(&self, key: &str) -> Named {
        let said = self
            .config
            .rest
            .get(key)
            .or_else(|| self.special_tokens.get(key));
        match said.map(token_text) {
            Some(Some(text)) => Named::Text(text),
            Some(None) if key != "eos_token" => Named::Nothing,
            _ => self
                .model_ids(key)
                .first()
                .map_or(Named::Nothing, |id| Named::Id(*id)),
        }
    }

    /// The ids that `generation_config.json`, or else `config.json`, gives for `key`.
    pub(crate) fn model_ids(&self, key: &str) -> Vec<u32> {
        let key = format!("{key}_id");
        let found = self
            .models
            .iter()
            .find_map(|model| model.get(&key).filter(|value| !value.is_null()));
        let ids = match found {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).collect(),
            Some(id) => id.as_u64().into_iter().collect::<Vec<_>>(),
            None => Vec::new(),
        };
        ids.into_iter()
            .filter_map(|id| u32::try_from(id).ok())
            .collect()
    }

    /// Whether BOS is to be added: `None` leaves it to `tokenizer.json`.
    ///
    /// transformers builds the post-processor of its Llama classes anew from these keys, whatever `tokenizer.json`
    /// has; every other class takes `tokenizer.json` as it is.
    pub(crate) fn adds_bos(&self) -> Option<bool> {
        match self.is_llama_class() {
            true => Some(self.config.add_bos_token.unwrap_or(true)),
            false => None,
        }
    }

    /// Whether EOS is to be added, as [`Self::adds_bos`].
    pub(crate) fn adds_eos(&self) -> Option<bool> {
        match self.is_llama_class() {
            true => Some(self.config.add_eos_token.unwrap_or(false)),
            false => None,
        }
    }

    /// Whether `add_bos_token` is set, for tokenizers whose `tokenizer.json` has no post-processor.
    pub(crate) fn wants_bos(&self) -> bool {
        self.config.add_bos_token == Some(true)
    }

    /// Whether `add_eos_token` is set, for tokenizers whose `tokenizer.json` has no post-processor.
    pub(crate) fn wants_eos(&self) -> bool {
        self.config.add_eos_token == Some(true)
    }

    fn is_llama_class(&self) -> bool {
        let class = self.config.tokenizer_class.as_deref().unwrap_or_default();
        [
            "LlamaTokenizer",
            "LlamaTokenizerFast",
            "CodeLlamaTokenizer",
            "CodeLlamaTokenizerFast",
        ]
        .contains(&class)
    }

    /// The tokens that `tokenizer_config.json` lists by id.
    pub(crate) fn added_tokens(&self) -> &BTreeMap<u32, AddedTokenField> {
        &self.config.added_tokens_decoder
    }

    /// The special tokens that a template may name (`bos_token`, `eos_token`, `unk_token`, ..).
    pub(crate) fn template_tokens(&self) -> BTreeMap<String, String> {
        let named = self
            .special_tokens
            .iter()
            .chain(&self.config.rest)
            .filter(|(key, _)| key.ends_with("_token"));
        named
            .filter_map(|(key, value)| Some((key.clone(), token_text(value)?)))
            .collect()
    }

    /// The folder's chat template: `chat_template.jinja`, or else the one in `tokenizer_config.json`.
    pub(crate) fn template(&self) -> Result<Option<TemplateText>, TextError> {
        let path = self.dir.join(TEMPLATE);
        if path.is_file() {
            return read_template(&path).map(Some);
        }
        let origin = CONFIG.to_string();
        match &self.config.chat_template {
            None => Ok(None),
            Some(TemplateField::One(text)) => Ok(Some(TemplateText {
                origin,
                text: text.clone(),
                tool_use: None,
            })),
            Some(TemplateField::Named(all)) => {
                let named = |name| {
                    all.iter()
                        .find(|entry| entry.name == name)
                        .map(|entry| entry.template.clone())
                };
                match named("default") {
                    Some(text) => Ok(Some(TemplateText {
                        origin,
                        text,
                        tool_use: named("tool_use"),
                    })),
                    None => Err(TextError::AmbiguousTemplate {
                        names: all
                            .iter()
                            .map(|entry| format!("`{}`", entry.name))
                            .collect(),
                    }),
                }
            }
        }
    }

    /// The files of the folder that belong to the tokenizer.
    pub(crate) fn copies(&self) -> Result<Vec<TokenizerFile>, TextError> {
        let mut files = Vec::new();
        for name in COPIED.iter().chain([&TEMPLATE]) {
            let path = self.dir.join(name);
            if path.is_file() {
                files.push(TokenizerFile {
                    name: (*name).into(),
                    bytes: fs_err::read(path)?,
                });
            }
        }
        Ok(files)
    }
}

/// A chat template from a file of its own.
pub(crate) fn read_template(path: &Path) -> Result<TemplateText, TextError> {
    let text = fs_err::read_to_string(path)?;
    Ok(TemplateText {
        origin: path.display().to_string(),
        text,
        tool_use: None,
    })
}

/// A special token is written as a string, or as an object with `content`.
fn token_text(value: &Value) -> Option<String> {
    value
        .as_str()
        .or_else(|| value.get("content")?.as_str())
        .map(str::to_owned)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TextError> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs_err::read(path)?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| TextError::Json {
            path: path.into(),
            source,
        })
}
