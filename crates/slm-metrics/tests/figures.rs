//! Figures beside those of sacrebleu, rouge-score, scikit-learn and others (goldens/figures/PROVENANCE.md).

use regex::Regex;
use serde_json::Value;
use slm_metrics::{
    BleuCounts, ChrfCounts, Confidence, LabelFigure, Normalisation, Rouge, ScoredItem, Tally,
    calibration_error, confusion, fit_temperature,
};
use slm_testkit::shared;

/// The rows of one table; never none.
fn table(name: &str) -> Vec<Value> {
    let goldens: Value =
        serde_json::from_str(include_str!("goldens/figures/figures.json")).unwrap();
    let rows = goldens[name].as_array().unwrap().clone();
    assert!(!rows.is_empty());
    rows
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(text).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn counts(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|it| it as u32).collect()
}

/// More digits than any tool prints.
fn assert_same(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn single_texts_agree_with_sacrebleu_and_rouge_score() {
    for row in table("texts") {
        let (answer, references) = (text(&row["answer"]), texts(&row["references"]));
        let bleu = BleuCounts::of(answer, &references).sentence();
        assert_same(bleu, &row["bleu"], &format!("BLEU of {row}"));
        let chrf = ChrfCounts::of(answer, &references).score();
        assert_same(chrf, &row["chrf"], &format!("chrF of {row}"));
        for (key, stemmed) in [("rouge", false), ("rouge_stemmed", true)] {
            let kinds = [
                ("rouge1", Rouge::One),
                ("rouge2", Rouge::Two),
                ("rougeL", Rouge::L),
            ];
            for (kind, rouge) in kinds {
                let found = rouge.best(answer, &references, stemmed);
                let found = [found.precision, found.recall, found.f1];
                for (found, expected) in found.iter().zip(row[key][kind].as_array().unwrap()) {
                    assert_same(*found, expected, &format!("{kind} of {row}"));
                }
            }
        }
    }
}

#[test]
fn corpora_agree_with_sacrebleu() {
    let rows = table("texts");
    for corpus in table("corpora") {
        let start = number(&corpus["start"]) as usize;
        let chosen = &rows[start..start + number(&corpus["n"]) as usize];
        let (mut bleu, mut chrf) = (BleuCounts::default(), ChrfCounts::default());
        for row in chosen {
            let (answer, references) = (text(&row["answer"]), texts(&row["references"]));
            bleu.add(&BleuCounts::of(answer, &references));
            chrf.add(&ChrfCounts::of(answer, &references));
        }
        assert_same(bleu.corpus(), &corpus["bleu"], "BLEU");
        assert_same(chrf.score(), &corpus["chrf"], "chrF");
    }
}

#[test]
fn exact_matches_agree_with_the_harness() {
    for row in table("matches") {
        let flag = |key: &str| row[key].as_bool().unwrap();
        let regexes = texts(&row["regexes"]);
        let normalisation = Normalisation {
            regexes_to_ignore: regexes.iter().map(|it| Regex::new(it).unwrap()).collect(),
            ignore_case: flag("ignore_case"),
            ignore_punctuation: flag("ignore_punctuation"),
            ignore_numbers: flag("ignore_numbers"),
        };
        let found = normalisation.matches(text(&row["output"]), text(&row["target"]));
        assert_eq!(found, flag("matches"), "{row}");
    }
}

#[test]
fn figures_over_labels_agree_with_scikit_learn() {
    for row in table("labels") {
        let (truth, predicted) = (counts(&row["truth"]), counts(&row["predicted"]));
        let n_labels = number(&row["n_labels"]) as usize;
        let tally = Tally::of(&truth, &predicted, n_labels);
        for (key, figure) in [
            ("micro", LabelFigure::MicroF1),
            ("accuracy", LabelFigure::MicroF1),
            ("macro", LabelFigure::MacroF1),
            ("weighted", LabelFigure::WeightedF1),
            ("mcc", LabelFigure::Mcc),
        ] {
            assert_same(tally.figure(figure), &row[key], key);
        }
        for (label, counts) in tally.labels().iter().enumerate() {
            assert_same(counts.precision(), &row["precision"][label], "precision");
            assert_same(counts.recall(), &row["recall"][label], "recall");
            assert_same(counts.f1(), &row["f1"][label], "F1");
            assert_same(counts.truth as f64, &row["support"][label], "support");
        }
        if let Some(matrix) = row["matrix"].as_array() {
            let found = confusion(&truth, &predicted, n_labels);
            let expected: Vec<Vec<u64>> = matrix
                .iter()
                .map(|row| numbers(row).into_iter().map(|it| it as u64).collect())
                .collect();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn calibration_agrees_with_torchmetrics_and_scikit_learn() {
    for row in table("calibrations") {
        let truth = counts(&row["truth"]);
        let items: Vec<ScoredItem> = row["logprobs"]
            .as_array()
            .unwrap()
            .iter()
            .zip(&truth)
            .map(|(logprobs, truth)| ScoredItem {
                logprobs: numbers(logprobs),
                truth: *truth as usize,
            })
            .collect();
        let mean = |of: &dyn Fn(&ScoredItem) -> f64| {
            items.iter().map(of).sum::<f64>() / items.len() as f64
        };
        let confidences: Vec<Confidence> = items.iter().map(|it| it.confidence(1.0)).collect();
        let all: Vec<u32> = (0..items.len() as u32).collect();
        // torchmetrics adds up in f32.
        let error = calibration_error(&confidences, &all);
        assert!((error - number(&row["ece"])).abs() < 1e-6, "{error}");
        assert_same(mean(&|it| it.brier(1.0)), &row["brier"], "Brier score");
        assert_same(mean(&|it| it.loss(1.0)), &row["loss"], "loss");
        let temperature = fit_temperature(&items);
        let expected = number(&row["temperature"]);
        assert!(
            (temperature / expected - 1.0).abs() < 1e-6,
            "{temperature}, {expected}"
        );
        assert_same(mean(&|it| it.loss(temperature)), &row["loss_at"], "loss");
    }
}

/// 3,080 answers to banking77's test rows.
#[test]
fn seventy_seven_labels_agree_with_scikit_learn() {
    let file = "eval/metric_goldens/classification_banking77_simulated_preds.json";
    let Some(path) = shared(file, 4) else { return };
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (gold, pred) = (texts(&golden["gold"]), texts(&golden["pred"]));
    let mut labels: Vec<&str> = [&gold[..], &pred[..]].concat();
    labels.sort_unstable();
    labels.dedup();
    let number = |of: &[&str]| -> Vec<u32> {
        of.iter()
            .map(|label| labels.binary_search(label).unwrap() as u32)
            .collect()
    };
    let tally = Tally::of(&number(&gold), &number(&pred), labels.len());
    for (key, figure) in [
        ("accuracy", LabelFigure::MicroF1),
        ("f1_macro", LabelFigure::MacroF1),
        ("f1_weighted", LabelFigure::WeightedF1),
        ("mcc", LabelFigure::Mcc),
    ] {
        assert_same(tally.figure(figure), &golden[key], key);
    }
}
