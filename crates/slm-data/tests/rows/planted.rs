//! Duplicates, leaks and personal data that are planted among real rows, and how many of them are found.

#![expect(clippy::print_stderr, reason = "the README has these figures")]

use std::collections::{BTreeMap, BTreeSet, HashSet};

use slm_data::{
    CLEANING, CleanRecord, CleanStep, Guarded, GuardedRow, GuardedRows, LEAKS, Leak, LeakKind,
    PersonalKind, read_rows,
};
use slm_recipe::{CleanSection, DataSection, Dedup, OnLeak, Overlong, Pii};

use crate::bench::Bench;
use crate::shared_rows::shared;

/// Rows to plant of each kind.
const PLANTED: usize = 300;
const THRESHOLD: f64 = 0.8;

/// Question and answer of each row of a public set that has two columns of these names.
fn real(file: &str, columns: [&str; 2]) -> Option<Vec<[String; 2]>> {
    let rows = read_rows(&shared(file)?.display().to_string())
        .unwrap()
        .rows;
    let mut seen = HashSet::new();
    let said = rows.iter().map(|row| {
        columns.map(|column| row.fields[column].as_str().unwrap_or_default().to_owned())
    });
    Some(
        said.filter(|row| seen.insert(row.clone()))
            .take(3000)
            .collect(),
    )
}

/// Banking77 has short rows, GSM8K has longer ones.
fn sets() -> Vec<(&'static str, Vec<[String; 2]>)> {
    let sets = [
        (
            "banking77",
            real("data/banking77/train.csv", ["text", "category"]),
        ),
        (
            "gsm8k",
            real("data/gsm8k/train.jsonl", ["question", "answer"]),
        ),
    ];
    sets.into_iter()
        .filter_map(|(name, rows)| Some((name, rows?)))
        .collect()
}

fn line([prompt, completion]: &[String; 2]) -> String {
    serde_json::json!({"prompt": prompt, "completion": completion}).to_string() + "\n"
}

/// Pieces of five characters, as `data.clean.shingle_size` has it by default; counted here apart from the code that is tested.
fn pieces([prompt, answer]: &[String; 2]) -> BTreeSet<Vec<char>> {
    let said = format!("{prompt} {answer}").to_lowercase();
    let words: Vec<&str> = said.split_whitespace().collect();
    let chars: Vec<char> = words.join(" ").chars().collect();
    chars
        .windows(5.min(chars.len()))
        .map(<[char]>::to_vec)
        .collect()
}

fn jaccard(one: &[String; 2], other: &[String; 2]) -> f64 {
    let (one, other) = (pieces(one), pieces(other));
    one.intersection(&other).count() as f64 / one.union(&other).count() as f64
}

/// The row with more and more of its words said otherwise, as long as it stays as similar as the threshold.
fn near(row: &[String; 2], number: usize) -> [String; 2] {
    let [prompt, answer] = row;
    let mut words: Vec<String> = prompt.split_whitespace().map(str::to_owned).collect();
    let mut best = row.clone();
    for step in 0..words.len() {
        let at = (number * 7 + step * 3) % words.len();
        words[at] = format!("{}q", words[at]);
        let altered = [words.join(" "), answer.clone()];
        if jaccard(row, &altered) < THRESHOLD {
            break;
        }
        best = altered;
    }
    best
}

fn records<R: serde::de::DeserializeOwned>(bench: &Bench, name: &str) -> Vec<R> {
    let text = fs_err::read_to_string(bench.out().join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn section(bench: &Bench, clean: CleanSection) -> DataSection {
    DataSection {
        overlong: Overlong::Drop,
        clean: CleanSection {
            dedup_threshold: THRESHOLD,
            ..clean
        },
        ..bench.section("a.jsonl")
    }
}

fn bench(rows: impl Iterator<Item = String>) -> Bench {
    let mut bench = Bench::with("a.jsonl", rows.collect::<String>());
    bench.max_length = 2048;
    bench
}

fn recall(what: &str, found: usize, planted: usize, least: f64) {
    let recall = found as f64 / planted as f64;
    eprintln!("{what}: recall {recall:.4} of {planted}");
    assert!(
        planted > 0 && recall >= least,
        "{what}: {found} of {planted}"
    );
}

#[test]
fn planted_duplicates_are_found() {
    for (name, rows) in sets() {
        // The same in capitals is near with a similarity of 1, and no equal row.
        let copies = rows.iter().take(PLANTED).cloned();
        let near_ones = rows.iter().skip(PLANTED).enumerate();
        let near_ones = near_ones.map(|(number, row)| (row, near(row, number)));
        let near_ones: Vec<_> = near_ones
            .filter(|(row, near)| row != &near)
            .map(|(_, near)| near)
            .take(PLANTED)
            .collect();
        let all: Vec<[String; 2]> = rows
            .iter()
            .cloned()
            .chain(copies)
            .chain(near_ones.iter().cloned())
            .collect();
        let mut bench = bench(all.iter().map(line));
        let clean = CleanSection {
            dedup: Dedup::Minhash,
            ..CleanSection::default()
        };
        let section = section(&bench, clean);
        bench.prepare(&section).unwrap();
        let of_step = |step| -> BTreeSet<usize> {
            let records = records::<CleanRecord>(&bench, CLEANING).into_iter();
            let of_step = records.filter(|record| record.step == step);
            of_step
                .flat_map(|record| [Some(record.row), record.like.map(|like| like.row)])
                .flatten()
                .collect()
        };
        let (exact, close) = (of_step(CleanStep::Exact), of_step(CleanStep::Near));
        let copies = rows.len()..rows.len() + PLANTED;
        recall(
            &format!("{name}, equal"),
            copies.filter(|row| exact.contains(row)).count(),
            PLANTED,
            0.99,
        );
        let planted = rows.len() + PLANTED..all.len();
        recall(
            &format!("{name}, near at {THRESHOLD}"),
            planted.filter(|row| close.contains(row)).count(),
            near_ones.len(),
            0.95,
        );
    }
}

#[test]
fn planted_leaks_are_found() {
    for (name, rows) in sets() {
        let (items, train) = rows.split_at(2 * PLANTED);
        let loud = |[prompt, answer]: &[String; 2]| {
            [format!(" {}", prompt.to_uppercase()), answer.clone()]
        };
        let equal = items[..PLANTED].iter().map(loud);
        let close: Vec<_> = items[PLANTED..]
            .iter()
            .enumerate()
            .map(|(number, row)| near(row, number))
            .collect();
        let all: Vec<[String; 2]> = train.iter().cloned().chain(equal).chain(close).collect();
        let mut bench = bench(all.iter().map(line));
        let row = |(at, [prompt, target]): (usize, &[String; 2])| GuardedRow {
            origin: format!("t.jsonl:{}", at + 1),
            prompt: prompt.clone(),
            target: target.clone(),
        };
        bench.guarded = vec![Guarded {
            task: "planted".into(),
            rows: GuardedRows::Said(items.iter().enumerate().map(row).collect()),
        }];
        let section = DataSection {
            on_leak: OnLeak::Report,
            ..section(&bench, CleanSection::default())
        };
        bench.prepare(&section).unwrap();
        let found: BTreeSet<(String, usize, LeakKind)> = records::<Leak>(&bench, LEAKS)
            .into_iter()
            .map(|leak| (leak.item, leak.row, leak.kind))
            .collect();
        let count = |items: std::ops::Range<usize>, kind| {
            let is_found = |at: &usize| {
                found.contains(&(format!("t.jsonl:{}", at + 1), train.len() + at, kind))
            };
            items.filter(is_found).count()
        };
        recall(
            &format!("{name}, leaked as it is"),
            count(0..PLANTED, LeakKind::Exact),
            PLANTED,
            0.99,
        );
        // Where no word could be said otherwise, the row is equal.
        let close = count(PLANTED..2 * PLANTED, LeakKind::Near)
            + count(PLANTED..2 * PLANTED, LeakKind::Exact);
        recall(
            &format!("{name}, leaked near at {THRESHOLD}"),
            close,
            PLANTED,
            0.95,
        );
    }
}

#[derive(serde::Deserialize)]
struct Sentence {
    text: String,
    spans: Vec<(usize, usize, PersonalKind)>,
}

#[test]
fn planted_personal_data_is_found_and_little_else() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/pii/test.jsonl");
    let text = fs_err::read_to_string(path).unwrap();
    let sentences = text
        .lines()
        .map(|line| serde_json::from_str::<Sentence>(line).unwrap());
    let planted: Vec<Sentence> = sentences
        .filter(|sentence| !sentence.spans.is_empty())
        .collect();
    for (name, rows) in sets() {
        let with = rows
            .iter()
            .zip(&planted)
            .map(|([prompt, answer], sentence)| {
                line(&[format!("{prompt} {}", sentence.text), answer.clone()])
            });
        let plain = rows[planted.len()..].iter();
        let mut bench = bench(with.chain(plain.map(line)));
        let clean = CleanSection {
            pii: Pii::Report,
            ..CleanSection::default()
        };
        let section = section(&bench, clean);
        bench.prepare(&section).unwrap();
        let found: BTreeMap<usize, BTreeMap<PersonalKind, usize>> =
            records::<CleanRecord>(&bench, CLEANING)
                .into_iter()
                .filter(|record| record.step == CleanStep::Personal)
                .map(|record| (record.row, record.personal))
                .collect();
        let has = |(at, sentence): &(usize, &Sentence)| {
            let kinds = found.get(at);
            kinds.is_some_and(|kinds| {
                sentence
                    .spans
                    .iter()
                    .all(|(_, _, kind)| kinds.contains_key(kind))
            })
        };
        let count = planted.iter().enumerate().filter(has).count();
        recall(
            &format!("{name}, personal data"),
            count,
            planted.len(),
            0.99,
        );
        let wrong = found.keys().filter(|row| **row >= planted.len()).count();
        let plain = rows.len() - planted.len();
        eprintln!("{name}: {wrong} of {plain} rows as they are have personal data by shape");
        assert!((wrong as f64) <= 0.01 * plain as f64, "{wrong} of {plain}");
    }
}
