//! Gates on what is not measured, and claims that contradict each other.

use super::Combinations;
use crate::{Against, GateTask, OutputType, RecipeError};

impl Combinations<'_> {
    pub(super) fn gates(&mut self) {
        let gate = &self.recipe.gate;
        let eval = &self.recipe.eval;
        let (templated, plain): (Vec<_>, Vec<_>) =
            eval.task.iter().partition(|task| task.is_templated());
        let mut tasks: Vec<GateTask> = plain.into_iter().map(known).collect();
        // What templates and suites are measured by is known where their files are read: until then, what gates say of them.
        let has_suites = !eval.suites().is_empty();
        for check in &gate.check {
            let is_templated = templated.iter().any(|task| task.name == check.task);
            let is_plain = eval.task.iter().any(|task| task.name == check.task);
            if is_templated || has_suites && !is_plain {
                tasks.push(GateTask {
                    name: check.task.clone(),
                    metrics: vec![check.metric.clone()],
                });
            }
        }
        if eval.task.is_empty() && !has_suites && self.recipe.data.holds_out() {
            // What a recipe without tasks is measured by.
            let held_out = crate::EvalTask {
                name: "held-out".into(),
                output_type: OutputType::Loglikelihood,
                ..crate::EvalTask::default()
            };
            tasks.push(known(&held_out));
        }
        for (keys, error) in gate.problems(Some(&tasks)) {
            // A value that is out of its range is told as such, and is not missing.
            if let RecipeError::MissingKey { key, .. } = &error
                && self.document.get(key).is_some()
            {
                continue;
            }
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            self.error(&keys, error);
        }
        for (index, check) in gate.check.iter().enumerate() {
            let against_base = [
                ("non_inferior_to", check.non_inferior_to),
                ("better_than", check.better_than),
            ];
            let mut used = against_base
                .iter()
                .filter(|(_, against)| *against == Some(Against::Base));
            if let Some((name, _)) = used.next().filter(|_| !self.recipe.eval.compare_base) {
                let key = format!("gate.check.{index}.{name}");
                let reason = format!(
                    "`{key}` is `base`, and `eval.compare_base = false` leaves it unmeasured"
                );
                self.conflict(&[&key, "eval.compare_base"], reason);
            }
        }
    }
}

fn known(task: &crate::EvalTask) -> GateTask {
    GateTask {
        name: task.name.clone(),
        metrics: task.measured().iter().map(|it| it.key().into()).collect(),
    }
}
