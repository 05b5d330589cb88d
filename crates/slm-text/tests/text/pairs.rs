//! Prompts with completions, and plain text.

use slm_text::ChatTokenizer;

use crate::fixtures::{bytes_with, load, shared, write};

#[test]
fn only_the_completion_and_its_end_are_learned() {
    let dir = bytes_with(&[]);
    write(
        dir.path(),
        "tokenizer_config.json",
        serde_json::json!({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true}),
    );
    let tokenizer = load(&dir);
    let encoded = tokenizer.encode_pair("ab", "c", true).unwrap();
    let tokens: Vec<String> = encoded.ids.iter().map(|id| tokenizer.token(*id)).collect();
    assert_eq!(tokens, ["<s>", "a", "b", "c", "</s>"]);
    assert_eq!(encoded.learn, [false, false, false, true, true]);
    assert_eq!(
        tokenizer.encode_pair("ab", "c", false).unwrap().learn,
        [false, false, false, true]
    );
    assert_eq!(
        tokenizer.encode_text("ab", true).unwrap().learn,
        [false, true, true, true]
    );
}

#[test]
fn an_end_that_the_tokenizer_lacks_is_refused() {
    let dir = bytes_with(&[]);
    write(dir.path(), "tokenizer_config.json", serde_json::json!({}));
    let tokenizer = load(&dir);
    let error = tokenizer.encode_pair("a", "b", true).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("names no end-of-text token (`eos_token`)"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("data.train_on_eos = false"));
    assert_eq!(tokenizer.encode_pair("a", "b", false).unwrap().ids.len(), 2);
}

/// The reference run on banking77 tokenizes prompt and completion separately, BOS first and EOS last.
#[test]
fn stories260k_pairs_are_built_as_the_reference_builds_them() {
    let Some(dir) = shared("models/stories260k") else {
        return;
    };
    let tokenizer = ChatTokenizer::load(&dir, "auto").unwrap();
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (Some(1), Some(2), None)
    );
    assert_eq!(tokenizer.vocab_size(), 512);
    assert!(tokenizer.check_fits(512).is_ok() && !tokenizer.has_template());
    let encoded = tokenizer
        .encode_pair(
            "Query: I lost my card\nIntent:",
            " lost_or_stolen_card",
            true,
        )
        .unwrap();
    assert_eq!(encoded.ids[0], 1);
    assert_eq!(*encoded.ids.last().unwrap(), 2);
    let prompt = encoded.learn.iter().position(|learn| *learn).unwrap();
    assert_eq!(
        tokenizer.decode(&encoded.ids[..prompt], true).unwrap(),
        "Query: I lost my card\nIntent:"
    );
    // The tokenizer puts a space before every text, so the completion starts with two.
    assert_eq!(
        tokenizer.token(encoded.ids[prompt]).chars().next(),
        Some(' ')
    );
    assert_eq!(
        tokenizer.decode(&encoded.ids[prompt..], true).unwrap(),
        " lost_or_stolen_card"
    );
    assert!(encoded.learn[prompt..].iter().all(|learn| *learn));
    assert_eq!(
        tokenizer.encode("Once", true).unwrap()[1..],
        tokenizer.encode("Once", false).unwrap()
    );
}
