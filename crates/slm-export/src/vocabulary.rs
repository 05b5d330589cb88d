//! What a GGUF file says about the tokenizer.
//!
//! Two kinds of `tokenizer.json` have a counterpart in llama.cpp: byte-level BPE is its `gpt2`, BPE over characters with
//! byte tokens to fall back on (what SentencePiece models become) is its `llama`.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use slm_gguf::{Metadata, keys};
use slm_run::{Emit, Event};
use slm_text::ChatTokenizer;

use crate::ExportError;
use crate::pre_tokenizer::{has_byte_level, pre_tokenizer};

/// A token that is matched as a whole in any text.
struct AddedToken {
    content: String,
    is_special: bool,
}

/// The tokenizer's files, as far as llama.cpp wants to know them.
struct Vocabulary<'a> {
    json: Value,
    config: Value,
    tokenizer: &'a ChatTokenizer,
    ids: HashMap<String, u32>,
    added: BTreeMap<u32, AddedToken>,
    merges: Vec<(String, String)>,
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
    let vocabulary = Vocabulary::read(tokenizer)?;
    if has_byte_level(&vocabulary.json) {
        let pre = vocabulary.pre_tokenizer(emit);
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
        metadata.set(&key::ADD_SPACE_PREFIX, vocabulary.adds_space());
    }
    vocabulary.set_special(metadata, emit)?;
    if let Some(template) = tokenizer.template_source() {
        metadata.set(&key::CHAT_TEMPLATE, template.to_string());
    }
    Ok(())
}

impl<'a> Vocabulary<'a> {
    fn read(tokenizer: &'a ChatTokenizer) -> Result<Self, ExportError> {
        let files = tokenizer.files()?;
        let parse = |name: &str| {
            let file = files.iter().find(|file| file.name == name);
            // Both were parsed when the tokenizer was loaded.
            file.and_then(|file| serde_json::from_slice(&file.bytes).ok())
                .unwrap_or(Value::Null)
        };
        let (json, config) = (parse("tokenizer.json"), parse("tokenizer_config.json"));
        ensure_known(&json)?;
        let ids = json["model"]["vocab"].as_object().into_iter().flatten();
        let ids =
            ids.filter_map(|(token, id)| Some((token.clone(), u32::try_from(id.as_u64()?).ok()?)));
        Ok(Self {
            ids: ids.collect(),
            added: added_tokens(&json, &config),
            merges: merges(&json),
            tokenizer,
            json,
            config,
        })
    }

    /// Tokens and their types by id; an embedding may have rows without a token.
    fn set_tokens(&self, metadata: &mut Metadata, vocab_size: usize, is_sentencepiece: bool) {
        use keys::token_type;
        let mut tokens: Vec<String> = (0..vocab_size).map(|id| format!("[PAD{id}]")).collect();
        let mut types = vec![token_type::UNUSED; vocab_size];
        for (token, &id) in &self.ids {
            let is_byte = is_sentencepiece && is_byte(token);
            tokens[id as usize].clone_from(token);
            types[id as usize] = if is_byte {
                token_type::BYTE
            } else {
                token_type::NORMAL
            };
        }
        for (&id, token) in &self.added {
            types[id as usize] = self.type_of(id, token);
            // llama.cpp looks for such a token in the text itself, where a space is a space.
            tokens[id as usize] = match types[id as usize] == token_type::USER_DEFINED {
                true if is_sentencepiece => token.content.replace('▁', " "),
                _ => token.content.clone(),
            };
        }
        if let (true, Some(id)) = (is_sentencepiece, self.unknown_id()) {
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

    fn unknown_id(&self) -> Option<u32> {
        let token = self.json["model"]["unk_token"].as_str()?;
        self.id_of(token)
    }

    fn id_of(&self, token: &str) -> Option<u32> {
        let added = || {
            let mut added = self.added.iter();
            Some(*added.find(|(_, added)| added.content == token)?.0)
        };
        self.ids.get(token).copied().or_else(added)
    }

    fn pre_tokenizer(&self, emit: Emit<'_>) -> &'static str {
        pre_tokenizer(&self.json).unwrap_or_else(|| {
            let text = "the pre-tokenizer in `tokenizer.json` is none that is known from llama.cpp: the GGUF names `default`, and text may be cut into other tokens there";
            emit(Event::Warning { text: text.into() });
            "default"
        })
    }

    fn joined_merges(&self) -> Vec<String> {
        let join = |(left, right): &(String, String)| format!("{left} {right}");
        self.merges.iter().map(join).collect()
    }

    /// Scores by id. llama.cpp joins the two neighbours whose token has the highest score, so the score is minus the rank
    /// of the first merge that makes the token; what no merge makes comes after all of them.
    fn scores(&self, vocab_size: usize) -> Vec<f32> {
        let last = self.merges.len();
        let mut scores: Vec<f32> = (0..vocab_size).map(|id| -((last + id) as f32)).collect();
        for (rank, (left, right)) in self.merges.iter().enumerate().rev() {
            if let Some(&id) = self.ids.get(&format!("{left}{right}")) {
                scores[id as usize] = -(rank as f32);
            }
        }
        scores
    }

    /// llama.cpp joins any two tokens that make a third, `tokenizer.json` only those that it lists.
    fn warn_of_joins(&self, emit: Emit<'_>) {
        let listed: HashSet<(&str, &str)> = self
            .merges
            .iter()
            .map(|(left, right)| (left.as_str(), right.as_str()))
            .collect();
        let unlisted = self
            .ids
            .iter()
            .filter(|(token, id)| !self.added.contains_key(id) && !is_byte(token))
            .flat_map(|(token, _)| {
                token
                    .char_indices()
                    .skip(1)
                    .map(|(at, _)| token.split_at(at))
            })
            .filter(|(left, right)| self.ids.contains_key(*left) && self.ids.contains_key(*right))
            .filter(|pair| !listed.contains(pair))
            .count();
        if unlisted > 0 {
            emit(Event::Warning {
                text: format!(
                    "llama.cpp joins {unlisted} pairs of tokens that are no merges of `tokenizer.json`: text may become other tokens there"
                ),
            });
        }
    }

    /// Whether a text gets a space in front.
    fn adds_space(&self) -> bool {
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

    fn set_special(&self, metadata: &mut Metadata, emit: Emit<'_>) -> Result<(), ExportError> {
        use keys::tokenizer as key;
        let (bos, eos) = (self.tokenizer.bos_id(), self.tokenizer.eos_id());
        let unknown = self.config["unk_token"].as_str();
        let unknown = self
            .unknown_id()
            .or_else(|| unknown.and_then(|token| self.id_of(token)));
        let ids = [
            (key::BOS_TOKEN_ID, bos),
            (key::EOS_TOKEN_ID, eos),
            (key::EOT_TOKEN_ID, self.end_of_turn()),
            (key::UNKNOWN_TOKEN_ID, unknown),
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
fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
    digits.is_some_and(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}
