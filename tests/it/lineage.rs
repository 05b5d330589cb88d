use crate::sandbox::{Sandbox, assert_shown};

/// Row 1 is changed twice, row 2 is row 0 again, and row 4 is too long.
const ROWS: &str = r#"{"text": "I want my money back", "topic": "refund"}
{"text": "<b>Cafe\u0301</b> closed, write to jo@example.org", "topic": "delivery"}
{"text": "I want my money back", "topic": "refund"}
{"text": "Where is it", "topic": "delivery"}
{"text": "Where is it, where is it, where is it, where is it, where is it, where is it", "topic": "delivery"}
"#;

fn prepared() -> Sandbox {
    let sandbox = Sandbox::with_base();
    sandbox.write("mail/rows.jsonl", ROWS);
    sandbox.replace(
        "adapter.toml",
        "path = \"rows.jsonl\"",
        "path = \"mail/rows.jsonl\"",
    );
    let clean = "val_every = 4\noverlong = \"drop\"\n\n[data.clean]\nunicode = \"nfc\"\nstrip_html = true\npii = \"redact\"\ndedup = \"exact\"";
    sandbox.replace("adapter.toml", "val_every = 4", clean);
    sandbox.succeeds(&["data", "prepare", "adapter.toml", "--quiet"]);
    sandbox
}

#[test]
fn a_row_is_followed_from_its_line_to_its_tokens() {
    let sandbox = prepared();
    assert_shown!(sandbox.run(&["data", "lineage", "rows.jsonl:2"]), @r#"
    exit code: 0
    ----- stdout -----
    row         1
    source      mail/rows.jsonl:2
    file        sha256 127925456f8a, 342 B, unchanged since
    read as     prompt_completion, prompt "Message: {text}\nTopic:", completion " {topic}"
    digest      7ff5278247850376fa698f45ad653103bb3de299d1a5e7b4643256de379e542a
    unicode     changed 7ff527824785: 69 characters, then 68
    html        changed 86395246b1c6: 68 characters, then 61
    personal    changed 4483fdef72cc: 61 characters, then 56, 1 EMAIL
    digest now  51774c73e60af84e178cf24eb0a2f720c6274dc8f46fadddfaf06992500f67d2
    now         learned from: 37 tokens, 2 learned; row 0 of train-00000.parquet
    "#);
    let rows = sandbox.json(&["data", "lineage", "1", "--json", "--data", "runs/adapter"]);
    let (row, digest) = (&rows[0], rows[0]["encoded_digest"].as_str().unwrap());
    assert_eq!(row["origin"], "mail/rows.jsonl:2");
    let steps = row["steps"].as_array().unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|it| it["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["unicode", "html", "personal"]);
    let again = sandbox.json(&[
        "data",
        "lineage",
        &digest[..8],
        "--json",
        "--data",
        "runs/adapter/data",
    ]);
    assert_eq!(again, rows);
}

#[test]
fn a_row_that_was_left_out_says_why() {
    let sandbox = prepared();
    assert_shown!(sandbox.run(&["data", "lineage", "2"]), @r#"
    exit code: 0
    ----- stdout -----
    row      2
    source   mail/rows.jsonl:3
    file     sha256 127925456f8a, 342 B, unchanged since
    read as  prompt_completion, prompt "Message: {text}\nTopic:", completion " {topic}"
    digest   2ce6d9ac52dd8522b79572872b22ce2835bc0e0fb4e8cc518d4ac4b39890c526
    exact    left it out, for row 0, `mail/rows.jsonl:1` (similarity 1.00)
    now      left out by the step `exact`
    "#);
    assert_shown!(sandbox.run(&["data", "lineage", "4"]), @r#"
    exit code: 0
    ----- stdout -----
    row      4
    source   mail/rows.jsonl
    file     sha256 127925456f8a, 342 B, unchanged since
    read as  prompt_completion, prompt "Message: {text}\nTopic:", completion " {topic}"
    digest   not kept
    now      not in the shards: 0 rows of its file were not taken by `max_samples`, 1 of all were left out for their length
    "#);
}

#[test]
fn a_row_that_is_not_known_is_refused() {
    let sandbox = prepared();
    assert_shown!(sandbox.run(&["data", "lineage", "99"]), @r#"
    exit code: 2
    ----- stderr -----
    error: `runs/adapter/data` knows nothing of row 99

    hint: it has 5 rows, counted from 0 in the order of the files; a row is named by its number, by the first characters of its digest, or by file and line, as in `rows.jsonl:12`
    "#);
    assert_shown!(sandbox.run(&["data", "lineage", "0", "--data", "mail"]), @r#"
    exit code: 2
    ----- stderr -----
    error: `mail` holds no prepared rows

    hint: give a run directory, or a folder that `slm-tune data prepare RECIPE` wrote
    "#);
}
