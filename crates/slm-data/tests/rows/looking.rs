//! What is told of prepared rows: where each came from, what they are as a whole, and how two sets differ.

use proptest::prelude::*;
use serde_json::{Value, json};
use slm_data::{DataCard, DataDiff, Fate, Groups, Side, Wanted, croissant, lineages, markdown};
use slm_recipe::{CardSection, CleanSection, DataSection, Dedup, Overlong, Pii, Source, Unicode};

use crate::bench::{Bench, TOKENIZER};

fn pair(prompt: &str, completion: &str) -> String {
    json!({"prompt": prompt, "completion": completion}).to_string() + "\n"
}

fn cleaning(bench: &Bench) -> DataSection {
    DataSection {
        overlong: Overlong::Drop,
        clean: CleanSection {
            unicode: Unicode::Nfc,
            pii: Pii::Redact,
            dedup: Dedup::Exact,
            ..CleanSection::default()
        },
        ..bench.section("a.jsonl")
    }
}

const PLAIN: [(&str, &str); 3] = [
    ("where is it", " lost"),
    ("and now", " found"),
    ("top up", " failed"),
];

fn bench(rows: &[(&str, &str)]) -> Bench {
    let lines = rows.iter().map(|(prompt, answer)| pair(prompt, answer));
    Bench::with("a.jsonl", lines.collect::<String>())
}

#[test]
fn every_row_that_is_learned_has_a_lineage() {
    let rows = [
        ("cafe\u{301} at jo@example.org", " a"),
        ("same", " b"),
        ("same", " b"),
        ("plain", " c"),
    ];
    let mut bench = bench(&rows);
    bench.prepare(&cleaning(&bench)).unwrap();
    let of = |wanted: Wanted| lineages(&bench.out(), &wanted).unwrap().remove(0);
    let changed = of(Wanted::Row(0));
    let steps: Vec<_> = changed.steps.iter().map(|it| it.step.name()).collect();
    assert_eq!(steps, ["unicode", "personal"]);
    assert_ne!(changed.digest, changed.encoded_digest);
    assert_eq!(changed.fate, Fate::Kept(Side::Train));
    let place = &changed.placed[0];
    assert_eq!((place.side, place.place), (Side::Train, 0));
    // By its digest before and after, and by its line: the same row.
    for digest in [&changed.digest, &changed.encoded_digest] {
        let start = digest.as_ref().unwrap()[..10].to_owned();
        assert_eq!(of(Wanted::Digest(start)), changed);
    }
    let file = "a.jsonl".to_owned();
    assert_eq!(of(Wanted::Place { file, line: 1 }), changed);
    let twice = of(Wanted::Row(2));
    assert_eq!(twice.fate, Fate::Cleaned(slm_data::CleanStep::Exact));
    assert!(twice.placed.is_empty() && twice.encoded_digest.is_none());
    let plain = of(Wanted::Row(3));
    assert!(plain.steps.is_empty() && plain.digest == plain.encoded_digest);
    assert_eq!(plain.placed[0].place, 2);
}

#[test]
fn rows_that_were_only_counted_are_not_made_up() {
    let long = "where is it ".repeat(60);
    let mut bench = bench(&[("plain", " c"), (&long, " d")]);
    bench.max_length = 40;
    bench.prepare(&cleaning(&bench)).unwrap();
    let row = lineages(&bench.out(), &Wanted::Row(1)).unwrap().remove(0);
    let counted = Fate::Missing {
        not_sampled: 0,
        too_long: 1,
    };
    assert_eq!((row.fate, row.origin, row.digest), (counted, None, None));
    let error = lineages(&bench.out(), &Wanted::Row(2)).unwrap_err();
    let told = error
        .to_string()
        .replace(&bench.out().display().to_string(), "out");
    assert_eq!(told, "`out` knows nothing of row 2");
}

#[test]
fn a_row_that_was_cut_says_so() {
    let long = "where is it ".repeat(60);
    let mut bench = bench(&[("plain", " c"), (&long, " d")]);
    bench.max_length = 40;
    let section = DataSection {
        overlong: Overlong::TruncateLeft,
        ..bench.section("a.jsonl")
    };
    bench.prepare(&section).unwrap();
    let cut = |row| {
        let row = lineages(&bench.out(), &Wanted::Row(row)).unwrap().remove(0);
        (row.placed[0].cut, row.placed[0].tokens)
    };
    assert_eq!(cut(1), (true, 40));
    assert!(!cut(0).0);
}

#[test]
fn a_card_holds_statements_and_counts() {
    let mut bench = bench(&[
        ("write to jo@example.org or jo@example.net", " a"),
        ("b", " a"),
    ]);
    let stated = CardSection {
        license: Some("CC0-1.0".into()),
        languages: vec!["en".into()],
        ..CardSection::default()
    };
    let section = DataSection {
        card: stated,
        ..cleaning(&bench)
    };
    bench.prepare(&section).unwrap();
    let of = |section: Option<&DataSection>| {
        DataCard::of("mail", "1.2.3", &bench.out(), &bench.outline(), section).unwrap()
    };
    let card = of(Some(&section));
    let found: Vec<_> = card
        .personal
        .values()
        .map(|it| (it.rows, it.places))
        .collect();
    assert_eq!(found, [(1, 2)]);
    let text = markdown(&card);
    for line in [
        "# Data card: mail",
        "| licence | CC0-1.0 |",
        "| languages | en |",
        "| made by | not stated |",
        "| EMAIL | 1 | 2 |",
        "| `a` | 2 | 100.0 % |",
        "| personal | 1 | 0 | 0 |",
        "Placeholders stand in its stead.",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    assert!(markdown(&of(None)).contains("| licence | not stated |"));
    let metadata = croissant(&card, Some("data/"));
    assert_eq!(metadata["@context"]["fileSet"], "cr:fileSet");
    assert_eq!(
        metadata["distribution"][1]["includes"],
        "data/train-*.parquet"
    );
    assert_eq!(metadata["card"]["personal"]["email"]["places"], 2);
    assert_eq!(metadata.get("url"), None, "nobody stated any");
    assert_eq!(croissant(&card, None).get("recordSet"), None);
}

#[test]
fn licences_of_files_are_that_of_the_whole_if_they_agree() {
    let mut bench = bench(&[("a", " b")]);
    bench.write("b.jsonl", pair("c", " d"));
    let license = |bench: &mut Bench, [a, b]: [&str; 2]| -> Value {
        let of = |name, license: &str| Source {
            license: Some(license.to_owned()),
            ..bench.source(name)
        };
        let section = DataSection {
            train: vec![of("a.jsonl", a), of("b.jsonl", b)],
            ..bench.section("a.jsonl")
        };
        bench.prepare(&section).unwrap();
        let card = DataCard::of("x", "1", &bench.out(), &bench.outline(), Some(&section)).unwrap();
        croissant(&card, None)["license"].clone()
    };
    assert_eq!(license(&mut bench, ["MIT", "MIT"]), "MIT");
    assert_eq!(license(&mut bench, ["MIT", "CC0-1.0"]), Value::Null);
}

/// The folders of two sets of rows, made one after the other.
fn compared(a: &[(&str, &str)], b: &[(&str, &str)]) -> DataDiff {
    let mut benches = [bench(a), bench(b)];
    let [a, b] = benches.each_mut().map(|bench| {
        let section = bench.section("a.jsonl");
        bench.prepare(&section).unwrap();
        bench.out()
    });
    DataDiff::of(&a, &b).unwrap()
}

#[test]
fn rows_are_the_same_answered_anew_or_gone() {
    let a = PLAIN;
    let b = [
        ("top up", " failed"),
        ("where is it", " found"),
        ("all new", " lost"),
    ];
    let diff = compared(&a, &b);
    assert_eq!((diff.same, diff.moved.len(), diff.changed.len()), (1, 0, 0));
    let pairs: Vec<_> = diff
        .answered_anew
        .iter()
        .map(|it| (it.a.row, it.b.row))
        .collect();
    assert_eq!(pairs, [(0, 1)]);
    let rows = |rows: &[slm_data::ComparedRow]| rows.iter().map(|it| it.row).collect::<Vec<_>>();
    assert_eq!((rows(&diff.only_a), rows(&diff.only_b)), (vec![1], vec![2]));
    assert_eq!((diff.a.train.rows, diff.b.train.rows), (3, 3));
    assert!(
        diff.labels.is_empty(),
        "each answer occurs once in both: {:?}",
        diff.labels
    );
}

#[test]
fn a_text_that_changed_in_its_place_is_one_row() {
    let mut bench = bench(&PLAIN);
    let folder = |bench: &mut Bench, name: &str| {
        let section = bench.section("a.jsonl");
        bench.prepare(&section).unwrap();
        let kept = bench.dir.path().join(name);
        fs_err::rename(bench.out(), &kept).unwrap();
        kept
    };
    let a = folder(&mut bench, "a");
    bench.write(
        "a.jsonl",
        pair("where was it", " lost") + &pair("and now", " found"),
    );
    let b = folder(&mut bench, "b");
    let diff = DataDiff::of(&a, &b).unwrap();
    let origins: Vec<_> = diff
        .changed
        .iter()
        .map(|it| it.b.origin.ends_with(":1"))
        .collect();
    assert_eq!((origins, diff.same, diff.only_a.len()), (vec![true], 1, 1));
    assert_eq!(diff.sources.len(), 1);
}

#[test]
fn groups_are_read_with_what_their_rows_say() {
    let rows = [
        ("same", " b"),
        ("asked", " yes"),
        ("same", " b"),
        ("asked", " no"),
        ("same", " b"),
    ];
    let mut bench = bench(&rows);
    let section = cleaning(&bench);
    let manifest = bench.prepare(&section).unwrap();
    let groups = Groups::read(&bench.out(), 5).unwrap();
    let groups = groups.with_texts(&section, &manifest, &TOKENIZER).unwrap();
    assert_eq!((groups.n_duplicates, groups.n_conflicts), (1, 1));
    let rows: Vec<_> = groups.duplicates[0]
        .members
        .iter()
        .map(|it| it.row)
        .collect();
    assert_eq!(rows, [0, 2, 4]);
    let answers = groups.conflicts[0].members.iter();
    let answers = answers.map(|it| it.text.as_ref().unwrap().answer.trim());
    assert_eq!(answers.collect::<Vec<_>>(), ["no", "yes"]);
    // A file that is not what it was says nothing.
    bench.write("a.jsonl", pair("other", " rows"));
    let groups = Groups::read(&bench.out(), 5).unwrap();
    let groups = groups.with_texts(&section, &manifest, &TOKENIZER).unwrap();
    assert!(
        groups.duplicates[0]
            .members
            .iter()
            .all(|it| it.text.is_none())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_difference_accounts_for_every_row(
        a in proptest::collection::vec((0..6_usize, 0..3_usize), 1..20),
        b in proptest::collection::vec((0..6_usize, 0..3_usize), 1..20),
    ) {
        let prompts = ["a", "b", "c", "d", "e", "f"];
        let answers = [" x", " y", " z"];
        let rows = |all: &[(usize, usize)]| -> Vec<(&str, &str)> {
            all.iter().map(|(p, a)| (prompts[*p], answers[*a])).collect()
        };
        let diff = compared(&rows(&a), &rows(&b));
        let pairs = diff.same + diff.answered_anew.len() + diff.changed.len();
        prop_assert_eq!(pairs + diff.only_a.len(), a.len());
        prop_assert_eq!(pairs + diff.only_b.len(), b.len());
        let (mut sorted, mut other) = (a.clone(), b.clone());
        sorted.sort_unstable();
        other.sort_unstable();
        prop_assert_eq!(diff.is_empty(), sorted == other);
    }
}
