//! Personal data: measured on the project's labelled sentences, and what becomes of it in rows.

use std::collections::BTreeMap;
use std::ops::Range;

use slm_data::{
    CLEANING, CleanRecord, Effect, Guarded, PersonalKind, Prompt, input_digest, personal_data,
    training_texts,
};
use slm_recipe::{CleanSection, DataSection, OnLeak, PersonalSection, Pii};

use crate::bench::{Bench, TOKENIZER};

/// Kind, precision and recall of the held-out set, rounded down.
const HELD_OUT: [(PersonalKind, f64, f64); 9] = [
    (PersonalKind::Email, 1.0, 1.0),
    (PersonalKind::Phone, 1.0, 1.0),
    (PersonalKind::Iban, 1.0, 1.0),
    (PersonalKind::Card, 0.97, 1.0),
    (PersonalKind::NationalId, 1.0, 1.0),
    (PersonalKind::Ip, 1.0, 1.0),
    (PersonalKind::Mac, 1.0, 1.0),
    (PersonalKind::Secret, 1.0, 0.99),
    (PersonalKind::SecretUrl, 0.9, 0.9),
];

#[derive(serde::Deserialize)]
struct Sentence {
    text: String,
    spans: Vec<(usize, usize, PersonalKind)>,
}

/// Found where it should be, missed, and found where it should not be.
#[derive(Default)]
struct Counts {
    found: usize,
    missed: usize,
    wrong: usize,
}

/// The set that the shapes were corrected by.
#[test]
fn precision_and_recall_by_kind() {
    let measured = measured("test.jsonl");
    assert_eq!(measured.len(), 9);
    for (kind, (precision, recall)) in measured {
        assert!(precision >= 0.98 && recall >= 0.98, "{}", kind.name());
    }
}

/// The set that nothing was corrected by: what was measured is in its card, and no change may make it worse.
#[test]
fn precision_and_recall_of_the_held_out_set() {
    let measured = measured("held_out.jsonl");
    let least = HELD_OUT.map(|(kind, precision, recall)| (kind, (precision, recall)));
    assert_eq!(measured.len(), least.len());
    for (kind, (precision, recall)) in least {
        let (found_precision, found_recall) = measured[&kind];
        assert!(
            found_precision >= precision && found_recall >= recall,
            "{}",
            kind.name()
        );
    }
}

/// Precision and recall of each kind in a labelled set.
#[expect(clippy::print_stderr, reason = "the card has these figures")]
fn measured(name: &str) -> BTreeMap<PersonalKind, (f64, f64)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/pii");
    let text = fs_err::read_to_string(format!("{folder}/{name}")).unwrap();
    let mut kinds: BTreeMap<PersonalKind, Counts> = BTreeMap::new();
    for line in text.lines() {
        let sentence: Sentence = serde_json::from_str(line).unwrap();
        let labelled: Vec<(Range<usize>, PersonalKind)> = sentence
            .spans
            .iter()
            .map(|(from, to, kind)| (*from..*to, *kind))
            .collect();
        let found = personal_data(&sentence.text);
        let found: Vec<_> = found.into_iter().map(|it| (it.range, it.kind)).collect();
        for place in &labelled {
            let counts = kinds.entry(place.1).or_default();
            match found.contains(place) {
                true => counts.found += 1,
                false => counts.missed += 1,
            }
        }
        for place in found.iter().filter(|place| !labelled.contains(place)) {
            kinds.entry(place.1).or_default().wrong += 1;
        }
    }
    let of = |(kind, counts): (PersonalKind, Counts)| {
        let share = |all: usize| counts.found as f64 / all as f64;
        let places = counts.found + counts.missed;
        let (precision, recall) = (share(counts.found + counts.wrong), share(places));
        eprintln!(
            "{name}: {}: precision {precision:.3}, recall {recall:.3} of {places}",
            kind.name()
        );
        (kind, (precision, recall))
    };
    kinds.into_iter().map(of).collect()
}

const ROW: &str =
    "{\"prompt\": \"I am a@example.com, not b@example.com\", \"completion\": \" a@example.com\"}\n";
const CLEAN: &str = "{\"prompt\": \"I am nobody\", \"completion\": \" yes\"}\n";

fn section(bench: &Bench, pii: Pii) -> DataSection {
    DataSection {
        clean: CleanSection {
            pii,
            ..CleanSection::default()
        },
        validation: vec![bench.source("a.jsonl")],
        ..bench.section("b.jsonl")
    }
}

#[test]
fn rows_are_listed_redacted_or_refused() {
    let mut bench = Bench::with("a.jsonl", format!("{CLEAN}{ROW}"));
    bench.write("b.jsonl", CLEAN);
    let mut told = |pii| {
        let section = section(&bench, pii);
        let shards = bench.shards(&section);
        let row = &shards.held_out()[1];
        let Prompt::Text(prompt) = &row.prompt else {
            panic!("not a text")
        };
        let said = (prompt.clone(), row.target.clone());
        let text = fs_err::read_to_string(bench.out().join(CLEANING)).unwrap();
        let records = text
            .lines()
            .map(|line| serde_json::from_str::<CleanRecord>(line).unwrap());
        (said, records.collect::<Vec<_>>())
    };
    let as_it_was = (
        "I am a@example.com, not b@example.com".to_owned(),
        " a@example.com".to_owned(),
    );
    let (said, records) = told(Pii::Report);
    assert_eq!((&said, records[0].effect), (&as_it_was, Effect::Listed));
    assert_eq!(
        (records[0].row, records[0].personal[&PersonalKind::Email]),
        (2, 3)
    );
    let (said, records) = told(Pii::Redact);
    assert_eq!(
        said,
        (
            "I am <EMAIL_1>, not <EMAIL_2>".to_owned(),
            " <EMAIL_1>".to_owned()
        )
    );
    assert_eq!((records.len(), records[0].effect), (1, Effect::Changed));
    let (said, records) = told(Pii::Off);
    assert_eq!((said, records.len()), (as_it_was, 0));
    fs_err::remove_dir_all(bench.out()).unwrap();
    let refuse = section(&bench, Pii::Error);
    assert_eq!(
        bench.refusal(&refuse),
        (
            "1 of 3 rows has personal data: `a.jsonl:2` (EMAIL)".into(),
            "put placeholders in its stead with `data.clean.pii = \"redact\"`, pseudonyms with `\"pseudonymise\"`, or take it out of the rows".into(),
        )
    );
}

fn texts(section: &DataSection) -> Vec<String> {
    training_texts(section, &[], 1).unwrap()
}

#[test]
fn a_value_has_one_placeholder_in_all_files_and_rows() {
    let bench = Bench::with(
        "a.jsonl",
        "{\"text\": \"to b@example.com, or 192.0.2.7\"}\n",
    );
    bench.write(
        "b.jsonl",
        "{\"text\": \"a@example.com\"}\n{\"text\": \"B@EXAMPLE.COM again\"}\n",
    );
    let mut section = section(&bench, Pii::Redact);
    section.validation = Vec::new();
    section.train = vec![bench.source("a.jsonl"), bench.source("b.jsonl")];
    assert_eq!(
        texts(&section),
        ["to <EMAIL_1>, or <IP_1>", "<EMAIL_2>", "<EMAIL_1> again"]
    );
}

/// Names and streets of lists, in files of their own.
fn lists(bench: &Bench) -> PersonalSection {
    bench.write("names.txt", "# first names\nmara\nRose\n\nJonas Weiss\n");
    bench.write("streets.txt", "Rose Street\n");
    let path = |name: &str| bench.source(name).path;
    PersonalSection {
        names: vec![path("names.txt")],
        addresses: vec![path("streets.txt")],
        ..PersonalSection::default()
    }
}

#[test]
fn names_and_addresses_of_lists() {
    let mut bench = Bench::with(
        "b.jsonl",
        "{\"text\": \"MARA and Jonas  Weiss of 4 Rose Street like a rose, says Jonas to Rose\"}\n",
    );
    let mut section = section(&bench, Pii::Redact);
    section.validation = Vec::new();
    section.clean.personal = lists(&bench);
    assert_eq!(
        texts(&section),
        ["<NAME_1> and <NAME_2> of 4 <ADDRESS_1> like a rose, says Jonas to <NAME_3>"]
    );
    let before = input_digest(&section, &[], &TOKENIZER, 9, 1).unwrap();
    bench.write("streets.txt", "Main Street\n");
    assert_ne!(
        before,
        input_digest(&section, &[], &TOKENIZER, 9, 1).unwrap()
    );
    bench.write("streets.txt", "# none\n");
    assert_eq!(
        bench.refusal(&section),
        (
            "`streets.txt` has no names or addresses, one a line was needed".into(),
            "a line that begins with `#` is a remark".into(),
        )
    );
}

#[test]
fn pseudonyms_are_the_same_in_all_runs_with_a_key_which_is_nowhere_in_them() {
    let row = "{\"text\": \"a@example.com or b@example.com, or 192.0.2.7\"}\n";
    let mut bench = Bench::with("b.jsonl", row.repeat(2));
    let key = "k".repeat(16);
    bench.write("key", format!("{key}\n"));
    let mut section = section(&bench, Pii::Pseudonymise);
    section.validation = Vec::new();
    section.clean.personal.key_file = Some(bench.source("key").path);
    let first = texts(&section);
    assert_eq!(first[0], first[1]);
    let words: Vec<&str> = first[0].split(' ').collect();
    let host = |word: &str| {
        word.trim_end_matches(',')
            .split_once('@')
            .unwrap()
            .1
            .to_owned()
    };
    assert!(words[0].starts_with('u') && words[0] != words[2]);
    assert_eq!(host(words[0]), host(words[2]));
    assert!(host(words[0]).ends_with(".example"));
    assert!(words[4].starts_with("<IP_"), "{}", words[4]);
    let manifest = bench.prepare(&section).unwrap();
    let found: Vec<_> = manifest
        .personal
        .iter()
        .map(|it| (it.kind, it.rows, it.places))
        .collect();
    assert_eq!(
        found,
        [(PersonalKind::Email, 2, 4), (PersonalKind::Ip, 2, 2)]
    );
    assert!(manifest.personal[0].source.ends_with("b.jsonl"));
    for file in fs_err::read_dir(bench.out()).unwrap() {
        let bytes = fs_err::read(file.unwrap().path()).unwrap();
        for secret in [key.as_bytes(), b"a@example.com"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
    }
    let digest = || input_digest(&section, &[], &TOKENIZER, 9, 1).unwrap();
    let before = digest();
    bench.write("key", "another key of 24 bytes.");
    assert_ne!((texts(&section), digest()), (first, before));
    bench.write("key", "short");
    fs_err::remove_dir_all(bench.out()).unwrap();
    assert_eq!(
        bench.refusal(&section),
        (
            "the file `key` holds 5 bytes, a key of at least 16 was needed for pseudonyms".into(),
            "make one, and keep it where the rows are not: `openssl rand -hex 32`; the same key gives the same pseudonyms".into(),
        )
    );
    section.clean.personal = PersonalSection {
        key_env: Some("SLM_TUNE_NO_SUCH_KEY".into()),
        ..PersonalSection::default()
    };
    let (message, _) = bench.refusal(&section);
    assert_eq!(
        message,
        "the environment variable `SLM_TUNE_NO_SUCH_KEY` holds 0 bytes, a key of at least 16 was needed for pseudonyms"
    );
}

/// Which rows are held out, left out or leaked does not depend on what becomes of personal data.
#[test]
fn rows_are_compared_as_they_were() {
    let lines = |hosts: std::ops::Range<usize>| -> String {
        hosts
            .map(|i| {
                format!(
                    "{{\"text\": \"write to u{i}@h{}.example.com now\"}}\n",
                    i * 31
                )
            })
            .collect()
    };
    let mut bench = Bench::with("b.jsonl", lines(0..60) + &lines(3..5));
    bench.write("t.jsonl", lines(7..8));
    bench.guarded = vec![Guarded {
        task: "own".into(),
        rows: slm_data::GuardedRows::File(bench.source("t.jsonl")),
    }];
    let mut held_out = Vec::new();
    for pii in [Pii::Off, Pii::Redact] {
        let mut section = section(&bench, pii);
        (section.validation, section.val_size) = (Vec::new(), 0.2);
        section.on_leak = OnLeak::Drop;
        section.clean.dedup = slm_recipe::Dedup::Exact;
        section.clean.dedup_threshold = 1.0;
        let shards = bench.shards(&section);
        let rows: Vec<usize> = shards.held_out().iter().map(|row| row.row).collect();
        held_out.push((rows, shards.manifest().cleaned_out()));
    }
    assert_eq!(held_out[0], held_out[1]);
    assert_eq!(held_out[0].1, 3);
}
