//! `slm-tune distill`: a student from its teacher; one behind an endpoint answers the prompts first.

use anyhow::Result;
use slm_recipe::Recipe;
use slm_run::Event;
use slm_train::Ranks;

use crate::{
    args::TrainArguments,
    commands::{synth::cost, train},
    reporter::Reporter,
    served::ServedTeacher,
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
    if let Some(served) = ServedTeacher::of(&recipe) {
        let mut reporter = Reporter::new(terminal, arguments.recipe.output.json);
        let taught = served.ask(&recipe, terminal.offline, &mut reporter)?;
        let text = format!(
            "`{}` answered {} prompts: {} rows; {}",
            taught.teacher,
            taught.prompts,
            taught.rows,
            cost(&taught.cost)
        );
        reporter.show(Event::Note { text });
    }
    let walk = Walk::begin(&arguments.recipe, arguments.overwrite, terminal)?;
    let walk = walk.teaching_first().among(ranks);
    train::finish(walk, arguments.recipe.output.json, terminal)
}
