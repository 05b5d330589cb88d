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
    assert_shown!(train_on("{\"text\": \"a\", \"topic\": \"b\"}\n{\"text\": \"a\", \n", &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: `rows.jsonl:2` is not valid JSON: EOF while parsing a value at column 14

    hint: every line has to be one complete JSON object, or the file one list of objects
    ");
}

#[test]
fn a_row_without_the_column_has_its_line() {
    assert_shown!(train_on("{\"text\": \"a\", \"topic\": \"b\"}\n{\"text\": \"a\", \"tpic\": \"b\"}\n", &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: `rows.jsonl:2` has no column `topic`, needed by the `completion` template; found `text`, `tpic`

    hint: is it `tpic`?
    ");
}

#[test]
fn an_empty_file_is_refused() {
    assert_shown!(train_on("", &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: data file `rows.jsonl` has no rows

    hint: a row is a line of JSON, a record after the header of a CSV, or a line of text
    ");
}

#[test]
fn a_missing_file_is_refused() {
    assert_shown!(train_on("", &["data.train.0.path=row.jsonl"]), @r"
    exit code: 2
    ----- stderr -----
    error: data file `row.jsonl` does not exist

    hint: is it `rows.jsonl`?
    ");
}

#[test]
fn invalid_utf8_has_its_place() {
    assert_shown!(train_on(b"{\"text\": \"a\", \"topic\": \"caf\xe9\"}\n", &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: `rows.jsonl:1` is not valid UTF-8: found byte 0xe9 at column 28

    hint: convert it to UTF-8; if it came from Windows: `iconv -f CP1252 -t UTF-8 rows.jsonl > utf8-file`
    ");
}

#[test]
fn a_row_with_nothing_to_learn_is_refused() {
    let row = r#"{"messages": [{"role": "user", "content": "hello"}]}"#;
    assert_shown!(train_on(format!("{row}\n{row}\n"), &[ROWS_AS_THEY_ARE]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: 2 of 2 rows have nothing to learn: `rows.jsonl:2`, `rows.jsonl:1`

    hint: learned are the messages of the role `assistant` (`gpt` in ShareGPT rows): look at the roles of these rows and at `data.train_on`
    ");
}

#[test]
fn a_row_that_is_too_long_is_refused() {
    let text = "a long story ".repeat(40);
    assert_shown!(train_on(format!("{{\"text\": \"{text}\", \"topic\": \"b\"}}\n"), &["data.val_every=0"]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: 1 of 1 row is longer than `max_length` 64: `rows.jsonl:1` (448 tokens)

    hint: set `model.max_length` to 448, or choose with `data.overlong`: `drop`, `truncate_left` or `truncate_right` (each is counted)
    ");
}

#[test]
fn a_label_outside_the_set_is_refused() {
    let rows =
        "{\"text\": \"a\", \"topic\": \"refund\"}\n{\"text\": \"a\", \"topic\": \"refnd\"}\n";
    assert_shown!(train_on(rows, &["data.labels=[\"refund\", \"delivery\"]"]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: 1 of 2 rows has a label outside `data.labels`: `rows.jsonl:2` (`refnd`)

    hint: is `refnd` meant to be `refund`?
    ");
}

#[test]
fn a_file_that_only_claims_to_be_parquet_is_refused() {
    let sandbox = Sandbox::with_base();
    sandbox.write("rows.parquet", "no parquet");
    let shown = sandbox.run(&["train", "adapter.toml", "data.train.0.path=rows.parquet"]);
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: data file `rows.parquet` is not a readable Parquet file: Parquet error: Invalid Parquet file. Corrupt footer

    hint: it may be cut off, or of another type than its extension says
    ");
}

#[test]
fn rows_of_no_known_format_are_refused() {
    assert_shown!(train_on("{\"a\": 1}\n", &[ROWS_AS_THEY_ARE]), @r#"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: `rows.jsonl` has rows of no known format; found `a`; needed `messages`, `conversations`, `instruction` and `output`, `prompt` and `completion`, `text`, or `input_ids` and `labels`

    hint: say what is asked and answered: `prompt = "{a}"` and `completion = "{a}"` beside `path`
    "#);
}

#[test]
fn a_task_whose_file_is_missing_stops_before_training() {
    let sandbox = Sandbox::with_base();
    let shown = sandbox.run(&["train", "adapter.toml", "eval.task.0.path=test.jsonl"]);
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    error: data file `test.jsonl` does not exist

    hint: paths in a recipe are relative to the working directory
    ");
}
