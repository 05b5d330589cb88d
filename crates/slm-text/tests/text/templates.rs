//! Real vendors' chat templates against what jinja2, set up as in transformers, made of them.

use serde::Deserialize;
use slm_text::{ChatTokenizer, Message, TextError};
use std::collections::BTreeMap;

use crate::fixtures::{bytes_with, shared};

#[derive(Deserialize)]
struct Goldens {
    conversations: BTreeMap<String, Vec<Message>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    add_generation_prompt: bool,
    rendered: Option<String>,
    error: Option<String>,
}

/// 2024-07-26, the day that the goldens were told.
const DAY: i64 = 1_721_952_000;

#[test]
fn real_templates_render_as_jinja2_renders_them() {
    let Some(root) = shared("chat_templates") else {
        return;
    };
    let goldens = std::fs::read(root.join("goldens.json")).unwrap();
    let goldens: Goldens = serde_json::from_slice(&goldens).unwrap();
    let dir = bytes_with(&[]);
    let path = dir.path().join("template.jinja");
    let (mut right, mut wrong) = (0, Vec::new());
    for case in &goldens.cases {
        let mut source = std::fs::read_to_string(root.join(&case.template)).unwrap();
        if case.template.starts_with("chujiezheng/") {
            // That collection indents its templates for reading; its README has this line to undo it.
            source = source
                .replace("\r\n", "\n")
                .replace("    ", "")
                .replace('\n', "");
        }
        std::fs::write(&path, source).unwrap();
        let tokenizer = ChatTokenizer::load(dir.path(), path.to_str().unwrap())
            .unwrap()
            .at(DAY);
        let messages = &goldens.conversations[&case.conversation];
        let rendered = tokenizer.render(messages, case.add_generation_prompt);
        let is_right = match (&rendered, &case.rendered, &case.error) {
            (Ok(text), Some(expected), _) => text == expected,
            (Err(TextError::Refused { message }), _, Some(error)) => {
                error.ends_with(message.as_str())
            }
            _ => false,
        };
        match is_right {
            true => right += 1,
            false => wrong.push(format!(
                "{} {}: {rendered:?}, needed {:?}",
                case.template, case.conversation, case.rendered
            )),
        }
    }
    println!("{right} of {} renderings match", goldens.cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
