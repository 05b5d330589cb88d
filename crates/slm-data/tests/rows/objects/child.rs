//! A process with a folder for caches of its own, and with the keys of a store.

#![expect(clippy::print_stdout, reason = "a child tells its parent")]

use std::path::Path;
use std::process::Command;

use slm_data::Shards;

use crate::bench::Bench;

/// The address that a child of this process reads, if it is one.
const ADDRESS: &str = "SLM_DATA_TEST_OBJECTS";
/// Whether it reads once more, after what it fetched was replaced.
const AGAIN: &str = "SLM_DATA_TEST_OBJECTS_AGAIN";

/// Runs as a child of the other tests only.
#[test]
fn a_child_prepares_objects() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let mut bench = Bench::new();
    let mut section = bench.section("a.jsonl");
    section.train[0].path = address.clone();
    if let Err(error) = bench.prepare(&section) {
        println!("refused: {error}");
        println!("hint: {}", error.hint().unwrap());
        return;
    }
    let shards = Shards::open(&bench.out()).unwrap();
    let source = &shards.manifest().sources[0];
    println!(
        "rows {} of {} bytes {} sha256 {}",
        source.rows, source.path, source.size_bytes, source.sha256
    );
    for file in &source.files {
        println!(
            "file {} rows {} sha256 {}",
            file.path, file.rows, file.sha256
        );
    }
    for row in 0..source.rows {
        println!("from {}", shards.origin(row).unwrap());
    }
    if std::env::var_os(AGAIN).is_some() {
        let cache = std::env::var_os("SLM_TUNE_CACHE").unwrap();
        for entry in walkdir::WalkDir::new(cache) {
            let path = entry.unwrap().into_path();
            if path.is_file() && path.extension().is_none() {
                // As another process does it.
                let bytes = fs_err::read(&path).unwrap();
                fs_err::remove_file(&path).unwrap();
                fs_err::write(&path, [bytes.as_slice(), b"\n"].concat()).unwrap();
            }
        }
        println!("again: {}", bench.prepare(&section).unwrap_err());
    }
}

/// What a child tells.
pub(super) fn child(
    cache: &Path,
    address: &str,
    environment: &[(&'static str, String)],
) -> Vec<String> {
    told(cache, address, environment, false)
}

/// What a child tells that reads again when what it fetched was replaced.
pub(super) fn child_again(
    cache: &Path,
    address: &str,
    environment: &[(&'static str, String)],
) -> Vec<String> {
    told(cache, address, environment, true)
}

fn told(
    cache: &Path,
    address: &str,
    environment: &[(&'static str, String)],
    again: bool,
) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "objects::child::a_child_prepares_objects",
            "--exact",
            "--nocapture",
        ])
        .env(ADDRESS, address)
        .env("SLM_TUNE_CACHE", cache)
        .envs(environment.iter().cloned());
    if again {
        command.env(AGAIN, "1");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let known = ["rows ", "file ", "from ", "refused: ", "hint: ", "again: "];
    let lines = said
        .lines()
        .filter(|line| known.iter().any(|start| line.starts_with(start)));
    lines.map(str::to_owned).collect()
}
