//! `slm-tune data`: the rows, prepared and looked at.

pub(crate) mod audit;
mod card;
mod diff;
mod lineage;
mod page;
mod part;

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use slm_data::{Answer, Outline, Sample, Side, Stats};
use slm_recipe::Recipe;

pub(crate) use card::card;
pub(crate) use diff::diff;
pub(crate) use lineage::lineage;

use crate::{
    args::{PrepareArguments, ShowArguments, Split, StatsArguments},
    failure::refuse,
    looked::Looked,
    mask,
    prepared::Prepared,
    preview::{DATA, Preview},
    reporter::Reporter,
    rows,
    terminal::Terminal,
    tokens,
    walk::Walk,
};

/// Name of the page in a run.
const PAGE: &str = "data.html";

pub(crate) fn prepare(arguments: PrepareArguments, terminal: &mut Terminal) -> Result<()> {
    if let (Some(share), Some(parts)) = (arguments.shard, &arguments.parts) {
        return part::write(&arguments.recipe, share, parts, terminal);
    }
    let PrepareArguments {
        recipe: arguments,
        parts,
        ..
    } = arguments;
    let mut walk = Walk::begin(&arguments, false, terminal)?;
    let base = walk.base()?;
    walk.prepare(&base, parts.as_deref())?;
    let (data, html) = (walk.run.path("data"), walk.run.path(PAGE));
    let looked = Looked::prepared(&Prepared::at(&data)?, &[], terminal.offline)?;
    if arguments.output.json {
        return terminal.json(looked.outline.manifest());
    }
    rows::write_manifest(&looked.outline, &mut terminal.out)?;
    page::write(&looked, &html)?;
    writeln!(
        terminal.out,
        "\nwrote `{}` and `{}`",
        data.display(),
        html.display()
    )?;
    Ok(())
}

pub(crate) fn show(arguments: ShowArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
    let mut reporter = Reporter::warnings(terminal);
    let (base, folder) = Preview::prepare(&recipe, terminal.offline, &mut reporter)?;
    let outline = Outline::open(&folder.path().join(DATA))?;
    let shown = shown(&outline, &arguments)?;
    let tokenizer = &base.tokenizer;
    if arguments.recipe.output.json {
        let rows: Vec<_> = shown
            .iter()
            .map(|sample| {
                let tokens = tokens::of(sample, tokenizer);
                match sample.answer {
                    Answer::Only => json!({"row": sample.row, "tokens": tokens}),
                    answer => json!({"row": sample.row, "answer": answer, "tokens": tokens}),
                }
            })
            .collect();
        return terminal.json(&rows);
    }
    let colours = terminal.colours();
    for sample in &shown {
        let (row, n_tokens, learned) = (sample.row, sample.ids.len(), sample.learned());
        let answer = match sample.answer {
            Answer::Only => String::new(),
            answer => format!(", {}", answer.name()),
        };
        writeln!(
            terminal.out,
            "row {row}{answer}: {n_tokens} tokens, {learned} learned\n"
        )?;
        tokens::write(&tokens::of(sample, tokenizer), colours, &mut terminal.out)?;
        writeln!(terminal.out)?;
    }
    mask::write(&outline.manifest().mask, &mut terminal.out)?;
    Ok(())
}

/// The row that is asked for, or the first ones of a side: of each its sample, or those of its two answers.
fn shown(outline: &Outline, arguments: &ShowArguments) -> Result<Vec<Sample>> {
    let sides = match (arguments.row, arguments.split) {
        (Some(_), _) => Side::ALL.to_vec(),
        (None, Split::Train) => vec![Side::Train],
        (None, Split::Validation) => vec![Side::Validation],
        (None, Split::Test) => vec![Side::Test],
    };
    let mut shown = Vec::new();
    for side in sides {
        let (mut rows, mut before) = (0, None);
        for (at, sample) in outline.side(side).iter().enumerate() {
            rows += usize::from(before.replace(sample.row()) != Some(sample.row()));
            let is_asked_for = match arguments.row {
                Some(row) => sample.row() == row,
                None => rows <= arguments.count,
            };
            if is_asked_for {
                shown.push(outline.sample(side, at)?.0);
            }
        }
    }
    match (arguments.row, shown.is_empty()) {
        (Some(row), true) => {
            let sources = outline.manifest().sources.iter();
            let rows: usize = sources.map(|source| source.rows).sum();
            Err(refuse(
                format!("row {row} is not among the {rows} rows of the recipe, or was left out"),
                "rows are counted from 0, in the order of the files; `slm-tune data stats` counts what was left out",
            ))
        }
        _ => Ok(shown),
    }
}

pub(crate) fn stats(arguments: StatsArguments, terminal: &mut Terminal) -> Result<()> {
    let looked = Looked::at(&arguments.target, &arguments.overrides, terminal)?;
    let (outline, manifest) = (&looked.outline, looked.outline.manifest());
    let stats = Stats::of(outline);
    if let Some(path) = &arguments.html {
        page::write(&looked, path)?;
    }
    if arguments.output.json {
        return terminal
            .json(&json!({"stats": stats, "shares": outline.shares(), "manifest": manifest}));
    }
    rows::write_manifest(outline, &mut terminal.out)?;
    rows::write_stats(&stats, &outline.shares(), manifest, &mut terminal.out)?;
    if let Some(path) = &arguments.html {
        writeln!(terminal.out, "\nwrote `{}`", path.display())?;
    }
    Ok(())
}
