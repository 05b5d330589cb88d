//! Ids that other implementations made with real vendors' vocabularies.

use std::path::{Path, PathBuf};

use serde_json::json;
use slm_text::ChatTokenizer;
use tempfile::TempDir;

use crate::fixtures::{report, shared, write};

/// Loads a `tokenizer.json` that goes by another name.
fn load_file(path: &Path) -> ChatTokenizer {
    let dir = TempDir::new().unwrap();
    std::fs::copy(path, dir.path().join("tokenizer.json")).unwrap();
    write(dir.path(), "tokenizer_config.json", json!({}));
    ChatTokenizer::load(dir.path(), "auto").unwrap()
}

/// Lines with `\n`, `\s` for a space at an end, and `\xNN`.
fn unescape(line: &str) -> String {
    line.replace("\\n", "\n").replace("\\s", " ")
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn kitoken_vectors() {
    let Some(root) = shared("tokenizers") else {
        return;
    };
    let vectors = root.join("vectors_kitoken");
    let tokenizers = [
        ("gpt2", root.join("gpt2/tokenizer.json")),
        ("gpt_neox", root.join("pythia/20B_tokenizer.json")),
        ("llama2", vectors.join("models/tokenizers/llama2.json")),
        (
            "mistral01",
            vectors.join("models/tokenizers/mistral01.json"),
        ),
    ];
    let input = read(vectors.join("data/small_input.txt"));
    let (mut right, mut all, mut wrong) = (0, 0, Vec::new());
    for (name, path) in tokenizers {
        let tokenizer = load_file(&path);
        let ids = read(vectors.join(format!("data/tokenizers/small_tokens_{name}.txt")));
        let output = std::fs::read_to_string(
            vectors.join(format!("data/tokenizers/small_output_{name}.txt")),
        );
        let output = output.unwrap_or_else(|_| input.clone());
        for ((line, expected), output) in input.lines().zip(ids.lines()).zip(output.lines()) {
            let expected: Vec<u32> = expected.split(", ").map(|id| id.parse().unwrap()).collect();
            let text = unescape(line);
            all += 1;
            let found = tokenizer.encode(&text, false).unwrap();
            let back = tokenizer.decode(&found, false).unwrap();
            match found == expected && back == unescape(output) {
                true => right += 1,
                false => wrong.push(format!(
                    "{name} {text:?}: {found:?}, needed {expected:?}; back {back:?}"
                )),
            }
        }
    }
    report(&format!("{right} of {all} kitoken lines match"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn llama_cpp_vectors() {
    let Some(root) = shared("tokenizers") else {
        return;
    };
    let vectors = root.join("vectors_llamacpp");
    let tokenizers = [
        ("gpt-2", root.join("gpt2/tokenizer.json")),
        (
            "llama-spm",
            root.join("vectors_kitoken/models/tokenizers/llama2.json"),
        ),
        ("phi-3", root.join("phi3/tokenizer.json")),
        ("qwen2", root.join("qwen2/derived/tokenizer.json")),
    ];
    let (mut right, mut all, mut wrong) = (0, 0, Vec::new());
    for (name, path) in tokenizers {
        let tokenizer = load_file(&path);
        let input = read(vectors.join(format!("ggml-vocab-{name}.gguf.inp")));
        let output = read(vectors.join(format!("ggml-vocab-{name}.gguf.out")));
        for (text, expected) in input.split("\n__ggml_vocab_test__\n").zip(output.lines()) {
            let expected: Vec<u32> = expected
                .split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect();
            let found = tokenizer.encode(text, false).unwrap();
            all += 1;
            match found == expected {
                true => right += 1,
                false => wrong.push(format!("{name} {text:?}: {found:?}, needed {expected:?}")),
            }
        }
    }
    report(&format!("{right} of {all} llama.cpp lines match"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
