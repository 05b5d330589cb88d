//! Real vendors' chat templates against what jinja2, set up as in transformers, made of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use slm_text::{ChatTokenizer, Message, TemplateArguments, TextError};

use crate::fixtures::{bytes_with, report, shared};

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

#[derive(Deserialize)]
struct Renderings {
    cases: Vec<Conversation>,
    renderings: Vec<Rendering>,
}

#[derive(Deserialize)]
struct Conversation {
    name: String,
    messages: Vec<Message>,
    tools: Option<Vec<serde_json::Value>>,
    extra: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Rendering {
    template: String,
    case: String,
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
    report(&format!(
        "{right} of {} renderings match",
        goldens.cases.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tools_thoughts_and_refusals_render_as_jinja2_renders_them() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let file = std::fs::read(goldens.join("renderings.json")).unwrap();
    let Renderings { cases, renderings } = serde_json::from_slice(&file).unwrap();
    let dir = bytes_with(&[]);
    for Rendering {
        template,
        case,
        add_generation_prompt,
        rendered,
        error,
    } in renderings
    {
        let path = goldens.join("templates").join(&template);
        let tokenizer = ChatTokenizer::load(dir.path(), path.to_str().unwrap())
            .unwrap()
            .at(DAY);
        let Conversation {
            messages,
            tools,
            extra,
            ..
        } = cases.iter().find(|c| c.name == case).unwrap();
        let arguments = TemplateArguments {
            add_generation_prompt,
            tools: tools.clone().unwrap_or_default(),
            documents: Vec::new(),
            extra: extra.clone(),
            now: None,
        };
        match tokenizer.render_with(messages, &arguments) {
            Ok(text) => assert_eq!(Some(text), rendered, "{template} {case}"),
            Err(TextError::Refused { message }) => {
                assert_eq!(
                    Some(format!("TemplateError: {message}")),
                    error,
                    "{template} {case}"
                );
            }
            Err(error) => panic!("{template} {case}: {error}"),
        }
    }
}
