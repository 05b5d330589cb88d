use crate::sandbox::{Sandbox, assert_shown};

/// Trains the adapter on other rows and shows what came of it.
fn train_on(rows: impl AsRef<[u8]>, overrides: &[&str]) -> String {
    let sandbox = Sandbox::with_base();
    sandbox.write("rows.jsonl", rows);
    let arguments = [&["train", "adapter.toml"], overrides].concat();
    let shown = sandbox.run(&arguments);
    let left: Vec<_> = sandbox
        .tree()
        .into_iter()
        .filter(|name| name.contains("/data/"))
        .collect();
    assert!(left.is_empty(), "half-written: {left:?}");
    shown
}

/// Without the prompt template: rows as the format says.
const ROWS_AS_THEY_ARE: &str = r#"data.train=[{path = "rows.jsonl"}]"#;

#[test]
fn broken_json_has_its_line() {
    assert_shown!(train_on("{\"text\": \"a\", \"topic\": \"b\"}\n{\"text\": \"a\", \n", &[]), @"");
}

#[test]
fn a_row_without_the_column_has_its_line() {
    assert_shown!(train_on("{\"text\": \"a\", \"topic\": \"b\"}\n{\"text\": \"a\", \"tpic\": \"b\"}\n", &[]), @"");
}

#[test]
fn an_empty_file_is_refused() {
    assert_shown!(train_on("", &[]), @"");
}

#[test]
fn a_missing_file_is_refused() {
    assert_shown!(train_on("", &["data.train.0.path=row.jsonl"]), @"");
}

#[test]
fn invalid_utf8_has_its_place() {
    assert_shown!(train_on(b"{\"text\": \"a\", \"topic\": \"caf\xe9\"}\n", &[]), @"");
}

#[test]
fn a_row_with_nothing_to_learn_is_refused() {
    let row = r#"{"messages": [{"role": "user", "content": "hello"}]}"#;
    assert_shown!(train_on(format!("{row}\n{row}\n"), &[ROWS_AS_THEY_ARE]), @"");
}

#[test]
fn a_row_that_is_too_long_is_refused() {
    let text = "a long story ".repeat(40);
    assert_shown!(train_on(format!("{{\"text\": \"{text}\", \"topic\": \"b\"}}\n"), &["data.val_every=0"]), @"");
}

#[test]
fn a_label_outside_the_set_is_refused() {
    let rows =
        "{\"text\": \"a\", \"topic\": \"refund\"}\n{\"text\": \"a\", \"topic\": \"refnd\"}\n";
    assert_shown!(train_on(rows, &["data.labels=[\"refund\", \"delivery\"]"]), @"");
}

#[test]
fn a_file_that_only_claims_to_be_parquet_is_refused() {
    let sandbox = Sandbox::with_base();
    sandbox.write("rows.parquet", "no parquet");
    let shown = sandbox.run(&["train", "adapter.toml", "data.train.0.path=rows.parquet"]);
    assert_shown!(shown, @"");
}

#[test]
fn rows_of_no_known_format_are_refused() {
    assert_shown!(train_on("{\"a\": 1}\n", &[ROWS_AS_THEY_ARE]), @"");
}
