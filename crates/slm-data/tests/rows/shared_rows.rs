//! Public data sets, where they are at hand beside the project.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use slm_data::{Prompt, Shards, prepare};
use slm_recipe::{DataSection, Format, Overlong, Source};
use slm_text::ChatTokenizer;

use crate::bench::TOKENIZER;

/// The file under `../shared`, or a note that the test is skipped.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: 1 test needs `../shared/{name}`");
        return None;
    }
    Some(path)
}

fn section(source: Source) -> DataSection {
    DataSection {
        val_size: 0.0,
        train: vec![source],
        ..DataSection::default()
    }
}

fn source(path: &Path) -> Source {
    Source {
        path: path.display().to_string(),
        ..Source::default()
    }
}

fn prepared(section: &DataSection, tokenizer: &ChatTokenizer, max_length: usize) -> Shards {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("data");
    if let Err(error) = prepare(section, &[], tokenizer, max_length, 42, &out, &mut |_| {}) {
        panic!("{error}; {:?}", error.hint());
    }
    Shards::open(&out).unwrap()
}

#[test]
fn banking77_is_split_by_every_tenth_row_in_seconds() {
    let (Some(csv), Some(base)) = (
        shared("data/banking77/train.csv"),
        shared("models/stories260k"),
    ) else {
        return;
    };
    let tokenizer = ChatTokenizer::load(&base, "auto").unwrap();
    let train = Source {
        prompt: Some("Query: {text}\nIntent:".into()),
        completion: Some(" {category}".into()),
        ..source(&csv)
    };
    let started = Instant::now();
    let shards = prepared(
        &DataSection {
            val_every: 10,
            ..section(train)
        },
        &tokenizer,
        512,
    );
    eprintln!("banking77: {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(
        (shards.train().len(), shards.validation().len()),
        (9002, 1001)
    );
    assert_eq!(shards.targets().count(), 77);
    let first = &shards.held_out()[0];
    assert_eq!(
        first.prompt,
        Prompt::Text("Query: I am still waiting on my card?\nIntent:".into())
    );
    assert_eq!(first.target, " card_arrival");
    let sample = &shards.validation()[0];
    assert_eq!(sample.ids.first().copied(), tokenizer.bos_id());
    assert_eq!(sample.ids.last().copied(), tokenizer.eos_id());
    let learned: Vec<u32> = sample
        .ids
        .iter()
        .zip(&sample.learn)
        .filter(|(_, learn)| **learn)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(
        tokenizer.decode(&learned, true).unwrap().trim(),
        "card_arrival"
    );
}

#[test]
fn gsm8k_by_renamed_columns() {
    let Some(path) = shared("data/gsm8k/train.jsonl") else {
        return;
    };
    let columns = [("prompt", "question"), ("completion", "answer")]
        .map(|(name, column)| (name.to_owned(), column.to_owned()));
    let train = Source {
        columns: columns.into(),
        max_samples: 500,
        ..source(&path)
    };
    let shards = prepared(
        &DataSection {
            val_size: 0.1,
            ..section(train)
        },
        &TOKENIZER,
        4096,
    );
    assert_eq!(shards.train().len() + shards.validation().len(), 500);
    assert!(
        (25..80).contains(&shards.validation().len()),
        "{}",
        shards.validation().len()
    );
}

#[test]
fn files_of_other_tools_are_read_as_they_are() {
    let expected = [
        ("alpaca_en_demo.json", Format::Alpaca, 999),
        ("identity.json", Format::Alpaca, 91),
        ("v1_sft_demo.jsonl", Format::Messages, 500),
        ("glaive_toolcall_en_demo.json", Format::Sharegpt, 300),
        ("c4_demo.jsonl", Format::Text, 300),
        ("wiki_demo.txt", Format::Text, 30),
        ("dpo_en_demo.json", Format::Preference, 300),
        ("kto_en_demo.json", Format::UnpairedPreference, 300),
    ];
    for (name, format, rows) in expected {
        let Some(path) = shared(&format!("data/instruct_llamafactory/{name}")) else {
            return;
        };
        let section = DataSection {
            overlong: Overlong::TruncateRight,
            ..section(source(&path))
        };
        let shards = prepared(&section, &TOKENIZER, 2048);
        let record = &shards.manifest().sources[0];
        assert_eq!((record.format, record.rows), (format, rows), "{name}");
        let train = &shards.manifest().train;
        assert_eq!(train.rows + train.dropped.total(), rows, "{name}");
    }
}
