//! Rows in numbers, for people.

use std::io::Write;

use anyhow::Result;
use slm_data::{
    CleanTotals, Lengths, Manifest, Outline, PersonalTotals, SKIPPED, Share, Side, SideStats,
    SourceRecord, Stats,
};

use crate::mask;
use crate::table::{Table, size, thousands};

/// Targets listed by name before the rest is only counted.
const NAMED_TARGETS: usize = 20;
/// Width of the longest bar of a histogram.
const BAR: usize = 40;

/// Files, and what became of their rows.
pub(crate) fn write_manifest(outline: &Outline, out: &mut dyn Write) -> Result<()> {
    let manifest = outline.manifest();
    write_sources(manifest, &outline.shares(), out)?;
    writeln!(out)?;
    let header = ["split", "rows", "left out", "cut", "tokens", "learned"];
    let mut table = Table::new(&header).right(&[1, 2, 3, 4, 5]);
    for (name, side) in manifest.sides() {
        table.row([
            short(name).into(),
            thousands(side.rows),
            thousands(side.dropped.total()),
            thousands(side.truncated),
            thousands(side.tokens),
            thousands(side.learned_tokens),
        ]);
    }
    table.write(out)?;
    writeln!(out)?;
    write_skipped(&manifest.sources, out)?;
    write_cleaning(&manifest.cleaning, out)?;
    write_personal(&manifest.personal, out)?;
    mask::write(&manifest.mask, out)?;
    Ok(())
}

/// A side in a column.
fn short(side: Side) -> &'static str {
    match side {
        Side::Train => "train",
        side => side.told(),
    }
}

/// Bad rows that were left out, where there are any.
fn write_skipped(sources: &[SourceRecord], out: &mut dyn Write) -> Result<()> {
    let skipped: usize = sources.iter().map(|source| source.skipped).sum();
    if skipped > 0 {
        let rows: usize = sources.iter().map(|source| source.rows).sum();
        let (skipped, rows) = (thousands(skipped), thousands(rows));
        writeln!(
            out,
            "skipped {skipped} of {rows} rows that could not be read (`{SKIPPED}` lists them)\n"
        )?;
    }
    Ok(())
}

/// What cleaning did, where it did anything.
fn write_cleaning(cleaning: &[CleanTotals], out: &mut dyn Write) -> Result<()> {
    let did = |step: &&CleanTotals| step.changed + step.left_out + step.listed > 0;
    let steps: Vec<_> = cleaning.iter().filter(did).collect();
    if steps.is_empty() {
        return Ok(());
    }
    let header = ["cleaning", "changed", "left out", "listed"];
    let mut table = Table::new(&header).right(&[1, 2, 3]);
    for step in steps {
        table.row([
            step.step.name().into(),
            thousands(step.changed),
            thousands(step.left_out),
            thousands(step.listed),
        ]);
    }
    table.write(out)?;
    writeln!(out)?;
    Ok(())
}

/// Personal data that was found, by file and kind.
fn write_personal(personal: &[PersonalTotals], out: &mut dyn Write) -> Result<()> {
    if personal.is_empty() {
        return Ok(());
    }
    let header = ["personal data in", "kind", "rows", "places"];
    let mut table = Table::new(&header).right(&[2, 3]);
    for totals in personal {
        table.row([
            totals.source.clone(),
            totals.kind.name().into(),
            thousands(totals.rows),
            thousands(totals.places),
        ]);
    }
    table.write(out)?;
    writeln!(out)?;
    Ok(())
}

/// The files; with their weights where one is not 1.
fn write_sources(manifest: &Manifest, shares: &[Share], out: &mut dyn Write) -> Result<()> {
    let weighted = shares.iter().any(|share| share.weight != 1.0);
    let header = ["file", "rows", "size", "read as", "weight", "rows an epoch"];
    let header = &header[..if weighted { 6 } else { 4 }];
    let mut table = Table::new(header).right(&[1, 2, 4, 5]);
    let mut shares = shares.iter();
    for source in &manifest.sources {
        let format = serde_json::to_value(source.format)?;
        let format = format.as_str().unwrap_or_default().to_owned();
        let mut cells = vec![
            source.path.clone(),
            thousands(source.rows),
            size(source.size_bytes),
            format,
        ];
        if weighted {
            let share = match source.given_as {
                Side::Train => shares.next(),
                Side::Validation | Side::Test => None,
            };
            cells.push(share.map_or_else(String::new, |share| share.weight.to_string()));
            cells.push(share.map_or_else(String::new, |share| thousands(share.per_epoch())));
        }
        table.row(cells);
    }
    table.write(out)?;
    Ok(())
}

/// Lengths and targets.
pub(crate) fn write_stats(
    stats: &Stats,
    shares: &[Share],
    manifest: &Manifest,
    out: &mut dyn Write,
) -> Result<()> {
    let header = [
        "tokens per row",
        "min",
        "mean",
        "median",
        "90 %",
        "95 %",
        "99 %",
        "max",
    ];
    let mut table = Table::new(&header).right(&[1, 2, 3, 4, 5, 6, 7]);
    for (name, lengths) in lengths(stats) {
        table.row([
            name,
            lengths.min.to_string(),
            format!("{:.1}", lengths.mean),
            lengths.p50.to_string(),
            lengths.p90.to_string(),
            lengths.p95.to_string(),
            lengths.p99.to_string(),
            lengths.max.to_string(),
        ]);
    }
    writeln!(out)?;
    table.write(out)?;
    writeln!(out)?;
    write_histogram(&stats.train, out)?;
    write_shares(shares, manifest, out)?;
    write_targets(stats, out)
}

/// The lengths of each side, and of both answers apart where there are two.
fn lengths(stats: &Stats) -> Vec<(String, &Lengths)> {
    let mut lengths = Vec::new();
    for (name, side) in stats.sides() {
        let name = short(name);
        let of = |answer: &str| format!("{name}, {answer}");
        lengths.extend(side.chosen.iter().map(|it| (of("chosen"), it)));
        lengths.extend(side.rejected.iter().map(|it| (of("rejected"), it)));
        if side.chosen.is_none() && side.rejected.is_none() {
            lengths.extend(side.lengths.iter().map(|it| (name.to_owned(), it)));
        }
    }
    lengths
}

fn write_histogram(side: &SideStats, out: &mut dyn Write) -> Result<()> {
    let most = side.histogram.iter().map(|bin| bin.rows).max().unwrap_or(0);
    let mut table = Table::new(&["tokens", "rows", ""]).right(&[0, 1]);
    for bin in &side.histogram {
        let bar = bar(bin.rows, most);
        table.row([format!("{}-{}", bin.from, bin.to), thousands(bin.rows), bar]);
    }
    table.write(out)?;
    Ok(())
}

fn bar(rows: usize, most: usize) -> String {
    "#".repeat((rows * BAR).div_ceil(most.max(1)))
}

/// How many rows each file gives to learn from, where there are several.
fn write_shares(shares: &[Share], manifest: &Manifest, out: &mut dyn Write) -> Result<()> {
    if shares.len() < 2 {
        return Ok(());
    }
    let most = shares.iter().map(|share| share.rows).max().unwrap_or(0);
    let mut table = Table::new(&["learned from", "rows", ""]).right(&[1]);
    let sources = manifest.sources.iter();
    let sources = sources.filter(|source| source.given_as == Side::Train);
    for (source, share) in sources.zip(shares) {
        let bar = bar(share.rows, most);
        table.row([source.path.clone(), thousands(share.rows), bar]);
    }
    writeln!(out)?;
    table.write(out)?;
    Ok(())
}

fn write_targets(stats: &Stats, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "\n{} different answers",
        thousands(stats.distinct_targets)
    )?;
    if stats.targets.is_empty() || stats.distinct_targets == stats.train.rows {
        return Ok(());
    }
    let mut targets: Vec<_> = stats.targets.iter().collect();
    targets.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let most = targets.first().map_or(0, |(_, count)| **count);
    let mut table = Table::new(&["answer", "rows", ""]).right(&[1]);
    for (target, count) in targets.iter().take(NAMED_TARGETS) {
        let target = target.trim().replace('\n', "\\n");
        table.row([target, thousands(**count), bar(**count, most)]);
    }
    table.write(out)?;
    if let Some(rest) = targets
        .len()
        .checked_sub(NAMED_TARGETS)
        .filter(|rest| *rest > 0)
    {
        writeln!(out, ".. and {rest} more")?;
    }
    Ok(())
}
