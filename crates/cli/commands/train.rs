//! `slm-tune train`: the table of contents of the product.

use anyhow::Result;

use slm_recipe::Recipe;
use slm_train::Ranks;

use crate::{
    args::TrainArguments,
    gates, summary,
    terminal::Terminal,
    walk::{Walk, follow},
};

pub(crate) fn run(arguments: TrainArguments, terminal: &mut Terminal) -> Result<()> {
    let ranks = Ranks::join()?;
    if !ranks.leads() {
        let recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
        return follow(recipe.output_dir.as_ref(), false, &ranks, terminal);
    }
    let walk = Walk::begin(&arguments.recipe, arguments.overwrite, terminal)?.among(ranks);
    finish(walk, arguments.recipe.output.json, terminal)
}

/// From where a run stands to its end.
pub(crate) fn finish(mut walk: Walk, json: bool, terminal: &mut Terminal) -> Result<()> {
    let base = walk.base()?;
    let shards = walk.data(&base)?;
    let tasks = walk.tasks(&base, &shards)?;
    let student = walk.train(&base, &shards, &tasks)?;
    let results = walk.evaluate(&base, &tasks, &student)?;
    let artifacts = walk.export(&base, &shards, &tasks, &student)?;
    walk.report(&shards, &student, &results, &artifacts)?;
    let gated = walk.gate(json, terminal)?;
    summary::write(&walk, &results, &artifacts, json, terminal)?;
    walk.end()?;
    gated.as_ref().map_or(Ok(()), gates::outcome)
}
