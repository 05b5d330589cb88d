//! `slm-tune verify`: a file beside its certificate, and its answers beside those of the run.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use slm_export::{Certified, Check};

use crate::{
    args::VerifyArguments,
    failure::{NotAsCertified, refuse},
    table::Table,
    terminal::Terminal,
    walk::Walk,
};

pub(crate) fn run(arguments: VerifyArguments, terminal: &mut Terminal) -> Result<()> {
    // What counts is what is here.
    terminal.offline = true;
    let file = &arguments.file;
    let certified = Certified::open(file, arguments.certificate.as_deref())?;
    let mut checks = certified.checks.clone();
    let is_intact = checks.iter().all(|check| check.ok);
    // Another file's answers would say nothing about this certificate.
    if is_intact && !arguments.hashes_only {
        checks.extend(answers(&arguments, &certified, terminal)?);
    }
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    let entry = &certified.entry;
    if arguments.output.json {
        terminal.json(&json!({
            "file": file, "certified_as": entry.file, "ok": failed.is_empty(), "checks": checks,
        }))?;
    } else {
        write(&checks, terminal)?;
    }
    match failed.first() {
        None => Ok(()),
        Some(check) => Err(NotAsCertified {
            file: file.clone(),
            what: check.what.clone(),
            certified: check.certified.clone(),
            found: check.found.clone(),
        }
        .into()),
    }
}

/// The answers, computed again from the files of the run.
fn answers(
    arguments: &VerifyArguments,
    certified: &Certified,
    terminal: &Terminal,
) -> Result<Vec<Check>> {
    let run = arguments.run.clone().or_else(|| run_of(&arguments.file));
    let run = run.ok_or_else(|| {
        refuse(
            format!(
                "`{}` lies in no run, so there is no trained model to compare it with",
                arguments.file.display()
            ),
            "name the run with `--run DIR`, or check hashes alone with `--hashes-only`",
        )
    })?;
    let mut walk = Walk::open(&run, &[], arguments.output.json, terminal)?;
    let base = walk.base()?;
    let shards = walk.shards()?;
    let tasks = walk.tasks(&base, &shards)?;
    let student = walk.student(&base)?;
    walk.recertify(&base, &tasks, &student, certified, &arguments.file)
}

/// The run that a file was exported from: a folder above it.
pub(crate) fn run_of(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).ok()?;
    let mut above = file.ancestors().skip(1);
    let run = above.find(|folder| folder.join("run.json").exists())?;
    Some(run.to_path_buf())
}

fn write(checks: &[Check], terminal: &mut Terminal) -> Result<()> {
    let short = |text: &str| match text.len() {
        64 => format!("{}..", &text[..12]),
        _ => text.to_owned(),
    };
    let mut table = Table::new(&["", "certified", "found", ""]);
    for check in checks {
        let verdict = if check.ok { "ok" } else { "DIFFERS" };
        table.row([
            check.what.clone(),
            short(&check.certified),
            short(&check.found),
            verdict.to_string(),
        ]);
    }
    table.write(&mut terminal.out)?;
    Ok(terminal.out.flush()?)
}
