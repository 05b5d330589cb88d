//! `slm-tune check`: what a recipe would do, without doing it.

use anyhow::Result;
use serde_json::json;
use slm_recipe::Recipe;

use crate::{
    args::RecipeArguments, plan::Plan, preview::Preview, reporter::Reporter, terminal::Terminal,
};

pub(crate) fn run(arguments: RecipeArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides)?;
    let mut reporter = Reporter::warnings(terminal);
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let plan = Plan::of(&recipe, &preview)?;
    if arguments.output.json {
        return terminal.json(&json!({"plan": plan, "recipe": recipe}));
    }
    plan.write(&mut terminal.out)
}
