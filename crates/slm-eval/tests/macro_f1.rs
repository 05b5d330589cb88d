//! Accuracy and macro F1 of 3,080 simulated predictions over 77 labels, against scikit-learn.

use serde::Deserialize;
use slm_eval::{MetricName, Sample, Score, TaskReport};
use slm_recipe::OutputType;

#[derive(Deserialize)]
struct Golden {
    gold: Vec<String>,
    pred: Vec<String>,
    accuracy: f64,
    f1_macro: f64,
}

#[test]
fn agrees_with_scikit_learn() {
    let name = "eval/metric_goldens/classification_banking77_simulated_preds.json";
    let Some(path) = slm_testkit::shared(name, 2) else {
        return;
    };
    let text = fs_err::read_to_string(&path).expect("a golden file");
    let golden: Golden = serde_json::from_str(&text).expect("a golden file");
    let samples = golden
        .gold
        .iter()
        .zip(&golden.pred)
        .enumerate()
        .map(|(i, (target, output))| Sample {
            row: i,
            origin: format!("row {i}"),
            prompt: String::new(),
            target: target.clone(),
            output: output.clone(),
            prompt_tokens: 0,
            output_tokens: 0,
            slices: Default::default(),
            score: Score::Choices {
                correct: target == output,
                output_norm: output.clone(),
                correct_norm: target == output,
                logprobs: Vec::new(),
                choice_tokens: Vec::new(),
            },
        })
        .collect();
    let report = TaskReport::new(
        "banking77",
        OutputType::MultipleChoice,
        Vec::new(),
        samples,
        42,
        0.0,
    )
    .expect("a report");
    for (name, expected) in [
        (MetricName::Accuracy, golden.accuracy),
        (MetricName::MacroF1, golden.f1_macro),
    ] {
        let metric = report.metric(name).expect("there");
        assert!((metric.value - expected).abs() < 1e-12, "{metric:?}");
        assert!(
            metric.low < expected && expected < metric.high,
            "{metric:?}"
        );
    }
}
