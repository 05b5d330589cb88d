//! A real base on real rows, against an independent implementation (goldens/PROVENANCE.md).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slm_data::{HeldOut, load_examples};
use slm_eval::{Evaluator, MetricName, Score, TaskReport};
use slm_model::Decoder;
use slm_recipe::{Dtype, EvalTask, Format, OutputType, Source};
use slm_text::ChatTokenizer;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
    strided: Strided,
    likelihood: Likelihood,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Row {
    held_out: usize,
    logprobs: Vec<f64>,
}

#[derive(Deserialize)]
struct Strided {
    every: usize,
    n: usize,
    correct: usize,
    correct_norm: usize,
}

#[derive(Deserialize)]
struct Likelihood {
    nll: f64,
    tokens: usize,
    bytes: usize,
}

#[derive(Deserialize)]
struct Greedy {
    held_out: usize,
    text: String,
}

struct Bench {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
    held_out: Vec<HeldOut>,
    labels: Vec<String>,
    golden: Golden,
}

impl Bench {
    fn open() -> Option<Self> {
        let model = slm_testkit::shared("models/stories260k", 1)?;
        let rows = slm_testkit::shared("data/banking77/train.csv", 1)?;
        let golden: PathBuf =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/banking77_stories260k.json");
        let golden = serde_json::from_slice(&fs_err::read(golden).expect("the goldens"));
        let source = Source {
            path: rows.display().to_string(),
            prompt: Some("Query: {text}\nIntent:".into()),
            completion: Some(" {category}".into()),
            ..Source::default()
        };
        let all = load_examples(&source, Format::Auto, 42, None).expect("the rows");
        let mut labels: Vec<String> = all.iter().map(|row| row.target.trim().into()).collect();
        labels.sort();
        labels.dedup();
        let device = slm_model::device::open("cpu").expect("the CPU");
        Some(Self {
            decoder: Decoder::load(&model, &device, Dtype::F32).expect("the base"),
            tokenizer: ChatTokenizer::load(&model, "auto").expect("its tokenizer"),
            held_out: all.into_iter().step_by(10).collect(),
            labels,
            golden: golden.expect("the goldens"),
        })
    }

    fn evaluate(&self, output_type: OutputType, items: &[HeldOut]) -> TaskReport {
        let task = EvalTask {
            name: "intent".into(),
            output_type,
            choices: self.labels.clone(),
            max_new_tokens: 16,
            ..EvalTask::default()
        };
        let evaluator = Evaluator {
            decoder: &self.decoder,
            tokenizer: &self.tokenizer,
            eos: true,
            seed: 42,
        };
        evaluator
            .evaluate(&task, items, &mut |_| {})
            .expect("a report")
    }

    fn picked(&self, places: impl Iterator<Item = usize>) -> Vec<HeldOut> {
        places.map(|place| self.held_out[place].clone()).collect()
    }

    fn strided(&self) -> Vec<HeldOut> {
        self.picked((0..self.held_out.len()).step_by(self.golden.strided.every))
    }
}

#[test]
fn the_log_likelihood_of_every_label_agrees() {
    let Some(bench) = Bench::open() else { return };
    assert_eq!((bench.held_out.len(), bench.labels.len()), (1001, 77));
    let items = bench.picked(bench.golden.rows.iter().map(|row| row.held_out));
    let report = bench.evaluate(OutputType::MultipleChoice, &items);
    for (row, sample) in bench.golden.rows.iter().zip(&report.samples) {
        let Score::Choices { logprobs, .. } = &sample.score else {
            panic!("not choices")
        };
        assert_eq!(logprobs.len(), row.logprobs.len());
        for (got, want) in logprobs.iter().zip(&row.logprobs) {
            assert!(
                (f64::from(*got) - want).abs() < 1e-3 * want.abs().max(1.0) / 10.0,
                "{got} is not {want}"
            );
        }
    }
}

#[test]
fn accuracy_and_perplexity_agree() {
    let Some(bench) = Bench::open() else { return };
    let (items, golden) = (bench.strided(), &bench.golden);
    let report = bench.evaluate(OutputType::MultipleChoice, &items);
    let share = |name| report.metric(name).map(|metric| (metric.value, metric.n));
    let n = golden.strided.n;
    let expected = |correct: usize| Some((correct as f64 / n as f64, n));
    assert_eq!(
        share(MetricName::Accuracy),
        expected(golden.strided.correct)
    );
    assert_eq!(
        share(MetricName::AccuracyNorm),
        expected(golden.strided.correct_norm)
    );

    let report = bench.evaluate(OutputType::Loglikelihood, &items);
    let value = |name| report.metric(name).map(|metric| metric.value);
    let Likelihood { nll, tokens, bytes } = golden.likelihood;
    for (name, want) in [
        (MetricName::Loss, nll / tokens as f64),
        (MetricName::Perplexity, (nll / tokens as f64).exp()),
        (MetricName::BytePerplexity, (nll / bytes as f64).exp()),
    ] {
        let got = value(name).expect("measured");
        assert!(
            (got / want - 1.0).abs() < 1e-4,
            "{name:?}: {got} is not {want}"
        );
    }
}

#[test]
fn greedy_answers_agree() {
    let Some(bench) = Bench::open() else { return };
    let items = bench.picked(bench.golden.greedy.iter().map(|each| each.held_out));
    let report = bench.evaluate(OutputType::GenerateUntil, &items);
    for (golden, sample) in bench.golden.greedy.iter().zip(&report.samples) {
        assert_eq!(sample.output, golden.text);
    }
}
