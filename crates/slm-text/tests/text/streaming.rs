//! Ids to text, one by one.

use slm_text::ChatTokenizer;

use crate::fixtures::{SENTENCES, load, shared, trained};

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
