//! generate --labels, --regex, --json-schema, and tasks whose answers are held to one of them.

use crate::sandbox::{Sandbox, assert_shown};

/// A model that knows nothing answers with what it is held to.
const ASKED: [&str; 6] = [
    "generate",
    "base",
    "--raw",
    "--prompt",
    "Message: Hi\nTopic:",
    "--json",
];

fn answer(sandbox: &Sandbox, rest: &[&str]) -> serde_json::Value {
    sandbox.json(&[&ASKED, rest].concat())
}

#[test]
fn an_answer_is_what_it_is_held_to() {
    let sandbox = Sandbox::with_base();
    sandbox.write("yes.json", r#"{"enum": [{"sure": true}]}"#);
    for (option, value, expected) in [
        ("--labels", "lost card", "lost card"),
        ("--regex", "A-[7]{3}", "A-777"),
        ("--json-schema", "yes.json", "{"),
    ] {
        for temperature in ["0", "1"] {
            let shown = answer(&sandbox, &[option, value, "--temperature", temperature]);
            assert_eq!(shown["valid"], true, "{shown}");
            let text = shown["answer"].as_str().unwrap();
            match option {
                "--json-schema" => {
                    let value: serde_json::Value = serde_json::from_str(text).unwrap();
                    assert_eq!(value, serde_json::json!({"sure": true}));
                }
                _ => assert_eq!(text, expected),
            }
        }
    }
    let two = answer(&sandbox, &["--labels", "shipping,billing"]);
    assert!(
        ["shipping", "billing"].contains(&two["answer"].as_str().unwrap()),
        "{two}"
    );
    assert_eq!(
        answer(&sandbox, &["--max-new-tokens", "2"])["valid"],
        serde_json::Value::Null
    );
}

#[test]
fn an_answer_that_is_cut_short_is_an_error() {
    let sandbox = Sandbox::with_base();
    let cut = ["--regex", "[0-9]{40}", "--max-new-tokens", "2"];
    assert_eq!(answer(&sandbox, &cut)["valid"], false);
    let shown = sandbox.run(&[&ASKED[..5], &cut].concat());
    assert!(shown.starts_with("exit code: 2"), "{shown}");
    assert!(
        shown.contains("error: the answer was cut short after 2 tokens, and is not whole"),
        "{shown}"
    );
}

#[test]
fn what_answers_cannot_be_held_to_is_refused() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["generate", "base", "--prompt", "Hi", "--regex", "a(b"]), @r"
    exit code: 2
    ----- stderr -----
    error: the regex `a(b` is wrong at character 2: unclosed group
    ");
    sandbox.write(
        "answer.json",
        r#"{"properties": {"name": {"minLenght": 2}}}"#,
    );
    assert_shown!(sandbox.run(&["generate", "base", "--prompt", "Hi", "--json-schema", "answer.json"]), @r"
    exit code: 2
    ----- stderr -----
    error: the JSON schema has `minLenght` at `/properties/name`, which is not enforced

    hint: did you mean `minLength`?
    ");
}

#[test]
fn a_task_whose_constraint_is_wrong_stops_before_training() {
    let sandbox = Sandbox::with_base();
    let overrides = [
        "eval.task.0.output_type=generate_until",
        "eval.task.0.constraint.regex=a\\bb",
    ];
    assert_shown!(sandbox.run(&[&["check", "adapter.toml"], &overrides[..]].concat()), @r"
    exit code: 2
    ----- stderr -----
    error: task `topic` cannot hold its answers to `constraint`: the regex `a\bb` has `\b` at character 2, which no answer can be held to while it is written

    hint: an answer always matches from its first to its last character: leave the assertion out
    ");
}

#[test]
fn a_run_evaluates_answers_held_to_labels() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&[
        "train",
        "adapter.toml",
        "--quiet",
        "export.gguf=[]",
        "eval.task.0.output_type=generate_until",
        "eval.task.0.constraint.labels=true",
    ]);
    let labels: Vec<String> = sandbox
        .read("rows.jsonl")
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["topic"].as_str().unwrap().to_string()
        })
        .collect();
    for side in ["base", "tuned"] {
        let samples = sandbox.read(&format!("runs/adapter/eval/{side}/topic/samples.jsonl"));
        assert!(!samples.is_empty());
        for sample in samples.lines() {
            let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
            let output = sample["output"].as_str().unwrap().trim().to_string();
            assert_eq!(sample["finish"], "stop", "{sample}");
            assert!(labels.contains(&output), "{sample}");
        }
    }
}
