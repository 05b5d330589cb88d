//! Which tokens of a conversation are learned.
//!
//! The tokenizers here have one token per byte, so that what is learned can be read back byte by byte.

use std::path::Path;

use slm_text::{ChatTokenizer, Conversation, Encoded, Learned, Message, TextError, TrainOnSpec};
use tempfile::TempDir;

use crate::fixtures::{bytes_with, chat, load, shared, trained};

const ASSISTANT: TrainOnSpec = TrainOnSpec {
    which: Learned::Assistant,
    eos: true,
};
const WITHOUT_EOS: TrainOnSpec = TrainOnSpec {
    which: Learned::Assistant,
    eos: false,
};

/// The learned tokens, with `|` where others lie in between.
fn learned(tokenizer: &ChatTokenizer, encoded: &Encoded) -> String {
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

fn encode(tokenizer: &ChatTokenizer, messages: &[(&str, &str)], spec: TrainOnSpec) -> String {
    learned(
        tokenizer,
        &tokenizer
            .encode_conversation(&chat(messages), spec)
            .unwrap(),
    )
}

/// A byte tokenizer with this chat template and these special tokens.
fn with_template(special: &[&str], source: &str) -> (TempDir, ChatTokenizer) {
    let dir = bytes_with(special);
    std::fs::write(dir.path().join("chat_template.jinja"), source).unwrap();
    let tokenizer = load(&dir);
    (dir, tokenizer)
}

#[test]
fn chatml_learns_answers_and_their_ends() {
    let tokenizer = load(&trained(400));
    let messages = [
        ("system", "s"),
        ("user", "hi"),
        ("assistant", " hello\n"),
        ("user", "42?"),
        ("assistant", "42"),
    ];
    let spec = |which, eos| TrainOnSpec { which, eos };
    assert_eq!(
        encode(&tokenizer, &messages, ASSISTANT),
        " hello\n<|im_end|>|42<|im_end|>"
    );
    assert_eq!(encode(&tokenizer, &messages, WITHOUT_EOS), " hello\n|42");
    assert_eq!(
        encode(&tokenizer, &messages, spec(Learned::LastAssistant, true)),
        "42<|im_end|>"
    );
    assert_eq!(
        encode(&tokenizer, &messages, spec(Learned::LastAssistant, false)),
        "42"
    );
    let all = encode(&tokenizer, &messages, spec(Learned::All, true));
    assert_eq!(
        all,
        tokenizer.render(&chat(&messages).messages, false).unwrap()
    );
    let without_ends = encode(&tokenizer, &messages, spec(Learned::All, false));
    assert_eq!(
        without_ends.matches("<|im_end|>").count(),
        3,
        "{without_ends}"
    );
    assert_eq!(encode(&tokenizer, &messages[..2], ASSISTANT), "");
}

#[test]
fn the_text_is_tokenized_once_and_starts_like_its_prompt() {
    let tokenizer = load(&trained(400));
    let conversation = chat(&[("user", "the answer is"), ("assistant", "the answer")]);
    let encoded = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap();
    assert_eq!(
        encoded.ids,
        tokenizer
            .encode(
                &tokenizer.render(&conversation.messages, false).unwrap(),
                false
            )
            .unwrap()
    );
    let prompt = tokenizer
        .render_prompt_ids(&conversation.messages[..1])
        .unwrap();
    assert!(encoded.ids.starts_with(&prompt));
    assert_eq!(
        encoded.learn.iter().position(|learn| *learn),
        Some(prompt.len())
    );
}

#[test]
fn characters_of_several_tokens_are_learned_whole() {
    let (_dir, tokenizer) = with_template(
        &[],
        "{% for m in messages %}{% if m.role == 'user' %}👤{{ m.content }}🙂{% else %}{{ m.content }}🙃{% endif %}{% endfor %}",
    );
    let messages = [
        ("user", "é👩‍👩‍👧"),
        ("assistant", "🏳️‍🌈日é"),
        ("user", "日"),
        ("assistant", "👍🏽"),
    ];
    assert_eq!(encode(&tokenizer, &messages, WITHOUT_EOS), "🏳️‍🌈日é|👍🏽");
    let encoded = tokenizer
        .encode_conversation(&chat(&messages), WITHOUT_EOS)
        .unwrap();
    assert_eq!(encoded.ids.len(), encoded.learn.len());
    assert_eq!(encoded.learned(), "🏳️‍🌈日é👍🏽".len());
}

#[test]
fn a_token_across_the_border_counts_by_its_first_byte() {
    // ` answer` is one token of the trained vocabulary; the template's own space makes it start outside.
    let dir = trained(600);
    let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}\
                  {% if add_generation_prompt %}assistant: {% endif %}";
    std::fs::write(dir.path().join("chat_template.jinja"), source).unwrap();
    let tokenizer = load(&dir);
    let space_answer = tokenizer.encode(" answer", false).unwrap();
    assert_eq!(space_answer.len(), 1);
    assert_eq!(
        encode(
            &tokenizer,
            &[("user", "is"), ("assistant", "answer is 4")],
            WITHOUT_EOS
        ),
        " is 4"
    );
}

#[test]
fn thinking_that_a_template_strips_from_history_is_not_learned() {
    let Some(root) = shared("chat_templates/trl") else {
        return;
    };
    let source = std::fs::read_to_string(root.join("qwen3.jinja")).unwrap();
    let (_dir, tokenizer) = with_template(&["<|im_start|>", "<|im_end|>"], &source);
    let first = "<think>\nlong\n</think>\n\nfour";
    let messages = [
        ("user", "2+2"),
        ("assistant", first),
        ("user", "3+3"),
        ("assistant", "<think>\nhm\n</think>\n\nsix"),
    ];
    assert_eq!(
        encode(&tokenizer, &messages, ASSISTANT),
        "four<|im_end|>|<think>\nhm\n</think>\n\nsix<|im_end|>"
    );
    // Without thoughts the template writes empty ones, which the model has to write as well.
    assert_eq!(
        encode(&tokenizer, &messages[..2], ASSISTANT),
        format!("{first}<|im_end|>")
    );
    assert_eq!(
        encode(
            &tokenizer,
            &[("user", "2+2"), ("assistant", "four")],
            ASSISTANT
        ),
        "<think>\n\n</think>\n\nfour<|im_end|>"
    );
}

#[test]
fn tool_calls_are_learned_and_tool_results_are_not() {
    let Some(root) = shared("chat_templates/trl") else {
        return;
    };
    let source = std::fs::read_to_string(root.join("qwen2_5.jinja")).unwrap();
    let (_dir, tokenizer) = with_template(&["<|im_start|>", "<|im_end|>"], &source);
    let conversation: Conversation = serde_json::from_value(serde_json::json!({
        "messages": [
            {"role": "user", "content": "weather in Ulm?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"type": "function", "function": {"name": "weather", "arguments": {"city": "Ulm"}}}
            ]},
            {"role": "tool", "content": "rain"},
            {"role": "assistant", "content": "It rains."},
        ],
        "tools": [{"type": "function", "function": {"name": "weather"}}],
    }))
    .unwrap();
    let encoded = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap();
    assert_eq!(
        learned(&tokenizer, &encoded),
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}}\n</tool_call><|im_end|>|It rains.<|im_end|>"
    );
    assert!(
        tokenizer
            .decode(&encoded.ids, false)
            .unwrap()
            .contains("# Tools")
    );
}

#[test]
fn an_answer_without_an_end_is_refused() {
    let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    let (_dir, tokenizer) = with_template(&[], source);
    let conversation = chat(&[("user", "hi"), ("assistant", "hello")]);
    let error = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the chat template writes nothing after the last assistant message, needed an end-of-turn token that the tokenizer knows"
    );
    assert!(error.hint().unwrap().contains("`</s>`"), "{error:?}");
    // The template ignores `add_generation_prompt`: its own header is not part of the answer.
    assert_eq!(
        encode(
            &tokenizer,
            &[("user", "hi"), ("assistant", "hello")],
            WITHOUT_EOS
        ),
        " hello"
    );
}

#[test]
fn a_place_that_is_not_certain_is_refused() {
    let conversation = chat(&[("user", "hi"), ("assistant", "hello"), ("user", "again")]);
    let refused = |source: &str| {
        let (_dir, tokenizer) = with_template(&[], source);
        match tokenizer.encode_conversation(&conversation, WITHOUT_EOS) {
            Err(TextError::UnlocatedMessage { index, reason }) => format!("{index}: {reason}"),
            other => panic!("{other:?}"),
        }
    };
    let each = |body: &str| format!("{{% for m in messages %}}{body}{{% endfor %}}");
    let twice = each("{{ m.content }}{{ m.content }}");
    assert_eq!(
        refused(&twice),
        "1: the template writes its content more than once"
    );
    let dropped = "1: the template leaves its content out, or changes it";
    assert_eq!(refused("{{ messages[0].content }}"), dropped);
    assert_eq!(refused(&each("{{ m.content|upper }}")), dropped);
    let replaced = each("{{ m.content.replace('hello', 'bye') }}");
    assert_eq!(refused(&replaced), "1: the template changes its content");
    let counted = each("{{ m.content }}{{ m.content|length }}");
    assert_eq!(
        refused(&counted),
        "1: the text after it depends on its content"
    );
    let measured = "{{ messages[1].content|length }}".to_string() + &each("{{ m.content }}");
    assert_eq!(
        refused(&measured),
        "1: the text before it depends on its content"
    );
}

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
                let text = learned(&tokenizer, &encoded);
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
    println!(
        "{} templates, of which without an end of turn: {without_end:?}",
        templates.len()
    );
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

/// TRL's training templates mark what is learned with `{% generation %}`; that is an independent answer to ours.
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
        // Its blocks take in the line break after a turn, and Phi's the EOS after the whole conversation.
        let theirs: Vec<&str> = blocks
            .map(|block| block.trim_end_matches('\n'))
            .filter(|block| *block != "</s>")
            .collect();
        assert_eq!(ours, theirs.join("|"), "{name}");
        checked += 1;
    }
    println!("{checked} templates agree with their generation blocks");
}

#[test]
fn messages_without_a_template_are_refused_with_a_hint() {
    let tokenizer = load(&bytes_with(&[]));
    assert!(!tokenizer.has_template());
    let error = tokenizer
        .render(&[Message::new("user", "hi")], true)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no chat template, needed one for messages"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("model.chat_template = \"file.jinja\"")
    );
}
