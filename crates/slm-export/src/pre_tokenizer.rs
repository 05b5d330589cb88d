//! Which of llama.cpp's ways of cutting text before BPE a tokenizer has.

use serde_json::{Value, json};

/// Qwen 2, 2.5 and 3: digits one by one. From Qwen2's `tokenizer.json`.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Llama 3: digits up to three at a time. From Llama 3's `tokenizer.json`.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Phi-4-mini: as OpenAI's o200k. From the comment in llama.cpp's `llama-vocab.cpp`.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral from Nemo on. From the same place.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What llama.cpp cuts by, one after the other, where no name says better.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

/// llama.cpp's name (`tokenizer.ggml.pre`) of the pre-tokenizer in a `tokenizer.json`; `None` for one that is not known.
///
/// llama.cpp identifies them by the ids of a test text, which works for published vocabularies alone; here the pieces
/// themselves are compared, so that a vocabulary of one's own is identified too.
pub(crate) fn pre_tokenizer(tokenizer_json: &Value) -> Option<&'static str> {
    let pieces = pieces(&tokenizer_json["pre_tokenizer"]);
    let ignores_merges = tokenizer_json["model"]["ignore_merges"].as_bool() == Some(true);
    match pieces.as_slice() {
        [words] if is_byte_level(words, true) => Some("gpt-2"),
        [digits, words] if is_digits(digits) && is_byte_level(words, true) => Some("smollm"),
        [split, bytes] if is_byte_level(bytes, false) => match regex(split)? {
            QWEN2 if !ignores_merges => Some("qwen2"),
            LLAMA3 if ignores_merges => Some("llama-bpe"),
            LLAMA3 => Some("smaug-bpe"),
            GPT4O if !ignores_merges => Some("gpt-4o"),
            TEKKEN if ignores_merges => Some("tekken"),
            _ => None,
        },
        _ => None,
    }
}

/// What cuts text as llama.cpp does for the name `pre`, in the terms of `tokenizer.json`; `None` for a name that is not known.
///
/// Names and expressions: `llm_tokenizer_bpe` in llama.cpp's `src/llama-vocab.cpp`.
pub(crate) fn pre_tokenizer_json(pre: &str) -> Option<Value> {
    let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let bytes = |cuts: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cuts});
    let steps = match pre {
        "gpt-2" => vec![bytes(true)],
        "smollm" => vec![
            json!({"type": "Digits", "individual_digits": true}),
            bytes(true),
        ],
        "qwen2" => vec![split(QWEN2), bytes(false)],
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" => vec![split(LLAMA3), bytes(false)],
        "default" => DEFAULT
            .map(split)
            .into_iter()
            .chain([bytes(false)])
            .collect(),
        _ => return None,
    };
    Some(json!({"type": "Sequence", "pretokenizers": steps}))
}

/// The steps, with sequences unfolded.
fn pieces(pre_tokenizer: &Value) -> Vec<&Value> {
    match pre_tokenizer["pretokenizers"].as_array() {
        Some(steps) => steps.iter().flat_map(pieces).collect(),
        None if pre_tokenizer.is_null() => Vec::new(),
        None => vec![pre_tokenizer],
    }
}

/// Whether bytes are spelled in GPT-2's alphabet, here or in any step.
pub(crate) fn has_byte_level(tokenizer_json: &Value) -> bool {
    let steps = pieces(&tokenizer_json["pre_tokenizer"]);
    steps.iter().any(|step| step["type"] == "ByteLevel")
}

/// A byte-level step that adds no space; `cuts` says whether it cuts words by GPT-2's expression (the default).
fn is_byte_level(step: &Value, cuts: bool) -> bool {
    step["type"] == "ByteLevel"
        && step["add_prefix_space"] == false
        && step["use_regex"].as_bool().unwrap_or(true) == cuts
}

fn is_digits(step: &Value) -> bool {
    step["type"] == "Digits" && step["individual_digits"] == true
}

/// The expression whose matches are pieces.
fn regex(step: &Value) -> Option<&str> {
    let is_plain = step["type"] == "Split" && step["behavior"] == "Isolated";
    let keeps = step["invert"].as_bool() != Some(true);
    step["pattern"]["Regex"]
        .as_str()
        .filter(|_| is_plain && keeps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(regex: &str, ignore_merges: bool) -> Value {
        json!({
            "model": {"ignore_merges": ignore_merges},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
            ]},
        })
    }

    #[test]
    fn a_name_is_what_it_was_given_for() {
        for name in ["gpt-2", "smollm", "qwen2", "smaug-bpe"] {
            let json = json!({"model": {}, "pre_tokenizer": pre_tokenizer_json(name)});
            assert_eq!(pre_tokenizer(&json), Some(name));
        }
        assert_eq!(pre_tokenizer_json("starcoder"), None);
    }

    #[test]
    fn expressions_are_told_apart() {
        assert_eq!(pre_tokenizer(&split(QWEN2, false)), Some("qwen2"));
        assert_eq!(pre_tokenizer(&split(LLAMA3, true)), Some("llama-bpe"));
        assert_eq!(pre_tokenizer(&split(LLAMA3, false)), Some("smaug-bpe"));
        assert_eq!(pre_tokenizer(&split(GPT4O, false)), Some("gpt-4o"));
        assert_eq!(pre_tokenizer(&split(TEKKEN, true)), Some("tekken"));
        assert_eq!(pre_tokenizer(&split(r"\p{L}+", false)), None);
    }

    #[test]
    fn structures_are_told_apart() {
        let words = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
        let digits = json!({"type": "Digits", "individual_digits": true});
        let of = |steps: Vec<&Value>| {
            pre_tokenizer(&json!({
                "model": {}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
            }))
        };
        assert_eq!(of(vec![&words]), Some("gpt-2"));
        assert_eq!(of(vec![&digits, &words]), Some("smollm"));
        assert_eq!(of(vec![&words, &digits]), None);
        let spaced = json!({"type": "ByteLevel", "add_prefix_space": true});
        assert_eq!(of(vec![&spaced]), None);
        assert_eq!(pre_tokenizer(&json!({"pre_tokenizer": null})), None);
    }
}
