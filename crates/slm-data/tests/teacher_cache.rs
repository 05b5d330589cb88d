//! A teacher's cache on disk: complete or absent, checked, and named when it is not what is needed.

use std::path::Path;

use half::f16;
use slm_data::{CacheError, CacheFolder, CacheKey, Sample, TaughtRow, TeacherCache};

/// Rows of three to five tokens, all but the first learned; every fifth repeats a text.
fn samples(n: usize) -> Vec<Sample> {
    let row = |row: usize| {
        let text = if row % 5 == 4 { row - 1 } else { row } as u32;
        let ids: Vec<u32> = (0..3 + text % 3).map(|at| text * 7 + at).collect();
        let learn = (0..ids.len()).map(|at| at > 0).collect();
        Sample::new(row, ids, learn)
    };
    (0..n).map(row).collect()
}

fn key(samples: &[Sample]) -> CacheKey {
    let mut key = CacheKey::new(samples, 4, 0.9, 100_000);
    key.teacher = "a teacher".into();
    key.template = "a template".into();
    key
}

fn folder(dir: &Path, samples: &[Sample]) -> CacheFolder {
    CacheFolder::new(dir, key(samples))
}

/// What is said of a row: of each learned token as many ids as its place, and figures of the row.
fn said(sample: &Sample) -> TaughtRow {
    let counts: Vec<u16> = (1..=sample.learned() as u16).collect();
    let kept: u16 = counts.iter().sum();
    let figure = |n: u16| f16::from_f32(-f32::from(n) / 8.0 - sample.ids[0] as f32 / 1024.0);
    let mut row = TaughtRow::of(sample);
    row.ids = (0..u32::from(kept))
        .map(|n| sample.ids[0] * 100 + n)
        .collect();
    row.logprobs = (0..kept).map(figure).collect();
    row.rest = counts.iter().map(|n| figure(*n)).collect();
    row.rest_roots = counts.iter().map(|n| figure(n + 1)).collect();
    row.counts = counts;
    row
}

fn write(folder: &CacheFolder, samples: &[Sample], only: impl Fn(usize) -> bool) {
    folder.begin().unwrap();
    let shards = folder.shards(samples);
    for (at, rows) in shards.iter().enumerate().filter(|(at, _)| only(*at)) {
        let rows: Vec<_> = rows.iter().map(|row| said(row)).collect();
        folder.write(at, shards.len(), &rows).unwrap();
    }
}

#[test]
fn what_was_said_is_read_back_by_row() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(3000));
    let folder = folder(dir.path(), &samples);
    assert_eq!(
        folder.shards(&samples).len(),
        3,
        "2,400 texts in shards of 1,024"
    );
    write(&folder, &samples, |_| true);
    // Once to note the digests, once to check them.
    for _ in 0..2 {
        let cache = TeacherCache::open(&folder, &samples).unwrap();
        assert_eq!(cache.vocab(), 100_000);
        for sample in &samples {
            let (row, want) = (cache.row(sample.row), said(sample));
            assert_eq!((row.counts, row.ids), (&want.counts[..], &want.ids[..]));
            assert_eq!(row.logprobs, want.logprobs);
            assert_eq!(
                (row.rest, row.rest_roots),
                (&want.rest[..], &want.rest_roots[..])
            );
        }
    }
}

#[test]
fn rows_in_another_order_are_the_same_cache() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(50));
    write(&folder(dir.path(), &samples), &samples, |_| true);
    let mut turned = samples.clone();
    turned.reverse();
    let cache = TeacherCache::open(&folder(dir.path(), &turned), &turned).unwrap();
    assert_eq!(cache.row(7).ids, said(&samples[7]).ids);
}

fn refused(folder: &CacheFolder, samples: &[Sample]) -> CacheError {
    TeacherCache::open(folder, samples).unwrap_err()
}

#[test]
fn nothing_there_is_told_with_what_the_nearest_is_of() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(50));
    let folder = folder(dir.path(), &samples);
    let at = dir.path().display();
    assert_eq!(
        refused(&folder, &samples).to_string(),
        format!("`{at}` holds no cache of what this teacher says of these rows")
    );
    for (change, named) in [
        (
            (|key: &mut CacheKey| key.teacher = "b".into()) as fn(&mut CacheKey),
            "teacher",
        ),
        (|key| key.template = "b".into(), "chat template"),
        (|key| key.tokenizer = "b".into(), "tokenizer"),
        (|key| key.rows = "b".into(), "set of rows"),
        (|key| key.top_k = 5, "`distill.top_k`"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut other = key(&samples);
        change(&mut other);
        CacheFolder::new(dir.path(), other).begin().unwrap();
        let told = refused(&CacheFolder::new(dir.path(), key(&samples)), &samples).to_string();
        assert!(
            told.ends_with(&format!("; the nearest is of another {named}")),
            "{told}"
        );
    }
}

#[test]
fn missing_shards_are_counted() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(3000));
    let folder = folder(dir.path(), &samples);
    write(&folder, &samples, |at| at == 1);
    let error = refused(&folder, &samples);
    let at = folder.path();
    assert_eq!(
        error.to_string(),
        format!(
            "the teacher's cache `{}` lacks 2 of 3 shards: 1, 3",
            at.display()
        )
    );
    assert!(error.hint().unwrap().contains("slm-tune teach RECIPE"));
    assert!(!at.join("complete.json").exists());
    // Another worker does the rest, and what is there stays.
    write(&folder, &samples, |at| at != 1);
    assert!(TeacherCache::open(&folder, &samples).is_ok());
}

#[test]
fn a_shard_that_was_cut_off_or_changed_is_named() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(50));
    let folder = folder(dir.path(), &samples);
    write(&folder, &samples, |_| true);
    let shard = folder.path().join("shard-00001-of-00001.parquet");
    let whole = fs_err::read(&shard).unwrap();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs_err::write(&shard, &whole[..length]).unwrap();
        let error = refused(&folder, &samples);
        assert!(
            matches!(&error, CacheError::Unusable { path, .. } if *path == shard),
            "{error}"
        );
        assert!(error.hint().unwrap().starts_with("delete `"), "{error}");
    }
    fs_err::write(&shard, &whole).unwrap();
    TeacherCache::open(&folder, &samples).unwrap();
    let mut changed = whole.clone();
    let middle = whole.len() / 3;
    changed[middle] ^= 1;
    fs_err::write(&shard, &changed).unwrap();
    let told = refused(&folder, &samples).to_string();
    assert!(
        told.ends_with("its digest is not the one in `complete.json`"),
        "{told}"
    );
}

#[test]
fn a_shard_of_other_rows_is_named() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(50));
    let folder = folder(dir.path(), &samples);
    folder.begin().unwrap();
    let rows: Vec<_> = folder.shards(&samples)[0]
        .iter()
        .map(|row| said(row))
        .collect();
    let mut fewer = rows.clone();
    fewer.pop();
    let mut swapped = rows.clone();
    swapped.swap(0, 1);
    let mut short = rows.clone();
    short[0].counts.pop();
    let mut uneven = rows;
    uneven[0].ids.pop();
    for (rows, told) in [
        (fewer, "it has 39 rows, 40 were needed"),
        (swapped, "it has other rows than those of the recipe"),
        (short, "learned tokens of row"),
        (uneven, "are of other lengths"),
    ] {
        folder.write(0, 1, &rows).unwrap();
        let error = refused(&folder, &samples).to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_cannot_be_written_is_absent() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples(50));
    let folder = folder(dir.path(), &samples);
    folder.begin().unwrap();
    // The name that an unfinished shard has is taken: as with a full disk, nothing can be written.
    let partial = folder.path().join(".shard-00001-of-00001.parquet.partial");
    fs_err::create_dir(&partial).unwrap();
    let error = folder.write(0, 1, &[]).unwrap_err();
    assert_eq!(error.to_string(), "failed to write the teacher's cache");
    assert!(!folder.has(0, 1));
    assert!(matches!(
        refused(&folder, &samples),
        CacheError::Incomplete { .. }
    ));
}
