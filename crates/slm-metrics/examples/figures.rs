//! Figures of texts, labels and scores that come as JSON, one per line of standard input; for tests/peers/figures.py.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use slm_metrics::{
    BleuCounts, ChrfCounts, Confidence, LabelFigure, Rouge, ScoredItem, Tally, calibration_error,
    fit_temperature,
};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let row: Value = serde_json::from_str(&line?)?;
        let figures = match row["of"].as_str() {
            Some("texts") => of_texts(&pairs(&row["pairs"])),
            Some("labels") => of_labels(&numbers(&row["truth"]), &numbers(&row["predicted"])),
            _ => of_scores(&row),
        };
        writeln!(out, "{figures}")?;
    }
    Ok(())
}

fn of_texts(pairs: &[(String, String)]) -> Value {
    let (mut bleu, mut chrf) = (BleuCounts::default(), ChrfCounts::default());
    let mut each = Vec::new();
    for (answer, reference) in pairs {
        let counts = (
            BleuCounts::of(answer, &[reference]),
            ChrfCounts::of(answer, &[reference]),
        );
        bleu.add(&counts.0);
        chrf.add(&counts.1);
        let mut figures = vec![counts.0.sentence(), counts.1.score()];
        for stemmed in [false, true] {
            let kinds = [Rouge::One, Rouge::Two, Rouge::L];
            figures.extend(kinds.map(|kind| kind.score(answer, reference, stemmed).f1));
        }
        each.push(figures);
    }
    json!({"bleu": bleu.corpus(), "chrf": chrf.score(), "each": each})
}

fn of_labels(truth: &[u32], predicted: &[u32]) -> Value {
    let n_labels = truth
        .iter()
        .chain(predicted)
        .max()
        .map_or(0, |most| most + 1);
    let tally = Tally::of(truth, predicted, n_labels as usize);
    let figures = [
        LabelFigure::MicroF1,
        LabelFigure::MacroF1,
        LabelFigure::WeightedF1,
        LabelFigure::Mcc,
    ];
    json!(figures.map(|figure| tally.figure(figure)))
}

fn of_scores(row: &Value) -> Value {
    let logprobs: Vec<Vec<f64>> =
        serde_json::from_value(row["logprobs"].clone()).unwrap_or_default();
    let items: Vec<ScoredItem> = logprobs
        .into_iter()
        .zip(numbers(&row["truth"]))
        .map(|(logprobs, truth)| ScoredItem {
            logprobs,
            truth: truth as usize,
        })
        .collect();
    let confidences: Vec<Confidence> = items.iter().map(|it| it.confidence(1.0)).collect();
    let all: Vec<u32> = (0..items.len() as u32).collect();
    let brier = items.iter().map(|it| it.brier(1.0)).sum::<f64>() / items.len() as f64;
    json!([
        calibration_error(&confidences, &all),
        brier,
        fit_temperature(&items)
    ])
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn numbers(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}
