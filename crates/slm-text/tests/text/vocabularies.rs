//! Whether ids mean the same to two tokenizers.

use std::path::Path;

use serde_json::{Value, json};
use slm_text::{ChatTokenizer, VocabularyProof};
use tempfile::TempDir;

use crate::fixtures::{shared, trained, write};

fn load(dir: &Path) -> ChatTokenizer {
    ChatTokenizer::load(dir, "auto").unwrap()
}

/// The tokenizer in a folder with some tokens more.
fn with_added(dir: &Path, added: &[&str]) -> TempDir {
    let made = TempDir::new().unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        if dir.join(name).exists() {
            std::fs::copy(dir.join(name), made.path().join(name)).unwrap();
        }
    }
    let text = std::fs::read_to_string(dir.join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let first = load(dir).vocab_size();
    for (at, content) in added.iter().enumerate() {
        let token = json!({
            "id": first + at, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        });
        json["added_tokens"].as_array_mut().unwrap().push(token);
    }
    write(made.path(), "tokenizer.json", json);
    made
}

#[test]
fn a_tokenizer_is_itself() {
    let dir = trained(300);
    let proof = VocabularyProof::of(&load(dir.path()), &load(dir.path()));
    assert!(proof.holds());
    assert_eq!((proof.shared, proof.beyond), (300, [0, 0]));
}

#[test]
fn more_tokens_at_the_end_are_named_and_harm_nothing() {
    let dir = trained(300);
    let more = with_added(dir.path(), &["<a>", "<b>", "<c>", "<d>", "<e>", "<f>"]);
    let proof = VocabularyProof::of(&load(dir.path()), &load(more.path()));
    assert!(proof.holds());
    assert_eq!((proof.shared, proof.beyond), (300, [0, 6]));
    assert!(proof.tokens_beyond[0].is_empty());
    assert_eq!(proof.tokens_beyond[1], ["<a>", "<b>", "<c>", "<d>", "<e>"]);
    let turned = VocabularyProof::of(&load(more.path()), &load(dir.path()));
    assert_eq!((turned.shared, turned.beyond), (300, [6, 0]));
}

#[test]
fn other_tokens_are_counted_and_the_first_shown() {
    let dir = trained(300);
    let [one, other] = ["<a>", "<b>"].map(|token| with_added(dir.path(), &[token, "<c>"]));
    let proof = VocabularyProof::of(&load(one.path()), &load(other.path()));
    assert!(!proof.holds());
    assert_eq!((proof.different, proof.beyond), (1, [0, 0]));
    assert_eq!(
        proof.counterexamples,
        [(300, "<a>".into(), "<b>".into())],
        "the second is the same again"
    );
}

#[test]
fn vocabularies_of_two_vendors_differ() {
    let Some(root) = shared("tokenizers") else {
        return;
    };
    let load = |name: &str| {
        let dir = TempDir::new().unwrap();
        let from = root.join(name).join("tokenizer.json");
        std::fs::copy(from, dir.path().join("tokenizer.json")).unwrap();
        write(dir.path(), "tokenizer_config.json", json!({}));
        load(dir.path())
    };
    let proof = VocabularyProof::of(&load("smollm2"), &load("gpt2"));
    assert_eq!((proof.shared, proof.beyond), (49_152, [0, 1105]));
    assert!(proof.different > 40_000, "{}", proof.different);
    assert_eq!(proof.counterexamples.len(), 5);
}
