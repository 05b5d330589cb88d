//! What is held out, sampled, left out and counted.

use std::collections::BTreeSet;

use proptest::prelude::*;
use slm_data::{HeldOut, Prompt};
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

/// Rows in families: those of one differ by a word at the end, and no two families are alike.
fn family(family: usize, members: usize) -> Vec<String> {
    let mut state = family as u64 + 13;
    let letters = std::iter::repeat_with(|| {
        // The constants of Knuth's MMIX generator.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 60) as u8)
    });
    let stem: String = letters.take(90).collect();
    let row = |member: usize| {
        format!(
            "{{\"prompt\": \"{stem} {member}\", \"completion\": \" {}\"}}\n",
            family % 4
        )
    };
    (0..members).map(row).collect()
}

/// The lines that are learned from, held out, and of the test.
fn sides(lines: &[String], section: impl Fn(&Bench) -> DataSection) -> [BTreeSet<String>; 3] {
    sides_by(42, lines, section)
}

fn sides_by(
    seed: u64,
    lines: &[String],
    section: impl Fn(&Bench) -> DataSection,
) -> [BTreeSet<String>; 3] {
    let mut bench = Bench::with("a.jsonl", lines.concat());
    bench.seed = seed;
    let section = section(&bench);
    let shards = bench.shards(&section);
    let texts = |rows: &[HeldOut]| rows.iter().map(|row| lines[row.row].clone()).collect();
    let train = shards.train().iter();
    [
        train.map(|sample| lines[sample.row].clone()).collect(),
        texts(shards.held_out()),
        texts(shards.test()),
    ]
}

fn together(bench: &Bench) -> DataSection {
    DataSection {
        val_size: 0.3,
        test_size: 0.3,
        keep_near_together: true,
        ..bench.section("a.jsonl")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// No family straddles, the order does not matter, and a row that is near to none moves none.
    #[test]
    fn near_duplicates_stay_together(
        members in proptest::collection::vec(1_usize..5, 3..12),
        turn in 0_usize..40,
    ) {
        let families: Vec<_> = members.iter().enumerate().map(|(at, n)| family(at, *n)).collect();
        let mut lines = families.concat();
        let before = sides(&lines, together);
        for (family, side) in families.iter().flat_map(|it| before.iter().map(move |side| (it, side))) {
            let on_it = family.iter().filter(|line| side.contains(*line)).count();
            prop_assert!(on_it == 0 || on_it == family.len(), "{on_it} of {}", family.len());
        }
        let turn = turn % lines.len();
        lines.rotate_left(turn);
        lines.extend(family(99, 1));
        let after = sides(&lines, together);
        prop_assert!(before.iter().zip(&after).all(|(less, more)| less.is_subset(more)));
    }
}

/// Equal rows and groups are on one of three sides, whatever is added, and the held-out ones are those that they are without a test.
#[test]
fn a_test_is_a_side_of_its_own() {
    let twice: Vec<String> = lines((0..90).chain(0..90))
        .lines()
        .map(|line| format!("{line}\n"))
        .collect();
    let by_group = Some("who".to_owned());
    // Of seven groups, some seeds put none into the test.
    for (seed, group_by) in [(42, None), (1, by_group.clone()), (3, by_group)] {
        let section = |test_size| {
            let group_by = group_by.clone();
            move |bench: &Bench| DataSection {
                val_size: 0.25,
                test_size,
                group_by: group_by.clone(),
                ..bench.section("a.jsonl")
            }
        };
        let [train, held_out, test] = sides_by(seed, &twice, section(0.4));
        assert!(train.is_disjoint(&held_out) && train.is_disjoint(&test));
        assert!(held_out.is_disjoint(&test));
        assert_eq!(train.len() + held_out.len() + test.len(), 90);
        assert!((10..65).contains(&test.len()), "{seed}: {}", test.len());
        let [all_else, same, none] = sides_by(seed, &twice, section(0.0));
        assert_eq!((same, none.len()), (held_out.clone(), 0));
        assert_eq!(all_else, train.union(&test).cloned().collect());
        let more: Vec<String> = lines(90..120)
            .lines()
            .map(|line| format!("{line}\n"))
            .collect();
        let after = sides_by(seed, &[more, twice.clone()].concat(), section(0.4));
        for (before, after) in [train, held_out, test].iter().zip(&after) {
            assert!(before.is_subset(after));
        }
        let groups = |side: &BTreeSet<String>| -> BTreeSet<String> {
            side.iter()
                .map(|line| line[line.len() - 4..].into())
                .collect()
        };
        if group_by.is_some() {
            let all: usize = after.iter().map(|side| groups(side).len()).sum();
            assert_eq!(all, 7, "a group straddles");
        }
    }
}

#[test]
fn files_of_the_test_are_measured_and_counted() {
    let mut bench = Bench::with("a.jsonl", lines(0..20));
    bench.write("b.jsonl", lines(18..25));
    let section = DataSection {
        val_size: 0.3,
        test: vec![bench.source("b.jsonl")],
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let manifest = shards.manifest();
    let test: Vec<usize> = shards.test().iter().map(|row| row.row).collect();
    assert_eq!(test, (20..27).collect::<Vec<_>>());
    assert_eq!(manifest.train.rows + manifest.validation.rows, 20);
    assert_eq!(
        shards.origin(26),
        Some(&*format!("{}:7", section.test[0].path))
    );
    assert_eq!(shards.measured(), shards.test());
    // Rows 18 and 19 are in both files; those of the first are on either side.
    let held_out = shards.held_out().iter().filter(|row| row.row >= 18).count();
    assert_eq!(manifest.leaked, 2 - held_out);
    let names: Vec<&str> = manifest.shards.iter().map(|it| it.file.as_str()).collect();
    assert_eq!(
        names,
        [
            "train-00000.parquet",
            "validation-00000.parquet",
            "test-00000.parquet"
        ]
    );
}

#[test]
fn each_label_has_its_share_on_either_side() {
    // 40 rows of label 0, 20 of 1, 4 of 2.
    let label = |i: usize| match i {
        0..40 => 0,
        40..60 => 1,
        _ => 2,
    };
    let lines: String = (0..64)
        .map(|i| {
            let label = label(i);
            format!("{{\"prompt\": \"row {i}\", \"completion\": \" {label}\"}}\n")
        })
        .collect();
    let mut bench = Bench::with("a.jsonl", lines);
    let section = DataSection {
        val_size: 0.1,
        test_size: 0.2,
        stratify: true,
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let count = |rows: &[HeldOut]| {
        let of = |label| rows.iter().filter(|row| row.target == label).count();
        [" 0", " 1", " 2"].map(of)
    };
    assert_eq!(count(shards.held_out()), [4, 2, 1]);
    assert_eq!(count(shards.test()), [8, 4, 1]);
    assert!(matches!(shards.held_out()[0].prompt, Prompt::Text(_)));
    let texts: String = (0..9)
        .map(|i| format!("{{\"prompt\": \"row {i}\", \"completion\": \"answer {i}\"}}\n"))
        .collect();
    bench.write("a.jsonl", texts);
    fs_err::remove_dir_all(bench.out()).unwrap();
    assert_eq!(
        bench.refusal(&section),
        (
            "`data.stratify` needs labels, and 9 of 9 rows have an answer of their own".into(),
            "a label is the text to be learned of a row; leave `data.stratify` out for other rows"
                .into(),
        )
    );
}
