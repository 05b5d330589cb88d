//! The tokenizer that a GGUF file describes, made from the file alone.
//!
//! It is what llama.cpp makes of the same keys, in the terms of `tokenizer.json`: its `gpt2` is BPE over bytes with the file's
//! merges; its `llama` joins the two neighbours whose token has the highest score.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use slm_gguf::{Metadata, Reader, keys, keys::token_type};
use slm_text::{ChatTokenizer, TokenizerFile};

use crate::ExportError;
use crate::pre_tokenizer::pre_tokenizer_json;

/// Reads the tokenizer in the GGUF file at `path`.
///
/// # Errors
/// [`ExportError::Gguf`] where a key is missing; [`ExportError::UnreadableTokenizer`] for one of another kind, or keys that do not fit
/// together; [`ExportError::Text`] for a chat template that does not compile.
pub fn read_gguf_tokenizer(path: &Path) -> Result<ChatTokenizer, ExportError> {
    let reader = Reader::open(path)?;
    let vocabulary = Vocabulary::read(path, reader.metadata())?;
    Ok(ChatTokenizer::from_files(path, vocabulary.files()?)?)
}

/// The keys about the tokenizer.
struct Vocabulary<'a> {
    path: &'a Path,
    metadata: &'a Metadata,
    tokens: Vec<String>,
    types: Vec<i32>,
}

impl<'a> Vocabulary<'a> {
    fn read(path: &'a Path, metadata: &'a Metadata) -> Result<Self, ExportError> {
        use keys::tokenizer as key;
        let tokens = metadata.require(&key::TOKENS)?;
        let types = metadata.get(&key::TOKEN_TYPE)?;
        let types = types.unwrap_or_else(|| vec![token_type::NORMAL; tokens.len()]);
        let vocabulary = Self {
            path,
            metadata,
            tokens,
            types,
        };
        vocabulary.ensure(
            vocabulary.types.len() == vocabulary.tokens.len(),
            || {
                format!(
                    "{} types of {} tokens",
                    vocabulary.types.len(),
                    vocabulary.tokens.len()
                )
            },
            "one type for each token",
        )?;
        Ok(vocabulary)
    }

    fn ensure(
        &self,
        holds: bool,
        found: impl FnOnce() -> String,
        needed: &'static str,
    ) -> Result<(), ExportError> {
        match holds {
            true => Ok(()),
            false => Err(ExportError::UnreadableTokenizer {
                path: self.path.into(),
                found: found(),
                needed,
            }),
        }
    }

    /// The files of a folder in Hugging Face format that say the same.
    fn files(&self) -> Result<Vec<TokenizerFile>, ExportError> {
        use keys::tokenizer as key;
        let file = |name: &str, bytes: Vec<u8>| TokenizerFile {
            name: name.into(),
            bytes,
        };
        let mut files = vec![
            file("tokenizer.json", self.tokenizer_json()?.to_string().into()),
            file("tokenizer_config.json", self.config()?.to_string().into()),
            file("generation_config.json", self.stops()?.to_string().into()),
        ];
        if let Some(template) = self.metadata.get(&key::CHAT_TEMPLATE)? {
            files.push(file("chat_template.jinja", template.into()));
        }
        Ok(files)
    }

    fn tokenizer_json(&self) -> Result<Value, ExportError> {
        let kind = self.metadata.require(&keys::tokenizer::MODEL)?;
        let mut json = match kind.as_str() {
            "gpt2" => self.byte_level()?,
            "llama" => self.sentencepiece()?,
            _ => {
                let found = || format!("a tokenizer of the kind `{kind}`");
                self.ensure(false, found, "`gpt2` (BPE over bytes) or `llama`")?;
                Value::Null
            }
        };
        json["added_tokens"] = self.added_tokens();
        json["post_processor"] = self.post_processor()?;
        Ok(json)
    }

    fn byte_level(&self) -> Result<Value, ExportError> {
        use keys::tokenizer as key;
        let pre = self.metadata.get(&key::PRE)?;
        let pre = pre.unwrap_or_else(|| "default".into());
        let pre_tokenizer = pre_tokenizer_json(&pre);
        self.ensure(
            pre_tokenizer.is_some(),
            || format!("the pre-tokenizer `{pre}`"),
            "one that slm-tune knows: see `tokenizer.ggml.pre`",
        )?;
        let merges = self.metadata.require(&key::MERGES)?;
        Ok(json!({
            "version": "1.0",
            "normalizer": null,
            "pre_tokenizer": pre_tokenizer,
            "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "model": {
                "type": "BPE", "vocab": self.vocab(), "merges": pairs(&merges),
                "ignore_merges": pre == "llama-bpe", "byte_fallback": false, "fuse_unk": false,
            },
        }))
    }

    fn sentencepiece(&self) -> Result<Value, ExportError> {
        use keys::tokenizer as key;
        let scores = self.metadata.require(&key::SCORES)?;
        self.ensure(
            scores.len() == self.tokens.len(),
            || format!("{} scores of {} tokens", scores.len(), self.tokens.len()),
            "one score for each token",
        )?;
        let adds_space = self.metadata.get(&key::ADD_SPACE_PREFIX)?.unwrap_or(true);
        let unknown = self.metadata.get(&key::UNKNOWN_TOKEN_ID)?;
        let unknown = unknown.and_then(|id| self.tokens.get(id as usize));
        let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let normalizers = match adds_space {
            true => json!([{"type": "Prepend", "prepend": "▁"}, replace]),
            false => json!([replace]),
        };
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if adds_space {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        Ok(json!({
            "version": "1.0",
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "pre_tokenizer": null,
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {
                "type": "BPE", "vocab": self.vocab(), "merges": self.joins(&scores),
                "unk_token": unknown, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            },
        }))
    }

    /// Ids by token; an id without a token has none.
    fn vocab(&self) -> Map<String, Value> {
        let used = self.used();
        used.map(|(id, token, _)| (token.to_string(), id.into()))
            .collect()
    }

    fn used(&self) -> impl Iterator<Item = (usize, &str, i32)> {
        let tokens = self.tokens.iter().zip(&self.types).enumerate();
        let tokens = tokens.map(|(id, (token, &kind))| (id, token.as_str(), kind));
        tokens.filter(|(_, _, kind)| *kind != token_type::UNUSED)
    }

    /// Every pair of tokens that makes a third, the highest score first.
    fn joins(&self, scores: &[f32]) -> Vec<[String; 2]> {
        let pieces = self.used().filter(|(_, _, kind)| is_piece(*kind));
        let ids: HashMap<&str, usize> = pieces.map(|(id, token, _)| (token, id)).collect();
        let mut joins = Vec::new();
        for (&token, &id) in &ids {
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if ids.contains_key(left) && ids.contains_key(right) {
                    joins.push((scores[id], id, left, right));
                }
            }
        }
        joins.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let pair = |(_, _, left, right): (f32, usize, &str, &str)| [left.into(), right.into()];
        joins.into_iter().map(pair).collect()
    }

    /// Tokens that are looked for in the text itself.
    fn added_tokens(&self) -> Value {
        let added = self.used().filter_map(|(id, token, kind)| {
            let is_special = match kind {
                token_type::CONTROL | token_type::UNKNOWN => true,
                token_type::USER_DEFINED => false,
                _ => return None,
            };
            Some(json!({
                "id": id, "content": token, "special": is_special,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            }))
        });
        added.collect()
    }

    /// What comes before and after a text.
    fn post_processor(&self) -> Result<Value, ExportError> {
        use keys::tokenizer as key;
        let is_llama = self.metadata.require(&key::MODEL)? == "llama";
        let adds = |key, or| Ok::<_, ExportError>(self.metadata.get(&key)?.unwrap_or(or));
        let bos = self.special(&key::BOS_TOKEN_ID)?;
        let eos = self.special(&key::EOS_TOKEN_ID)?;
        let before = bos.filter(|_| matches!(adds(key::ADD_BOS_TOKEN, is_llama), Ok(true)));
        let after = eos.filter(|_| matches!(adds(key::ADD_EOS_TOKEN, false), Ok(true)));
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let token =
            |(_, token): &(u32, String)| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let single: Vec<Value> = (before.iter().map(token))
            .chain([text])
            .chain(after.iter().map(token))
            .collect();
        if single.len() == 1 {
            return Ok(Value::Null);
        }
        let entry = |(id, token): &(u32, String)| {
            let entry = json!({"id": token, "ids": [id], "tokens": [token]});
            (token.clone(), entry)
        };
        let special: Map<String, Value> = before.iter().chain(&after).map(entry).collect();
        Ok(json!({
            "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special,
        }))
    }

    fn special(&self, key: &keys::Key<u32>) -> Result<Option<(u32, String)>, ExportError> {
        let Some(id) = self.metadata.get(key)? else {
            return Ok(None);
        };
        let token = self.tokens.get(id as usize);
        let found = || format!("`{}` {id} of {} tokens", key.name(), self.tokens.len());
        self.ensure(token.is_some(), found, "the id of a token")?;
        Ok(token.map(|token| (id, token.clone())))
    }

    /// `tokenizer_config.json`
    fn config(&self) -> Result<Value, ExportError> {
        use keys::tokenizer as key;
        let mut config = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
        for (name, key) in [
            ("bos_token", key::BOS_TOKEN_ID),
            ("eos_token", key::EOS_TOKEN_ID),
            ("unk_token", key::UNKNOWN_TOKEN_ID),
            ("pad_token", key::PADDING_TOKEN_ID),
        ] {
            config[name] = self.special(&key)?.map(|(_, token)| token).into();
        }
        Ok(config)
    }

    /// `generation_config.json`: what ends an answer.
    fn stops(&self) -> Result<Value, ExportError> {
        use keys::tokenizer as key;
        let ids = [
            self.special(&key::EOS_TOKEN_ID)?,
            self.special(&key::EOT_TOKEN_ID)?,
        ];
        let ids: Vec<u32> = ids.into_iter().flatten().map(|(id, _)| id).collect();
        Ok(json!({"eos_token_id": ids}))
    }
}

/// Whether a token is found by joining.
fn is_piece(kind: i32) -> bool {
    matches!(kind, token_type::NORMAL | token_type::BYTE)
}

/// `"a b"` as `["a", "b"]`, cut as llama.cpp cuts: at the first space that is not the first character.
fn pairs(merges: &[String]) -> Vec<[&str; 2]> {
    let cut = merges.iter().filter_map(|merge| {
        let (at, _) = merge.char_indices().skip(1).find(|(_, c)| *c == ' ')?;
        Some([&merge[..at], &merge[at + 1..]])
    });
    cut.collect()
}
