//! Metrics over samples, by hand.

use slm_eval::{EvalError, Finish, MeasureName, Metric, MetricName, Sample, Score, TaskReport};
use slm_metrics::score_json;
use slm_recipe::{EvalTask, OutputType};

fn sample(row: usize, target: &str, output: &str, score: Score) -> Sample {
    Sample {
        row,
        origin: format!("rows.jsonl:{}", row + 1),
        prompt: "?".into(),
        target: target.into(),
        output: output.into(),
        prompt_tokens: 1,
        output_tokens: 2,
        slices: Default::default(),
        score,
    }
}

fn generated(row: usize, target: &str, output: &str) -> Sample {
    let score = Score::Generated {
        correct: output.trim() == target,
        finish: Finish::Stop,
        json: score_json(output, target),
    };
    sample(row, target, output, score)
}

fn chosen(row: usize, target: &str, logprobs: &[f32]) -> Sample {
    let best = if logprobs[0] >= logprobs[1] { "a" } else { "b" };
    let score = Score::Choices {
        correct: best == target,
        output_norm: best.into(),
        correct_norm: best == target,
        logprobs: logprobs.to_vec(),
        choice_tokens: vec![1; 2],
    };
    sample(row, target, best, score)
}

fn task(output_type: OutputType, metrics: &[MetricName]) -> EvalTask {
    EvalTask {
        name: "t".into(),
        output_type,
        metrics: metrics.to_vec(),
        ..EvalTask::default()
    }
}

fn values(report: &TaskReport) -> Vec<(MetricName, f64)> {
    let values = report.metrics.iter();
    let own = |it: &Metric| match it.name {
        MeasureName::Metric(name) => Some((name, (it.value * 1e6).round() / 1e6)),
        MeasureName::Suite(_) => None,
    };
    values.filter_map(own).collect()
}

fn choices() -> Vec<String> {
    vec!["a".into(), "b".into()]
}

#[test]
fn scored_choices_have_probabilities() {
    use MetricName::{Accuracy, Brier, Ece, Mcc, MicroF1};
    // Three of four right; sure of 0.8, 0.8, 0.9 and 0.8 (the wrong one).
    let log = |p: f32| [p.ln() - 7.0, (1.0 - p).ln() - 7.0];
    let samples = vec![
        chosen(0, "a", &log(0.8)),
        chosen(1, "b", &log(0.2)),
        chosen(2, "a", &log(0.9)),
        chosen(3, "b", &log(0.8)),
    ];
    let task = task(
        OutputType::MultipleChoice,
        &[Mcc, Accuracy, MicroF1, Brier, Ece],
    );
    let report = TaskReport::of(&task, choices(), samples, 1, 1.0).expect("a report");
    // MCC: TP 2, TN 1, FP 1, FN 0: 2 / sqrt(3 * 2 * 2 * 1). Brier: 2 (0.04 + 0.04 + 0.01 + 0.64) / 4.
    // ECE: bins of 0.8 (three items, 2.4 against 2) and 0.9 (0.9 against 1).
    assert_eq!(
        values(&report),
        [
            (Mcc, 0.577350),
            (Accuracy, 0.75),
            (MicroF1, 0.75),
            (Brier, 0.365),
            (Ece, 0.125)
        ]
    );
    let scores = serde_json::to_value(&report).expect("JSON");
    assert_eq!(scores["metrics"][4]["name"], "ece");
}

#[test]
fn generated_labels_may_be_invalid() {
    use MetricName::{ExactMatch, InvalidOutputs, MacroF1, StopRate};
    let samples = vec![
        generated(0, "a", " a\n"),
        generated(1, "b", "a"),
        generated(2, "b", "bee"),
        generated(3, "b", "what"),
    ];
    let task = task(OutputType::GenerateUntil, &[]);
    let report = TaskReport::of(&task, choices(), samples.clone(), 1, 1.0).expect("a report");
    // F1: a 2/3, b 0, invalid ones as one label 0.
    assert_eq!(
        values(&report),
        [
            (ExactMatch, 0.25),
            (MacroF1, 0.222222),
            (InvalidOutputs, 0.5),
            (StopRate, 1.0)
        ]
    );
    // Without a closed set there are no labels.
    let report = TaskReport::of(&task, Vec::new(), samples, 1, 1.0).expect("a report");
    assert_eq!(values(&report), [(ExactMatch, 0.25), (StopRate, 1.0)]);
}

#[test]
fn fields_have_precision_and_recall() {
    use MetricName::{FieldAccuracy, FieldF1};
    let target = r#"{"a": 1, "b": 2}"#;
    let samples = vec![
        generated(0, target, r#"{"a": 1, "b": 2}"#),
        generated(1, target, r#"{"a": 1, "b": 0, "c": 0}"#),
        generated(2, target, "no"),
    ];
    let task = task(OutputType::GenerateUntil, &[FieldF1, FieldAccuracy]);
    let report = TaskReport::of(&task, Vec::new(), samples, 1, 1.0).expect("a report");
    // 3 right of 5 given and 6 wanted: 6 / 11. Accuracy: 3 of 2 + 3 + 2.
    assert_eq!(
        values(&report),
        [(FieldF1, 0.545455), (FieldAccuracy, 0.428571)]
    );
}

/// `sacrebleu.corpus_bleu(["the cat sat on a mat", "yes"], [["the cat sat on the mat", "no"]])` and `corpus_chrf`, sacrebleu 2.6.0; mean F1 of
/// rouge-score 0.1.2.
#[test]
fn texts_are_compared_as_a_corpus() {
    use MetricName::{Bleu, Chrf, Rouge1, Rouge2, RougeL};
    let samples = vec![
        generated(0, "the cat sat on the mat", "the cat sat on a mat"),
        generated(1, "no", "yes"),
    ];
    let names = [Bleu, Chrf, Rouge1, Rouge2, RougeL];
    let task = task(OutputType::GenerateUntil, &names);
    let report = TaskReport::of(&task, Vec::new(), samples, 1, 1.0).expect("a report");
    assert_eq!(
        values(&report),
        [
            (Bleu, 51.697315),
            (Chrf, 63.440361),
            (Rouge1, 0.416667),
            (Rouge2, 0.3),
            (RougeL, 0.416667)
        ]
    );
}

#[test]
fn a_metric_that_no_item_has_is_an_error() {
    let task = task(OutputType::GenerateUntil, &[MetricName::JsonValid]);
    let error = TaskReport::of(&task, Vec::new(), vec![generated(0, "a", "a")], 1, 1.0)
        .expect_err("no JSON");
    assert!(matches!(error, EvalError::MetricWithoutItems { .. }));
    assert_eq!(
        error.to_string(),
        "task `t` has no item to measure by valid JSON"
    );
    let hint = error.hint().expect("a hint");
    assert_eq!(hint, "take `json_valid` out of the task's `metrics`");
}
