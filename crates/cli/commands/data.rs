//! `slm-tune data`: the rows, prepared and looked at.

pub(crate) mod audit;

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use slm_data::{Answer, Sample, Stats};
use slm_recipe::Recipe;

use crate::{
    args::{RecipeArguments, ShowArguments},
    mask,
    preview::Preview,
    reporter::Reporter,
    rows,
    terminal::Terminal,
    tokens,
    walk::Walk,
};

pub(crate) fn prepare(arguments: RecipeArguments, terminal: &mut Terminal) -> Result<()> {
    let mut walk = Walk::begin(&arguments, false, terminal)?;
    let base = walk.base()?;
    let shards = walk.data(&base)?;
    if arguments.output.json {
        return terminal.json(shards.manifest());
    }
    rows::write_manifest(&shards, &mut terminal.out)?;
    writeln!(
        terminal.out,
        "\nwrote `{}`",
        walk.run.path("data").display()
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

pub(crate) fn stats(arguments: RecipeArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides)?;
    let mut reporter = Reporter::warnings(terminal);
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let stats = Stats::of(&preview.shards);
    if arguments.output.json {
        return terminal.json(&json!({"stats": stats, "shares": preview.shards.shares(), "manifest": preview.shards.manifest()}));
    }
    rows::write_manifest(&preview.shards, &mut terminal.out)?;
    rows::write_stats(&stats, &mut terminal.out)
}
