//! The tokenizers that answers are written with.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;
use slm_grammar::Vocabulary;
use slm_text::{ChatTokenizer, TokenizerFile, train_bpe};

pub(crate) struct Tokenizer {
    pub(crate) name: String,
    pub(crate) tokenizer: ChatTokenizer,
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) vocabulary: Vocabulary,
}

impl Tokenizer {
    fn new(name: &str, tokenizer: ChatTokenizer) -> Self {
        let bytes = tokenizer.token_bytes().expect("it spells by tokens");
        Self {
            name: name.into(),
            tokenizer,
            vocabulary: Vocabulary::new(bytes.clone()).expect("a vocabulary"),
            bytes,
        }
    }

    fn load(folder: &Path) -> Self {
        let name = folder.file_name().expect("a name").to_string_lossy();
        Self::new(
            &name,
            ChatTokenizer::load(folder, "auto").expect("a tokenizer"),
        )
    }
}

/// Byte-level ones of the project, one of SentencePiece's kind that is made here, and real ones beside the checkout.
pub(crate) fn tokenizers() -> &'static [Tokenizer] {
    static ALL: OnceLock<Vec<Tokenizer>> = OnceLock::new();
    ALL.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut all = vec![
            Tokenizer::load(&root.join("datasets/base/slm-base-2m")),
            trained(),
            Tokenizer::new("blanks", blanks()),
        ];
        let real = ["tokenizers/gpt2", "tokenizers/phi3", "models/stories260k"];
        let real = real.iter().filter_map(|path| slm_testkit::shared(path, 3));
        all.extend(real.map(|folder| Tokenizer::load(&folder)));
        all
    })
}

fn trained() -> Tokenizer {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = [
        "abcabcab é käse",
        "{\"name\": \"a\", \"n\": 1}",
        "lost card, card arrival",
    ];
    train_bpe(texts.map(String::from).into_iter(), 290, folder.path()).expect("a tokenizer");
    let tokenizer = ChatTokenizer::load(folder.path(), "auto").expect("a tokenizer");
    Tokenizer::new("trained", tokenizer)
}

/// A vocabulary with `▁` for blanks and bytes for what else there is, as SentencePiece writes them.
pub(crate) fn blanks() -> ChatTokenizer {
    let mut vocabulary = serde_json::Map::new();
    let bytes = (0..=255u32).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = [
        "▁", "a", "b", "c", "▁a", "ab", "▁name", "\"", "▁\"", "{\"", "},", "1", "0", "é", "▁▁",
    ];
    let specials = ["<unk>", "<s>", "</s>"].map(String::from);
    for piece in specials
        .into_iter()
        .chain(bytes)
        .chain(pieces.map(String::from))
    {
        let id = vocabulary.len();
        vocabulary.insert(piece, json!(id));
    }
    let added: Vec<_> = ["<unk>", "<s>", "</s>"]
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({"id": id, "content": token, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "vocab": vocabulary, "merges": []},
    });
    let config = json!({"eos_token": "</s>", "bos_token": "<s>"});
    let file = |name: &str, value: serde_json::Value| TokenizerFile {
        name: name.into(),
        bytes: value.to_string().into_bytes(),
    };
    let files = vec![
        file("tokenizer.json", tokenizer),
        file("tokenizer_config.json", config),
    ];
    ChatTokenizer::from_files(Path::new("made here"), files).expect("a tokenizer")
}
