//! Keys that are fine alone, but not together; and defaults that depend on other keys.

use std::collections::BTreeSet;

use crate::document::Node;
use crate::{EvalTask, Format, Init, Method, OutputType, Place, Recipe, RecipeError, Source};

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
    if !data.holds_out() && !is_set("train.load_best_model_at_end") {
        recipe.train.load_best_model_at_end = false;
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
    it.split();
    it.sources();
    it.schedule();
    it.held_out_rows();
    it.tasks();
    it.export();
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
        if keys
            .iter()
            .any(|key| self.bad_keys.iter().any(|bad| bad == key))
        {
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

    fn start(&mut self) {
        let Recipe {
            model,
            tokenizer,
            train,
            ..
        } = self.recipe;
        let has_base = !model.base_model.is_empty();
        match model.init {
            Init::Pretrained => {
                if !has_base {
                    self.missing(
                        "model.base_model",
                        "model.init",
                        "a folder in Hugging Face format, or a hub name",
                    );
                }
                if model.config.is_some() {
                    let reason = "`model.config` is the shape of a new model; it needs `model.init = \"scratch\"`";
                    self.conflict(&["model.config", "model.init"], reason);
                }
                if tokenizer.is_some() {
                    let reason =
                        "`tokenizer` trains a new tokenizer; it needs `model.init = \"scratch\"`";
                    self.conflict(&["tokenizer", "model.init"], reason);
                }
            }
            Init::Scratch => {
                if model.config.is_none() {
                    self.missing(
                        "model.config",
                        "model.init",
                        "`model.init = \"scratch\"` needs the shape of the model",
                    );
                }
                if train.method == Method::Lora {
                    let reason = "random weights are no base for an adapter: \
                                  `model.init = \"scratch\"` needs `train.method = \"full\"`";
                    self.conflict(&["model.init", "train.method"], reason);
                }
                if tokenizer.is_some() == has_base {
                    let reason = "`model.init = \"scratch\"` needs one tokenizer: \
                                  a new one by `[tokenizer]`, or that of `model.base_model`";
                    self.conflict(&["tokenizer", "model.init", "model.base_model"], reason);
                }
            }
        }
        if model.revision.is_some() && !has_base {
            self.conflict(
                &["model.revision", "model.base_model"],
                "`model.revision` needs a `model.base_model`",
            );
        }
    }

    fn scratch_config(&mut self) {
        let Some(config) = &self.recipe.model.config else {
            return;
        };
        let (hidden, heads, kv_heads) = (
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
        );
        let all = ["hidden_size", "num_attention_heads", "num_key_value_heads"]
            .map(|key| format!("model.config.{key}"));
        let [hidden_key, heads_key, kv_key] = all.each_ref().map(String::as_str);
        if heads > 0 && !hidden.is_multiple_of(2 * heads) {
            let reason = format!(
                "`{hidden_key}` is {hidden}, needs a multiple of {}: every one of {heads} heads has an even size",
                2 * heads
            );
            self.conflict(&[hidden_key, heads_key], reason);
        }
        if kv_heads > 0 && !heads.is_multiple_of(kv_heads) {
            let reason = format!(
                "`{kv_key}` is {kv_heads}, needs a divisor of `{heads_key}`, which is {heads}"
            );
            self.conflict(&[kv_key, heads_key], reason);
        }
        let (longest, positions) = (self.recipe.model.max_length, config.max_position_embeddings);
        if longest > positions {
            let reason = format!(
                "`model.max_length` is {longest}, more than `model.config.max_position_embeddings`, which is {positions}"
            );
            self.conflict(
                &["model.max_length", "model.config.max_position_embeddings"],
                reason,
            );
        }
    }

    fn split(&mut self) {
        let data = &self.recipe.data;
        let (by_share, by_row, by_file) = (
            data.val_size > 0.0,
            data.val_every > 0,
            !data.validation.is_empty(),
        );
        if data.val_every == 1 {
            self.conflict(
                &["data.val_every"],
                "`data.val_every` is 1 and holds out every row; needs 0 or at least 2",
            );
        }
        for (both, keys) in [
            (by_row && by_share, ["data.val_every", "data.val_size"]),
            (by_row && by_file, ["data.val_every", "data.validation"]),
            (by_share && by_file, ["data.val_size", "data.validation"]),
        ] {
            if both {
                let [one, other] = keys;
                self.conflict(
                    &keys,
                    format!("`{one}` and `{other}` both say what is held out; needs one of them"),
                );
            }
        }
        if data.group_by.is_some() && !by_share {
            let reason = "`data.group_by` keeps rows together in a split by `data.val_size`, and there is none";
            self.conflict(&["data.group_by", "data.val_size"], reason);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = data.labels.iter().find(|label| !seen.insert(label.trim())) {
            self.conflict(
                &["data.labels"],
                format!("`data.labels` has `{}` twice", twice.trim()),
            );
        }
    }

    fn sources(&mut self) {
        let data = &self.recipe.data;
        let (train, validation) = (&data.train, &data.validation);
        for (key, sources) in [("data.train", train), ("data.validation", validation)] {
            for (index, source) in sources.iter().enumerate() {
                self.source(&format!("{key}.{index}"), source);
            }
        }
    }

    fn source(&mut self, key: &str, source: &Source) {
        let (prompt, completion) = (format!("{key}.prompt"), format!("{key}.completion"));
        match (&source.prompt, &source.completion) {
            (Some(_), None) => self.missing(
                &completion,
                &prompt,
                "a template of the prompt needs one of the completion",
            ),
            (None, Some(_)) => self.missing(
                &prompt,
                &completion,
                "a template of the completion needs one of the prompt",
            ),
            (Some(_), Some(_))
                if !matches!(
                    self.recipe.data.format,
                    Format::Auto | Format::PromptCompletion
                ) =>
            {
                let reason = format!(
                    "`{prompt}` makes prompt and completion; it needs `data.format = \"prompt_completion\"`"
                );
                self.conflict(&[&prompt, "data.format"], reason);
            }
            _ => {}
        }
    }

    fn schedule(&mut self) {
        let train = &self.recipe.train;
        if train.max_steps == 0 && train.num_train_epochs == 0.0 {
            let reason =
                "`train.num_train_epochs` and `train.max_steps` are both 0; needs one of them";
            self.conflict(&["train.num_train_epochs", "train.max_steps"], reason);
        }
        if train.max_steps > 0 && train.warmup_steps > train.max_steps {
            let reason = format!(
                "`train.warmup_steps` is {}, more than `train.max_steps`, which is {}",
                train.warmup_steps, train.max_steps
            );
            self.conflict(&["train.warmup_steps", "train.max_steps"], reason);
        }
    }

    fn held_out_rows(&mut self) {
        if self.recipe.data.holds_out() {
            return;
        }
        let train = &self.recipe.train;
        for (key, used) in [
            ("train.load_best_model_at_end", train.load_best_model_at_end),
            (
                "train.early_stopping_patience",
                train.early_stopping_patience > 0,
            ),
            ("train.eval_steps", train.eval_steps > 0),
        ] {
            if used {
                let reason = format!(
                    "`{key}` needs held-out rows: `data.val_size`, `data.val_every` or `[[data.validation]]`"
                );
                self.conflict(&[key, "data.val_size"], reason);
            }
        }
    }

    fn tasks(&mut self) {
        let mut names = BTreeSet::new();
        for (index, task) in self.recipe.eval.task.iter().enumerate() {
            let key = format!("eval.task.{index}");
            let name_key = format!("{key}.name");
            if !names.insert(&task.name) {
                self.conflict(
                    &[&name_key],
                    format!("two tasks have the name `{}`", task.name),
                );
            }
            if !is_file_name(&task.name) {
                let reason = format!(
                    "`{name_key}` is `{}`, needs a name without `/` that can be a folder's",
                    task.name
                );
                self.conflict(&[&name_key], reason);
            }
            self.task(&key, task);
        }
    }

    fn task(&mut self, key: &str, task: &EvalTask) {
        if task.path.is_none() && !self.recipe.data.holds_out() {
            let reason = format!(
                "task `{}` needs a `path`, because no rows are held out",
                task.name
            );
            self.conflict(&[key, "data.val_size"], reason);
        }
        let output_type = format!("{key}.output_type");
        if task.choices.len() == 1 {
            self.conflict(
                &[&format!("{key}.choices")],
                format!("task `{}` has one choice; needs at least two", task.name),
            );
        }
        for (name, used, needed, read_by) in [
            (
                "choices",
                !task.choices.is_empty(),
                OutputType::MultipleChoice,
                "multiple_choice",
            ),
            (
                "stop",
                !task.stop.is_empty(),
                OutputType::GenerateUntil,
                "generate_until",
            ),
            (
                "temperature",
                task.temperature > 0.0,
                OutputType::GenerateUntil,
                "generate_until",
            ),
            (
                "top_p",
                task.top_p < 1.0,
                OutputType::GenerateUntil,
                "generate_until",
            ),
        ] {
            if used && task.output_type != needed {
                let reason =
                    format!("`{key}.{name}` is only read with `output_type = \"{read_by}\"`");
                self.conflict(&[&format!("{key}.{name}"), &output_type], reason);
            }
        }
    }

    fn export(&mut self) {
        let export = &self.recipe.export;
        if export.peft_adapter && self.recipe.train.method == Method::Full {
            let reason =
                "`export.peft_adapter` needs an adapter, and `train.method = \"full\"` makes none";
            self.conflict(&["export.peft_adapter", "train.method"], reason);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = export.gguf.iter().find(|kind| !seen.insert(kind.name())) {
            self.conflict(
                &["export.gguf"],
                format!("`export.gguf` has `{}` twice", twice.name()),
            );
        }
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}
