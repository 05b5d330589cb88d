//! A tokenizer of one's own.

use slm_text::{ChatTokenizer, TextError, train_bpe};
use tempfile::TempDir;

use crate::fixtures::{SENTENCES, chat, load, trained};

#[test]
fn the_same_texts_give_the_same_bytes() {
    let files = |dir: &TempDir| {
        ["tokenizer.json", "tokenizer_config.json"]
            .map(|name| std::fs::read(dir.path().join(name)).unwrap())
    };
    let first = files(&trained(420));
    for _ in 0..3 {
        assert!(files(&trained(420)) == first);
    }
}

#[test]
fn every_text_survives_a_round_trip() {
    let tokenizer = load(&trained(420));
    for text in SENTENCES
        .iter()
        .chain(&["", " ", "\n\n  x", "\u{0}\u{7f}ÿ𝔘", "١٢٣ 1234"])
    {
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(&tokenizer.decode(&ids, false).unwrap(), text);
    }
}

#[test]
fn digits_stand_alone_and_markers_are_whole() {
    let tokenizer = load(&trained(420));
    assert_eq!(tokenizer.encode("2024", false).unwrap().len(), 4);
    assert_eq!(
        tokenizer
            .encode("<|pad|><|im_start|><|im_end|>", false)
            .unwrap(),
        [0, 1, 2]
    );
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (None, Some(2), Some(0))
    );
    assert_eq!(tokenizer.stop_ids(), [2]);
    let messages = chat(&[("user", "hi")]).messages;
    assert_eq!(
        tokenizer.render(&messages, true).unwrap(),
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn the_size_is_what_was_asked_for_or_what_the_texts_give() {
    let dir = TempDir::new().unwrap();
    let texts = || SENTENCES.iter().map(|text| text.to_string());
    assert_eq!(train_bpe(texts(), 270, dir.path()).unwrap().vocab_size, 270);
    assert_eq!(
        ChatTokenizer::load(dir.path(), "auto")
            .unwrap()
            .vocab_size(),
        270
    );
    let made = train_bpe(texts(), 100_000, dir.path()).unwrap().vocab_size;
    assert!((270..1000).contains(&made), "{made}");
    let error = train_bpe(texts(), 200, dir.path()).unwrap_err();
    assert!(
        matches!(
            error,
            TextError::VocabularyTooSmall {
                asked: 200,
                least: 259
            }
        ),
        "{error}"
    );
    let error = train_bpe(texts(), 300, &dir.path().join("missing")).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}
