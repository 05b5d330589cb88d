//! Rows that do not fit into memory, under a limit of the operating system.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::sandbox::Sandbox;

/// Megabytes of rows; `SLM_TUNE_LARGE_ROWS_MB=5000` tries more. They are more than a preparation keeps in memory.
const ROWS_MB: usize = 160;
/// The same of short rows, about 200 bytes each: what is known of them, not what they say, fills the memory.
const SHORT_ROWS_MB: usize = 280;
/// What the process may map, in MiB: program, threads and all.
const LIMIT_MIB: usize = 450;
/// How often each row comes: most of the time goes into tokens, and these are made of the first of them only.
const TIMES: usize = 40;

/// Rows of so many words and half as many to say, ten of them forty times before the next ten; gives how many are distinct.
fn write_rows(sandbox: &Sandbox, size_mb: usize, words: usize) -> usize {
    let file = fs_err::File::create(sandbox.path("large.jsonl")).unwrap();
    let (mut file, mut written, mut rows) = (BufWriter::new(file), 0, 0);
    let mut state = 1_u64;
    let mut text = |words: usize| {
        let mut text = String::new();
        for _ in 0..words {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            text +=
                ["card ", "late ", "where ", "money ", "back ", "a "][(state >> 33) as usize % 6];
            text += &((state >> 40) % 1000).to_string();
            text += " ";
        }
        text
    };
    while written < size_mb * 1_000_000 {
        let line = |_| {
            let row = serde_json::json!({"prompt": text(words), "completion": text(words / 2)});
            format!("{row}\n")
        };
        let lines: String = (0..10).map(line).collect();
        for _ in 0..TIMES {
            file.write_all(lines.as_bytes()).unwrap();
            written += lines.len();
        }
        rows += 10;
    }
    file.flush().unwrap();
    rows
}

/// Runs the program, which may map no more than the limit.
fn limited(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let limited = format!("ulimit -v {}; exec \"$0\" \"$@\"", LIMIT_MIB << 10);
    let output = Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_slm-tune")])
        .args(arguments)
        .current_dir(sandbox.path("."))
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {told}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn more_rows_than_memory() {
    let size_mb = std::env::var("SLM_TUNE_LARGE_ROWS_MB").ok();
    prepares(size_mb.map_or(ROWS_MB, |mb| mb.parse().unwrap()), 200);
}

#[test]
fn a_million_short_rows() {
    prepares(SHORT_ROWS_MB, 12);
}

fn prepares(size_mb: usize, words: usize) {
    let sandbox = Sandbox::with_base();
    let rows = write_rows(&sandbox, size_mb, words);
    let made = limited(
        &sandbox,
        &[
            "data",
            "prepare",
            "adapter.toml",
            "--quiet",
            "--json",
            "name=large",
            "data.train=[{path = \"large.jsonl\"}]",
            "data.val_every=0",
            "data.val_size=0.1",
            "data.overlong=truncate_left",
            "data.clean.dedup=exact",
        ],
    );
    assert_eq!(made["sources"][0]["rows"], rows * TIMES);
    let of = |name: &str| made[name]["read"].as_u64().unwrap() as usize;
    assert_eq!(of("train") + of("validation"), rows);
    let step = made["cleaning"].as_array().unwrap().iter();
    let equal = step.filter(|step| step["step"] == "exact");
    let left_out: u64 = equal.map(|step| step["left_out"].as_u64().unwrap()).sum();
    assert_eq!(left_out as usize, rows * (TIMES - 1));
}
