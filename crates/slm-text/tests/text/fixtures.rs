//! Small tokenizers made on the spot, and real material where it is at hand.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slm_text::{ChatTokenizer, Conversation, Encoded, Learned, Message, TrainOnSpec, train_bpe};
use tempfile::TempDir;

/// Some sentences with what breaks tokenizers: digits, accents, emoji, other scripts.
pub(crate) const SENTENCES: [&str; 6] = [
    "The card was declined, and the card was blocked.",
    "Please block the card that was declined on 12 March 2024.",
    "Überweisungen dauern 3 Tage; der Betrag kommt zurück.",
    "日本語のテキスト 👩‍👩‍👧 and 🏳️‍🌈 flags",
    "def add(a, b):\n    return a + b\n",
    "user assistant system the answer is 42",
];

/// Material that lies beside the project, or nothing, with a line that says so.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if !found.exists() {
        report(&format!(
            "skipped: 1 test or part of one, `../shared/{path}` is not there"
        ));
        return None;
    }
    Some(found)
}

/// Says how much was checked; shown with `--nocapture`.
#[expect(clippy::print_stdout, reason = "a test has no other place to say it")]
pub(crate) fn report(line: &str) {
    println!("{line}");
}

/// A folder with a freshly trained byte-level tokenizer.
pub(crate) fn trained(vocab_size: usize) -> TempDir {
    let dir = TempDir::new().unwrap();
    let texts = SENTENCES
        .iter()
        .flat_map(|text| std::iter::repeat_n(text.to_string(), 3));
    train_bpe(texts, vocab_size, dir.path()).unwrap();
    dir
}

/// Writes a JSON file into a folder.
pub(crate) fn write(dir: &Path, name: &str, value: Value) {
    std::fs::write(dir.join(name), value.to_string()).unwrap();
}

/// A folder with a tokenizer of single bytes whose added tokens are `special`, BOS `<s>` and EOS `</s>` among them.
pub(crate) fn bytes_with(special: &[&str]) -> TempDir {
    let dir = trained(259);
    let path = dir.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    for (i, content) in ["<s>", "</s>"].iter().chain(special).enumerate() {
        added.push(json!({
            "id": 259 + i, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
    }
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    write(
        dir.path(),
        "tokenizer_config.json",
        json!({"bos_token": "<s>", "eos_token": "</s>"}),
    );
    dir
}

/// Loads a folder, with its own chat template.
pub(crate) fn load(dir: &TempDir) -> ChatTokenizer {
    ChatTokenizer::load(dir.path(), "auto").unwrap()
}

/// A conversation from roles and contents.
pub(crate) fn chat(messages: &[(&str, &str)]) -> Conversation {
    let messages = messages
        .iter()
        .map(|(role, content)| Message::new(*role, *content));
    messages.collect::<Vec<_>>().into()
}

/// The learned tokens, with `|` where others lie in between.
pub(crate) fn learned(tokenizer: &ChatTokenizer, encoded: &Encoded) -> String {
    let mut runs: Vec<Vec<u32>> = Vec::new();
    for (i, &id) in encoded.ids.iter().enumerate() {
        if encoded.learn[i] {
            if i == 0 || !encoded.learn[i - 1] {
                runs.push(Vec::new());
            }
            runs.last_mut().unwrap().push(id);
        }
    }
    let texts = runs.iter().map(|ids| tokenizer.decode(ids, false).unwrap());
    texts.collect::<Vec<_>>().join("|")
}

/// What is learned of a conversation.
pub(crate) fn encode(
    tokenizer: &ChatTokenizer,
    messages: &[(&str, &str)],
    spec: TrainOnSpec,
) -> String {
    learned(
        tokenizer,
        &tokenizer
            .encode_conversation(&chat(messages), spec)
            .unwrap(),
    )
}

/// A byte tokenizer with this chat template and these special tokens.
pub(crate) fn with_template(special: &[&str], source: &str) -> (TempDir, ChatTokenizer) {
    let dir = bytes_with(special);
    std::fs::write(dir.path().join("chat_template.jinja"), source).unwrap();
    let tokenizer = load(&dir);
    (dir, tokenizer)
}

/// Every answer and its end.
pub(crate) const ASSISTANT: TrainOnSpec = TrainOnSpec {
    which: Learned::Assistant,
    eos: true,
};
/// Every answer, without its end.
pub(crate) const WITHOUT_EOS: TrainOnSpec = TrainOnSpec {
    which: Learned::Assistant,
    eos: false,
};
