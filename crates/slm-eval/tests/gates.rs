//! Gates over evaluations: the verdicts, and everything that must never pass.

use slm_eval::{Baseline, Evaluation, GateReport, Sample, Score, TaskReport, gate};
use slm_metrics::gate::{GateMethod, Verdict};
use slm_recipe::{Against, GateCheck, GateSection, OutputType};

fn item(row: usize, is_right: bool) -> Sample {
    Sample {
        row,
        origin: format!("rows.jsonl:{row}"),
        prompt: format!("<s>Message {row}\nIntent:"),
        target: "a".into(),
        output: if is_right { "a" } else { "b" }.into(),
        prompt_tokens: 8,
        output_tokens: 2,
        slices: [("customer".to_owned(), (row / 4).to_string())].into(),
        score: Score::Choices {
            correct: is_right,
            output_norm: "a".into(),
            correct_norm: true,
            logprobs: vec![-1.5, -2.0],
            choice_tokens: vec![2, 2],
        },
    }
}

/// `n` items, right where `is_right` says so.
fn report(n: usize, is_right: impl Fn(usize) -> bool) -> TaskReport {
    let samples = (0..n).map(|row| item(row, is_right(row))).collect();
    let choices = vec!["a".into(), "b".into()];
    TaskReport::new(
        "intent",
        OutputType::MultipleChoice,
        choices,
        samples,
        42,
        1.0,
    )
    .unwrap()
}

fn tuned(report: TaskReport) -> Evaluation {
    Evaluation {
        tuned: vec![report],
        base: Vec::new(),
    }
}

fn accuracy() -> GateCheck {
    GateCheck {
        task: "intent".into(),
        metric: "accuracy".into(),
        ..GateCheck::default()
    }
}

fn not_worse(margin: f64) -> GateCheck {
    GateCheck {
        non_inferior_to: Some(Against::Baseline),
        margin: Some(margin),
        ..accuracy()
    }
}

fn judged(check: GateCheck, evaluation: &Evaluation, baseline: &Baseline) -> GateReport {
    let section = GateSection {
        check: vec![check],
        ..GateSection::default()
    };
    gate(&section, Ok(evaluation), Ok(baseline), 42)
}

/// The reason of the only gate, which has to fail for it.
fn refused(report: GateReport) -> String {
    assert_eq!(report.verdict, Verdict::Fail);
    assert!(report.gates[0].evidence.is_none());
    report.gates[0].reason.clone().unwrap()
}

#[test]
fn a_small_test_set_does_not_pass() {
    // 40 items, two lost: five points worse, and a lower bound far below the margin.
    let baseline = Baseline::of("old", &tuned(report(40, |row| row < 36))).unwrap();
    let small = tuned(report(40, |row| row < 34));
    let judged_small = judged(not_worse(0.02), &small, &baseline);
    assert_eq!(judged_small.verdict, Verdict::Inconclusive);
    // Not even the same answers do: forty items could hide a loss of the margin.
    let same = tuned(report(40, |row| row < 36));
    assert_eq!(
        judged(not_worse(0.02), &same, &baseline).verdict,
        Verdict::Inconclusive
    );
    // Enough of them do.
    let baseline = Baseline::of("old", &tuned(report(400, |row| row < 360))).unwrap();
    let same = tuned(report(400, |row| row < 360));
    let found = judged(not_worse(0.02), &same, &baseline);
    assert_eq!(found.verdict, Verdict::Pass);
    let evidence = found.gates[0].evidence.as_ref().unwrap();
    assert_eq!(evidence.method, GateMethod::PairedExact);
    assert!(evidence.interval.low > -0.02 && evidence.p_pass <= 0.05);
    // And a loss that is there is found.
    let worse = tuned(report(400, |row| row < 320));
    assert_eq!(
        judged(not_worse(0.02), &worse, &baseline).verdict,
        Verdict::Fail
    );
}

#[test]
fn each_claim_of_a_check_is_a_gate() {
    let baseline = Baseline::of("old", &tuned(report(300, |row| row < 200))).unwrap();
    let check = GateCheck {
        min: Some(0.7),
        max: Some(0.99),
        better_than: Some(Against::Baseline),
        ..not_worse(0.05)
    };
    let found = judged(check, &tuned(report(300, |row| row < 250)), &baseline);
    assert_eq!(found.gates.len(), 4);
    assert_eq!(found.verdict, Verdict::Pass);
    let plan = found.gates[0].plan.unwrap();
    assert!(plan.smallest_effect.unwrap() < 0.1, "{plan:?}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["gates"][0]["claim"]["kind"], "min");
    assert_eq!(json["gates"][1]["claim"]["limit"], 0.99);
    assert_eq!(json["gates"][2]["claim"]["kind"], "non_inferior_to");
    assert_eq!(json["gates"][3]["method"], "mcnemar");
}

#[test]
fn what_cannot_be_looked_at_fails() {
    let evaluation = tuned(report(40, |_| true));
    let baseline = Baseline::of("old", &evaluation).unwrap();
    let section = GateSection {
        check: vec![not_worse(0.02)],
        ..GateSection::default()
    };
    fn none<'a, T>() -> Result<&'a T, String> {
        Err("there is none".to_owned())
    }
    assert_eq!(
        refused(gate(&section, Ok(&evaluation), none(), 1)),
        "there is none"
    );
    assert_eq!(
        refused(gate(&section, none(), Ok(&baseline), 1)),
        "there is none"
    );
    let empty = Evaluation::default();
    let reason = refused(gate(&section, Ok(&empty), Ok(&baseline), 1));
    assert_eq!(reason, "task `intent` was not evaluated");
    assert_eq!(
        Baseline::of("old", &empty).unwrap_err().to_string(),
        "the evaluation holds no task"
    );
    let nothing = gate(&GateSection::default(), Ok(&evaluation), Ok(&baseline), 1);
    assert_eq!(nothing.verdict, Verdict::Fail);
    let against_base = GateCheck {
        better_than: Some(Against::Base),
        ..accuracy()
    };
    let reason = refused(judged(against_base, &evaluation, &baseline));
    assert_eq!(reason, "the base was not evaluated on task `intent`");
    let per_cent = GateCheck {
        min: Some(60.0),
        ..accuracy()
    };
    let reason = refused(judged(per_cent, &evaluation, &baseline));
    assert_eq!(reason, "the limit is 60, and `accuracy` is a share of 1");
}

#[test]
fn another_test_set_fails() {
    let baseline = Baseline::of("old", &tuned(report(400, |_| true))).unwrap();
    let reason = |evaluation: &Evaluation| refused(judged(not_worse(0.02), evaluation, &baseline));
    assert_eq!(
        reason(&tuned(report(399, |_| true))),
        "task `intent` has 399 items, the baseline 400: its rows have changed"
    );
    let edit = |change: fn(&mut TaskReport)| {
        let mut evaluation = tuned(report(400, |_| true));
        change(&mut evaluation.tuned[0]);
        evaluation
    };
    let rows = "the rows of task `intent`, or the template of their prompts, have changed since the baseline";
    assert_eq!(
        reason(&edit(|report| report.samples[3].prompt += "!")),
        rows
    );
    assert_eq!(
        reason(&edit(|report| report.samples[3].target += "!")),
        rows
    );
    assert_eq!(reason(&edit(|report| report.samples.swap(3, 4))), rows);
    let definition = "the definition of task `intent` has changed since the baseline";
    assert_eq!(
        reason(&edit(|report| report.definition = Some("other".into()))),
        definition
    );
    assert_eq!(
        reason(&edit(|report| report.choices.push("c".into()))),
        definition
    );
    // Where the rows lay does not matter.
    let moved = edit(|report| report.samples[3].origin = "elsewhere.jsonl:3".into());
    assert_eq!(
        judged(not_worse(0.02), &moved, &baseline).verdict,
        Verdict::Pass
    );
}

#[test]
fn a_baseline_comes_back_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.json");
    let baseline = Baseline::of("old", &tuned(report(200, |row| row % 3 > 0))).unwrap();
    let size = baseline.write(&path).unwrap();
    assert_eq!(Baseline::read(&path).unwrap(), baseline);
    // Two metrics of a digit each and macro F1 of two numbers: six bytes an item, and a head.
    assert!(size < 6 * 200 + 600, "{size}");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(
        &path,
        text.replace("\"format_version\":1", "\"format_version\":9"),
    )
    .unwrap();
    let error = Baseline::read(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("b.json` has format version 9, this version reads 1"),
        "{error}"
    );
    fs_err::write(&path, &text[..text.len() / 2]).unwrap();
    let error = Baseline::read(&path).unwrap_err().to_string();
    assert!(error.contains("is not a baseline: "), "{error}");
}

/// Four rows of each customer, right or wrong together, tell as much as fifty.
#[test]
fn rows_of_one_customer_count_as_one() {
    let evaluation = tuned(report(200, |row| (row / 4) % 10 < 7));
    let baseline = Baseline::of("old", &evaluation).unwrap();
    let section = |group_by: Option<&str>| GateSection {
        group_by: group_by.map(Into::into),
        check: vec![GateCheck {
            min: Some(0.62),
            ..accuracy()
        }],
        ..GateSection::default()
    };
    let found = |group_by| gate(&section(group_by), Ok(&evaluation), Ok(&baseline), 1);
    assert_eq!(found(None).verdict, Verdict::Pass);
    let grouped = found(Some("customer"));
    assert_eq!(grouped.verdict, Verdict::Inconclusive);
    let evidence = grouped.gates[0].evidence.as_ref().unwrap();
    assert_eq!(evidence.method, GateMethod::EffectiveBinomial);
    assert_eq!((evidence.n, evidence.n_groups), (200, Some(50)));
    let reason = refused(found(Some("client")));
    assert_eq!(
        reason,
        "rows.jsonl:0 of task `intent` has no column `client` to group by, or its prompt uses it"
    );
}
