//! Ids to text, one by one.

use serde_json::json;
use slm_text::ChatTokenizer;
use tempfile::TempDir;

use crate::fixtures::{SENTENCES, load, shared, trained, write};

fn streamed(tokenizer: &ChatTokenizer, ids: &[u32], skip_special: bool) -> (String, Vec<String>) {
    let mut stream = tokenizer.stream(skip_special);
    let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    (pieces.concat(), pieces)
}

#[test]
fn pieces_join_to_the_decoded_text() {
    let mut tokenizers = vec![load(&trained(259)), load(&trained(500))];
    let real = [
        "models/stories260k",
        "tokenizers/phi3",
        "tokenizers/minimind",
        "tokenizers/gpt2",
    ];
    let real = real.iter().filter_map(|path| shared(path));
    tokenizers.extend(real.map(|dir| ChatTokenizer::load(&dir, "auto").unwrap()));
    for tokenizer in &tokenizers {
        for text in SENTENCES
            .iter()
            .chain(&["  two spaces", " ", "\u{FFFD}x", "a\u{FFFD}", ""])
        {
            let ids = tokenizer.encode(text, true).unwrap();
            let (joined, _) = streamed(tokenizer, &ids, true);
            assert_eq!(joined, tokenizer.decode(&ids, true).unwrap(), "{text}");
        }
    }
}

#[test]
fn an_unfinished_character_waits() {
    let tokenizer = load(&trained(259));
    let ids = tokenizer.encode("a👍b", false).unwrap();
    let (_, pieces) = streamed(&tokenizer, &ids, true);
    assert_eq!(pieces, ["a", "", "", "", "👍", "b", ""]);
    let (cut, _) = streamed(&tokenizer, &ids[..3], true);
    assert_eq!(cut, tokenizer.decode(&ids[..3], true).unwrap());
    assert!(cut.starts_with("a\u{FFFD}"));
}

#[test]
fn special_tokens_show_only_when_asked_for() {
    let tokenizer = load(&trained(259));
    let ids = tokenizer.encode("a<|im_end|>b", false).unwrap();
    assert_eq!(streamed(&tokenizer, &ids, true).1, ["a", "", "b", ""]);
    assert_eq!(
        streamed(&tokenizer, &ids, false).1,
        ["a", "<|im_end|>", "b", ""]
    );
}

/// Words with blanks between them, and a configuration that has the blanks before punctuation taken out.
fn words(model: &str) -> (TempDir, ChatTokenizer) {
    let dir = TempDir::new().unwrap();
    let words = ["it", "is", "n't", ",", "said", "'", "me", "'s", ".", "a"];
    let vocab: serde_json::Map<_, _> = words
        .iter()
        .enumerate()
        .map(|(id, word)| (word.to_string(), id.into()))
        .collect();
    let model = match model {
        "BPE" => json!({"type": "BPE", "vocab": vocab, "merges": [], "ignore_merges": true}),
        _ => json!({"type": "WordLevel", "vocab": vocab, "unk_token": "."}),
    };
    write(
        dir.path(),
        "tokenizer.json",
        json!({"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": model}),
    );
    let config = json!({"clean_up_tokenization_spaces": true});
    write(dir.path(), "tokenizer_config.json", config);
    let tokenizer = load(&dir);
    (dir, tokenizer)
}

#[test]
fn blanks_before_punctuation_go_where_the_configuration_says_so() {
    let text = "it is n't , said ' me ' . 's me .";
    let (_dir, tokenizer) = words("WordLevel");
    let ids = tokenizer.encode(text, false).unwrap();
    // What transformers 5.23.0 makes of them.
    let expected = "it isn't, said'me '.'s me.";
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), expected);
    let (joined, pieces) = streamed(&tokenizer, &ids, true);
    assert_eq!(joined, expected);
    assert_eq!(pieces[..3], ["", "it", " is"]);
    let (_dir, tokenizer) = words("BPE");
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
}
