//! A preparation that is killed goes on behind its last whole file, and leaves what an uninterrupted one leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use slm_data::prepare;
use slm_recipe::{DataSection, Source};

use crate::bench::TOKENIZER;

/// The folder that a child of this process prepares, if it is one.
const CHILD: &str = "SLM_DATA_TEST_PREPARE";
const ROWS: usize = 8_000;
const KILLS: u64 = 20;

fn section(dir: &Path) -> DataSection {
    DataSection {
        val_size: 0.2,
        test_size: 0.2,
        shard_rows: 1000,
        train: vec![Source {
            path: dir.join("rows.jsonl").display().to_string(),
            ..Source::default()
        }],
        ..DataSection::default()
    }
}

fn prepared(dir: &Path, out: &Path) {
    prepare(&section(dir), &[], &TOKENIZER, 256, 42, out, &mut |_| {}).unwrap();
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().into(),
                fs_err::read(path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

/// Not a test of its own: what [`killed_at_twenty_points`] kills.
#[test]
fn a_child_prepares() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let dir = Path::new(&dir);
        prepared(dir, &dir.join("out"));
    }
}

#[test]
fn killed_at_twenty_points() {
    let dir = tempfile::tempdir().unwrap();
    let row = |i: usize| {
        format!("{{\"prompt\": \"where is card {i}\", \"completion\": \" lost {i}\"}}\n")
    };
    let rows: String = (0..ROWS).map(row).collect();
    fs_err::write(dir.path().join("rows.jsonl"), rows).unwrap();
    let start = std::time::Instant::now();
    prepared(dir.path(), &dir.path().join("whole"));
    let whole_ms = start.elapsed().as_millis() as u64;
    let unfinished = dir.path().join("out.unfinished/journal.jsonl");
    let (mut resumed, mut seed) = (0, 42_u64);
    for _ in 0..KILLS {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["resumed::a_child_prepares", "--exact"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis((seed >> 33) % (whole_ms * 3 / 2 + 1)));
        child.kill().unwrap();
        child.wait().unwrap();
        let noted = fs_err::read_to_string(&unfinished).unwrap_or_default();
        if noted.lines().count() > 1 || dir.path().join("out").exists() {
            resumed += 1;
            prepared(dir.path(), &dir.path().join("out"));
            assert_eq!(
                files(&dir.path().join("out")),
                files(&dir.path().join("whole"))
            );
            assert!(!unfinished.exists());
            fs_err::remove_dir_all(dir.path().join("out")).unwrap();
        }
    }
    assert!(resumed > 0, "no kill came after the first shard");
}

#[test]
fn what_is_whole_is_not_written_again_and_what_is_damaged_is() {
    let dir = tempfile::tempdir().unwrap();
    let row = |i: usize| {
        format!(
            "{{\"prompt\": \"card {i}\", \"completion\": \" lost {}\"}}\n",
            i % 3
        )
    };
    let rows: String = (0..4500).map(row).collect();
    fs_err::write(dir.path().join("rows.jsonl"), rows).unwrap();
    let out = dir.path().join("out");
    prepared(dir.path(), &out);
    let whole = files(&out);
    // Stopped by a panic of whoever is told of the progress, after the third thousand of rows.
    let stopped = std::panic::catch_unwind(|| {
        let mut told = 0;
        let mut emit = |_| {
            told += 1;
            assert!(told < 4, "stopped");
        };
        let _ = prepare(
            &section(dir.path()),
            &[],
            &TOKENIZER,
            256,
            42,
            &dir.path().join("again"),
            &mut emit,
        );
    });
    assert!(stopped.is_err());
    let unfinished = dir.path().join("again.unfinished");
    let first = unfinished.join("train-00000.parquet");
    let written = fs_err::metadata(&first).unwrap().modified().unwrap();
    let second = unfinished.join("train-00001.parquet");
    fs_err::write(&second, b"damaged").unwrap();
    prepared(dir.path(), &dir.path().join("again"));
    let again = dir.path().join("again");
    assert_eq!(files(&again), whole);
    let kept = fs_err::metadata(again.join("train-00000.parquet")).unwrap();
    assert_eq!(kept.modified().unwrap(), written);
}
