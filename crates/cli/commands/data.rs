//! `slm-tune data`: the rows, prepared and looked at.

pub(crate) mod audit;
mod card;
mod diff;
mod lineage;
mod page;

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use slm_data::{Answer, Sample, Stats};
use slm_recipe::Recipe;

pub(crate) use card::card;
pub(crate) use diff::diff;
pub(crate) use lineage::lineage;

use crate::{
    args::{RecipeArguments, ShowArguments, StatsArguments},
    looked::Looked,
    mask,
    prepared::Prepared,
    preview::Preview,
    reporter::Reporter,
    rows,
    terminal::Terminal,
    tokens,
    walk::Walk,
};

/// Name of the page in a run.
const PAGE: &str = "data.html";

pub(crate) fn prepare(arguments: RecipeArguments, terminal: &mut Terminal) -> Result<()> {
    let mut walk = Walk::begin(&arguments, false, terminal)?;
    let base = walk.base()?;
    let shards = walk.data(&base)?;
    if arguments.output.json {
        return terminal.json(shards.manifest());
    }
    rows::write_manifest(&shards, &mut terminal.out)?;
    let (data, html) = (walk.run.path("data"), walk.run.path(PAGE));
    let prepared = Prepared::at(&data)?;
    page::write(&Looked::prepared(&prepared, &[], terminal.offline)?, &html)?;
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
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let shown: Vec<&Sample> = match arguments.row {
        Some(row) => preview.row(row)?.iter().collect(),
        None => {
            let rows = preview
                .side(arguments.split)
                .chunk_by(|a, b| a.row == b.row);
            rows.take(arguments.count).flatten().collect()
        }
    };
    let tokenizer = &preview.base.tokenizer;
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
    for sample in shown {
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
    mask::write(&preview.shards.manifest().mask, &mut terminal.out)?;
    Ok(())
}

pub(crate) fn stats(arguments: StatsArguments, terminal: &mut Terminal) -> Result<()> {
    let looked = Looked::at(&arguments.target, &arguments.overrides, terminal)?;
    let shards = &looked.shards;
    let stats = Stats::of(shards);
    if let Some(path) = &arguments.html {
        page::write(&looked, path)?;
    }
    if arguments.output.json {
        return terminal.json(
            &json!({"stats": stats, "shares": shards.shares(), "manifest": shards.manifest()}),
        );
    }
    rows::write_manifest(shards, &mut terminal.out)?;
    rows::write_stats(
        &stats,
        &shards.shares(),
        shards.manifest(),
        &mut terminal.out,
    )?;
    if let Some(path) = &arguments.html {
        writeln!(terminal.out, "\nwrote `{}`", path.display())?;
    }
    Ok(())
}
