//! The rows that nothing may be learned from: those of a recipe's tasks and suites.

use std::path::PathBuf;

use anyhow::Result;
use slm_data::{Guarded, GuardedRow, GuardedRows};
use slm_recipe::{OnLeak, Recipe};
use slm_suite::{Entry, Task};

/// Those of tasks, of the rows that calibrate them, and of suites, as they are worded without description and examples.
pub(crate) fn guarded(recipe: &Recipe) -> Result<Vec<Guarded>> {
    let mut all = Guarded::of(recipe);
    if recipe.data.on_leak == OnLeak::Off {
        return Ok(all);
    }
    for task in recipe.eval.task.iter().filter(|task| task.is_templated()) {
        let labels = &recipe.data.labels;
        all.push(worded(&Task::declared(task, labels, &[], recipe.seed)?)?);
    }
    let suites: Vec<PathBuf> = recipe.eval.suites().iter().map(PathBuf::from).collect();
    for entry in slm_suite::load(&suites, &[], recipe.seed)? {
        match entry {
            Entry::Templated(task) => all.push(worded(&task)?),
            Entry::Plain(task) => {
                let path = task.path.as_deref().unwrap_or_default();
                all.push(Guarded {
                    task: task.name.clone(),
                    rows: GuardedRows::File(recipe.task_source(path)),
                });
            }
        }
    }
    Ok(all)
}

fn worded(task: &Task) -> Result<Guarded> {
    let rows = task.said()?.into_iter().map(|said| GuardedRow {
        origin: said.origin,
        prompt: said.prompt,
        target: said.target,
    });
    Ok(Guarded {
        task: task.name.clone(),
        rows: GuardedRows::Said(rows.collect()),
    })
}
