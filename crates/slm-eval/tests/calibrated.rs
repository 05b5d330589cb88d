//! The calibration of a task's answers on a real model: what it promises holds on the rows that made it.

use std::path::Path;

use slm_data::{HeldOut, Prompt};
use slm_eval::{EvalError, Evaluator, Sample, Score, Split};
use slm_metrics::ScoredItem;
use slm_model::Decoder;
use slm_recipe::{CalibrationSection, Dtype, EvalTask, OutputType};
use slm_text::ChatTokenizer;

const LABELS: [&str; 4] = ["red", "dog", "house", "water"];
const COVERAGE: f64 = 0.8;

fn rows(n: usize) -> Vec<HeldOut> {
    (0..n)
        .map(|row| HeldOut {
            row,
            origin: format!("rows.csv:{}", row + 2),
            prompt: Prompt::Text(format!(
                "{} the {} is {}:",
                row * 37,
                LABELS[row % 4],
                row % 7
            )),
            target: LABELS[0].into(),
            slices: Default::default(),
        })
        .collect()
}

fn task() -> EvalTask {
    EvalTask {
        name: "word".into(),
        output_type: OutputType::MultipleChoice,
        choices: LABELS.map(String::from).to_vec(),
        calibration: Some(CalibrationSection {
            coverage: COVERAGE,
            ..CalibrationSection::default()
        }),
        ..EvalTask::default()
    }
}

fn scored(sample: &Sample) -> ScoredItem {
    let Score::Choices { logprobs, .. } = &sample.score else {
        panic!("{sample:?}");
    };
    ScoredItem {
        logprobs: logprobs.iter().map(|p| f64::from(*p)).collect(),
        truth: LABELS
            .iter()
            .position(|label| *label == sample.target)
            .unwrap(),
    }
}

#[test]
fn what_a_calibration_promises_holds_on_its_rows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/base/slm-base-2m");
    let device = slm_model::device::open("cpu").unwrap();
    let decoder = Decoder::load(&folder, &device, Dtype::F32).unwrap();
    let tokenizer = ChatTokenizer::load(&folder, "auto").unwrap();
    let evaluator = Evaluator {
        decoder: &decoder,
        tokenizer: &tokenizer,
        eos: true,
        seed: 42,
    };
    let (task, quiet) = (task(), &mut |_| ());
    // Two of three rows want what the model says: it knows something, and is too sure of it.
    let mut rows = rows(240);
    let said = evaluator.evaluate(&task, &rows, quiet).unwrap().samples;
    for (row, said) in rows.iter_mut().zip(said) {
        let own = LABELS.iter().position(|label| *label == said.output);
        let other = usize::from(row.row % 3 == 0);
        row.target = LABELS[(own.unwrap() + other) % 4].into();
    }
    let few = Split::of(rows[..6].to_vec(), None, 0.5, 42);
    let split = Split::of(rows, None, 0.5, 42);
    let report = evaluator.evaluate(&task, &split.test, quiet).unwrap();
    let found = evaluator.calibrate(&task, &split, &report, quiet).unwrap();
    let classifier = &found.classifier;
    assert_eq!(classifier.n_temperature, split.temperature.len());
    assert_eq!(classifier.n_threshold, split.threshold.len());

    // The temperature is where the loss of its rows is least.
    let answered = evaluator
        .evaluate(&task, &split.temperature, quiet)
        .unwrap();
    let loss = |temperature: f64| -> f64 {
        let samples = answered.samples.iter();
        samples.map(|it| scored(it).loss(temperature)).sum()
    };
    let least = loss(classifier.temperature);
    for other in [0.9, 0.99, 1.01, 1.1] {
        assert!(
            least <= loss(other * classifier.temperature),
            "{classifier:?}"
        );
    }

    // Of the threshold's rows no more are answered wrongly than promised.
    let answered = evaluator.evaluate(&task, &split.threshold, quiet).unwrap();
    let wrong = answered.samples.iter().map(scored).filter(|item| {
        let decision = classifier.decide(&item.logprobs);
        decision.label.is_some_and(|label| label != item.truth)
    });
    let (wrong, n) = (wrong.count() as f64, split.threshold.len() as f64);
    assert!(wrong <= (1.0 - COVERAGE) * (n + 1.0), "{wrong} of {n}");
    // It has to abstain somewhere, and is still wrong somewhere.
    assert!(found.answered.value < 1.0 && wrong > 0.0, "{found:?}");

    let refused = evaluator.calibrate(&task, &few, &report, quiet);
    assert!(
        matches!(refused, Err(EvalError::TooFewCalibrationRows { .. })),
        "{refused:?}"
    );
}
