//! Tasks of lm-evaluation-harness beside what it says itself (goldens/harness/PROVENANCE.md).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use slm_eval::{
    Baseline, Evaluation, Evaluator, Exchange, MeasureName, Task, TaskReport, compare, gate,
};
use slm_metrics::gate::Verdict;
use slm_model::Decoder;
use slm_recipe::{Against, Dtype, GateCheck, GateSection};
use slm_suite::{Entry, Given, load};
use slm_text::ChatTokenizer;

/// Of a log-likelihood, in nats.
const ALLOWED: f64 = 1e-4;
/// The same as a share, for whole texts of hundreds of nats in single precision.
const SHARE: f64 = 2e-6;

#[derive(Deserialize)]
struct Golden {
    file: PathBuf,
    /// By row.
    requests: BTreeMap<usize, Vec<Request>>,
    figures: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Request {
    context: String,
    continuation: Option<String>,
    logprob: Option<f64>,
    greedy: Option<bool>,
    #[serde(default)]
    texts: Vec<String>,
}

struct Bench {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/harness")
}

fn goldens() -> BTreeMap<String, Golden> {
    let text = fs_err::read(folder().join("expected.json")).expect("the goldens");
    serde_json::from_slice(&text).expect("the goldens")
}

impl Bench {
    fn open() -> Self {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/base/slm-base-2m");
        let device = slm_model::device::open("cpu").expect("the CPU");
        Self {
            decoder: Decoder::load(&base, &device, Dtype::F32).expect("the base"),
            tokenizer: ChatTokenizer::load(&base, "auto").expect("its tokenizer"),
        }
    }

    fn task(name: &str, file: &Path) -> slm_suite::Task {
        let given = Given {
            task: name.into(),
            split: None,
            path: folder().join("rows").join(name),
        };
        let entries = load(&[folder().join(file)], &[given], 42).expect("the suite");
        match entries.into_iter().next() {
            Some(Entry::Templated(task)) => *task,
            other => panic!("{other:?}"),
        }
    }

    fn report(&self, task: slm_suite::Task) -> TaskReport {
        let evaluator = Evaluator {
            decoder: &self.decoder,
            tokenizer: &self.tokenizer,
            eos: true,
            seed: 42,
        };
        let task = Task::Suite(Box::new(task));
        evaluator.answer(&task, &mut |_| ()).expect("a report")
    }
}

fn by_row(report: &TaskReport) -> BTreeMap<usize, Vec<&Exchange>> {
    let mut rows: BTreeMap<usize, Vec<&Exchange>> = BTreeMap::new();
    for exchange in &report.exchanges {
        rows.entry(exchange.row).or_default().push(exchange);
    }
    rows
}

#[test]
fn requests_and_figures_are_those_of_the_harness() {
    let bench = Bench::open();
    let goldens = goldens();
    assert_eq!(goldens.len(), 7);
    let mut requests = 0;
    for (name, golden) in &goldens {
        let report = bench.report(Bench::task(name, &golden.file));
        let found = by_row(&report);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            golden.requests.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (row, wanted) in &golden.requests {
            assert_eq!(found[row].len(), wanted.len(), "{name}, row {row}");
            for (found, wanted) in found[row].iter().zip(wanted) {
                assert_eq!(found.context, wanted.context, "{name}, row {row}");
                assert_eq!(found.continuation, wanted.continuation, "{name}, row {row}");
                assert_eq!(found.texts, wanted.texts, "{name}, row {row}");
                if wanted.greedy.is_some() {
                    assert_eq!(found.greedy, wanted.greedy, "{name}, row {row}");
                }
                if let Some(wanted) = wanted.logprob {
                    let found = found.logprob.expect("a log-likelihood");
                    let allowed = ALLOWED.max(SHARE * wanted.abs());
                    assert!(
                        (found - wanted).abs() <= allowed,
                        "{name}, row {row}: {found}, wanted {wanted}"
                    );
                }
                requests += 1;
            }
        }
        for (figure, wanted) in &golden.figures {
            let own = report.metrics.iter().find(|own| match &own.name {
                MeasureName::Suite(name) => format!("{},{}", name.metric, name.filter) == *figure,
                MeasureName::Metric(_) => false,
            });
            let own = own.unwrap_or_else(|| panic!("{name} has no {figure}"));
            let is_count = !["perplexity", "bits", "brier"]
                .iter()
                .any(|part| figure.contains(part));
            let allowed = if is_count { 1e-9 } else { 1e-4 * wanted };
            assert!(
                (own.value - wanted).abs() <= allowed,
                "{name}, {figure}: {}, wanted {wanted}",
                own.value
            );
            assert!(own.low <= own.value && own.value <= own.high, "{own:?}");
        }
    }
    assert!(requests > 100, "{requests}");
}

#[test]
fn scores_do_not_depend_on_batches_or_neighbours() {
    let bench = Bench::open();
    for (name, golden) in goldens() {
        let whole = bench.report(Bench::task(&name, &golden.file));
        for batch_size in [1, 3] {
            let mut task = Bench::task(&name, &golden.file);
            task.batch_size = batch_size;
            // Other neighbours: the examples of the first rows are drawn alike.
            task.limit(4);
            let part = bench.report(task);
            let (whole, part) = (by_row(&whole), by_row(&part));
            assert_eq!(part.len(), 4, "{name}");
            for (row, exchanges) in part {
                for (own, other) in exchanges.iter().zip(&whole[&row]) {
                    assert_eq!(
                        (&own.context, &own.texts),
                        (&other.context, &other.texts),
                        "{name}"
                    );
                    let [own, other] = [own, other].map(|exchange| exchange.logprob.unwrap_or(0.0));
                    let allowed = 1e-5 * other.abs().max(1.0);
                    assert!(
                        (own - other).abs() <= allowed,
                        "{name}, row {row}: {own}, {other}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_report_keeps_every_exchange() {
    let bench = Bench::open();
    let report = bench.report(Bench::task("found", Path::new("found.yaml")));
    let out = tempfile::tempdir().expect("a folder");
    report.write(out.path()).expect("written");
    let lines = fs_err::read_to_string(out.path().join("exchanges.jsonl")).expect("the exchanges");
    let read: Vec<Exchange> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("an exchange"))
        .collect();
    assert_eq!(read.len(), report.exchanges.len());
    for (read, own) in read.iter().zip(&report.exchanges) {
        assert_eq!(
            (read.row, &read.context, &read.continuation),
            (own.row, &own.context, &own.continuation)
        );
        assert_eq!(
            (read.tokens, read.context_tokens, read.greedy),
            (own.tokens, own.context_tokens, own.greedy)
        );
        let [read, own] = [read, own].map(|exchange| exchange.logprob.expect("a log-likelihood"));
        assert!((read - own).abs() < 1e-9, "{read} {own}");
    }
    // Four choices after the prompt, and four without it.
    assert_eq!(read.len(), 8 * report.n);
    assert!(
        read.iter()
            .all(|exchange| exchange.tokens > 0 && exchange.context_tokens > 0)
    );
    let back = TaskReport::read(out.path()).expect("read back");
    let names = |report: &TaskReport| -> Vec<String> {
        report
            .metrics
            .iter()
            .map(|figure| figure.name.key())
            .collect()
    };
    assert_eq!(names(&back), names(&report));
    // Read back to the last digits of a number but one.
    for (metric, series) in report.metrics.iter().zip(&back.observed) {
        assert!((series.value() - metric.value).abs() < 1e-12, "{metric:?}");
    }
    assert_eq!(back.observed.len(), report.metrics.len());
    assert_eq!(back.tokens_read, report.tokens_read);
    assert_eq!(back.samples.len(), report.samples.len());
}

/// A suite's figures are gated and compared as those of a recipe's own tasks are, from its files too.
#[test]
fn figures_of_suites_are_gated_and_compared() {
    let bench = Bench::open();
    let report = bench.report(Bench::task("found", Path::new("found.yaml")));
    let out = tempfile::tempdir().expect("a folder");
    fs_err::create_dir(out.path().join("found")).expect("a folder");
    report.write(&out.path().join("found")).expect("written");
    let evaluation = Evaluation::read(out.path()).expect("an evaluation");
    let baseline = Baseline::of("first", &evaluation).expect("a baseline");
    let names: Vec<String> = report.metrics.iter().map(|it| it.name.key()).collect();
    assert!(names.contains(&"acc_norm".into()), "{names:?}");
    let check = |metric: &str| GateCheck {
        task: "found".into(),
        metric: metric.into(),
        ..GateCheck::default()
    };
    let section = GateSection {
        check: vec![
            GateCheck {
                min: Some(0.999),
                ..check("acc")
            },
            GateCheck {
                non_inferior_to: Some(Against::Baseline),
                margin: Some(0.9),
                ..check("acc_norm")
            },
            GateCheck {
                min: Some(60.0),
                ..check("acc")
            },
        ],
        ..GateSection::default()
    };
    let gates = gate(&section, Ok(&evaluation), Ok(&baseline), 42).gates;
    let accuracy = report.metrics[0].value;
    assert_eq!(
        gates[0].evidence.as_ref().expect("evidence").figure,
        accuracy
    );
    assert_ne!(gates[0].verdict, Verdict::Pass);
    assert_eq!(gates[1].evidence.as_ref().expect("evidence").figure, 0.0);
    assert_eq!(gates[1].verdict, Verdict::Pass);
    assert!(
        gates[2]
            .reason
            .as_ref()
            .expect("a reason")
            .contains("share")
    );
    let rows = compare(&report, &evaluation.tuned[0], None, 42).expect("a comparison");
    assert_eq!(rows.len(), report.metrics.len());
    for row in rows {
        assert!(
            row.difference.abs() < 1e-12 && row.verdict == slm_eval::Verdict::Unclear,
            "{row:?}"
        );
    }
}

/// As many choices as banking77 has, named in the prompt as a base has to be told them.
#[test]
fn seventy_seven_choices_cost_less_than_three_times_one() {
    const WHAT: [&str; 11] = [
        "card", "cash", "bank", "bill", "loan", "rate", "fee", "code", "name", "date", "limit",
    ];
    const HOW: [&str; 7] = ["lost", "new", "late", "wrong", "paid", "old", "open"];
    let choices: Vec<String> = HOW
        .iter()
        .flat_map(|how| WHAT.iter().map(move |what| format!("{how} {what}")))
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.jsonl");
    fs_err::write(&rows, "{\"text\": \"I lost my card.\", \"label\": 0}\n{\"text\": \"A bill came late.\", \"label\": 25}\n").expect("rows");
    let suite = folder.path().join("many.toml");
    let text = format!(
        "[[task]]\nname = \"many\"\noutput_type = \"multiple_choice\"\npath = '{}'\nprompt = \"Message: {{text}}\\nKind:\"\ntarget = \"label\"\ndescription = \"Kinds: {}\\n\"\nchoices = {choices:?}\n",
        rows.display(),
        choices.join(", ")
    );
    fs_err::write(&suite, text).expect("a suite");
    let Some(Entry::Templated(task)) = load(&[suite], &[], 42).expect("the suite").pop() else {
        panic!("a task");
    };
    let report = Bench::open().report(*task);
    assert_eq!(report.exchanges.len(), 2 * 77);
    let context: usize = report
        .samples
        .iter()
        .map(|sample| sample.prompt_tokens)
        .sum();
    let each = report
        .exchanges
        .iter()
        .map(|exchange| exchange.tokens - 1)
        .sum::<usize>()
        / 77;
    assert!(context > 2 * 77, "{context}");
    assert!(
        report.tokens_read < 3 * (context + each),
        "{} for 77, {} for one",
        report.tokens_read,
        context + each
    );
}
