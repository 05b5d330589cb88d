//! The page: self-contained, escaped, well-formed, and complete.

use slm_eval::report::{
    Curves, DataSide, Digest, EvalPoint, Page, ShippedFile, StepPoint, TaskResult, html,
};
use slm_eval::{Calibration, Finish, Sample, Score, TaskReport, Unleaked, compare};
use slm_metrics::{Classifier, ScoredItem};
use slm_recipe::OutputType;

const NASTY: &str = "</pre><script>alert('x')</script> & \u{1b}[31m \u{202e}<img src=\"http://x\">";

fn generated(row: usize, prompt: &str, target: &str, output: &str) -> Sample {
    Sample {
        row,
        origin: format!("rows.jsonl:{}", row + 1),
        prompt: prompt.into(),
        target: target.into(),
        output: output.into(),
        prompt_tokens: 9,
        output_tokens: 4,
        slices: Default::default(),
        score: Score::Generated {
            correct: output == target,
            finish: Finish::Stop,
            json: None,
        },
    }
}

fn report(right: usize) -> TaskReport {
    let samples = (0..40)
        .map(|row| {
            let output = if row < right { "yes" } else { NASTY };
            generated(row, NASTY, "yes", output)
        })
        .collect();
    TaskReport::new(
        NASTY,
        OutputType::GenerateUntil,
        Vec::new(),
        samples,
        42,
        1.0,
    )
    .expect("a report")
}

/// Both models on the items, of which the first ten were learned from.
fn of_two(base: TaskReport, tuned: TaskReport) -> TaskResult {
    let leaked: Vec<String> = (1..=10).map(|line| format!("rows.jsonl:{line}")).collect();
    let leaked = leaked.iter().map(String::as_str).collect();
    let mut result = TaskResult {
        comparisons: compare(&base, &tuned, None, 42).expect("same items"),
        tuned,
        base: Some(base),
        unleaked: None,
    };
    result.unleaked = Unleaked::of(&result, &leaked, 42);
    result
}

fn page() -> Page {
    let (base, tuned) = (report(4), report(30));
    Page {
        name: NASTY.into(),
        tool_version: "0.1.0".into(),
        created: "2026-01-01 12:00".into(),
        facts: vec![("base".into(), NASTY.into())],
        warnings: vec![NASTY.into()],
        data: vec![DataSide {
            name: "training".into(),
            read: 10_003,
            dropped: vec![("too long".into(), 3)],
            rows: 10_000,
            ..DataSide::default()
        }],
        files: vec![ShippedFile {
            name: NASTY.into(),
            size_bytes: 1000,
            weights: NASTY.into(),
            figures: vec![(NASTY.into(), NASTY.into())],
            tasks: vec![NASTY.into()],
            worst: Some(NASTY.into()),
        }],
        curves: Curves {
            steps: (1..=50)
                .map(|step| StepPoint {
                    step,
                    loss: 5.0 / step as f64,
                    lr: 1e-3,
                })
                .collect(),
            evals: vec![EvalPoint {
                step: 50,
                loss: 0.2,
            }],
        },
        tasks: vec![of_two(base, tuned)],
        recipe: NASTY.into(),
        digests: vec![Digest {
            what: NASTY.into(),
            sha256: "ab".repeat(32),
            size_bytes: Some(1_440_000),
        }],
    }
}

#[test]
fn nothing_of_the_run_becomes_markup() {
    let html = html(&page());
    for forbidden in ["<script", "<img", "</pre><s", "\u{1b}", "\u{202e}"] {
        assert!(!html.contains(forbidden), "{forbidden:?} is in the page");
    }
    // Once in the title and the heading, in a fact, a warning, the recipe, a digest, and in the task's names, prompts and answers.
    let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; ␛[31m ‹U+202E›";
    assert!(html.matches(escaped).count() > 10);
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let html = html(&page());
    assert!(html.contains("default-src 'none'"));
    for forbidden in ["src=\"", "href=", "url(", "@import", "<link"] {
        let in_markup = html.replace("src=&quot;", "");
        assert!(!in_markup.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn the_figures_are_there() {
    let html = html(&page());
    for expected in [
        "10.0 %",
        "75.0 %",
        "+65.0 points",
        "26 won, 0 lost, p &lt; 0.001",
        "better",
        "10,003",
        "3 too long",
        "1.4 MB",
        "right only after tuning",
        "wrong in both",
        "10 of the 40 items are among the rows to learn from",
        // 20 of the other 30.
        "66.7 %",
        "training from 5.000 at step 1 to 0.100 at step 50",
    ] {
        assert!(html.contains(expected), "{expected} is missing");
    }
}

#[test]
fn every_element_that_opens_closes() {
    assert_well_formed(&html(&page()));
}

fn assert_well_formed(html: &str) {
    const VOID: [&str; 2] = ["meta", "br"];
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a closed tag");
        let name = tag.split([' ', '\n']).next().unwrap_or(tag);
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "in {open:?}");
        } else if !tag.ends_with('/') && !tag.starts_with('!') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} never close");
}

/// Scores of 77 labels: rows of label 3 are taken for label 4, the others are right; two channels.
fn of_many_labels() -> TaskReport {
    let names: Vec<String> = (0..77).map(|label| format!("label_{label:02}")).collect();
    let samples = (0..154)
        .map(|row| {
            let (truth, answer) = (row % 77, if row % 77 == 3 { 4 } else { row % 77 });
            let mut logprobs = vec![-9.0; 77];
            logprobs[answer] = -1.0;
            Sample {
                slices: [("channel".to_string(), ["app", NASTY][row % 2].to_string())].into(),
                score: Score::Choices {
                    correct: answer == truth,
                    output_norm: names[answer].clone(),
                    correct_norm: answer == truth,
                    logprobs,
                    choice_tokens: vec![1; 77],
                },
                ..generated(row, NASTY, &names[truth], &names[answer])
            }
        })
        .collect();
    TaskReport::new(
        "intent",
        OutputType::MultipleChoice,
        names,
        samples,
        42,
        1.0,
    )
    .expect("a report")
}

fn page_of_labels() -> Page {
    let mut tuned = of_many_labels();
    let labels = tuned.choices.clone();
    let wrong = |p: f64| ScoredItem {
        logprobs: (0..77)
            .map(|label| {
                if label == 0 {
                    p.ln()
                } else {
                    ((1.0 - p) / 76.0).ln()
                }
            })
            .collect(),
        truth: 1,
    };
    let rows: Vec<ScoredItem> = (1..20).map(|i| wrong(0.5 + f64::from(i) / 100.0)).collect();
    let items = [wrong(0.9), wrong(0.4)];
    let classifier = Classifier::fit(labels, &rows[..5], &rows, 0.9);
    tuned.calibration = Some(Calibration::of(classifier, &items, 1));
    Page {
        tasks: vec![TaskResult {
            tuned,
            base: None,
            comparisons: Vec::new(),
            unleaked: None,
        }],
        ..Page::default()
    }
}

#[test]
fn many_labels_are_readable() {
    let html = html(&page_of_labels());
    for expected in [
        "<td>label_03</td><td>label_04</td><td class=\"n\">2 of 2</td>",
        "label_04 given for label_03: 2 of 2",
        "Each of 77 labels, the lowest F1 first",
        // Accuracy of each channel: 76 of 77.
        "98.7 %",
        "<th>channel</th>",
        "The 2 worst items",
        "wrong with 97.5 %",
        "at most 10.0 % promised",
        "5 rows set the temperature, 19 others the threshold",
    ] {
        assert!(html.contains(expected), "{expected} is missing");
    }
    let of_label_3 = html
        .split("<th scope=\"row\">label_03</th>")
        .nth(1)
        .expect("a row");
    assert!(of_label_3.starts_with("<td class=\"n\">0.0 %</td><td class=\"n\">0.0 %</td>"));
    assert!(!html.contains("<script") && !html.contains("<img"));
    assert_well_formed(&html);
}

#[test]
fn a_page_of_nothing_is_still_a_page() {
    let html = html(&Page::default());
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    assert!(!html.contains("<h2>"), "no empty sections");
}
