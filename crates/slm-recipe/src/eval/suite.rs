//! A suite: a TOML file of tasks, each as in `[[eval.task]]`.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EvalTask;
use crate::document::parse_file;
use crate::loader::unreadable;
use crate::schema::Schema;
use crate::shape::Shape;
use crate::{Place, RecipeError, RecipeErrors};

/// The tasks of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Suite {
    /// What it measures, for people.
    pub description: String,
    /// The tasks.
    pub task: Vec<EvalTask>,
}

impl Suite {
    /// The name of the suite that is part of the binary.
    pub const GENERAL: &str = "general";

    /// Reads a suite and checks keys, types and ranges.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once, each with its place.
    pub fn load(path: &Path) -> Result<Self, RecipeErrors> {
        let whole = Place::File { file: path.into() };
        let text = fs_err::read_to_string(path).map_err(|error| {
            RecipeErrors::new("suite", path, vec![(whole, unreadable(path, &error))])
        })?;
        Self::parse(path, &text)
    }

    /// [`Self::load`] of a text; `path` is what errors call it.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, RecipeErrors> {
        let fail = |errors| RecipeErrors::new("suite", path, errors);
        let whole = Place::File { file: path.into() };
        let document = parse_file(path, text).map_err(fail)?;
        let json_schema = schemars::schema_for!(Self).to_value();
        let mut shape = Shape::default();
        let json =
            Schema::new(&json_schema).and_then(|schema| shape.value("", &document, schema, schema));
        let parsed = json.map(serde_json::from_value::<Self>);
        if !shape.errors.is_empty() {
            return Err(fail(shape.errors));
        }
        let conflict =
            |place, reason: String| fail(vec![(place, RecipeError::Conflict { reason })]);
        let suite = match parsed {
            Some(Ok(suite)) => suite,
            Some(Err(error)) => return Err(conflict(whole, error.to_string())),
            None => Self::default(),
        };
        let mut names = BTreeSet::new();
        for (at, task) in suite.task.iter().enumerate() {
            let place = |key: &str| document.place_of(&format!("task.{at}.{key}"));
            if !names.insert(&task.name) {
                return Err(conflict(
                    place("name"),
                    format!("two tasks have the name `{}`", task.name),
                ));
            }
            if task.path.is_none() {
                return Err(conflict(
                    place("path"),
                    format!(
                        "task `{}` needs a `path`: a suite has no held-out rows",
                        task.name
                    ),
                ));
            }
        }
        Ok(suite)
    }
}
