//! `slm-tune distill`: a student from its teacher.

use anyhow::Result;
use slm_recipe::Recipe;
use slm_train::Ranks;

use crate::{
    args::TrainArguments,
    commands::train,
    teacher::refuse_without,
    terminal::Terminal,
    walk::{Walk, follow},
};

pub(crate) fn run(arguments: TrainArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
    refuse_without(&recipe, &arguments.recipe.recipe)?;
    let ranks = Ranks::join()?;
    if !ranks.leads() {
        return follow(recipe.output_dir.as_ref(), false, &ranks, terminal);
    }
    let walk = Walk::begin(&arguments.recipe, arguments.overwrite, terminal)?;
    let walk = walk.teaching_first().among(ranks);
    train::finish(walk, arguments.recipe.output.json, terminal)
}
