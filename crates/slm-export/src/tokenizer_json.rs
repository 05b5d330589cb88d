//! `tokenizer.json`, as far as llama.cpp wants to know it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use slm_text::ChatTokenizer;

use crate::ExportError;
use crate::pre_tokenizer::has_byte_level;

/// A token that is matched as a whole in any text.
pub(crate) struct AddedToken {
    pub(crate) content: String,
    pub(crate) is_special: bool,
}

/// Tokens, merges and pieces of a BPE tokenizer.
pub(crate) struct TokenizerJson {
    pub(crate) json: Value,
    /// `unk_token` of `tokenizer_config.json`.
    unknown: Option<String>,
    /// Ids of the vocabulary, without the added tokens that it lacks.
    pub(crate) ids: HashMap<String, u32>,
    pub(crate) added: BTreeMap<u32, AddedToken>,
    pub(crate) merges: Vec<(String, String)>,
}

impl TokenizerJson {
    /// Reads the tokenizer's files.
    ///
    /// # Errors
    /// [`ExportError::Tokenizer`] for a tokenizer that is neither of the two kinds.
    pub(crate) fn read(tokenizer: &ChatTokenizer) -> Result<Self, ExportError> {
        let files = tokenizer.files();
        let parse = |name: &str| {
            let file = files.iter().find(|file| file.name == name);
            // Both were parsed when the tokenizer was loaded.
            file.and_then(|file| serde_json::from_slice(&file.bytes).ok())
                .unwrap_or(Value::Null)
        };
        Self::parse(parse("tokenizer.json"), &parse("tokenizer_config.json"))
    }

    fn parse(json: Value, config: &Value) -> Result<Self, ExportError> {
        ensure_known(&json)?;
        let ids = json["model"]["vocab"].as_object().into_iter().flatten();
        let ids =
            ids.filter_map(|(token, id)| Some((token.clone(), u32::try_from(id.as_u64()?).ok()?)));
        Ok(Self {
            ids: ids.collect(),
            added: added_tokens(&json, config),
            merges: merges(&json),
            unknown: config["unk_token"].as_str().map(String::from),
            json,
        })
    }

    /// Whether tokens spell bytes, and not characters.
    pub(crate) fn is_byte_level(&self) -> bool {
        has_byte_level(&self.json)
    }

    /// The token for what is no token.
    pub(crate) fn unknown_id(&self) -> Option<u32> {
        let own = self.json["model"]["unk_token"].as_str();
        own.or(self.unknown.as_deref())
            .and_then(|token| self.id_of(token))
    }

    fn id_of(&self, token: &str) -> Option<u32> {
        let added = || {
            let mut added = self.added.iter();
            Some(*added.find(|(_, added)| added.content == token)?.0)
        };
        self.ids.get(token).copied().or_else(added)
    }

    /// Whether a text gets a space in front.
    pub(crate) fn adds_space(&self) -> bool {
        let steps = |value: &Value, list: &str| match value[list].as_array() {
            Some(steps) => steps.clone(),
            None => vec![value.clone()],
        };
        let prepends = steps(&self.json["normalizer"], "normalizers")
            .iter()
            .any(|step| step["type"] == "Prepend" && step["prepend"] == "▁");
        let metaspace = steps(&self.json["pre_tokenizer"], "pretokenizers")
            .iter()
            .any(|step| {
                step["type"] == "Metaspace"
                    && step["prepend_scheme"] != "never"
                    && step["add_prefix_space"] != false
            });
        prepends || metaspace
    }

    /// Pairs of tokens that make a third and are no merge.
    pub(crate) fn n_unlisted_pairs(&self) -> usize {
        let listed: HashSet<(&str, &str)> = self
            .merges
            .iter()
            .map(|(left, right)| (left.as_str(), right.as_str()))
            .collect();
        let texts = self.ids.iter();
        texts
            .filter(|(token, id)| !self.added.contains_key(id) && !is_byte(token))
            .flat_map(|(token, _)| {
                let cuts = token.char_indices().skip(1);
                cuts.map(|(at, _)| token.split_at(at))
            })
            .filter(|(left, right)| self.ids.contains_key(*left) && self.ids.contains_key(*right))
            .filter(|pair| !listed.contains(pair))
            .count()
    }
}

/// Refuses what is neither of the two kinds.
fn ensure_known(json: &Value) -> Result<(), ExportError> {
    let needed = "BPE over bytes, or over characters with byte tokens to fall back on";
    let refuse = |found: String| Err(ExportError::Tokenizer { found, needed });
    let model = &json["model"];
    // Files older than the key have merges and no type.
    let kind = model["type"].as_str().unwrap_or("BPE");
    if kind != "BPE" || !model["vocab"].is_object() || !model["merges"].is_array() {
        return refuse(format!("a model of the type `{kind}`"));
    }
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if let Some(text) = model[affix].as_str().filter(|text| !text.is_empty()) {
            return refuse(format!("`{affix}` `{text}`"));
        }
    }
    if !has_byte_level(json) && model["byte_fallback"] != true {
        return refuse("BPE over characters without byte tokens".into());
    }
    Ok(())
}

/// Those in `tokenizer.json`, then those that only `tokenizer_config.json` lists.
fn added_tokens(json: &Value, config: &Value) -> BTreeMap<u32, AddedToken> {
    let token = |id: Option<u64>, field: &Value| {
        let token = AddedToken {
            content: field["content"].as_str()?.to_string(),
            is_special: field["special"] == true,
        };
        Some((u32::try_from(id?).ok()?, token))
    };
    let listed = config["added_tokens_decoder"].as_object();
    let listed = listed
        .into_iter()
        .flatten()
        .filter_map(|(id, field)| token(id.parse().ok(), field));
    let own = json["added_tokens"].as_array();
    let own = own
        .into_iter()
        .flatten()
        .filter_map(|field| token(field["id"].as_u64(), field));
    listed.chain(own).collect()
}

/// Merges in their order, in both spellings: `"a b"` and `["a", "b"]`.
fn merges(json: &Value) -> Vec<(String, String)> {
    let split = |merge: &Value| match merge {
        Value::String(pair) => pair
            .split_once(' ')
            .map(|(left, right)| (left.to_string(), right.to_string())),
        _ => Some((
            merge[0].as_str()?.to_string(),
            merge[1].as_str()?.to_string(),
        )),
    };
    let merges = json["model"]["merges"].as_array();
    merges.into_iter().flatten().filter_map(split).collect()
}

/// `<0x0A>`
pub(crate) fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
    digits.is_some_and(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn characters(changes: &Value) -> Value {
        let mut json = json!({
            "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
                "vocab": {"<unk>": 0, "<0x0A>": 1, "a": 2, "b": 3, "ab": 4, "abb": 5, "bb": 6},
                "merges": ["a b", ["ab", "b"], "b b"]},
            "normalizer": {"type": "Prepend", "prepend": "▁"},
            "added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
        });
        for (key, value) in changes.as_object().unwrap() {
            json["model"][key] = value.clone();
        }
        json
    }

    #[test]
    fn both_spellings_of_merges_are_read() {
        let config = json!({"added_tokens_decoder": {"7": {"content": "<x>", "special": false}}});
        let tokenizer = TokenizerJson::parse(characters(&json!({})), &config).unwrap();
        let pair = |left: &str, right: &str| (left.to_string(), right.to_string());
        assert_eq!(
            tokenizer.merges,
            [pair("a", "b"), pair("ab", "b"), pair("b", "b")]
        );
        assert_eq!((tokenizer.ids["abb"], tokenizer.unknown_id()), (5, Some(0)));
        assert!(tokenizer.added[&0].is_special && !tokenizer.added[&7].is_special);
        assert!(tokenizer.adds_space() && !tokenizer.is_byte_level());
    }

    #[test]
    fn a_pair_that_is_no_merge_is_counted() {
        // "a" + "bb" makes "abb" too.
        let tokenizer = TokenizerJson::parse(characters(&json!({})), &Value::Null).unwrap();
        assert_eq!(tokenizer.n_unlisted_pairs(), 1);
        let merges = json!({"merges": ["a b", "ab b", "a bb", "b b"]});
        let tokenizer = TokenizerJson::parse(characters(&merges), &Value::Null).unwrap();
        assert_eq!(tokenizer.n_unlisted_pairs(), 0);
    }

    #[test]
    fn other_kinds_are_refused() {
        let message = |changes: Value| {
            let read = TokenizerJson::parse(characters(&changes), &Value::Null);
            read.err().unwrap().to_string()
        };
        assert_eq!(
            message(json!({"type": "Unigram", "vocab": []})),
            "`tokenizer.json` has a model of the type `Unigram`, GGUF takes BPE over bytes, or over characters with byte tokens to fall back on"
        );
        assert!(message(json!({"byte_fallback": false})).contains("without byte tokens"));
        assert!(message(json!({"end_of_word_suffix": "</w>"})).contains("`</w>`"));
    }

    #[test]
    fn bytes_are_told_from_text() {
        assert!(is_byte("<0x0A>") && is_byte("<0xff>"));
        assert!(!is_byte("<0x0>") && !is_byte("<0xGG>") && !is_byte("0x0A"));
    }
}
