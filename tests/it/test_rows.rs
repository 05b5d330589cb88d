//! Rows of the test: tasks are measured on them, and nothing is chosen by them.

use serde_json::Value;

use crate::sandbox::{Sandbox, assert_shown};

/// None of them is a row to learn from.
const TEST: &str = r#"{"text": "It has been two weeks and nothing came.", "topic": "delivery"}
{"text": "Is it on its way to me?", "topic": "delivery"}
{"text": "Please pay me back at once.", "topic": "refund"}
{"text": "I was charged for what I sent back.", "topic": "refund"}
{"text": "Who has it now, and where?", "topic": "delivery"}
"#;
const FILE: &str = r#"data.test=[{path = "test.jsonl", prompt = "Message: {text}\nTopic:", completion = " {topic}"}]"#;
const BY_TASK: &str = "train.metric_for_best_model=topic/loss";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_base();
    sandbox.write("test.jsonl", TEST);
    let (choice, loss) = (
        "\"multiple_choice\"",
        "\"loglikelihood\"\nmetrics = [\"loss\"]",
    );
    sandbox.replace("adapter.toml", choice, loss);
    sandbox
}

#[test]
fn tasks_are_measured_on_the_test_and_weights_chosen_by_held_out_rows() {
    let sandbox = sandbox();
    let train = ["train", "adapter.toml", "--quiet"];
    let overrides = [FILE, BY_TASK, "train.eval_steps=1"];
    sandbox.succeeds(&[&train[..], &overrides].concat());
    let metrics = sandbox.read("runs/adapter/metrics.jsonl");
    let events = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let evals: Vec<Value> = events.filter(|it: &Value| it["event"] == "eval").collect();
    assert_eq!(evals.len(), 2);
    for eval in &evals {
        // The loss of the three held-out rows, taken by the task as by the trainer.
        let [metric, loss] =
            [&eval["metric"]["value"], &eval["loss"]].map(|it| it.as_f64().unwrap());
        assert!((metric - loss).abs() < 1e-4 * loss, "{eval}");
    }
    let results = sandbox.json(&["eval", "runs/adapter", "--quiet", "--json"]);
    assert_eq!(results[0]["tuned"]["n"], 5);
    let measured = results[0]["tuned"]["metrics"][0]["value"].as_f64().unwrap();
    let held_out = evals[1]["loss"].as_f64().unwrap();
    assert!((measured - held_out).abs() > 1e-3, "{measured}, {held_out}");
}

#[test]
fn a_share_for_the_test_is_counted_and_shown() {
    let sandbox = sandbox();
    let split = [
        "data.val_every=0",
        "data.val_size=0.3",
        "data.test_size=0.3",
    ];
    let check = [&["check", "adapter.toml"][..], &split].concat();
    assert_shown!(sandbox.run(&check), @r#"
    exit code: 0
    ----- stdout -----
    run        runs/adapter (new)
    base       base (llama, 19,936 parameters)
    weights    79.7 KB
    memory     about 402 KB while training: 17.4 KB for what is trained, 167 KB for 104 tokens at a time
    device     cpu
    rows       4 to learn from, 6 held out, 2 of the test, 0 left out
    tokens     95, of which 8 are learned
    steps      2 of 4 rows, 2.0 epochs
    tasks      topic (2 rows)
    artifacts  adapter, merged model, GGUF Q8_0
    "#);
    let stats = [&["data", "stats", "adapter.toml"][..], &split].concat();
    assert_shown!(sandbox.run(&stats), @r#"
    exit code: 0
    ----- stdout -----
    file        rows   size  read as
    rows.jsonl    12  664 B  prompt_completion

    split     rows  left out  cut  tokens  learned
    train        4         0    0      95        8
    held out     6         0    0     138       12
    test         2         0    0      51        4

    mask         tokens  learned  held out  learned  test  learned
    prompt           87        0       126        0    47        0
    completion        4        4         6        6     2        2
    end of turn       4        4         6        6     2        2
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out

    tokens per row  min  mean  median  90 %  95 %  99 %  max
    train            21  23.8      23    26    26    26   26
    held out         20  23.0      22    26    26    26   26
    test             23  25.5      23    28    28    28   28

    tokens  rows
     21-21     1  ########################################
     22-22     0
     23-23     1  ########################################
     24-24     0
     25-25     1  ########################################
     26-26     1  ########################################

    2 different answers
    answer    rows
    refund       3  ########################################
    delivery     1  ##############
    "#);
    let show = ["data", "show", "adapter.toml", "--split", "test", "--json"];
    let rows = sandbox.json(&[&show[..], &split].concat());
    assert!(!rows.as_array().unwrap().is_empty());
}

#[test]
fn rows_of_the_test_among_those_to_learn_from_stop_the_run() {
    let sandbox = sandbox();
    sandbox.write("test.jsonl", sandbox.read("rows.jsonl"));
    assert_shown!(sandbox.run(&["check", "adapter.toml", FILE]), @r#"
    exit code: 2
    ----- stderr -----
    error: 9 of 12 rows of `data.test` are among the rows to learn from, `data.max_leak_rate` 0.01 lets 0 pass: `test.jsonl:10` is `rows.jsonl:10`, `test.jsonl:11` is `rows.jsonl:11`, `test.jsonl:12` is `rows.jsonl:12`, `test.jsonl:2` is `rows.jsonl:2`, `test.jsonl:3` is `rows.jsonl:3` and 4 more

    hint: leave them out of the rows to learn from with `data.on_leak = "drop"`, or measure all the same with `"report"`, which lists them beside the shards
    "#);
}

#[test]
fn what_says_two_things_of_a_test_is_refused() {
    let sandbox = sandbox();
    let by_number = ["check", "adapter.toml", "data.test_size=0.2", FILE];
    assert_shown!(sandbox.run(&by_number), @r#"
    exit code: 2
    ----- stderr -----
    error: recipe `adapter.toml` has 2 problems
      override `data.test_size=0.2` `data.test_size` and `data.test` both say what is held out; needs one of them
      override `data.test_size=0.2` `data.test_size` goes by what a row says and `data.val_every` by its number, so that equal rows would be on two sides; needs `data.val_size`
    "#);
    let nothing_left = [
        "data.val_every=0",
        "data.val_size=0.5",
        "data.test_size=0.5",
    ];
    let nothing_left = [&["check", "adapter.toml"][..], &nothing_left].concat();
    assert_shown!(sandbox.run(&nothing_left), @r#"
    exit code: 2
    ----- stderr -----
    error: recipe `adapter.toml` has 1 problem
      override `data.test_size=0.5` `data.val_size` is 0.5 and `data.test_size` is 0.5: nothing is left to learn from
    "#);
    let chosen_by = [
        "check",
        "adapter.toml",
        FILE,
        BY_TASK,
        "data.val_every=0",
        "data.val_size=0",
    ];
    assert_shown!(sandbox.run(&chosen_by), @r#"
    exit code: 2
    ----- stderr -----
    error: recipe `adapter.toml` has 1 problem
      override `train.metric_for_best_model=topic/loss` `train.metric_for_best_model` chooses weights by the task `topic`, whose rows are those of the test, by which nothing may be chosen; needs rows of `data.val_size`
    "#);
}
