//! Which tokens are learned under real vendors' templates and with their tokenizers.

use std::path::Path;

use slm_text::{ChatTokenizer, TextError};
use tempfile::TempDir;

use crate::fixtures::{
    ASSISTANT, WITHOUT_EOS, chat, encode, learned, report, shared, with_template,
};

/// The tokens with which the collected templates mark turns.
const MARKERS: [&str; 20] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|begin_of_text|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<|start_of_role|>",
    "<|end_of_role|>",
    "<|end_of_turn|>",
    "<|turn>",
    "<turn|>",
    "[INST]",
    "[/INST]",
];

/// Templates of real vendors, by file name.
fn real_templates() -> Vec<(String, String)> {
    let Some(root) = shared("chat_templates") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for folder in ["chujiezheng", "llama.cpp", "trl"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "jinja")
            {
                found.push((format!("{folder}/{}", name(&path)), read(folder, &path)));
            }
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A template's text; one collection indents its templates for reading, and its README has the line to undo it.
fn read(folder: &str, path: &Path) -> String {
    let source = std::fs::read_to_string(path).unwrap();
    match folder {
        "chujiezheng" => source
            .replace("\r\n", "\n")
            .replace("    ", "")
            .replace('\n', ""),
        _ => source,
    }
}

#[test]
fn real_templates_learn_the_answers_and_nothing_else() {
    let templates = real_templates();
    let messages = [
        ("user", "What is 2+2?"),
        ("assistant", "It is four."),
        ("user", "And 3+3?"),
        ("assistant", "Six, user: 6"),
    ];
    let mut without_end = Vec::new();
    for (name, source) in &templates {
        let (_dir, tokenizer) = with_template(&MARKERS, source);
        let text = encode(&tokenizer, &messages, WITHOUT_EOS);
        let parts: Vec<&str> = text
            .split('|')
            .map(|part| part.trim().trim_start_matches("<think>\n\n</think>\n\n"))
            .collect();
        assert_eq!(parts, ["It is four.", "Six, user: 6"], "{name}");
        match tokenizer.encode_conversation(&chat(&messages), ASSISTANT) {
            Ok(encoded) => {
                // Some templates' own blocks take in the line break after a turn, or EOS after the conversation.
                let text = learned(&tokenizer, &encoded);
                let text = text.strip_suffix("\n</s>").unwrap_or(&text).trim_end();
                let marker = MARKERS
                    .iter()
                    .chain(&["</s>"])
                    .find(|marker| text.ends_with(*marker));
                assert!(marker.is_some(), "{name}: {text}");
                assert_eq!(text.matches(marker.unwrap()).count(), 2, "{name}: {text}");
            }
            Err(TextError::NoEndOfTurn { .. }) => without_end.push(name.as_str()),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    report(&format!(
        "{} templates, of which without an end of turn: {without_end:?}",
        templates.len()
    ));
}

/// Writes `open` and `close` where a template's `{% generation %}` blocks start and end.
fn with_marks(source: &str, open: &str, close: &str) -> String {
    let mut out = String::new();
    for (i, part) in source.split("{%").enumerate() {
        let tag = part.split("%}").next().unwrap();
        let word = tag.trim_matches(['-', ' ']);
        match word {
            _ if i == 0 => out.push_str(part),
            "generation" if tag.ends_with('-') => {
                let body = &part[tag.len() + 2..];
                out.push_str(&format!("{{%- generation %}}{{{{ '{open}' -}}}}{body}"));
            }
            "generation" => {
                let body = &part[tag.len() + 2..];
                out.push_str(&format!("{{%{tag}%}}{{{{ '{open}' }}}}{body}"));
            }
            "endgeneration" if tag.starts_with('-') => {
                out.push_str(&format!("{{{{- '{close}' }}}}{{%{part}"))
            }
            "endgeneration" => out.push_str(&format!("{{{{ '{close}' }}}}{{%{part}")),
            _ => out.push_str(&format!("{{%{part}")),
        }
    }
    out
}

/// The template with its blocks as conditions that always hold.
fn without_blocks(source: &str) -> String {
    let tags = source.split("{%").map(|part| {
        let tag = part.split("%}").next().unwrap();
        match tag.trim_matches(['-', ' ']) {
            "generation" => part.replacen("generation", "if true", 1),
            "endgeneration" => part.replacen("endgeneration", "endif", 1),
            _ => part.to_owned(),
        }
    });
    tags.collect::<Vec<_>>().join("{%")
}

/// TRL's training templates mark what is learned with `{% generation %}`: what we take from the blocks, and what we tell by
/// rendering where there are none.
#[test]
fn real_templates_agree_with_their_generation_blocks() {
    let (open, close) = ("\u{E000}", "\u{E001}");
    let conversation = [
        ("user", "What is 2+2?"),
        ("assistant", "It is four."),
        ("user", "And 3+3?"),
        ("assistant", "Six"),
    ];
    let mut checked = 0;
    for (name, source) in real_templates() {
        if !source.contains("endgeneration") {
            continue;
        }
        let (_dir, tokenizer) = with_template(&MARKERS, &source);
        let ours = encode(&tokenizer, &conversation, ASSISTANT);
        let marked = with_marks(&source, open, close);
        let (_dir, marking) = with_template(&MARKERS, &marked);
        let text = marking
            .render(&chat(&conversation).messages, false)
            .unwrap();
        let text = text.replace(&format!("{close}{open}"), "");
        let blocks = text
            .split(open)
            .skip(1)
            .map(|rest| rest.split(close).next().unwrap());
        let theirs: Vec<&str> = blocks.collect();
        assert_eq!(ours, theirs.join("|"), "{name}");
        // Without its blocks, the template is asked by rendering: the same answers, but for the line breaks around them,
        // which some blocks take in, and for the EOS after the whole conversation, which Phi's do.
        let plain = without_blocks(&source);
        let (_dir, tokenizer) = with_template(&MARKERS, &plain);
        let located = encode(&tokenizer, &conversation, ASSISTANT);
        let trimmed = theirs.iter().map(|block| {
            let block = block.strip_suffix("\n</s>").unwrap_or(block);
            block.trim_matches('\n')
        });
        assert_eq!(located, trimmed.collect::<Vec<_>>().join("|"), "{name}");
        checked += 1;
    }
    report(&format!(
        "{checked} templates agree with their generation blocks"
    ));
}

/// Vocabularies of several kinds with the templates that came with them.
#[test]
fn real_tokenizers_learn_the_answers_and_their_ends() {
    let Some(root) = shared("tokenizers") else {
        return;
    };
    let messages = [
        ("user", "What is 2+2?"),
        ("assistant", "Vier – 四 👍🏽."),
        ("user", "And 3+3?"),
        ("assistant", "Six"),
    ];
    let qwen2 = TempDir::new().unwrap();
    for file in ["derived/tokenizer.json", "tokenizer_config.json"] {
        let name = Path::new(file).file_name().unwrap();
        std::fs::copy(root.join("qwen2").join(file), qwen2.path().join(name)).unwrap();
    }
    let folders = [
        (root.join("phi3"), "<|end|>"),
        (root.join("minimind"), "<|im_end|>"),
        (qwen2.path().to_path_buf(), "<|im_end|>"),
    ];
    for (dir, end) in folders {
        let tokenizer = ChatTokenizer::load(&dir, "auto").unwrap();
        let expected = format!("Vier – 四 👍🏽.{end}|Six{end}");
        let text = encode(&tokenizer, &messages, ASSISTANT);
        let text = text.replace("<think>\n\n</think>\n\n", "");
        assert_eq!(text, expected, "{}", dir.display());
        let prompt = tokenizer
            .render_prompt_ids(&chat(&messages[..1]).messages)
            .unwrap();
        let ids = tokenizer
            .encode_conversation(&chat(&messages), ASSISTANT)
            .unwrap()
            .ids;
        assert!(ids.starts_with(&prompt), "{}", dir.display());
    }
}
