//! The files around a tokenizer, as transformers lays them out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::TextError;
use crate::template_text::{TemplateField, TemplateText};

pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const CONFIG: &str = "tokenizer_config.json";
pub(crate) const TEMPLATE: &str = "chat_template.jinja";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const SENTENCEPIECE: &str = "tokenizer.model";
/// Files of the model that name special tokens; the first that has a key wins.
const MODELS: [&str; 2] = ["generation_config.json", "config.json"];
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
    clean_up_tokenization_spaces: Option<bool>,
    #[serde(default)]
    clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output: bool,
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

/// A tokenizer's files, and what those beside `tokenizer.json` say.
#[derive(Debug)]
pub(crate) struct TokenizerFiles {
    /// The folder that they come from, or the file that they were made of.
    pub(crate) origin: PathBuf,
    files: Vec<TokenizerFile>,
    config: TokenizerConfig,
    special_tokens: BTreeMap<String, Value>,
    /// Those of [`MODELS`] that are there.
    models: Vec<BTreeMap<String, Value>>,
}

impl TokenizerFiles {
    /// Reads the files of the folder `dir`.
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
        let mut files = Vec::new();
        for name in COPIED.iter().chain([&TEMPLATE]).chain(&MODELS) {
            let path = dir.join(name);
            if path.is_file() {
                files.push(TokenizerFile {
                    name: (*name).into(),
                    bytes: fs_err::read(path)?,
                });
            }
        }
        Self::parse(dir, files)
    }

    /// What `files` say, which come from `origin`.
    ///
    /// # Errors
    /// One of them is not JSON.
    pub(crate) fn parse(
        origin: &Path,
        files: Vec<TokenizerFile>,
    ) -> Result<TokenizerFiles, TextError> {
        Ok(TokenizerFiles {
            config: parse_json(origin, &files, CONFIG)?.unwrap_or_default(),
            special_tokens: parse_json(origin, &files, SPECIAL_TOKENS)?.unwrap_or_default(),
            models: MODELS
                .iter()
                .filter_map(|name| parse_json(origin, &files, name).transpose())
                .collect::<Result<_, _>>()?,
            origin: origin.to_path_buf(),
            files,
        })
    }

    /// The bytes of one of the files.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        find(&self.files, name)
    }

    /// What `key` (`bos_token`, `eos_token`, `pad_token`, ..) names.
    ///
    /// `tokenizer_config.json` counts first, then `special_tokens_map.json`. An id from `generation_config.json` or
    /// `config.json` counts where neither has the key; for `eos_token` also where they say `null`, because without
    /// one nothing ever ends.
    pub(crate) fn special_token(&self, key: &str) -> Named {
        match self.said(key).map(token_text) {
            Some(Some(text)) => Named::Text(text),
            Some(None) if key != "eos_token" => Named::Nothing,
            _ => self
                .model_ids(key)
                .first()
                .map_or(Named::Nothing, |id| Named::Id(*id)),
        }
    }

    /// The entry of `tokenizer_config.json` for `key`, or else that of `special_tokens_map.json`.
    fn said(&self, key: &str) -> Option<&Value> {
        let entry = self.config.rest.get(key);
        entry.or_else(|| self.special_tokens.get(key))
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

    /// Whether BOS is put before a text; `None` leaves it to the post-processor of `tokenizer.json`.
    ///
    /// transformers builds the post-processor of its Llama classes anew from `add_bos_token` and `add_eos_token`,
    /// whatever `tokenizer.json` has; every other class takes it as it is. Where there is none, a key that asks for a
    /// token is honoured.
    pub(crate) fn adds_bos(&self, has_processor: bool) -> Option<bool> {
        self.adds(self.config.add_bos_token, true, has_processor)
    }

    /// Whether EOS is put behind a text, as [`Self::adds_bos`].
    pub(crate) fn adds_eos(&self, has_processor: bool) -> Option<bool> {
        self.adds(self.config.add_eos_token, false, has_processor)
    }

    fn adds(&self, said: Option<bool>, llama_default: bool, has_processor: bool) -> Option<bool> {
        match self.is_llama_class() {
            true => Some(said.unwrap_or(llama_default)),
            false => said.filter(|adds| *adds && !has_processor),
        }
    }

    fn is_llama_class(&self) -> bool {
        let class = self.config.tokenizer_class.as_deref().unwrap_or_default();
        matches!(
            class.strip_suffix("Fast").unwrap_or(class),
            "LlamaTokenizer" | "CodeLlamaTokenizer"
        )
    }

    /// Whether blanks before punctuation are taken out of a decoded text. As in transformers 5, `clean_up_tokenization_spaces`
    /// does not count for BPE, whose blanks are the text's own, unless a second key insists.
    pub(crate) fn cleans_up(&self, is_bpe: bool) -> bool {
        let insists = self
            .config
            .clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output;
        self.config.clean_up_tokenization_spaces == Some(true) && (!is_bpe || insists)
    }

    /// The tokens that `tokenizer_config.json` lists by id.
    pub(crate) fn added_tokens(&self) -> &BTreeMap<u32, AddedTokenField> {
        &self.config.added_tokens_decoder
    }

    /// The special tokens that a template may name (`bos_token`, `eos_token`, `unk_token`, ..).
    pub(crate) fn template_tokens(&self) -> BTreeMap<String, String> {
        let keys = self.special_tokens.keys().chain(self.config.rest.keys());
        let keys = keys.filter(|key| key.ends_with("_token"));
        keys.filter_map(|key| Some((key.clone(), token_text(self.said(key)?)?)))
            .collect()
    }

    /// The tokenizer's own chat template: `chat_template.jinja`, or else the one in `tokenizer_config.json`.
    pub(crate) fn template(&self) -> Result<Option<TemplateText>, TextError> {
        let origin = self.origin.join(TEMPLATE);
        match (self.bytes(TEMPLATE), &self.config.chat_template) {
            (Some(bytes), _) => TemplateText::parse(&origin, bytes).map(Some),
            (None, Some(field)) => field.choose(CONFIG).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The files that belong to the tokenizer.
    pub(crate) fn copies(&self) -> Vec<TokenizerFile> {
        let is_own = |file: &&TokenizerFile| !MODELS.contains(&file.name.as_str());
        self.files.iter().filter(is_own).cloned().collect()
    }
}

/// A special token is written as a string, or as an object with `content`.
fn token_text(value: &Value) -> Option<String> {
    value
        .as_str()
        .or_else(|| value.get("content")?.as_str())
        .map(str::to_owned)
}

fn find<'a>(files: &'a [TokenizerFile], name: &str) -> Option<&'a [u8]> {
    let file = files.iter().find(|file| file.name == name);
    file.map(|file| file.bytes.as_slice())
}

fn parse_json<T: DeserializeOwned>(
    origin: &Path,
    files: &[TokenizerFile],
    name: &str,
) -> Result<Option<T>, TextError> {
    let parse = |bytes| {
        serde_json::from_slice(bytes).map_err(|source| TextError::Json {
            path: origin.join(name),
            source,
        })
    };
    find(files, name).map(parse).transpose()
}
