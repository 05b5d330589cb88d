//! Keys that are fine alone, but not together; and defaults that depend on other keys.

mod data;
mod distill;
mod eval;
mod export;
mod gate;
mod model;
mod preference;
mod served_teacher;
mod train;

use crate::document::Node;
use crate::{Method, Place, Recipe, RecipeError};

/// Looks at a recipe whose keys are each fine.
struct Combinations<'a> {
    recipe: &'a Recipe,
    document: &'a Node,
    bad_keys: &'a [String],
    errors: Vec<(Place, RecipeError)>,
}

/// Gives the keys that were not written the values that fit those that were.
pub(crate) fn fill_dependent_defaults(recipe: &mut Recipe, document: &Node) {
    let is_set = |key| document.get(key).is_some();
    let data = &mut recipe.data;
    if (data.val_every > 0 || !data.validation.is_empty()) && !is_set("data.val_size") {
        data.val_size = 0.0;
    }
    let is_measured = data.holds_out() || recipe.train.task_metric().is_some();
    if !is_measured && !is_set("train.load_best_model_at_end") {
        recipe.train.load_best_model_at_end = false;
    }
    if !recipe.train.lr_scheduler_type.warms_up() && !is_set("train.warmup_ratio") {
        recipe.train.warmup_ratio = 0.0;
    }
    if recipe.train.method == Method::Full && !is_set("export.peft_adapter") {
        recipe.export.peft_adapter = false;
    }
}

/// Everything that contradicts itself.
pub(crate) fn contradictions(
    recipe: &Recipe,
    document: &Node,
    bad_keys: &[String],
) -> Vec<(Place, RecipeError)> {
    let mut it = Combinations {
        recipe,
        document,
        bad_keys,
        errors: Vec::new(),
    };
    it.names();
    it.start();
    it.scratch_config();
    it.precision();
    it.quantization();
    it.split();
    it.cleaning();
    it.sources();
    it.length();
    it.batch_size();
    it.schedule();
    it.best_metric();
    it.watchdog();
    it.preference();
    it.distill();
    it.served_teacher();
    it.held_out_rows();
    it.tasks();
    it.gates();
    it.export();
    it.gguf_adapter();
    it.errors
}

impl Combinations<'_> {
    /// Notes a contradiction at the first of `keys` that was written, unless one of them is wrong by itself.
    fn conflict(&mut self, keys: &[&str], reason: impl Into<String>) {
        self.error(
            keys,
            RecipeError::Conflict {
                reason: reason.into(),
            },
        );
    }

    fn missing(&mut self, key: &str, cause: &str, reason: &str) {
        self.error(
            &[key, cause],
            RecipeError::MissingKey {
                key: key.into(),
                reason: Some(reason.into()),
            },
        );
    }

    fn error(&mut self, keys: &[&str], error: RecipeError) {
        let is_bad = |key: &&str| self.bad_keys.iter().any(|bad| is_within(key, bad));
        if keys.iter().any(is_bad) {
            return;
        }
        let written = keys.iter().find(|key| self.document.get(key).is_some());
        let key = written.or(keys.first()).copied().unwrap_or_default();
        self.errors.push((self.document.place_of(key), error));
    }

    fn names(&mut self) {
        let name = &self.recipe.name;
        if !is_file_name(name) {
            self.conflict(
                &["name"],
                format!("`name` is `{name}`, needs a name without `/` that can be a folder's"),
            );
        }
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}

/// Whether a dotted key is another one or below it.
fn is_within(key: &str, other: &str) -> bool {
    key.strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
