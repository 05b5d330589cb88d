use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, assert_shown};

/// A row of these is given another label.
const EVERY: usize = 12;

/// The intents of a help desk with labels of which one in twelve is wrong, and the lines of those.
fn with_planted_errors(rows: &str) -> (String, BTreeSet<usize>) {
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|row: &Value| row["task"] == "intent")
        .collect();
    let label = |row: &Value| row["messages"][1]["content"].as_str().unwrap().to_owned();
    let labels: BTreeSet<String> = rows.iter().map(label).collect();
    let labels: Vec<&String> = labels.iter().collect();
    let (mut text, mut planted) = (String::new(), BTreeSet::new());
    for (at, row) in rows.iter().enumerate() {
        let mut given = label(row);
        if at % EVERY == 5 {
            let right = labels.iter().position(|label| **label == given).unwrap();
            // Each label is taken for each of the others in turn.
            let step = 1 + (at / EVERY) % (labels.len() - 1);
            given = labels[(right + step) % labels.len()].clone();
            planted.insert(at + 1);
        }
        let asked = &row["messages"][0];
        let answer = json!({"role": "assistant", "content": given});
        text += &format!("{}\n", json!({"messages": [asked, answer]}));
    }
    (text, planted)
}

/// The line of a file that a row came from.
fn line(row: &Value) -> usize {
    let (_, line) = row["origin"].as_str().unwrap().rsplit_once(':').unwrap();
    line.parse().unwrap()
}

/// The lines that the run holds out, as its evaluation names them.
fn held_out_lines(sandbox: &Sandbox) -> BTreeSet<usize> {
    let samples = sandbox.read("runs/intents/eval/tuned/held-out/samples.jsonl");
    let samples = samples
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    samples.map(|sample: Value| line(&sample)).collect()
}

/// Precision and recall of what was found among some of the lines with planted errors.
fn measured(found: &Value, planted: &BTreeSet<usize>, among: &BTreeSet<usize>) -> (f64, f64) {
    let suspects = found["suspects"].as_array().unwrap().iter();
    let lines: BTreeSet<usize> = suspects.map(line).collect();
    let right = lines.intersection(planted).count() as f64;
    let all = planted.intersection(among).count() as f64;
    (right / lines.len() as f64, right / all)
}

/// An adapter for the project's own base that learns intents.
const RECIPE: &str = r#"
name = "intents"

[model]
base_model = "base-2m"
device = "cpu"
max_length = 128

[data]
val_size = 0.25

[[data.train]]
path = "rows.jsonl"

[lora]
r = 16
lora_alpha = 32

[train]
num_train_epochs = 4
per_device_train_batch_size = 16
learning_rate = 3e-3
load_best_model_at_end = false

[export]
peft_adapter = false
merged = false
"#;

#[test]
fn planted_label_errors_are_found() {
    let sandbox = Sandbox::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    sandbox.copy(&root.join("datasets/base/slm-base-2m"), "base-2m");
    let rows = fs_err::read_to_string(root.join("datasets/retail/train.jsonl")).unwrap();
    let (rows, planted) = with_planted_errors(&rows);
    sandbox.write("rows.jsonl", rows);
    sandbox.write("intents.toml", RECIPE);
    sandbox.succeeds(&["train", "intents.toml", "--quiet"]);
    let found = sandbox.json(&["data", "audit", "runs/intents", "--json"]);
    let (held_out, training) = (&found[0], &found[1]);
    let of = |it: &Value| (it["of"].clone(), it["known"].clone(), it["rows"].clone());
    assert_eq!(
        of(held_out),
        ("held out".into(), "unseen".into(), 200.into())
    );
    assert_eq!(
        of(training),
        ("training".into(), "learned".into(), 600.into())
    );
    let (precision, recall) = measured(held_out, &planted, &held_out_lines(&sandbox));
    // 0.58 and 0.79 where they were measured first; rows drawn at random would be right in 1 of 12.
    assert!(precision > 0.4, "precision {precision}");
    assert!(recall > 0.6, "recall {recall}");
    // The most suspicious ones are errors.
    let first = held_out["suspects"].as_array().unwrap().iter().take(5);
    let lines: Vec<usize> = first.map(line).collect();
    let right = lines.iter().filter(|line| planted.contains(line));
    assert!(right.count() >= 4, "{lines:?}");
}

#[test]
fn folds_look_at_every_training_row_and_leave_nothing_behind() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    let before = sandbox.tree();
    let found = sandbox.json(&["data", "audit", "runs/adapter", "--folds", "2", "--json"]);
    let [training] = &found.as_array().unwrap()[..] else {
        panic!("{found}")
    };
    assert_eq!(training["known"]["folds"], 2);
    assert_eq!(
        (&training["rows"], &training["other_answers"]),
        (&9.into(), &0.into())
    );
    assert_eq!(training["labels"], json!(["delivery", "refund"]));
    assert_eq!(sandbox.tree(), before);
    let other = r#"{"text": "Hello?", "topic": "greeting"}"#;
    sandbox.write(
        "other.jsonl",
        format!("{other}\n{}", sandbox.read("rows.jsonl")),
    );
    let rows = [
        "data",
        "audit",
        "runs/adapter",
        "--rows",
        "other.jsonl",
        "--json",
    ];
    let found = sandbox.json(&rows);
    let of_file = &found[0];
    assert_eq!(
        (&of_file["of"], &of_file["known"]),
        (&"other.jsonl".into(), &"unseen".into())
    );
    assert_eq!(
        (&of_file["rows"], &of_file["other_answers"]),
        (&12.into(), &1.into())
    );
    // The same file as the run's own, under another name.
    sandbox.write("other.jsonl", sandbox.read("rows.jsonl"));
    assert_eq!(sandbox.json(&rows)[0]["known"], "learned");
}

#[test]
fn what_is_not_there_is_not_audited() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    sandbox.write(
        "rows.jsonl",
        sandbox.read("rows.jsonl") + "{\"text\": \"New?\", \"topic\": \"refund\"}\n",
    );
    assert_shown!(sandbox.run(&["data", "audit", "runs/adapter", "--quiet"]), @r"
    exit code: 2
    ----- stderr -----
    error: the rows have changed since the run in `runs/adapter` began

    hint: put them back, train again, or name the rows to look at with `--rows FILE`
    ");
    sandbox.write(
        "other.jsonl",
        "{\"text\": \"Hello?\", \"topic\": \"greeting\"}\n",
    );
    assert_shown!(sandbox.run(&["data", "audit", "runs/adapter", "--rows", "other.jsonl", "--quiet"]), @r"
    exit code: 2
    ----- stderr -----
    error: none of the 1 rows (other.jsonl) is answered by one of the 2 labels

    hint: name the labels with `data.labels`, or with `choices` of a multiple_choice task
    ");
}
