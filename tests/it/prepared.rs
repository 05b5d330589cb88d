use serde_json::Value;

use crate::sandbox::Sandbox;

/// Prepares rows under a name of their own.
fn prepare(sandbox: &Sandbox, name: &str, overrides: &[&str]) {
    let name = format!("name={name}");
    let arguments = ["data", "prepare", "adapter.toml", "--quiet", &name];
    sandbox.succeeds(&[&arguments[..], overrides].concat());
}

fn holds(shown: &str, texts: &[&str]) {
    for text in texts {
        assert!(shown.contains(text), "no `{text}` in\n{shown}");
    }
}

#[test]
fn a_page_draws_rows_and_escapes_them() {
    let sandbox = Sandbox::with_base();
    sandbox.replace(
        "rows.jsonl",
        "I want my money back.",
        "<b>I want</b> my money back.",
    );
    let shown = sandbox.run(&["data", "stats", "adapter.toml", "--html", "rows.html"]);
    holds(&shown, &["exit code: 0", "wrote `rows.html`"]);
    let page = sandbox.read("rows.html");
    holds(
        &page,
        &[
            "<title>adapter · rows · slm-tune</title>",
            "default-src 'none'",
            "<rect class=\"bar train\"",
        ],
    );
    assert!(
        !page.contains("<script") && !page.contains("://"),
        "it loads something"
    );
    // The same page is made of a run.
    prepare(&sandbox, "page", &[]);
    holds(
        &sandbox.read("runs/page/data.html"),
        &["<title>page · rows · slm-tune</title>"],
    );
}

#[test]
fn a_card_says_what_is_stated_and_what_is_counted() {
    let sandbox = Sandbox::with_base();
    prepare(&sandbox, "cards", &["data.clean.pii=report"]);
    let shown = sandbox.run(&["data", "card", "runs/cards", "data.card.license=CC0-1.0"]);
    holds(
        &shown,
        &[
            "exit code: 0",
            "# Data card: cards",
            "| licence | CC0-1.0 |",
            "| `rows.jsonl` | 12 | 0 | prompt_completion | CC0-1.0 | 1 | 664 |",
            "| training | 9 | 0 | 0 | 9 | 206 | 18 |",
            "| `refund` | 6 | 66.7 % |",
            "Held out: every row whose number 4 divides.",
        ],
    );
    let card = sandbox.succeeds(&["data", "card", "adapter.toml"]);
    assert!(card.contains("| licence | not stated |"), "{card}");
    assert!(card.contains("It was not looked for."), "{card}");
}

#[test]
fn a_card_is_croissant_as_well() {
    let sandbox = Sandbox::with_base();
    prepare(&sandbox, "cards", &[]);
    let out = ["--out", "runs/cards"];
    let stated = [
        "data.card.languages=[\"en\"]",
        "data.card.creator=Example Ltd.",
        "data.train.0.license=CC-BY-4.0",
    ];
    let arguments = ["data", "card", "runs/cards"];
    let shown = sandbox.run(&[&arguments[..], &stated, &out].concat());
    holds(
        &shown,
        &["wrote `runs/cards/data-card.md`\nwrote `runs/cards/croissant.json`\n"],
    );
    let metadata: Value = serde_json::from_str(&sandbox.read("runs/cards/croissant.json")).unwrap();
    assert_eq!(metadata["conformsTo"], "http://mlcommons.org/croissant/1.0");
    assert_eq!(
        (&metadata["license"], &metadata["inLanguage"][0]),
        (&"CC-BY-4.0".into(), &"en".into())
    );
    let files = metadata["distribution"].as_array().unwrap();
    let rows = sandbox.path("rows.jsonl");
    assert_eq!(files[0]["sha256"], slm_run::sha256_file(rows).unwrap());
    assert_eq!(files[1]["includes"], "data/train-*.parquet");
    assert_eq!(metadata["recordSet"][1]["name"], "validation");
    // Stating something changes no row: what is prepared stays so.
    let again = sandbox.run(
        &[
            &["data", "prepare", "adapter.toml", "name=cards"],
            &stated[..],
        ]
        .concat(),
    );
    assert!(
        again.contains("data: skipped, its inputs did not change"),
        "{again}"
    );
}

#[test]
fn two_sets_are_compared_row_by_row() {
    let sandbox = Sandbox::with_base();
    prepare(&sandbox, "a", &[]);
    let rows: Vec<String> = sandbox
        .read("rows.jsonl")
        .lines()
        .map(str::to_owned)
        .collect();
    let mut other = rows.clone();
    // Another answer, another text, one row less, one more.
    other[1] = other[1].replace("refund", "delivery");
    other[2] = other[2].replace("\"text\": \"", "\"text\": \"Well. ");
    other.remove(3);
    other.push(r#"{"text": "All new", "topic": "refund"}"#.into());
    sandbox.write("rows.jsonl", other.join("\n"));
    prepare(&sandbox, "b", &[]);
    let shown = sandbox.run(&["data", "diff", "runs/a", "runs/b"]);
    holds(
        &shown,
        &[
            "exit code: 0",
            "`rows.jsonl` is another file",
            "rows.jsonl:2",
        ],
    );
    let diff = sandbox.json(&["data", "diff", "runs/a", "runs/b/data", "--json"]);
    let count = |kind: &str| diff[kind].as_array().unwrap().len();
    assert_eq!(count("answered_anew"), 1);
    assert_eq!(diff["answered_anew"][0]["b"]["origin"], "rows.jsonl:2");
    let shown = sandbox.run(&["data", "diff", "runs/a", "runs/a"]);
    assert!(shown.ends_with("both hold the same rows\n"), "{shown}");
}
