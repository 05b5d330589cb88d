use crate::sandbox::{Sandbox, assert_shown};

const ROWS: &str = r#"{"question": "Where is my parcel?", "options": ["delivery", "refund"], "answer": 0, "topic": "delivery"}
{"question": "I want my money back.", "options": ["delivery", "refund"], "answer": 1, "topic": "refund"}
{"question": "The box has not come.", "options": ["delivery", "refund"], "answer": 0, "topic": "delivery"}
"#;

const SUITE: &str = r#"
[[task]]
name = "options"
output_type = "multiple_choice"
path = "asked.jsonl"
prompt = "Message: {question}\nTopic:"
choices_from = "options"
target = "answer"
calibrate = true

[[task]]
name = "topics"
output_type = "multiple_choice"
path = "asked.jsonl"
prompt = "{{ question | upper }}"
choices = ["delivery", "refund"]
target = "topic"
num_fewshot = 1
fewshot_sampler = "first_n"
fewshot_delimiter = " ## "
max_samples = 2

[[task]]
name = "written"
output_type = "generate_until"
path = "asked.jsonl"
prompt = "question"
target = "{{ topic }}"
max_new_tokens = 4
stop = ["."]
repeats = 2
exact_match = { ignore_case = true, ignore_punctuation = true, ignore_numbers = true, regexes_to_ignore = ["^ +"] }

[[task.filter]]
name = "vote"
steps = [{ function = "remove_whitespace" }, { function = "majority_vote" }, { function = "take_first" }]

[[task.filter]]
name = "word"
steps = [{ function = "regex", regex_pattern = "(\\w+)", group_select = -1, fallback = "none" }, { function = "take_first" }]

[[task]]
name = "held"
output_type = "generate_until"
path = "asked.jsonl"
prompt = "question"
target = "topic"
choices = ["delivery", "refund"]
constraint = { labels = true }

[[task]]
name = "likely"
output_type = "loglikelihood"
path = "asked.jsonl"
prompt = "question"
target = "topic"
target_delimiter = " -> "
description = "Topics:\n"

[[task]]
name = "spoken"
output_type = "loglikelihood"
path = "asked.jsonl"
prompt = "question"
target = "topic"
num_fewshot = 2
fewshot_path = "asked.jsonl"

[[task]]
name = "whole"
output_type = "loglikelihood_rolling"
path = "asked.jsonl"
target = "question"
"#;

const YAML: &str = r#"
task: topic_yaml
dataset_path: a/hub
output_type: multiple_choice
test_split: test
doc_to_text: "Message: {{question}}\nTopic:"
doc_to_choice: "{{options}}"
doc_to_target: answer
should_decontaminate: true
metric_list:
  - metric: acc
  - metric: acc_norm
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_base();
    sandbox.write("asked.jsonl", ROWS);
    sandbox.write("suite.toml", SUITE);
    sandbox.write("topic.yaml", YAML);
    sandbox
}

/// What a suite says after a text of `file` was changed.
fn refused(suite: &str, file: &str, change: impl Fn(&str) -> String, more: &[&str]) -> String {
    let sandbox = sandbox();
    let text = change(&sandbox.read(file));
    sandbox.write(file, text);
    let arguments = [&["eval", "base", "--suite", suite, "--quiet"], more].concat();
    sandbox.run(&arguments)
}

fn toml(from: &str, to: &str) -> String {
    refused(
        "suite.toml",
        "suite.toml",
        |text| swapped(text, from, to),
        &[],
    )
}

fn yaml(from: &str, to: &str) -> String {
    let rows = ["--data", "topic_yaml=asked.jsonl"];
    refused(
        "topic.yaml",
        "topic.yaml",
        |text| swapped(text, from, to),
        &rows,
    )
}

fn swapped(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not there");
    text.replacen(from, to, 1)
}

#[test]
fn a_suite_is_asked_and_every_answer_is_kept() {
    let sandbox = sandbox();
    let reports = sandbox.json(&[
        "eval",
        "base",
        "--suite",
        "suite.toml",
        "--out",
        "kept",
        "--json",
        "--quiet",
    ]);
    let names = |task: usize| -> Vec<String> {
        let figures = reports[task]["metrics"].as_array().unwrap().iter();
        figures
            .map(|it| {
                format!(
                    "{}/{}",
                    it["name"]["metric"].as_str().unwrap(),
                    it["name"]["filter"].as_str().unwrap()
                )
            })
            .collect()
    };
    assert_eq!(
        names(0),
        [
            "acc/none",
            "acc_norm/none",
            "acc_bytes/none",
            "acc_mutual_info/none"
        ]
    );
    assert_eq!(names(2), ["exact_match/vote", "exact_match/word"]);
    assert_eq!(names(3), ["exact_match/none"]);
    assert_eq!(names(4), ["perplexity/none", "acc/none"]);
    assert_eq!(
        names(6),
        [
            "word_perplexity/none",
            "byte_perplexity/none",
            "bits_per_byte/none"
        ]
    );
    let kept = |task: &str| -> Vec<serde_json::Value> {
        let lines = sandbox.read(&format!("kept/{task}/exchanges.jsonl"));
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    // Two choices, and both without the prompt.
    assert_eq!(kept("options").len(), 3 * 4);
    assert_eq!(kept("options")[3]["context"], "");
    // The first row is not shown to itself; every second of three rows is asked.
    let topics = kept("topics");
    assert_eq!(topics.len(), 2 * 2);
    assert_eq!(
        topics[0]["context"],
        "I WANT MY MONEY BACK. refund ## WHERE IS MY PARCEL?"
    );
    assert_eq!(topics[0]["continuation"], " delivery");
    assert_eq!(kept("likely")[0]["context"], "Topics:\nWhere is my parcel?");
    assert_eq!(kept("likely")[0]["continuation"], " -> delivery");
    assert_eq!(kept("written")[0]["texts"].as_array().unwrap().len(), 2);
    for answer in kept("held") {
        let text = answer["texts"][0].as_str().unwrap();
        assert!(["delivery", "refund"].contains(&text.trim()), "{answer}");
    }
    assert_eq!(kept("whole")[0]["continuation"], "Where is my parcel?");
    let bits = reports[6]["metrics"][2]["value"].as_f64().unwrap();
    let per_byte = reports[6]["metrics"][1]["value"].as_f64().unwrap();
    assert!((bits - per_byte.log2()).abs() < 1e-9, "{bits} {per_byte}");
}

#[test]
fn a_file_of_the_harness_is_asked_as_it_is() {
    let sandbox = sandbox();
    let rows = "topic_yaml=asked.jsonl";
    let shown = sandbox.run(&[
        "eval",
        "base",
        "--suite",
        "topic.yaml",
        "--data",
        rows,
        "--limit",
        "2",
    ]);
    assert!(shown.starts_with("exit code: 0\n"), "{shown}");
    assert!(shown.contains("topic_yaml (2 rows)  acc"), "{shown}");
    assert!(
        shown.contains("task `topic_yaml`: `should_decontaminate` is not followed"),
        "{shown}"
    );
    assert_shown!(sandbox.run(&["eval", "base", "--suite", "topic.yaml", "--quiet"]), @r"
    exit code: 2
    ----- stderr -----
    error: task `topic_yaml` has no rows here for its split `test`: it names `a/hub`

    hint: name a file of rows: `--data topic_yaml=FILE`, or `--data topic_yaml:test=FILE` for this split alone
    ");
}

#[test]
fn a_recipe_has_suites_beside_its_tasks() {
    let sandbox = sandbox();
    let recipe = sandbox.read("adapter.toml");
    let recipe = swapped(
        &recipe,
        "[[eval.task]]",
        "[eval]\nsuite = [\"suite.toml\"]\n\n[[eval.task]]",
    );
    sandbox.write("suites.toml", recipe);
    // The suite asks rows of the training file.
    let refused = sandbox.run(&["check", "suites.toml"]);
    assert!(
        refused.contains("rows of task `options` are among the rows to learn from"),
        "{refused}"
    );
    let shared = "data.on_leak=report";
    let plan = &sandbox.json(&["check", "suites.toml", shared, "--json"])["plan"];
    assert_eq!(plan["tasks"]["whole"], 3, "{plan}");
    sandbox.succeeds(&[
        "train",
        "suites.toml",
        shared,
        "output_dir=runs/suites",
        "--quiet",
    ]);
    for who in ["base", "tuned"] {
        assert!(
            sandbox
                .path(&format!("runs/suites/eval/{who}/whole/exchanges.jsonl"))
                .exists()
        );
    }
}

#[test]
fn a_key_that_is_not_read_is_named_with_its_place() {
    assert_shown!(yaml("doc_to_choice", "doc_to_choices"), @r"
    exit code: 2
    ----- stderr -----
    error: topic.yaml:7:1 unknown key `doc_to_choices`; did you mean `doc_to_choice`?
    ");
    assert_shown!(yaml("answer", "!function utils.answer"), @r"
    exit code: 2
    ----- stderr -----
    error: topic.yaml:8:16 `doc_to_target` is the Python function `utils.answer`, which only lm-evaluation-harness can run

    hint: write what it does as a Jinja template, or write the rows out as they come from it and name them with `--data TASK=FILE`
    ");
    assert_shown!(yaml("acc_norm", "acc_nrm"), @r"
    exit code: 2
    ----- stderr -----
    error: topic.yaml:12:13 `metric` is `acc_nrm`, needs one of `acc`, `acc_norm`, `acc_bytes`, `acc_mutual_info`, `exact_match`, `f1`, `mcc`, `brier_score` for this `output_type`
    ");
    let shown = yaml("multiple_choice", "[a");
    assert!(
        shown.starts_with("exit code: 2") && shown.contains("is not valid YAML"),
        "{shown}"
    );
    assert_shown!(toml("num_fewshot", "num_fewshots"), @r"
    exit code: 2
    ----- stderr -----
    error: suite `suite.toml` has 1 problem
      suite.toml:18:1 unknown key `task.1.num_fewshots`; did you mean `task.num_fewshot`?

    hint: `recipes/reference.toml` has every key with its default
    ");
}

#[test]
fn rows_that_do_not_fit_are_named_with_their_places() {
    assert_shown!(toml("{question}", "{query}"), @r"
    exit code: 2
    ----- stderr -----
    error: asked.jsonl:1: task `options`, `prompt`: the row has no column `query`; it has `question`, `options`, `answer`, `topic`
    ");
    let last =
        r#"The box has not come.", "options": ["delivery", "refund"], "answer": 0, "topic": "#;
    let emptied =
        |text: &str| swapped(text, &format!("{last}\"delivery\""), &format!("{last}null"));
    assert_shown!(refused("suite.toml", "asked.jsonl", emptied, &[]), @r"
    exit code: 2
    ----- stderr -----
    error: asked.jsonl:3: task `held`, `target`: the row's column `topic` is empty
    ");
    assert_shown!(toml("[\"delivery\", \"refund\"]", "[\"delivered\", \"refund\"]"), @r"
    exit code: 2
    ----- stderr -----
    error: asked.jsonl:1: task `topics`, `target`: `delivery` is none of the 2 choices

    hint: did you mean `delivered`?
    ");
    assert_shown!(toml("target = \"answer\"", "target = \"5\""), @r"
    exit code: 2
    ----- stderr -----
    error: asked.jsonl:1: task `options`, `target`: choice 5 is none of the 2 choices, counted from 0
    ");
    assert_shown!(toml("target = \"answer\"\n", ""), @r"
    exit code: 2
    ----- stderr -----
    error: task `options`: has a `prompt` and no `target`: no row says which answer is right
    ");
}

#[test]
fn suites_without_tasks_or_rows_are_refused() {
    assert_shown!(refused("suite.toml", "suite.toml", |_| "description = \"nothing\"\n".into(), &[]), @r"
    exit code: 2
    ----- stderr -----
    error: suite `suite.toml` has no task

    hint: give it a `[[task]]`
    ");
    assert_shown!(refused("suite.toml", "suite.toml", str::to_owned, &["--suite", "suite.toml"]), @r"
    exit code: 2
    ----- stderr -----
    error: task `options`: `suite.toml` names it a second time; needs a name of its own
    ");
    assert_shown!(refused("suite.toml", "suite.toml", str::to_owned, &["--data", "topic=asked.jsonl"]), @r"
    exit code: 2
    ----- stderr -----
    error: rows are given for task `topic`, which no suite has

    hint: did you mean `topics`?
    ");
    assert_shown!(toml("num_fewshot = 1", "num_fewshot = 3"), @r"
    exit code: 2
    ----- stderr -----
    error: task `topics`: 3 examples are to be shown, there are 3 rows to choose from
    ");
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["eval", "nowhere", "--recipe", "scratch.toml"]), @r"
    exit code: 2
    ----- stderr -----
    error: `--recipe scratch.toml` is only read with a GGUF file, `nowhere` is none

    hint: a run has its own recipe; to measure a recipe's base, give the recipe alone; to ask any model, use `--suite`
    ");
}
