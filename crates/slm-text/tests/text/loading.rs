//! A tokenizer's folder and what can be wrong with it.

use serde_json::json;
use slm_text::{ChatTokenizer, TextError};
use tempfile::TempDir;

use crate::fixtures::{bytes_with, chat, load, shared, trained, write};

fn load_error(dir: &TempDir) -> TextError {
    ChatTokenizer::load(dir.path(), "auto").unwrap_err()
}

/// Rows are encoded on several threads.
#[test]
fn threads_may_share_a_tokenizer() {
    fn shareable<T: Send + Sync>() {}
    shareable::<ChatTokenizer>();
}

#[test]
fn a_folder_without_a_tokenizer_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    assert!(
        load_error(&dir)
            .to_string()
            .ends_with("holds no tokenizer: found no `tokenizer.json`")
    );
    std::fs::write(dir.path().join("tokenizer.model"), "").unwrap();
    let error = load_error(&dir);
    assert!(error.to_string().contains("SentencePiece"), "{error}");
    let hint = error.hint().unwrap();
    let folder = dir.path().display();
    assert!(hint.contains(&format!(
        "AutoTokenizer.from_pretrained('{folder}', use_fast=True).save_pretrained('{folder}')"
    )));
}

#[test]
fn broken_files_are_named() {
    let dir = trained(259);
    std::fs::write(dir.path().join("tokenizer_config.json"), "{\"eos_token\": ").unwrap();
    let error = load_error(&dir).to_string();
    assert!(
        error.contains("tokenizer_config.json` is not valid JSON") && error.contains("line 1"),
        "{error}"
    );
    std::fs::write(dir.path().join("tokenizer_config.json"), "{}").unwrap();
    std::fs::write(dir.path().join("tokenizer.json"), "{\"version\": \"1.0\"}").unwrap();
    assert!(
        load_error(&dir)
            .to_string()
            .contains("tokenizer.json` is not a tokenizer: ")
    );
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let dir = bytes_with(&["<extra>"]);
    let with = |config: serde_json::Value| {
        write(dir.path(), "tokenizer_config.json", config);
        ChatTokenizer::load(dir.path(), "auto").map_err(|error| error.to_string())
    };
    let error = with(json!({"eos_token": "<none>"})).unwrap_err();
    assert!(
        error.starts_with("`eos_token` is `<none>`, which is not in the vocabulary of"),
        "{error}"
    );
    let error = with(json!({"added_tokens_decoder": {"5": {"content": "<extra>"}}})).unwrap_err();
    assert_eq!(
        error,
        "`tokenizer_config.json` gives `<extra>` the id 5, `tokenizer.json` gives it the id 261"
    );
    let error = with(json!({"added_tokens_decoder": {"261": {"content": "<new>"}}})).unwrap_err();
    assert_eq!(
        error,
        "`tokenizer_config.json` gives `<new>` the id 261, `tokenizer.json` gives that id to `<extra>`"
    );
    let error = with(json!({"added_tokens_decoder": {"300": {"content": "<new>"}}})).unwrap_err();
    assert!(error.ends_with("gives it the id 262"), "{error}");
    // The next id is what transformers would give it.
    let tokenizer =
        with(json!({"added_tokens_decoder": {"262": {"content": "<new>", "special": true}}}))
            .unwrap();
    assert_eq!(tokenizer.encode("a<new>", false).unwrap()[1..], [262]);
    assert_eq!(tokenizer.vocab_size(), 263);
    let error = tokenizer.check_fits(262).unwrap_err();
    assert_eq!(
        error.to_string(),
        "token `<new>` has id 262, the embedding has 262 rows"
    );
    assert!(tokenizer.check_fits(263).is_ok());
}

#[test]
fn special_tokens_come_from_the_file_that_names_them() {
    let dir = bytes_with(&["<eot>"]);
    write(
        dir.path(),
        "tokenizer_config.json",
        json!({"bos_token": null, "eos_token": {"content": "<eot>"}}),
    );
    write(
        dir.path(),
        "special_tokens_map.json",
        json!({"eos_token": "</s>", "pad_token": {"content": "<s>"}}),
    );
    write(
        dir.path(),
        "config.json",
        json!({"bos_token_id": 259, "eos_token_id": 260}),
    );
    write(
        dir.path(),
        "generation_config.json",
        json!({"eos_token_id": [261, 260]}),
    );
    let tokenizer = load(&dir);
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (None, Some(261), Some(259))
    );
    assert_eq!(tokenizer.stop_ids(), [261, 260]);
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert_eq!(
        (load(&dir).bos_id(), load(&dir).eos_id()),
        (Some(259), Some(261))
    );
    std::fs::remove_file(dir.path().join("generation_config.json")).unwrap();
    assert_eq!(load(&dir).eos_id(), Some(260));
}

#[test]
fn bos_is_added_as_transformers_adds_it() {
    let dir = bytes_with(&[]);
    let first = |config: serde_json::Value| {
        write(dir.path(), "tokenizer_config.json", config);
        load(&dir).encode("a", true).unwrap()
    };
    let a = first(json!({"bos_token": "<s>"}));
    assert_eq!(a.len(), 1);
    assert_eq!(
        first(json!({"bos_token": "<s>", "add_bos_token": true})),
        [259, a[0]]
    );
    assert_eq!(
        first(json!({"bos_token": "<s>", "tokenizer_class": "LlamaTokenizer"})),
        [259, a[0]]
    );
    let both = json!({"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizerFast", "add_eos_token": true});
    assert_eq!(first(both), [259, a[0], 260]);

    let path = dir.path().join("tokenizer.json");
    let mut tokenizer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [259], "tokens": ["<s>"]}},
    });
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    assert_eq!(
        first(json!({"bos_token": "<s>", "add_bos_token": false})),
        [259, a[0]]
    );
    let llama =
        json!({"bos_token": "<s>", "add_bos_token": false, "tokenizer_class": "LlamaTokenizer"});
    assert_eq!(first(llama), a);
}

#[test]
fn the_template_in_force_travels_with_the_files() {
    let dir = trained(259);
    let messages = chat(&[("user", "hi")]).messages;
    let own = dir.path().join("chat_template.jinja");
    std::fs::write(&own, "own {{ messages[0].content }}").unwrap();
    assert_eq!(load(&dir).render(&messages, false).unwrap(), "own hi");
    let foreign = dir.path().join("foreign.jinja");
    std::fs::write(&foreign, "foreign {{ messages[0].content }}").unwrap();
    let tokenizer = ChatTokenizer::load(dir.path(), foreign.to_str().unwrap()).unwrap();
    assert_eq!(tokenizer.render(&messages, false).unwrap(), "foreign hi");

    let copy = TempDir::new().unwrap();
    for file in tokenizer.files() {
        std::fs::write(copy.path().join(file.name), file.bytes).unwrap();
    }
    assert_eq!(load(&copy).template_source(), tokenizer.template_source());
    assert_eq!(
        load(&copy).encode("hi", true).unwrap(),
        tokenizer.encode("hi", true).unwrap()
    );
}

#[test]
fn named_templates_need_a_default() {
    let dir = trained(259);
    let named = |names: [&str; 2]| {
        let templates = names.map(|name| json!({"name": name, "template": format!("{name}!")}));
        write(
            dir.path(),
            "tokenizer_config.json",
            json!({"eos_token": "<|im_end|>", "chat_template": templates}),
        );
    };
    named(["default", "tool_use"]);
    assert_eq!(load(&dir).render(&[], false).unwrap(), "default!");
    named(["rag", "tool_use"]);
    let error = load_error(&dir);
    assert_eq!(
        error.to_string(),
        "`tokenizer_config.json` has the chat templates `rag`, `tool_use`, none is named `default`"
    );
    assert!(error.hint().unwrap().contains("model.chat_template"));
}

#[test]
fn a_broken_or_missing_template_names_its_file() {
    let dir = trained(259);
    std::fs::write(dir.path().join("chat_template.jinja"), "{% if %}").unwrap();
    let error = load_error(&dir).to_string();
    assert!(
        error.contains("chat_template.jinja` does not parse: ") && error.contains("line 1"),
        "{error}"
    );
    let error = ChatTokenizer::load(dir.path(), "missing.jinja")
        .unwrap_err()
        .to_string();
    assert!(error.contains("missing.jinja"), "{error}");
}

#[test]
fn real_folders_load() {
    let folders = [
        ("tokenizers/minimind", 6400, Some(2)),
        ("tokenizers/phi3", 32011, Some(32000)),
        ("models/stories260k", 512, Some(2)),
        ("tokenizers/smollm2", 49152, None),
    ];
    for (path, vocab_size, eos) in folders {
        let Some(dir) = shared(path) else { continue };
        let tokenizer = ChatTokenizer::load(&dir, "auto").unwrap();
        assert_eq!(
            (tokenizer.vocab_size(), tokenizer.eos_id()),
            (vocab_size, eos),
            "{path}"
        );
    }
    // Phi-3 names `<|endoftext|>` as EOS, and its template ends a turn with `<|end|>`: a chat stops at both.
    let Some(dir) = shared("tokenizers/phi3") else {
        return;
    };
    assert_eq!(
        ChatTokenizer::load(&dir, "auto").unwrap().stop_ids(),
        [32000, 32007]
    );
}
