use crate::sandbox::Sandbox;

/// Rows of a task: two of them are rows to learn from, and two are not.
const TEST: &str = r#"{"text": "I want my money back.", "topic": "refund"}
{"text": "The box has not come.", "topic": "delivery"}
{"text": "Is it on its way to me?", "topic": "delivery"}
{"text": "Please pay me back at once.", "topic": "refund"}
"#;

#[test]
fn a_score_is_told_with_and_without_leaked_items() {
    let sandbox = Sandbox::with_base();
    sandbox.write("test.jsonl", TEST);
    let task = "name = \"topic\"";
    sandbox.replace(
        "adapter.toml",
        task,
        &format!("{task}\npath = \"test.jsonl\""),
    );
    let listed = "data.on_leak=report";
    let shown = sandbox.succeeds(&["train", "adapter.toml", listed]);
    let mut lines = shown.lines();
    let all = lines.find(|line| line.contains("topic (4 rows)")).unwrap();
    let others = lines.find(|line| line.contains("without 2 leaked (2 rows)"));
    let others = others.unwrap_or_else(|| panic!("{shown}"));
    assert!(
        all.contains("accuracy") && others.contains("accuracy"),
        "{shown}"
    );
    let report = sandbox.read("runs/adapter/report.html");
    assert!(report.contains("2 of the 4 items are among the rows to learn from"));
    let results = sandbox.json(&["eval", "runs/adapter", "--quiet", "--json"]);
    let without = &results[0]["without_leaked"];
    assert_eq!((&without["leaked"], &without["n"]), (&2.into(), &2.into()));
    // Of the two items that remain, a model answers none, one or both rightly.
    for who in ["tuned", "base"] {
        let accuracy = &without[who][0];
        assert_eq!(
            (&accuracy["name"], &accuracy["n"]),
            (&"accuracy".into(), &2.into())
        );
        let right = 2.0 * accuracy["value"].as_f64().unwrap();
        assert_eq!(right.fract(), 0.0, "{who}");
    }
    // What is left out was not learned from: nothing to tell apart.
    let dropped = ["train", "adapter.toml", "data.on_leak=drop", "name=dropped"];
    assert!(!sandbox.succeeds(&dropped).contains("leaked"));
}
