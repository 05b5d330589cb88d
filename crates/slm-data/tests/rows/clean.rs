//! What cleaning changes, leaves out and lists; and that it tells all of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use slm_data::{CLEANING, CleanRecord, CleanStep, Effect, Prompt, Shards};
use slm_recipe::{
    BalanceSection, CleanSection, Conflicts, DataSection, Dedup, OutlierAction, OutlierSection,
    Unicode,
};

use crate::bench::Bench;

fn pair(prompt: &str, completion: &str) -> String {
    serde_json::json!({"prompt": prompt, "completion": completion}).to_string() + "\n"
}

/// Cleans and holds every row out, so that its texts can be read; gives what was done as well.
fn cleaned(
    bench: &mut Bench,
    clean: CleanSection,
) -> (BTreeMap<usize, (String, String)>, Vec<CleanRecord>) {
    bench.write("one.jsonl", pair("learn", "this"));
    let section = DataSection {
        clean,
        validation: vec![bench.source("a.jsonl")],
        ..bench.section("one.jsonl")
    };
    let shards = bench.shards(&section);
    let texts = shards.held_out().iter().map(|row| match &row.prompt {
        Prompt::Text(prompt) => (row.row, (prompt.clone(), row.target.clone())),
        other => panic!("{other:?}"),
    });
    (texts.collect(), records(bench))
}

fn records(bench: &Bench) -> Vec<CleanRecord> {
    let text = fs_err::read_to_string(bench.out().join(CLEANING)).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn minhash(bench: &Bench) -> DataSection {
    DataSection {
        clean: CleanSection {
            dedup: Dedup::Minhash,
            ..CleanSection::default()
        },
        ..bench.section("a.jsonl")
    }
}

#[test]
fn every_change_is_told_and_nothing_else_changes() {
    let rows = [
        ("cafe\u{301}", "a"),
        ("<p>so &amp; so</p>", "b"),
        ("as it is", "c"),
        ("x", "y"),
    ];
    let lines: String = rows.map(|(prompt, answer)| pair(prompt, answer)).concat();
    let mut bench = Bench::with("a.jsonl", lines);
    let clean = CleanSection {
        unicode: Unicode::Nfc,
        strip_html: true,
        min_chars: 3,
        max_chars: 20,
        ..CleanSection::default()
    };
    let (texts, records) = cleaned(&mut bench, clean);
    let text = |row| texts.get(&row).map(|(prompt, _)| prompt.as_str());
    assert_eq!(
        [1, 2, 3, 4].map(text),
        [Some("café"), Some("so & so"), Some("as it is"), None]
    );
    let told: Vec<_> = records
        .iter()
        .map(|it| (it.row, it.step, it.effect, it.chars_before, it.chars_after))
        .collect();
    assert_eq!(
        told,
        [
            (1, CleanStep::Unicode, Effect::Changed, 6, 5),
            (2, CleanStep::Html, Effect::Changed, 19, 8),
            (4, CleanStep::Length, Effect::LeftOut, 2, 0),
        ]
    );
    assert!(records[2].origin.ends_with("a.jsonl:4"));
    assert_eq!(records[2].digest.len(), 64);
    let manifest = Shards::open(&bench.out()).unwrap().manifest().clone();
    assert_eq!(manifest.cleaned_out(), 1);
    assert_eq!(manifest.validation.read, 3);
}

#[test]
fn near_duplicates_go_but_not_those_with_another_answer() {
    let long = "the parcel that I ordered on Monday has still not arrived at my house";
    let mut bench = Bench::with(
        "a.jsonl",
        [
            pair(long, "late"),
            pair(&format!("{long}!"), "late"),
            pair(&long.to_uppercase(), "late"),
            pair(&format!("{long}?"), "lost"),
            pair("where is the card", "card"),
            pair("where is the card", "card"),
        ]
        .concat(),
    );
    let section = minhash(&bench);
    let manifest = bench.prepare(&section).unwrap();
    assert_eq!(manifest.train.rows, 3);
    let told: Vec<_> = records(&bench)
        .iter()
        .map(|it| (it.row, it.step, it.like.as_ref().unwrap().row))
        .collect();
    assert_eq!(
        told,
        [
            (0, CleanStep::Near, 1),
            (2, CleanStep::Near, 1),
            (5, CleanStep::Exact, 4),
        ]
    );
    let exact = DataSection {
        clean: CleanSection {
            dedup: Dedup::Exact,
            ..CleanSection::default()
        },
        ..bench.section("a.jsonl")
    };
    assert_eq!(bench.prepare(&exact).unwrap().train.rows, 5);
    let off = bench.section("a.jsonl");
    assert_eq!(bench.prepare(&off).unwrap().train.rows, 6);
    assert_eq!(records(&bench), []);
}

#[test]
fn conflicts_are_listed_left_out_or_refused() {
    let rows = [
        pair("Where is  it", "a"),
        pair("where is it", "b"),
        pair("where is it", "b"),
        pair("another", "a"),
        pair("", "c"),
        pair("", "d"),
    ];
    let mut bench = Bench::with("a.jsonl", rows.concat());
    let section = |bench: &Bench, conflicts| DataSection {
        clean: CleanSection {
            conflicts,
            ..CleanSection::default()
        },
        ..bench.section("a.jsonl")
    };
    let report = section(&bench, Conflicts::Report);
    assert_eq!(bench.prepare(&report).unwrap().train.rows, 6);
    let told: Vec<_> = records(&bench)
        .iter()
        .map(|it| (it.row, it.effect, it.like.as_ref().unwrap().row))
        .collect();
    let listed = Effect::Listed;
    assert_eq!(told, [(0, listed, 1), (1, listed, 0), (2, listed, 0)]);
    assert_eq!(
        bench.warnings(),
        ["3 rows give another answer to a prompt than another row (`cleaning.jsonl` lists them)"]
    );
    let drop = section(&bench, Conflicts::Drop);
    assert_eq!(bench.prepare(&drop).unwrap().train.rows, 3);
    fs_err::remove_dir_all(bench.out()).unwrap();
    let refuse = section(&bench, Conflicts::Error);
    assert_eq!(
        bench.refusal(&refuse),
        (
            "3 of 6 rows give another answer to a prompt than another row: `a.jsonl:1`, `a.jsonl:2`, `a.jsonl:3`".into(),
            "correct them, or leave all of them out with `data.clean.conflicts = \"drop\"`; `\"report\"` lists them beside the shards".into(),
        )
    );
}

#[test]
fn outliers_are_listed_or_left_out_with_their_reasons() {
    let usual = |i: usize| {
        let please = "please ".repeat(i % 5);
        pair(&format!("{please}where is the parcel number {i}"), "late")
    };
    let mut rows: Vec<String> = (0..30).map(usual).collect();
    rows.push(pair(&"buy it now ".repeat(40), "late"));
    let mut bench = Bench::with("a.jsonl", rows.concat());
    let section = |bench: &Bench, action| DataSection {
        clean: CleanSection {
            outliers: OutlierSection {
                action,
                ..OutlierSection::default()
            },
            ..CleanSection::default()
        },
        ..bench.section("a.jsonl")
    };
    bench.max_length = 512;
    let report = section(&bench, OutlierAction::Report);
    assert_eq!(bench.prepare(&report).unwrap().train.rows, 31);
    let [only] = &records(&bench)[..] else {
        panic!("one row is odd")
    };
    assert_eq!(
        (only.row, only.step, only.effect),
        (30, CleanStep::Outlier, Effect::Listed)
    );
    assert!(only.reasons[0].starts_with("444 characters (z "));
    assert!(only.reasons[1].ends_with("of the characters are the same 2 words"));
    let drop = section(&bench, OutlierAction::Drop);
    let manifest = bench.prepare(&drop).unwrap();
    assert_eq!((manifest.train.rows, manifest.cleaned_out()), (30, 1));
}

#[test]
fn boilerplate_goes_with_the_rules_that_tell_it() {
    let page = "Home | News | Contact\nThe bridge opens in May.\n\n© 2024 The Daily Bridge";
    let rows = [(page, "a"), ("The bridge opens\nin May.", "b")];
    let lines: String = rows.map(|(prompt, answer)| pair(prompt, answer)).concat();
    let mut bench = Bench::with("a.jsonl", lines);
    let clean = CleanSection {
        strip_boilerplate: true,
        ..CleanSection::default()
    };
    let (texts, records) = cleaned(&mut bench, clean);
    assert_eq!(texts[&1].0, "The bridge opens in May.");
    assert_eq!(texts[&2].0, "The bridge opens\nin May.");
    let [changed] = &records[..] else {
        panic!("one row has boilerplate")
    };
    assert_eq!(
        (
            changed.row,
            changed.step,
            changed.effect,
            changed.chars_after
        ),
        (1, CleanStep::Boilerplate, Effect::Changed, 25)
    );
    assert_eq!(changed.reasons, ["navigation", "footer"]);
}

#[test]
fn rows_in_another_language_are_left_out_with_the_language() {
    let german = "Ich habe die Rechnung bezahlt, und niemand antwortet mir.";
    let english = "The invoice that you sent me yesterday shows the wrong amount.";
    let rows = [(german, "a"), (english, "b"), ("ja gern", "c")];
    let lines: String = rows.map(|(prompt, answer)| pair(prompt, answer)).concat();
    let mut bench = Bench::with("a.jsonl", lines);
    let clean = CleanSection {
        languages: vec!["eng".into()],
        ..CleanSection::default()
    };
    let (texts, records) = cleaned(&mut bench, clean);
    assert_eq!(texts.keys().copied().collect::<Vec<_>>(), [2, 3]);
    let [gone] = &records[..] else {
        panic!("one row is German")
    };
    assert_eq!(
        (gone.row, gone.step, gone.effect),
        (1, CleanStep::Language, Effect::LeftOut)
    );
    assert_eq!(gone.reasons, ["language de (1.00)"]);
    let manifest = Shards::open(&bench.out()).unwrap().manifest().clone();
    assert_eq!(manifest.cleaned_out(), 1);
}

#[test]
fn no_label_has_more_rows_than_it_may_and_those_stay_whatever_the_order() {
    let rows = |count: usize, label: &str| -> Vec<String> {
        let row = |i| pair(&format!("{label} row {i}"), label);
        (0..count).map(row).collect()
    };
    let mut lines = [rows(40, "a"), rows(12, "b"), rows(4, "c")].concat();
    let stay = |lines: &[String], balance: BalanceSection| {
        let mut bench = Bench::with("a.jsonl", lines.concat());
        let section = DataSection {
            clean: CleanSection {
                balance,
                ..CleanSection::default()
            },
            ..bench.section("a.jsonl")
        };
        let shards = bench.shards(&section);
        let targets: Vec<usize> = shards.manifest().targets.values().copied().collect();
        let rows = shards.train().iter();
        let stay: BTreeSet<String> = rows.map(|it| lines[it.row].clone()).collect();
        let records = records(&bench);
        assert!(records.iter().all(|it| it.step == CleanStep::Balance));
        let reasons: BTreeSet<String> = records.into_iter().flat_map(|it| it.reasons).collect();
        (targets, stay, reasons)
    };
    let ratio = BalanceSection {
        max_ratio: 2.0,
        ..BalanceSection::default()
    };
    let (targets, stayed, reasons) = stay(&lines, ratio.clone());
    assert_eq!(targets, [8, 8, 4]);
    assert_eq!(
        reasons.into_iter().collect::<Vec<_>>(),
        ["`a` has 40 rows, 8 stay", "`b` has 12 rows, 8 stay"]
    );
    lines.reverse();
    assert_eq!(stay(&lines, ratio).1, stayed);
    let cap = BalanceSection {
        max_per_label: 10,
        ..BalanceSection::default()
    };
    assert_eq!(stay(&lines, cap).0, [10, 10, 4]);
}

/// Rows of few words, so that some are equal and many near.
fn rows() -> impl Strategy<Value = Vec<(String, String)>> {
    let words = proptest::collection::vec(
        prop_oneof!["card", "parcel", "late", "where is", "my", "the"],
        4..12,
    );
    let row = (words, "[ab]").prop_map(|(words, answer)| (words.join(" "), answer));
    proptest::collection::vec(row, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What stays is the same whatever the order of the rows and the number of threads, and every row is either kept or told.
    #[test]
    fn what_stays_depends_on_what_rows_say(rows in rows(), seed in any::<u64>()) {
        let lines: Vec<String> = rows.iter().map(|(prompt, answer)| pair(prompt, answer)).collect();
        let mut shuffled: Vec<(u64, String)> = lines.iter().cloned().enumerate().map(|(at, line)| {
            ((at as u64 + 1).wrapping_mul(seed | 1), line)
        }).collect();
        shuffled.sort();
        let shuffled: String = shuffled.into_iter().map(|(_, line)| line).collect();
        let kept = |text: String, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut bench = Bench::with("a.jsonl", &text);
            let section = minhash(&bench);
            pool.install(|| bench.prepare(&section)).unwrap();
            let manifest = Shards::open(&bench.out()).unwrap().manifest().clone();
            let gone: BTreeSet<usize> = records(&bench)
                .iter()
                .filter(|record| record.effect == Effect::LeftOut)
                .map(|record| record.row)
                .collect();
            assert_eq!(manifest.train.rows + gone.len(), text.lines().count());
            let kept = text.lines().enumerate().filter(|(at, _)| !gone.contains(at));
            kept.map(|(_, line)| line.to_owned()).collect::<BTreeSet<String>>()
        };
        prop_assert_eq!(kept(lines.concat(), 1), kept(shuffled, 4));
    }
}
