//! Whatever is asked for: every row is on one side or told to be left out, no row changes untold, and order and threads do not matter.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use slm_data::{CLEANING, CleanRecord, Effect, Prompt};
use slm_recipe::{
    BalanceSection, CleanSection, Conflicts, DataSection, Dedup, OutlierAction, OutlierSection,
    Pii, Unicode,
};

use crate::bench::Bench;

/// Rows of few words, so that some are equal and many near; with markup, marks that combine and addresses in some.
fn rows() -> impl Strategy<Value = Vec<(String, String, String)>> {
    let plain = ["card", "parcel", "late", "where is", "my", "the"];
    let special = [
        "cafe\u{301}",
        "<b>now</b>",
        "a &amp; b",
        "a@example.com",
        "+49 30 12345678",
        "192.0.2.7",
        "\nHome | News | Contact\n",
    ];
    let word = prop_oneof![
        6 => proptest::sample::select(plain.to_vec()),
        1 => proptest::sample::select(special.to_vec()),
    ];
    let words = proptest::collection::vec(word, 1..12);
    let row = (words, "[abc]", "[xyz]")
        .prop_map(|(words, answer, group)| (words.join(" "), answer, group));
    proptest::collection::vec(row, 4..40)
}

fn lines(rows: &[(String, String, String)]) -> Vec<String> {
    let line = |(prompt, completion, who): &(String, String, String)| {
        serde_json::json!({"prompt": prompt, "completion": completion, "who": who}).to_string()
            + "\n"
    };
    rows.iter().map(line).collect()
}

/// What a recipe may ask for.
#[derive(Clone, Debug)]
struct Asked {
    clean: CleanSection,
    val_size: f64,
    keep_near_together: bool,
    by_group: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let dedup = prop_oneof![Just(Dedup::Off), Just(Dedup::Exact), Just(Dedup::Minhash)];
    let pii = prop_oneof![Just(Pii::Off), Just(Pii::Report), Just(Pii::Redact)];
    let conflicts = prop_oneof![Just(Conflicts::Report), Just(Conflicts::Drop)];
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let limits = (
        0..12_usize,
        prop_oneof![Just(0), Just(4_usize)],
        prop_oneof![Just(0.0), Just(1.5)],
    );
    (dedup, pii, conflicts, switches, limits).prop_map(
        |(
            dedup,
            pii,
            conflicts,
            (unicode, strips, keep_near_together, by_group),
            (min_chars, max_per_label, max_ratio),
        )| Asked {
            clean: CleanSection {
                dedup,
                pii,
                conflicts,
                strip_html: strips,
                strip_boilerplate: strips,
                unicode: if unicode { Unicode::Nfc } else { Unicode::Off },
                min_chars,
                languages: if max_per_label > 0 {
                    vec!["en".into(), "da".into()]
                } else {
                    Vec::new()
                },
                min_language_confidence: 0.0,
                balance: BalanceSection {
                    max_per_label,
                    max_ratio,
                },
                outliers: OutlierSection {
                    action: if max_ratio > 0.0 {
                        OutlierAction::Drop
                    } else {
                        OutlierAction::Report
                    },
                    max_length_z: 1.0,
                    ..OutlierSection::default()
                },
                ..CleanSection::default()
            },
            val_size: 0.3,
            keep_near_together,
            by_group,
        },
    )
}

impl Asked {
    fn section(&self, bench: &Bench) -> DataSection {
        DataSection {
            clean: self.clean.clone(),
            val_size: self.val_size,
            test_size: 0.2,
            keep_near_together: self.keep_near_together,
            group_by: self.by_group.then(|| "who".into()),
            ..bench.section("a.jsonl")
        }
    }
}

fn records(bench: &Bench) -> Vec<CleanRecord> {
    let text = fs_err::read_to_string(bench.out().join(CLEANING)).unwrap();
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    records.collect()
}

/// The rows of each side and those that are told to be left out; none where nothing is left to learn from.
fn accounted(lines: &[String], asked: &Asked) -> Option<[BTreeSet<usize>; 4]> {
    let mut bench = Bench::with("a.jsonl", lines.concat());
    let section = asked.section(&bench);
    bench.prepare(&section).ok()?;
    let shards = slm_data::Shards::open(&bench.out()).unwrap();
    let gone = records(&bench).into_iter();
    let gone = gone.filter(|record| record.effect == Effect::LeftOut);
    Some([
        shards.train().iter().map(|sample| sample.row).collect(),
        shards
            .validation()
            .iter()
            .map(|sample| sample.row)
            .collect(),
        shards.test().iter().map(|row| row.row).collect(),
        gone.map(|record| record.row).collect(),
    ])
}

/// The lines of each, counted: equal lines are told apart by nothing.
fn said(lines: &[String], rows: &[BTreeSet<usize>; 4]) -> [BTreeMap<String, usize>; 4] {
    rows.each_ref().map(|rows| {
        let mut said = BTreeMap::new();
        for row in rows {
            *said.entry(lines[*row].clone()).or_default() += 1;
        }
        said
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_row_is_on_one_side_or_told_to_be_left_out(rows in rows(), asked in asked()) {
        let lines = lines(&rows);
        let Some(parts) = accounted(&lines, &asked) else {
            return Ok(());
        };
        let all: Vec<usize> = parts.iter().flatten().copied().collect();
        let distinct: BTreeSet<usize> = all.iter().copied().collect();
        prop_assert_eq!(all.len(), distinct.len(), "a row is counted twice");
        prop_assert_eq!(distinct, (0..rows.len()).collect::<BTreeSet<usize>>());
    }

    #[test]
    fn order_and_threads_do_not_matter(
        rows in rows(), asked in asked(), swaps in proptest::collection::vec(any::<(Index, Index)>(), 40),
    ) {
        // Of rows whose texts become equal by a step, the first by name of file and number stays, which are not what rows say.
        let asked = Asked { clean: CleanSection { unicode: Unicode::Off, strip_html: false, strip_boilerplate: false, pii: Pii::Off, ..asked.clean }, ..asked };
        let in_order = lines(&rows);
        let mut shuffled = in_order.clone();
        for (one, other) in swaps {
            shuffled.swap(one.index(rows.len()), other.index(rows.len()));
        }
        let with = |lines: &[String], threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| accounted(lines, &asked)).map(|rows| said(lines, &rows))
        };
        prop_assert_eq!(with(&in_order, 1), with(&shuffled, 3));
    }

    /// Held-out rows can be read back as texts.
    #[test]
    fn no_row_changes_untold(rows in rows(), asked in asked()) {
        let mut bench = Bench::with("a.jsonl", lines(&rows).concat());
        bench.write("b.jsonl", "{\"prompt\": \"something else to learn from\", \"completion\": \"this\"}\n");
        let section = DataSection {
            clean: asked.clean,
            validation: vec![bench.source("a.jsonl")],
            ..bench.section("b.jsonl")
        };
        let shards = bench.shards(&section);
        let changed: BTreeSet<usize> = records(&bench)
            .iter()
            .filter(|record| record.effect == Effect::Changed)
            .map(|record| record.row)
            .collect();
        for row in shards.held_out() {
            let Prompt::Text(prompt) = &row.prompt else {
                panic!("not a text")
            };
            // Row 0 is that of the other file.
            let (before, answer, _) = &rows[row.row - 1];
            let same = prompt == before && row.target == *answer;
            prop_assert_eq!(!same, changed.contains(&row.row), "{} became {}", before, prompt);
        }
    }
}
