//! `slm-tune data audit`: labels that are likely wrong.

use std::io::Write;

use anyhow::Result;

use crate::{
    args::AuditArguments,
    table::{Table, percent, thousands},
    terminal::Terminal,
    tokens::visible,
    walk::{Audited, Known, Walk},
};

/// Characters of a row's text that are shown.
const SHOWN: usize = 60;
/// Pairs of labels that are shown.
const SHOWN_PAIRS: usize = 5;

pub(crate) fn run(arguments: AuditArguments, terminal: &mut Terminal) -> Result<()> {
    let json = arguments.output.json;
    // The result alone is on stdout: what happens on the way is told on stderr.
    let mut walk = Walk::open(&arguments.run, &[], false, terminal)?;
    let found = walk.audit(arguments.rows.as_deref(), arguments.folds)?;
    drop(walk);
    if json {
        return terminal.json(&found);
    }
    for (at, audited) in found.iter().enumerate() {
        if at > 0 {
            writeln!(terminal.out)?;
        }
        write(audited, arguments.count, &mut terminal.out)?;
    }
    Ok(())
}

fn write(audited: &Audited, count: usize, out: &mut dyn Write) -> Result<()> {
    let (audit, of) = (&audited.audit, &audited.of);
    let found = audit.suspects.len();
    let (rows, labels) = (thousands(audit.rows), audit.labels.len());
    writeln!(
        out,
        "{of}: {} of {rows} rows with one of {labels} labels likely have the wrong one",
        thousands(found)
    )?;
    let known = match audited.known {
        Known::Unseen => "asked of the run's model, which has not learned from them".into(),
        Known::Learned => {
            "asked of the run's model, which has learned from them: errors that it knows by heart are missing; `--folds 5` finds those".into()
        }
        Known::Folds(folds) => format!("asked of {folds} models, each row of the one that has not learned from it"),
    };
    writeln!(out, "{known}")?;
    if audited.other_answers > 0 {
        let others = thousands(audited.other_answers);
        writeln!(out, "{others} other rows have an answer that is no label")?;
    }
    if found == 0 {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = Table::new(&["row", "label", "", "likely", "", "text"]).right(&[2, 4]);
    for suspect in audit.suspects.iter().take(count) {
        table.row([
            suspect.origin.clone(),
            suspect.label.clone(),
            percent(suspect.confidence),
            suspect.suggested.clone(),
            percent(suspect.suggested_confidence),
            shortened(&suspect.asked),
        ]);
    }
    table.write(out)?;
    if let Some(rest) = found.checked_sub(count).filter(|rest| *rest > 0) {
        writeln!(out, ".. and {} more", thousands(rest))?;
    }
    writeln!(out)?;
    let mut table = Table::new(&["label", "likely", "rows"]).right(&[2]);
    for pair in audit.pairs.iter().take(SHOWN_PAIRS) {
        table.row([
            pair.label.clone(),
            pair.suggested.clone(),
            thousands(pair.rows),
        ]);
    }
    table.write(out)?;
    Ok(())
}

/// The end of a text on one line: questions come last.
fn shortened(text: &str) -> String {
    let text = visible(text.trim());
    match text.chars().count().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("..{}", text.chars().skip(more + 2).collect::<String>()),
        _ => text,
    }
}
