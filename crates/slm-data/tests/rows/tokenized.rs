//! Rows that are tokens already, and rows that come up more or less often than once.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::basic::Compression;
use slm_data::{Answer, BatchOptions, Prompt, Sample, Share, batches, collate};
use slm_recipe::{DataSection, Format, Overlong, Source};

use crate::bench::{Bench, TOKENIZER, parquet};

const ROWS: &str = r#"{"input_ids": [10, 11, 12, 13], "labels": [-100, -100, 12, 13]}
{"input_ids": [20, 21, 22, 23, 24], "labels": [20, 21, -100, 23, 24], "position_ids": [0, 1, 2, 0, 1]}
{"input_ids": [0, 0, 30, 31, 0], "labels": [-100, -100, -100, 31, -100], "attention_mask": [0, 0, 1, 1, 0], "position_ids": [1, 1, 0, 1, 1]}
"#;

fn sample(row: usize, ids: &[u32], learned: &[usize], breaks: &[u32]) -> Sample {
    Sample {
        row,
        ids: ids.to_vec(),
        learn: (0..ids.len()).map(|at| learned.contains(&at)).collect(),
        breaks: breaks.to_vec(),
        answer: Answer::Only,
    }
}

#[test]
fn rows_are_taken_as_they_are() {
    let mut bench = Bench::with("a.jsonl", ROWS);
    let section = bench.section("a.jsonl");
    let shards = bench.shards(&section);
    let manifest = shards.manifest();
    assert_eq!(manifest.sources[0].format, Format::Tokenized);
    assert_eq!(
        (manifest.train.tokens, manifest.train.learned_tokens),
        (11, 5)
    );
    let expected = [
        sample(0, &[10, 11, 12, 13], &[2, 3], &[]),
        sample(1, &[20, 21, 22, 23, 24], &[0, 1, 3, 4], &[3]),
        sample(2, &[30, 31], &[1], &[]),
    ];
    assert_eq!(shards.train(), expected);
    let batch = collate(&[&expected[1]]);
    assert_eq!(batch.segments, [1, 1, 1, 2, 2]);
    assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
    assert_eq!(batch.learn, [true, false, false, true, false]);
}

#[test]
fn columns_may_have_other_names_and_other_files_hold_them_too() {
    let mut bench = Bench::new();
    let lists = |rows: [&[i64]; 2]| {
        ListArray::from_iter_primitive::<Int64Type, _, _>(
            rows.map(|row| Some(row.iter().copied().map(Some))),
        )
    };
    let ids = ListArray::from_iter_primitive::<Int32Type, _, _>(
        [[5, 6, 7], [8, 9, 1]].map(|row| Some(row.map(Some))),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tokens", Arc::new(ids)),
        ("labels", Arc::new(lists([&[-100, 6, 7], &[-100, -100, 1]]))),
    ];
    let table = RecordBatch::try_from_iter(columns).unwrap();
    bench.write("a.parquet", parquet(&table, Compression::SNAPPY));
    let source = Source {
        columns: [("input_ids".to_owned(), "tokens".to_owned())].into(),
        ..bench.source("a.parquet")
    };
    let section = DataSection {
        train: vec![source],
        ..bench.section("a.parquet")
    };
    let expected = [
        sample(0, &[5, 6, 7], &[1, 2], &[]),
        sample(1, &[8, 9, 1], &[2], &[]),
    ];
    assert_eq!(bench.shards(&section).train(), expected);
}

#[test]
fn held_out_rows_are_answered_with_their_own_tokens() {
    let ids = |text: &str| TOKENIZER.encode(text, false).unwrap();
    let (prompt, answer) = (ids("where is the card"), ids(" lost"));
    let row = |learned: &[u32]| {
        let labels = prompt
            .iter()
            .map(|_| -100)
            .chain(learned.iter().map(|id| *id as i64));
        let (ids, labels) = ([&prompt[..], learned].concat(), labels.collect::<Vec<_>>());
        serde_json::json!({"input_ids": ids, "labels": labels})
    };
    let mut bench = Bench::with(
        "a.jsonl",
        format!("{}\n{}\n", row(&answer), row(&ids(" found"))),
    );
    let section = DataSection {
        val_every: 2,
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let held_out = &shards.held_out()[0];
    assert_eq!(held_out.target, " lost");
    assert_eq!(held_out.prompt, Prompt::Tokens { prompt, answer });
}

#[track_caller]
fn refused(row: &str, message: &str) {
    let mut bench = Bench::with(
        "a.jsonl",
        format!("{}{row}\n", ROWS.split_inclusive('\n').next().unwrap()),
    );
    let section = bench.section("a.jsonl");
    assert_eq!(bench.refusal(&section).0, message);
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_place() {
    refused(
        r#"{"input_ids": [1, 2, 3], "labels": [1, 2]}"#,
        "`a.jsonl:2`: column `labels` holds 2 values, 3, as many as in `input_ids`, was needed",
    );
    refused(
        r#"{"input_ids": [1, 300, 3], "labels": [-100, -100, 3]}"#,
        "`a.jsonl:2`: column `input_ids[1]` holds 300, an id from 0 to 292 was needed",
    );
    refused(
        r#"{"input_ids": [1, -1, 3], "labels": [-100, -100, 3]}"#,
        "`a.jsonl:2`: column `input_ids[1]` holds -1, an id from 0 to 292 was needed",
    );
    refused(
        r#"{"input_ids": [1, 2, 3], "labels": [-100, 3, -100]}"#,
        "`a.jsonl:2`: column `labels[1]` holds 3, 2, the id at this place, or -100 (not learned) was needed",
    );
    refused(
        r#"{"input_ids": [1, 2, 3], "labels": [1, 2, 3], "position_ids": [0, 1, 3]}"#,
        "`a.jsonl:2`: column `position_ids[2]` holds 3, 2, the next place, or 0, another conversation, was needed",
    );
    refused(
        r#"{"input_ids": [1, 2, 3], "labels": [1, 2, 3], "position_ids": [1, 2, 3]}"#,
        "`a.jsonl:2`: column `position_ids[0]` holds 1, 0, the start of a conversation, was needed",
    );
    refused(
        r#"{"input_ids": [1, 2, 3], "labels": [1, 2, 3], "attention_mask": [1, 0, 1]}"#,
        "`a.jsonl:2`: column `attention_mask[1]` holds 0, 1 between two others (0 stands for padding, which is at an end) was needed",
    );
    refused(
        r#"{"input_ids": [1, 2, 3], "labels": [1, 2, 3], "attention_mask": [1, 1, 0]}"#,
        "`a.jsonl:2`: column `labels[2]` holds 3, -100 where `attention_mask` is 0 was needed",
    );
    refused(
        r#"{"input_ids": [1, 2.5, 3], "labels": [1, 2, 3]}"#,
        "`a.jsonl:2`: column `input_ids[1]` holds 2.5, an integer was needed",
    );
    refused(
        r#"{"input_ids": "1 2", "labels": [1, 2]}"#,
        "`a.jsonl:2`: column `input_ids` holds a text, a list of integers was needed",
    );
    refused(
        r#"{"input_ids": [1, 2]}"#,
        "`a.jsonl:2` has no column `labels`, needed by format `tokenized`; found `input_ids`",
    );
}

#[test]
fn a_row_without_a_label_has_nothing_to_learn() {
    let mut bench = Bench::with(
        "a.jsonl",
        "{\"input_ids\": [1, 2], \"labels\": [1, -100]}\n{\"input_ids\": [1, 2], \"labels\": [1, 2]}\n",
    );
    let section = bench.section("a.jsonl");
    let (message, hint) = bench.refusal(&section);
    assert_eq!(message, "1 of 2 rows has nothing to learn: `a.jsonl:1`");
    assert!(hint.contains("-100"), "{hint}");
}

#[test]
fn a_row_of_several_conversations_is_cut_like_any_other() {
    let mut bench = Bench::with("a.jsonl", ROWS);
    bench.max_length = 4;
    let section = DataSection {
        overlong: Overlong::TruncateLeft,
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    assert_eq!(
        shards.train()[1],
        sample(1, &[21, 22, 23, 24], &[0, 2, 3], &[2])
    );
    assert_eq!(shards.manifest().train.truncated, 1);
}

#[test]
fn weights_say_how_often_the_rows_of_a_file_come_up() {
    let row = |id: u32| format!("{{\"input_ids\": [{id}, {id}], \"labels\": [{id}, {id}]}}\n");
    let file = |ids: std::ops::Range<u32>| ids.map(row).collect::<String>();
    let mut bench = Bench::with("a.jsonl", file(1..5));
    bench.write("b.jsonl", file(10..13));
    let weighted = |name: &str, weight| Source {
        weight,
        ..bench.source(name)
    };
    let section = DataSection {
        train: vec![weighted("a.jsonl", 0.5), weighted("b.jsonl", 2.0)],
        shuffle: false,
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let shares = shards.shares();
    let share = |rows, weight| Share { rows, weight };
    assert_eq!(shares, [share(4, 0.5), share(3, 2.0)]);
    let options = |shuffle, epoch| BatchOptions {
        batch_size: 100,
        max_length: 64,
        packing: false,
        shuffle,
        shares: shares.clone(),
        group_by_length: true,
        seed: 1,
        epoch,
    };
    let rows = |shuffle, epoch| batches(shards.train(), &options(shuffle, epoch)).sample_rows(0);
    assert_eq!(rows(false, 0), [0, 1, 4, 5, 6, 4, 5, 6]);
    assert_eq!(rows(false, 1), [2, 3, 4, 5, 6, 4, 5, 6]);
    let both = |shuffle| {
        let mut both = [rows(shuffle, 0), rows(shuffle, 1)].concat();
        both.sort_unstable();
        both
    };
    assert_eq!(both(true), both(false), "two epochs have seen every row");
    assert_ne!(rows(true, 0), rows(false, 0));
}
