//! What a GGUF says about the tokenizer.

use serde_json::json;
use slm_gguf::Reader;
use slm_recipe::GgufType;
use slm_run::Event;
use slm_text::ChatTokenizer;

use crate::bench::{Bench, config, random, strings, types};

#[test]
fn the_gguf_says_what_the_tokenizer_is() {
    let bench = Bench::new();
    // Eight rows of the embedding have no token.
    let n_tokens = bench.tokenizer.vocab_size();
    let (exported, events) = bench.export(
        &random(config(n_tokens + 8, json!({})), 1),
        &[GgufType::F16],
    );
    exported.unwrap();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Warning { .. }))
    );
    let reader = Reader::open(bench.out().join("tiny-F16.gguf")).unwrap();
    let text = |key: &str| format!("{:?}", reader.metadata().value(key).unwrap());
    assert_eq!(text("tokenizer.ggml.model"), "String(\"gpt2\")");
    assert_eq!(text("tokenizer.ggml.pre"), "String(\"smollm\")");
    assert_eq!(text("tokenizer.ggml.eos_token_id"), "U32(2)");
    assert_eq!(text("tokenizer.ggml.padding_token_id"), "U32(0)");
    assert_eq!(text("tokenizer.ggml.add_bos_token"), "Bool(false)");
    assert!(
        reader
            .metadata()
            .value("tokenizer.ggml.bos_token_id")
            .is_none()
    );
    assert!(text("tokenizer.chat_template").contains("<|im_start|>"));
    let tokens = strings(reader.metadata(), "tokenizer.ggml.tokens");
    assert_eq!(tokens.len(), n_tokens + 8);
    assert_eq!(tokens[..3], ["<|pad|>", "<|im_start|>", "<|im_end|>"]);
    assert_eq!(tokens[n_tokens], format!("[PAD{n_tokens}]"));
    let types = types(reader.metadata());
    assert_eq!(
        (types[0], types[2], types[3], types[n_tokens]),
        (3, 3, 1, 5)
    );
    let merges = strings(reader.metadata(), "tokenizer.ggml.merges");
    assert_eq!(merges.len(), n_tokens - 3 - 256);
    assert!(merges.contains(&"t h".to_string()), "{merges:?}");
}

#[test]
fn an_unknown_pre_tokenizer_is_told() {
    let mut bench = Bench::new();
    let path = bench.dir.path().join("tokenizer.json");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(
        &path,
        text.replace(
            "\"individual_digits\": true",
            "\"individual_digits\": false",
        ),
    )
    .unwrap();
    bench.tokenizer = ChatTokenizer::load(bench.dir.path(), "auto").unwrap();
    let (exported, events) = bench.export(&random(config(300, json!({})), 1), &[GgufType::F32]);
    exported.unwrap();
    let warned =
        |event: &Event| matches!(event, Event::Warning { text } if text.contains("`default`"));
    assert!(events.iter().any(warned), "{events:?}");
}

#[test]
fn a_normalizer_that_llama_cpp_has_not_is_told() {
    let mut bench = Bench::new();
    let path = bench.dir.path().join("tokenizer.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["normalizer"] = json!({"type": "NFC"});
    fs_err::write(&path, json.to_string()).unwrap();
    bench.tokenizer = ChatTokenizer::load(bench.dir.path(), "auto").unwrap();
    let (exported, events) = bench.export(&random(config(300, json!({})), 1), &[GgufType::F32]);
    exported.unwrap();
    let told = |event: &Event| matches!(event, Event::Note { text } if text.contains("(NFC)"));
    assert!(events.iter().any(told), "{events:?}");
}
