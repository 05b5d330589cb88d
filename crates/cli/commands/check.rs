//! `slm-tune check`: what a recipe would do, without doing it.

use anyhow::Result;
use serde_json::json;
use slm_recipe::Recipe;
use slm_run::Event;

use crate::{
    args::RecipeArguments, batch, plan::Plan, preview::Preview, reporter::Reporter,
    served::ServedTeacher, teacher::TeacherModel, terminal::Terminal,
};

pub(crate) fn run(arguments: RecipeArguments, terminal: &mut Terminal) -> Result<()> {
    let mut recipe = Recipe::load(&arguments.recipe, &arguments.overrides)?;
    let mut reporter = Reporter::warnings(terminal);
    if ServedTeacher::of(&recipe).is_some_and(|served| served.has_answered()) {
        ServedTeacher::adopt(&mut recipe, &arguments.recipe)?;
    }
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let longest = batch::longest_row(&recipe, preview.shards.train());
    let config = preview.base.config(&recipe)?;
    let teacher = TeacherModel::find(&recipe, terminal.offline)?;
    if let Some(teacher) = &teacher {
        for text in teacher.prove(&recipe, &preview.base, preview.shards.train())? {
            reporter.show(Event::Warning { text });
        }
    }
    let fit = batch::settle(&mut recipe, &config, teacher.as_ref(), longest)?;
    let plan = Plan::of(&recipe, &preview, teacher.as_ref(), fit)?;
    if arguments.output.json {
        return terminal.json(&json!({"plan": plan, "recipe": recipe}));
    }
    plan.write(&mut terminal.out)
}
