//! The recipe: everything one run needs to know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    DataSection, DistillSection, EvalSection, ExportSection, GateSection, LoraSection,
    ModelSection, PreferenceSection, Source, TokenizerSection, TrainSection,
};

/// The recipe format this version reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What the user asked for, with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Version of the recipe format.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Name of the run; the file's stem if it is not set.
    pub name: String,
    /// Seed of every random number.
    pub seed: u64,
    /// The run directory; `runs/<name>` if it is not set.
    pub output_dir: String,
    /// The base model.
    pub model: ModelSection,
    /// A tokenizer trained on the training rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerSection>,
    /// The rows.
    pub data: DataSection,
    /// The adapter.
    pub lora: LoraSection,
    /// How the student learns.
    pub train: TrainSection,
    /// How much judged answers count.
    pub preference: PreferenceSection,
    /// A teacher to learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillSection>,
    /// What is measured.
    pub eval: EvalSection,
    /// What is shipped.
    pub export: ExportSection,
    /// What has to be shown.
    pub gate: GateSection,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            name: String::new(),
            seed: 42,
            output_dir: String::new(),
            model: ModelSection::default(),
            tokenizer: None,
            data: DataSection::default(),
            lora: LoraSection::default(),
            train: TrainSection::default(),
            preference: PreferenceSection::default(),
            distill: None,
            eval: EvalSection::default(),
            export: ExportSection::default(),
            gate: GateSection::default(),
        }
    }
}

impl Recipe {
    /// How the rows of a task's own file are read: as the rows to learn from are.
    pub fn task_source(&self, path: &str) -> Source {
        Source {
            path: path.into(),
            max_samples: 0,
            license: None,
            ..self.data.train.first().cloned().unwrap_or_default()
        }
    }

    /// The resolved recipe: every key in force. Loads again to an equal recipe.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe holds only what TOML can write")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;
    use crate::schema::Schema;
    use crate::{
        AnswerConstraint, CalibrationSection, EndpointSection, EvalTask, GateCheck, ScratchConfig,
        TeacherSection,
    };

    fn reference() -> PathBuf {
        PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../recipes/reference.toml"
        ))
    }

    /// The reference with the keys switched on that `#` without a space switches off.
    fn reference_with_everything() -> toml::Table {
        let text = fs_err::read_to_string(reference()).unwrap();
        let switched_on = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        };
        text.lines()
            .map(switched_on)
            .collect::<Vec<_>>()
            .join("\n")
            .parse()
            .unwrap()
    }

    /// Dotted keys of a table; elements of lists without a number.
    fn keys(prefix: &str, table: &toml::Table, into: &mut BTreeSet<String>) {
        for (name, value) in table {
            let key = crate::names::join(prefix, name);
            into.insert(key.clone());
            let tables = match value {
                toml::Value::Table(table) => vec![table],
                toml::Value::Array(items) => {
                    items.iter().filter_map(toml::Value::as_table).collect()
                }
                _ => Vec::new(),
            };
            tables.into_iter().for_each(|table| keys(&key, table, into));
        }
    }

    fn keys_of(table: &toml::Table) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        keys("", table, &mut found);
        found
    }

    #[test]
    fn the_reference_holds_the_defaults() {
        let loaded = Recipe::load(&reference(), &[]).unwrap();
        let mut expected = Recipe {
            name: "reference".into(),
            output_dir: "runs/reference".into(),
            ..Recipe::default()
        };
        expected
            .model
            .base_model
            .clone_from(&loaded.model.base_model);
        expected.data.train = vec![Source {
            path: loaded.data.train[0].path.clone(),
            ..Source::default()
        }];
        assert_eq!(loaded, expected);
    }

    #[test]
    fn the_reference_has_every_key_of_the_schema() {
        let found = keys_of(&reference_with_everything());
        let schema = crate::json_schema();
        for key in Schema::new(&schema).unwrap().keys() {
            // The same type as `[[data.train]]`, which has all keys.
            let same = key.replace("data.validation.", "data.train.");
            let same = same.replace("data.test.", "data.train.");
            assert!(
                found.contains(&key) || found.contains(&same),
                "`{key}` is not in recipes/reference.toml"
            );
        }
    }

    #[test]
    fn the_reference_switches_off_only_what_has_no_default() {
        let written = keys_of(
            &fs_err::read_to_string(reference())
                .unwrap()
                .parse()
                .unwrap(),
        );
        let resolved = keys_of(
            &Recipe::load(&reference(), &[])
                .unwrap()
                .to_toml()
                .parse()
                .unwrap(),
        );
        let off: Vec<_> = resolved.difference(&written).collect();
        assert_eq!(
            off,
            ["data.test", "data.validation", "eval.task", "gate.check"],
            "lists that are empty by default, shown with an element"
        );
    }

    #[test]
    fn what_the_reference_switches_off_shows_the_defaults_too() {
        let mut everything = reference_with_everything();
        everything.remove("extends");
        let everything: Recipe = everything.try_into().unwrap();
        assert_eq!(everything.model.config, Some(ScratchConfig::default()));
        assert_eq!(everything.tokenizer, Some(TokenizerSection::default()));
        let mut distill = everything.distill.unwrap();
        distill.cache_dir = None;
        distill.filters.rubric = None;
        let shown = std::mem::take(&mut distill.teacher);
        assert_eq!(distill, DistillSection::default());
        assert_eq!(shown.dtype, TeacherSection::default().dtype);
        let served = EndpointSection {
            api_key_env: None,
            ..shown.endpoint
        };
        assert_eq!(served, EndpointSection::default());
        let task = &everything.eval.task[0];
        let expected = EvalTask {
            name: task.name.clone(),
            path: task.path.clone(),
            constraint: Some(AnswerConstraint {
                regex: Some("[A-Z]{2}-[0-9]+".into()),
                json_schema: Some("answer.json".into()),
                ..AnswerConstraint::default()
            }),
            calibration: Some(CalibrationSection {
                path: Some("validation.jsonl".into()),
                ..CalibrationSection::default()
            }),
            prompt: task.prompt.clone(),
            target: task.target.clone(),
            choices_from: task.choices_from.clone(),
            fewshot_path: task.fewshot_path.clone(),
            filter: task.filter.clone(),
            ..EvalTask::default()
        };
        assert_eq!(*task, expected);
        let check = &everything.gate.check[0];
        let expected = GateCheck {
            task: check.task.clone(),
            metric: check.metric.clone(),
            min: check.min,
            max: check.max,
            non_inferior_to: check.non_inferior_to,
            margin: check.margin,
            better_than: check.better_than,
            ..GateCheck::default()
        };
        assert_eq!(*check, expected);
    }
}
