//! From samples to figures, files and paired differences, without a model.

use slm_eval::{Finish, MetricName, Sample, Score, TaskReport, Verdict, compare, holm_across};
use slm_metrics::{Method, score_json};
use slm_recipe::OutputType;

fn choice(id: usize, target: &str, output: &str) -> Sample {
    Sample {
        row: id,
        origin: format!("rows.jsonl:{id}"),
        prompt: "<s>Query: where is my card?\nIntent:".into(),
        target: target.into(),
        output: output.into(),
        prompt_tokens: 12,
        output_tokens: 3,
        slices: Default::default(),
        score: Score::Choices {
            correct: target == output,
            output_norm: output.into(),
            correct_norm: target == output,
            logprobs: vec![-1.5, -2.0],
            choice_tokens: vec![3, 4],
        },
    }
}

fn report(samples: Vec<Sample>, output_type: OutputType) -> TaskReport {
    TaskReport::new("intent", output_type, Vec::new(), samples, 42, 1.0).expect("a report")
}

/// `n` items of which the first `right` are right.
fn right(n: usize, right: usize) -> TaskReport {
    let samples = (0..n)
        .map(|i| choice(i, "a", if i < right { "a" } else { "b" }))
        .collect();
    report(samples, OutputType::MultipleChoice)
}

#[test]
fn a_paired_comparison_counts_the_flips() {
    let (base, tuned) = (right(200, 20), right(200, 120));
    let rows = compare(&base, &tuned, None, 42).expect("same items");
    let accuracy = &rows[0];
    assert_eq!(accuracy.name, MetricName::Accuracy);
    assert_eq!((accuracy.gained, accuracy.lost), (Some(100), Some(0)));
    assert!((accuracy.difference - 0.5).abs() < 1e-12);
    // 100 coins, all heads: 2 * 2^-100.
    let p = accuracy.p_value.expect("a share of right items");
    assert!((p / (2.0 * 0.5f64.powi(100)) - 1.0).abs() < 1e-9, "{p}");
    assert_eq!(accuracy.method, Method::Newcombe);
    assert!(accuracy.interval.low > 0.42 && accuracy.interval.high < 0.57);
    // Macro F1 is no share of items: the bootstrap.
    assert_eq!(rows[2].name, MetricName::MacroF1);
    assert_eq!(rows[2].method, Method::PairedBootstrap);
    assert!(rows[2].interval.low > 0.0 && rows[2].p_value.is_some_and(|p| p < 1e-3));
    assert_eq!(accuracy.verdict, Verdict::Better);
    let backwards = compare(&tuned, &base, None, 42).expect("same items");
    assert_eq!(backwards[0].verdict, Verdict::Worse);
    let same = compare(&tuned, &tuned, None, 42).expect("same items");
    assert_eq!(
        (same[0].verdict, same[0].p_value),
        (Verdict::Unclear, Some(1.0))
    );
}

#[test]
fn a_handful_of_flips_is_no_verdict() {
    // 4 of 100 lost, none won: p = 2 * 2^-4 = 0.125.
    let rows = compare(&right(100, 4), &right(100, 0), None, 42).expect("same items");
    assert_eq!(rows[0].p_value, Some(0.125));
    assert_eq!(rows[0].verdict, Verdict::Unclear);
    assert!(rows[0].interval.low < 0.0 && rows[0].interval.high > 0.0);
    // 6 of 100: p = 0.03125.
    let rows = compare(&right(100, 6), &right(100, 0), None, 42).expect("same items");
    assert!(rows[0].p_value.is_some_and(|p| (p - 0.03125).abs() < 1e-12));
    assert_eq!(rows[0].verdict, Verdict::Worse);
}

/// A difference of p = 0.03 stands alone; among the comparisons of five tasks it does not.
#[test]
fn several_tasks_are_adjusted_for_each_other() {
    let one = compare(&right(100, 0), &right(100, 6), None, 42).expect("same items");
    let same = || compare(&right(100, 6), &right(100, 6), None, 42).expect("same items");
    assert_eq!(one[0].verdict, Verdict::Better);
    let mut tasks = [one.clone(), same(), same(), same(), same()];
    holm_across(tasks.iter_mut().flatten());
    let accuracy = &tasks[0][0];
    assert_eq!(accuracy.p_value, one[0].p_value);
    assert!(accuracy.p_adjusted > accuracy.p_value);
    assert_eq!(accuracy.verdict, Verdict::Unclear);
}

/// Six items of one customer that flip together are one flip, and one flip tells nothing.
#[test]
fn flips_of_one_group_are_one() {
    let grouped = |right: usize| {
        let samples = (0..100).map(|i| Sample {
            slices: [("customer".to_owned(), (i / 10).to_string())].into(),
            ..choice(i, "a", if i < right { "a" } else { "b" })
        });
        report(samples.collect(), OutputType::MultipleChoice)
    };
    let (base, tuned) = (grouped(0), grouped(6));
    let alone = compare(&base, &tuned, None, 42).expect("same items");
    assert_eq!(alone[0].verdict, Verdict::Better);
    let rows = compare(&base, &tuned, Some("customer"), 42).expect("same items");
    assert_eq!(
        (rows[0].verdict, rows[0].p_value),
        (Verdict::Unclear, Some(1.0))
    );
    assert_eq!(rows[0].method, Method::PairedBootstrap);
    let error = compare(&base, &tuned, Some("client"), 42).expect_err("no such column");
    assert_eq!(
        error.to_string(),
        "rows.jsonl:0 of task `intent` has no column `client` to group by, or its prompt uses it"
    );
}

#[test]
fn a_lower_perplexity_is_better() {
    let likelihood = |scale: f64| {
        let samples = (0..50)
            .map(|i| Sample {
                output_tokens: 4,
                score: Score::Likelihood {
                    logprob: -scale * (4.0 + f64::from(i % 7)),
                    target_bytes: 10,
                    greedy: false,
                },
                ..choice(i as usize, "a", "a")
            })
            .collect();
        report(samples, OutputType::Loglikelihood)
    };
    let (base, tuned) = (likelihood(2.0), likelihood(1.0));
    let rows = compare(&base, &tuned, None, 42).expect("same items");
    let names: Vec<_> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!(
        names,
        [
            MetricName::Perplexity,
            MetricName::BytePerplexity,
            MetricName::Loss,
            MetricName::ExactMatch
        ]
    );
    // 50 items of 4 + (0..7 repeated seven times, then 0) = 200 + 147 nats over 200 tokens and over 500 bytes.
    assert!((tuned.metrics[0].value - (347.0f64 / 200.0).exp()).abs() < 1e-12);
    assert!((tuned.metrics[1].value - (347.0f64 / 500.0).exp()).abs() < 1e-12);
    assert!((tuned.metrics[2].value - 347.0 / 200.0).abs() < 1e-12);
    assert_eq!(rows[1].verdict, Verdict::Better);
    assert!(rows[1].p_value.is_some_and(|p| p < 1e-3));
}

#[test]
fn generated_json_is_scored_by_field() {
    let generated = |id: usize, target: &str, output: &str, finish| Sample {
        score: Score::Generated {
            correct: target == output,
            finish,
            json: score_json(output, target),
        },
        ..choice(id, target, output)
    };
    let object = r#"{"a": 1, "b": 2}"#;
    let samples = vec![
        generated(0, object, object, Finish::Stop),
        generated(1, object, r#"{"a": 1}"#, Finish::Stop),
        generated(2, object, r#"{"a": 1"#, Finish::Length),
        generated(3, "text", "text", Finish::Stop),
    ];
    let report = report(samples, OutputType::GenerateUntil);
    let value = |name| {
        report
            .metric(name)
            .map(|metric| (metric.value, metric.n))
            .expect("there")
    };
    assert_eq!(value(MetricName::ExactMatch), (0.5, 4));
    assert_eq!(value(MetricName::JsonValid), (2.0 / 3.0, 3));
    assert_eq!(value(MetricName::FieldAccuracy), (0.5, 3));
    assert_eq!(value(MetricName::StopRate), (0.75, 4));
}

#[test]
fn a_report_comes_back_from_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = right(5, 2);
    let [scores, samples] = report.write(folder.path()).expect("written");
    let read = TaskReport::read(folder.path()).expect("read");
    assert_eq!(read.samples, report.samples);
    for (read, written) in read.metrics.iter().zip(&report.metrics) {
        assert_eq!((&read.name, read.n), (&written.name, written.n));
        // serde_json reads a float to its last bit but one.
        assert!((read.low - written.low).abs() < 1e-12, "{read:?}");
    }
    let lines = fs_err::read_to_string(&samples).expect("text");
    assert_eq!(lines.lines().count(), 5);

    fs_err::write(&samples, lines.lines().next().expect("a line")).expect("written");
    let error = TaskReport::read(folder.path()).expect_err("samples are missing");
    assert!(error.to_string().contains("has 1 samples"), "{error}");
    fs_err::write(&scores, "{\n\"task\": 3}").expect("written");
    let error = TaskReport::read(folder.path()).expect_err("not a report");
    assert!(error.to_string().contains("scores.json` line 2"), "{error}");
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let error = |samples| {
        TaskReport::new(
            "intent",
            OutputType::Loglikelihood,
            Vec::new(),
            samples,
            42,
            1.0,
        )
        .expect_err("no report")
    };
    let empty = error(Vec::new());
    assert_eq!(empty.to_string(), "task `intent` has no items");
    assert!(empty.hint().is_some());
    let mut broken = choice(1, "a", "a");
    broken.score = Score::Likelihood {
        logprob: f64::NAN,
        target_bytes: 1,
        greedy: false,
    };
    assert_eq!(
        error(vec![broken]).to_string(),
        "perplexity of task `intent` is NaN"
    );
}

#[test]
fn reports_of_other_items_are_not_compared() {
    let base = right(5, 2);
    let shorter = compare(&base, &right(4, 2), None, 42).expect_err("not paired");
    assert_eq!(
        shorter.to_string(),
        "the reports of task `intent` are not about the same items: 5 against 4"
    );
    let mut relabelled = right(5, 2);
    relabelled.samples[3].target = "c".into();
    let error = compare(&base, &relabelled, None, 42).expect_err("not paired");
    assert!(error.to_string().contains("rows.jsonl:3 has two targets"));
}
