//! Writes the data sets under `datasets/`, and on demand the corpus of the base model.
//!
//! ```text
//! cargo run --release -p slm-datasets              # write datasets/<domain>/ and the cards
//! cargo run --release -p slm-datasets -- --check   # compare with what is committed
//! cargo run --release -p slm-datasets -- base --out runs/base-corpus
//! ```

mod baseline;
mod card;
mod chat;
mod corpus;
mod domain;
mod everyday;
mod files;
mod finance;
mod grammar;
mod healthcare;
mod lessons;
mod manufacturing;
mod preference;
#[cfg(test)]
mod promises;
mod retail;
mod rng;
mod rows;
mod telecom;
mod words;

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};

const USAGE: &str = "usage: slm-datasets [--check | base --out FOLDER]";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = std::io::stdout();
    match arguments[..] {
        [] => {
            let files = files::committed()?;
            files::write(&files::datasets_dir(), &files)?;
            writeln!(out, "wrote {} files under `datasets/`", files.len())?;
        }
        ["--check"] => {
            let files = files::committed()?;
            let found = files::differences(&files::datasets_dir(), &files);
            if !found.is_empty() {
                bail!(
                    "{}\n\nhint: `cargo run --release -p slm-datasets` writes them again",
                    found.join("\n")
                );
            }
            writeln!(out, "{} files are what the generator makes", files.len())?;
        }
        ["base", "--out", folder] => {
            let files = corpus::files()?;
            files::write(Path::new(folder), &files)?;
            writeln!(out, "wrote {} files under `{folder}`", files.len())?;
        }
        _ => bail!(USAGE),
    }
    Ok(())
}
