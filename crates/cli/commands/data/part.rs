//! `slm-tune data prepare --shard I/N`: a worker's part of the rows.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use slm_data::{Preparation, WorkerShare};
use slm_recipe::Recipe;

use crate::{
    args::RecipeArguments, base::Base, guarded::guarded, reporter::Reporter, table::thousands,
    terminal::Terminal,
};

pub(crate) fn write(
    arguments: &RecipeArguments,
    share: WorkerShare,
    parts: &Path,
    terminal: &mut Terminal,
) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides)?;
    let scratch = tempfile::tempdir().context("failed to make a temporary folder")?;
    let base = Base::open(&recipe, terminal.offline, &scratch.path().join("tokenizer"))?;
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    let preparation = Preparation {
        section: &recipe.data,
        guarded: &guarded(&recipe)?,
        tokenizer: &base.tokenizer,
        max_length: recipe.model.max_length,
        seed: recipe.seed,
    };
    let manifest = preparation.write_part(parts, share, &mut |event| reporter.show(event))?;
    if arguments.output.json {
        return terminal.json(&manifest);
    }
    let rows = thousands(manifest.train.rows + manifest.validation.rows);
    let parts = parts.display();
    writeln!(
        terminal.out,
        "wrote part {share} with {rows} rows into `{parts}`"
    )?;
    writeln!(
        terminal.out,
        "when all parts are there: `slm-tune data prepare {} --parts {parts}`",
        arguments.recipe.display()
    )?;
    Ok(())
}
