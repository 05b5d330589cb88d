//! `slm-tune train`: the table of contents of the product.

use anyhow::Result;

use crate::{args::TrainArguments, summary, terminal::Terminal, walk::Walk};

pub(crate) fn run(arguments: TrainArguments, terminal: &mut Terminal) -> Result<()> {
    let walk = Walk::begin(&arguments.recipe, arguments.overwrite, terminal)?;
    finish(walk, arguments.recipe.output.json, terminal)
}

/// From where a run stands to its end.
pub(crate) fn finish(mut walk: Walk, json: bool, terminal: &mut Terminal) -> Result<()> {
    let base = walk.base()?;
    let shards = walk.data(&base)?;
    let tasks = walk.tasks(&base, &shards)?;
    let student = walk.train(&base, &shards, &tasks)?;
    let results = walk.evaluate(&base, &tasks, &student)?;
    let artifacts = walk.export(&base, &shards, &student)?;
    walk.report(&shards, &student, &results)?;
    summary::write(&walk, &results, &artifacts, json, terminal)
}
