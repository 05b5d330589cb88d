//! What several workers prepare is what one does.

use slm_data::{
    CLEANING, DataError, HeldOut, Manifest, Preparation, Sample, Shards, WorkerShare, leaks,
};
use slm_recipe::{Conflicts, DataSection, Dedup, OnBadRow, Overlong, Pii};

use crate::bench::{Bench, TOKENIZER};

const WORKERS: usize = 3;

fn section(bench: &Bench) -> DataSection {
    let mut section = DataSection {
        val_size: 0.3,
        test_size: 0.2,
        shard_rows: 20,
        on_bad_row: OnBadRow::Skip,
        overlong: Overlong::Drop,
        train: vec![bench.source("a.jsonl"), bench.source("b.jsonl")],
        ..DataSection::default()
    };
    section.clean.dedup = Dedup::Exact;
    section.clean.pii = Pii::Redact;
    section.clean.conflicts = Conflicts::Report;
    section
}

/// Rows with duplicates, addresses, bad rows and long ones; as many distinct answers as `answers`.
fn bench(answers: usize) -> Bench {
    let row = |i: usize| match i % 17 {
        3 => "{\"prompt\": 3}\n".to_owned(),
        5 => format!(
            "{{\"prompt\": \"{}\", \"completion\": \" long\"}}\n",
            "far ".repeat(400)
        ),
        _ => format!(
            "{{\"prompt\": \"mail {}@example.com about {}\", \"completion\": \" {}\"}}\n",
            i % 40,
            i % 90,
            i % answers
        ),
    };
    let rows = |range: std::ops::Range<usize>| range.map(row).collect::<String>();
    let bench = Bench::with("a.jsonl", rows(0..150));
    bench.write("b.jsonl", rows(150..400 + 4 * answers));
    bench
}

fn preparation<'a>(section: &'a DataSection) -> Preparation<'a> {
    Preparation {
        section,
        guarded: &[],
        tokenizer: &TOKENIZER,
        max_length: 256,
        seed: 42,
    }
}

fn by_workers(
    bench: &Bench,
    section: &DataSection,
    left_out: &[usize],
) -> Result<Manifest, DataError> {
    let (parts, out) = (
        bench.dir.path().join("parts"),
        bench.dir.path().join("merged"),
    );
    let preparation = preparation(section);
    for nth in (0..WORKERS).filter(|nth| !left_out.contains(nth)) {
        let share = WorkerShare { nth, of: WORKERS };
        preparation.write_part(&parts, share, &mut |_| {})?;
    }
    preparation.merge(&parts, &out, &mut |_| {})
}

type Rows = ([Vec<Sample>; 2], [Vec<HeldOut>; 2]);

fn rows(shards: &Shards) -> Rows {
    let samples = [shards.train(), shards.validation()].map(<[Sample]>::to_vec);
    let texts = [shards.held_out(), shards.test()].map(<[HeldOut]>::to_vec);
    (samples, texts)
}

#[test]
fn parts_put_together_are_the_whole() {
    for answers in [4, 1500] {
        let mut bench = bench(answers);
        let section = section(&bench);
        let whole = bench.shards(&section);
        let merged = by_workers(&bench, &section, &[]).unwrap();
        let folder = bench.dir.path().join("merged");
        assert_eq!(rows(&whole), rows(&Shards::open(&folder).unwrap()));
        assert!(whole.test().len() > WORKERS);
        assert!(merged.shards.len() > WORKERS);
        // Shards end elsewhere; all else is the same.
        let like_whole = Manifest {
            shards: whole.manifest().shards.clone(),
            ..merged
        };
        assert_eq!(like_whole, *whole.manifest());
        assert!(like_whole.sources.iter().all(|source| source.skipped > 0));
        for name in [CLEANING, "skipped.jsonl"] {
            let read =
                |folder| fs_err::read_to_string(bench.dir.path().join(folder).join(name)).unwrap();
            assert_eq!(read("out"), read("merged"), "{name}");
        }
        assert_eq!(leaks(&folder).unwrap(), []);
    }
}

#[test]
fn a_part_that_is_missing_or_of_other_rows_is_told() {
    let bench = bench(4);
    let section = section(&bench);
    let error = by_workers(&bench, &section, &[1, 2]).unwrap_err();
    let folder = bench.dir.path().join("parts");
    let folder = folder.display();
    assert_eq!(
        error.to_string(),
        format!("`{folder}` has no part 2/3, 3/3")
    );
    assert_eq!(
        error.hint().unwrap(),
        format!("prepare it: `slm-tune data prepare RECIPE --parts {folder} --shard 2/3`")
    );
    let other = DataSection {
        val_size: 0.2,
        ..section.clone()
    };
    by_workers(&bench, &other, &[0]).unwrap_err();
    let error = by_workers(&bench, &section, &[1, 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{folder}/part-2-of-3` was prepared from other rows, by another tokenizer or with other keys than the recipe has now"
        )
    );
    let share = WorkerShare { nth: 0, of: 2 };
    let preparation = preparation(&section);
    let parts = bench.dir.path().join("parts");
    preparation.write_part(&parts, share, &mut |_| {}).unwrap();
    let error = preparation
        .merge(&parts, &bench.out(), &mut |_| {})
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{folder}` has the parts of 2 workers and 3 workers, those of one number of workers were needed"
        )
    );
    assert!(!bench.out().exists());
}
