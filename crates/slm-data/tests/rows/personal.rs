//! Personal data: measured on the project's labelled sentences, and what becomes of it in rows.

use std::collections::BTreeMap;
use std::ops::Range;

use slm_data::{CLEANING, CleanRecord, Effect, PersonalKind, Prompt, personal_data};
use slm_recipe::{CleanSection, DataSection, Pii};

use crate::bench::Bench;

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

#[test]
#[expect(clippy::print_stderr, reason = "the card has these figures")]
fn precision_and_recall_by_kind() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/pii/test.jsonl");
    let text = fs_err::read_to_string(path).unwrap();
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
    assert_eq!(kinds.len(), 9);
    for (
        kind,
        Counts {
            found,
            missed,
            wrong,
        },
    ) in kinds
    {
        let of = |all: usize| found as f64 / all as f64;
        let (precision, recall) = (of(found + wrong), of(found + missed));
        eprintln!(
            "{}: precision {precision:.3}, recall {recall:.3} of {}",
            kind.name(),
            found + missed
        );
        assert!(precision >= 0.98 && recall >= 0.98, "{}", kind.name());
    }
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
            "1 of 2 rows has personal data: `a.jsonl:2` (EMAIL)".into(),
            "put placeholders in its stead with `data.clean.pii = \"redact\"`, or take it out of the rows".into(),
        )
    );
}
