//! What is held out, sampled, left out and counted.

use std::collections::BTreeSet;

use slm_recipe::{DataSection, Overlong, Source};

use crate::bench::Bench;

fn lines(numbers: impl Iterator<Item = usize>) -> String {
    numbers
        .map(|i| {
            format!(
                "{{\"prompt\": \"row {i}\", \"completion\": \" {}\", \"who\": \"{}\"}}\n",
                i % 3,
                i % 7
            )
        })
        .collect()
}

fn held_out_texts(bench: &mut Bench, section: &DataSection) -> BTreeSet<String> {
    bench
        .shards(section)
        .held_out()
        .iter()
        .map(|row| format!("{:?}", row.prompt))
        .collect()
}

#[test]
fn adding_rows_moves_none() {
    let mut bench = Bench::with("a.jsonl", lines(0..100));
    let section = DataSection {
        val_size: 0.2,
        ..bench.section("a.jsonl")
    };
    let before = held_out_texts(&mut bench, &section);
    assert!((8..=35).contains(&before.len()), "{}", before.len());
    bench.write("a.jsonl", lines((100..150).chain(0..100)));
    let after = held_out_texts(&mut bench, &section);
    assert!(after.is_superset(&before) && after.len() > before.len());
    bench.seed = 43;
    assert_ne!(held_out_texts(&mut bench, &section), after);
}

#[test]
fn equal_rows_and_groups_stay_together() {
    let mut bench = Bench::with("a.jsonl", lines((0..60).chain(0..60)));
    let section = DataSection {
        val_size: 0.3,
        ..bench.section("a.jsonl")
    };
    let manifest = bench.prepare(&section).unwrap();
    assert_eq!(manifest.leaked, 0);
    assert_eq!(manifest.validation.rows % 2, 0);
    let section = DataSection {
        val_size: 0.35,
        group_by: Some("who".into()),
        ..section
    };
    let shards = bench.shards(&section);
    let held_out: BTreeSet<usize> = shards
        .held_out()
        .iter()
        .map(|row| row.row % 60 % 7)
        .collect();
    let learned: BTreeSet<usize> = shards.train().iter().map(|row| row.row % 60 % 7).collect();
    assert!(held_out.is_disjoint(&learned));
    assert_eq!(held_out.len() + learned.len(), 7);
}

#[test]
fn every_nth_row_over_all_sources_before_any_is_left_out() {
    let mut bench = Bench::with("a.jsonl", lines(0..5));
    bench.write(
        "b.jsonl",
        lines(5..10).replace("row 5", &"long ".repeat(99)),
    );
    bench.max_length = 64;
    let train = vec![bench.source("a.jsonl"), bench.source("b.jsonl")];
    let section = DataSection {
        val_every: 3,
        overlong: Overlong::Drop,
        train,
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let rows: Vec<usize> = shards.held_out().iter().map(|row| row.row).collect();
    assert_eq!(rows, [0, 3, 6, 9]);
    assert_eq!(
        shards
            .train()
            .iter()
            .map(|sample| sample.row)
            .collect::<Vec<_>>(),
        [1, 2, 4, 7, 8]
    );
    assert_eq!(shards.manifest().train.dropped.overlong, 1);
    assert_eq!(
        bench.warnings(),
        ["1 of 6 training rows was longer than `max_length` and left out"]
    );
}

#[test]
fn files_to_hold_out_are_all_that_is_held_out() {
    let mut bench = Bench::with("a.jsonl", lines(0..20));
    bench.write("b.jsonl", lines(18..25));
    let validation = vec![bench.source("b.jsonl")];
    let section = DataSection {
        val_size: 0.5,
        validation,
        ..bench.section("a.jsonl")
    };
    let manifest = bench.prepare(&section).unwrap();
    assert_eq!(
        (
            manifest.train.rows,
            manifest.validation.rows,
            manifest.leaked
        ),
        (20, 7, 2)
    );
    assert_eq!(
        bench.warnings(),
        ["2 of 7 held-out rows are equal to a training row"]
    );
}

#[test]
fn a_sample_is_the_same_each_time_and_keeps_row_numbers() {
    let mut bench = Bench::with("a.jsonl", lines(0..100));
    let train = vec![Source {
        max_samples: 10,
        ..bench.source("a.jsonl")
    }];
    let section = DataSection {
        train,
        ..bench.section("a.jsonl")
    };
    let rows = |bench: &mut Bench| {
        bench
            .shards(&section)
            .train()
            .iter()
            .map(|s| s.row)
            .collect::<Vec<_>>()
    };
    let first = rows(&mut bench);
    assert_eq!(first.len(), 10);
    assert!(first.is_sorted());
    assert_eq!(first, rows(&mut bench));
    assert_eq!(bench.shards(&section).manifest().sources[0].not_sampled, 90);
    let read = slm_data::read_rows(&bench.source("a.jsonl").path).unwrap();
    assert_eq!(
        read.rows[first[3]].fields["prompt"],
        format!("row {}", first[3]).as_str()
    );
}

#[test]
fn truncation_is_counted_and_leaves_nothing_unlearned() {
    let long = "z".repeat(100);
    let rows = format!(
        "{{\"prompt\": \"{long}\", \"completion\": \"a\"}}\n{{\"prompt\": \"p\", \"completion\": \"{long}\"}}\n"
    );
    let mut bench = Bench::with("a.jsonl", rows);
    bench.max_length = 40;
    let section = DataSection {
        overlong: Overlong::TruncateRight,
        ..bench.section("a.jsonl")
    };
    let manifest = bench.prepare(&section).unwrap();
    assert_eq!(
        (
            manifest.train.truncated,
            manifest.train.dropped.nothing_left_to_learn
        ),
        (1, 1)
    );
    assert_eq!(
        (
            manifest.train.read,
            manifest.train.rows,
            manifest.train.tokens
        ),
        (2, 1, 40)
    );
    assert_eq!(
        bench.warnings(),
        [
            "1 of 2 training rows was left out because truncation cut all that was to be learned",
            "1 of 2 training rows was cut to `max_length`"
        ]
    );
    let section = DataSection {
        overlong: Overlong::TruncateLeft,
        ..section
    };
    let manifest = bench.prepare(&section).unwrap();
    assert_eq!(
        (manifest.train.truncated, manifest.train.dropped.total()),
        (2, 0)
    );
}

#[test]
fn a_split_that_holds_nothing_out_says_so() {
    let mut bench = Bench::with("a.jsonl", lines(0..2));
    let section = DataSection {
        val_size: 0.0001,
        ..bench.section("a.jsonl")
    };
    assert_eq!(bench.prepare(&section).unwrap().validation.rows, 0);
    assert_eq!(
        bench.warnings(),
        ["no row is held out: `data.val_size` 0.0001 of 2 rows gave none"]
    );
}
