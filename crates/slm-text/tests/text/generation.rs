//! `{% generation %}` blocks and lists of parts, against what transformers makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use slm_text::{Learned, Message, TextError, TrainOnSpec};

use crate::fixtures::{ASSISTANT, WITHOUT_EOS, encode, learned, with_template};

#[derive(Deserialize)]
struct Goldens {
    cases: BTreeMap<String, Vec<Message>>,
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    template: String,
    case: String,
    rendered: Option<String>,
    /// Places in characters.
    blocks: Option<Vec<[usize; 2]>>,
}

const MARKERS: [&str; 8] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|end|>",
    "<|eot_id|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|start_header_id|>",
    "<|end_header_id|>",
];

fn goldens() -> (PathBuf, Goldens) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let file = std::fs::read(folder.join("generation.json")).unwrap();
    (
        folder.join("generation"),
        serde_json::from_slice(&file).unwrap(),
    )
}

/// The blocks, those that touch each other as one, `|` between the others.
fn joined(rendered: &str, blocks: &[[usize; 2]]) -> String {
    let chars: Vec<char> = rendered.chars().collect();
    let mut text = String::new();
    for (at, [start, end]) in blocks.iter().enumerate() {
        if at > 0 && blocks[at - 1][1] < *start {
            text.push('|');
        }
        text.extend(&chars[*start..*end]);
    }
    text
}

#[test]
fn blocks_are_learned_as_transformers_marks_them() {
    let (folder, goldens) = goldens();
    let mut checked = 0;
    for outcome in &goldens.results {
        let (Some(rendered), Some(blocks)) = (&outcome.rendered, &outcome.blocks) else {
            continue;
        };
        if outcome.case == "parts" {
            continue;
        }
        let what = format!("{} {}", outcome.template, outcome.case);
        let source = std::fs::read_to_string(folder.join(&outcome.template)).unwrap();
        let (_dir, tokenizer) = with_template(&MARKERS, &source);
        let messages = &goldens.cases[&outcome.case];
        assert_eq!(
            &tokenizer.render(messages, false).unwrap(),
            rendered,
            "{what}"
        );
        // The template of our own writes no end of a turn.
        let spec = match outcome.template.as_str() {
            "dashes.jinja" => WITHOUT_EOS,
            _ => ASSISTANT,
        };
        let conversation = messages.clone().into();
        let encoded = tokenizer.encode_conversation(&conversation, spec).unwrap();
        assert_eq!(
            learned(&tokenizer, &encoded),
            joined(rendered, blocks),
            "{what}"
        );
        checked += 1;
    }
    assert_eq!(checked, 36);
}

#[test]
fn the_last_message_and_answers_without_their_end() {
    let (folder, goldens) = goldens();
    let source = std::fs::read_to_string(folder.join("phi3_training.jinja")).unwrap();
    let (_dir, tokenizer) = with_template(&MARKERS, &source);
    let messages: Vec<(&str, &str)> = goldens.cases["turns"]
        .iter()
        .map(|message| (message.role.as_str(), message.content.as_str()))
        .collect();
    let last = |eos| TrainOnSpec {
        which: Learned::LastAssistant,
        eos,
    };
    assert_eq!(
        encode(&tokenizer, &messages, last(true)),
        "Six<|end|>\n</s>"
    );
    assert_eq!(encode(&tokenizer, &messages, last(false)), "Six");
    let from = |first| TrainOnSpec {
        which: Learned::From(first),
        eos: true,
    };
    assert_eq!(encode(&tokenizer, &messages, from(3)), "Six<|end|>\n</s>");
    assert_eq!(
        encode(&tokenizer, &messages, from(1)),
        encode(&tokenizer, &messages, ASSISTANT)
    );
    let both = encode(&tokenizer, &messages, WITHOUT_EOS);
    assert_eq!(both, format!("{}|Six", messages[1].1));
    let unanswered = [messages[0], messages[1], messages[2]];
    assert_eq!(
        encode(&tokenizer, &unanswered, last(true)),
        format!("{}<|end|>\n", messages[1].1)
    );
}

#[test]
fn an_end_right_behind_a_block_belongs_to_it() {
    let source = "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %}\
                  {% generation %}{{ m.content }}{% endgeneration %}</s>{% endif %}{% endfor %}";
    let (_dir, tokenizer) = with_template(&[], source);
    let messages = [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ];
    assert_eq!(encode(&tokenizer, &messages, ASSISTANT), "b</s>|d</s>");
    assert_eq!(encode(&tokenizer, &messages, WITHOUT_EOS), "b|d");
}

#[test]
fn blocks_that_are_changed_afterwards_are_refused() {
    let source = "{% set text %}{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}{% endset %}\
                  {{ text|length }}{{ text }}</s>";
    let (_dir, tokenizer) = with_template(&[], source);
    let conversation = vec![Message::new("assistant", "b")].into();
    let error = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap_err();
    assert!(matches!(error, TextError::UnlocatedGeneration), "{error}");
}

#[test]
fn parts_stay_parts_where_the_template_reads_them() {
    let (folder, goldens) = goldens();
    let messages = &goldens.cases["parts"];
    let joined: Vec<Message> = messages
        .iter()
        .map(|message| Message::new(&message.role, &message.content))
        .collect();
    let mut with_parts = Vec::new();
    for outcome in goldens.results.iter().filter(|it| it.case == "parts") {
        let source = std::fs::read_to_string(folder.join(&outcome.template)).unwrap();
        let (_dir, tokenizer) = with_template(&MARKERS, &source);
        let text = tokenizer.render(messages, false).unwrap();
        if ["gemma3_training.jinja", "qwen2_5_vl_training.jinja"]
            .contains(&outcome.template.as_str())
        {
            assert_eq!(
                Some(&text),
                outcome.rendered.as_ref(),
                "{}",
                outcome.template
            );
            with_parts.push(text);
        } else {
            // transformers writes the list itself, or fails.
            assert_eq!(
                text,
                tokenizer.render(&joined, false).unwrap(),
                "{}",
                outcome.template
            );
        }
    }
    assert_eq!(with_parts.len(), 2);
}
