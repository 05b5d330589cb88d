use crate::sandbox::{Sandbox, assert_shown};

#[test]
fn check_prints_the_plan_and_writes_nothing() {
    let sandbox = Sandbox::with_base();
    let before = sandbox.tree();
    assert_shown!(sandbox.run(&["check", "adapter.toml"]), @"");
    assert_eq!(sandbox.tree(), before);
    let plan = sandbox.json(&[
        "check",
        "adapter.toml",
        "train.max_steps=0",
        "train.num_train_epochs=2",
        "--json",
    ]);
    // Nine rows in batches of four are three steps an epoch.
    assert_eq!(plan["plan"]["steps"], 6);
    assert_eq!(plan["plan"]["held_out_rows"], 3);
}

#[test]
fn data_show_marks_what_is_learned() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "show", "adapter.toml", "--row", "1"]), @"");
    let rows = sandbox.json(&[
        "data",
        "show",
        "adapter.toml",
        "--split",
        "validation",
        "--count",
        "9",
        "--json",
    ]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let tokens = rows[0]["tokens"].as_array().unwrap();
    let learned = tokens.iter().filter(|token| token["learned"] == true);
    let learned: String = learned
        .map(|token| token["text"].as_str().unwrap())
        .collect();
    assert_eq!(learned, " delivery<|im_end|>");
}

#[test]
fn data_show_of_a_conversation_learns_the_answers() {
    let sandbox = Sandbox::with_base();
    let row = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}"#;
    sandbox.write("rows.jsonl", format!("{row}\n"));
    let rows = r#"data.train=[{path = "rows.jsonl"}]"#;
    assert_shown!(sandbox.run(&["data", "show", "adapter.toml", rows, "data.val_every=0", "data.val_size=0.0"]), @"");
}

#[test]
fn a_row_that_is_not_there_is_refused() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "show", "adapter.toml", "--row", "99"]), @"");
}

#[test]
fn data_stats_counts_rows_tokens_and_answers() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "stats", "adapter.toml"]), @"");
    let stats = sandbox.json(&["data", "stats", "adapter.toml", "--json"]);
    assert_eq!(stats["stats"]["distinct_targets"], 2);
}

#[test]
fn data_prepare_writes_shards_that_train_takes_up() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "prepare", "adapter.toml"]), @"");
    let shown = sandbox.run(&["train", "adapter.toml"]);
    assert!(
        shown.contains("data: skipped, its inputs did not change"),
        "{shown}"
    );
}
