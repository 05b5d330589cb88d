//! `[gate]`: what a run has to show before it counts as good, in a recipe or in a file of its own.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::{Node, parse_file};
use crate::names::nearest;
use crate::schema::Schema;
use crate::shape::Shape;
use crate::{MetricName, Place, RecipeError, RecipeErrors};

/// The gates of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GateSection {
    /// The file that `slm-tune baseline save` wrote, for checks against `"baseline"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Rows with the same value of this column tell as much as one: they are counted and resampled together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// What becomes of a run whose items do not tell.
    pub on_inconclusive: OnInconclusive,
    /// The checks; all have to pass.
    pub check: Vec<GateCheck>,
}

/// What an undecided gate means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInconclusive {
    /// Not good enough.
    #[default]
    Fail,
    /// Good enough.
    Pass,
}

/// One metric of one task, and what is claimed of it. Each claim is a gate of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["task", "metric"]))]
pub struct GateCheck {
    /// The task.
    pub task: String,
    /// The metric, as evaluation names it.
    pub metric: String,
    /// The figure is above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The figure is below this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The figure is worse than this one's by less than `margin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_inferior_to: Option<Against>,
    /// How much worse is not worse, with `non_inferior_to`; in the unit of the metric, so 0.02 is two points of accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub margin: Option<f64>,
    /// The figure is better than this one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub better_than: Option<Against>,
    /// How probable a wrong verdict may be.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 0.5))]
    pub alpha: f64,
    /// How probable the right verdict has to be: what the number of items is judged by.
    #[schemars(extend("minimum" = 0.5, "exclusiveMaximum" = 1))]
    pub power: f64,
}

impl Default for GateCheck {
    fn default() -> Self {
        Self {
            task: String::new(),
            metric: String::new(),
            min: None,
            max: None,
            non_inferior_to: None,
            margin: None,
            better_than: None,
            alpha: 0.05,
            power: 0.8,
        }
    }
}

/// What a figure is compared with, on the same items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The file that `gate.baseline` names.
    Baseline,
    /// The untuned model of the same run.
    Base,
}

impl Against {
    /// The name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Base => "base",
        }
    }
}

/// A task that can be gated, with the metrics that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct GateTask {
    /// Its name.
    pub name: String,
    /// The names of its metrics.
    pub metrics: Vec<String>,
}

/// A file with `[gate]` alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["gate"]))]
struct GateFile {
    gate: GateSection,
}

impl GateSection {
    /// Reads a file of gates for tasks that were evaluated, if it is known which.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path, tasks: Option<&[GateTask]>) -> Result<Self, RecipeErrors> {
        let fail = |errors| RecipeErrors::new("gates", path, errors);
        let text = fs_err::read_to_string(path).map_err(|error| {
            let (file, reason) = (path.to_owned(), error.to_string());
            let place = Place::File { file: file.clone() };
            fail(vec![(place, RecipeError::Unreadable { file, reason })])
        })?;
        let document = parse_file(path, &text).map_err(fail)?;
        let (section, errors) = Self::resolve(&document, tasks);
        match section {
            Some(section) if errors.is_empty() => Ok(section),
            _ => Err(fail(errors)),
        }
    }

    fn resolve(
        document: &Node,
        tasks: Option<&[GateTask]>,
    ) -> (Option<Self>, Vec<(Place, RecipeError)>) {
        let json_schema = schemars::schema_for!(GateFile).to_value();
        let mut shape = Shape::default();
        let json =
            Schema::new(&json_schema).and_then(|schema| shape.value("", document, schema, schema));
        if !shape.errors.is_empty() {
            return (None, shape.errors);
        }
        let Some(Ok(file)) = json.map(serde_json::from_value::<GateFile>) else {
            return (None, shape.errors);
        };
        let mut errors = Vec::new();
        if file.gate.check.is_empty() {
            let reason = "`gate.check` is empty, so nothing would be decided".into();
            errors.push((document.place_of("gate"), RecipeError::Conflict { reason }));
        }
        for (keys, error) in file.gate.problems(tasks) {
            let key = keys.first().map_or("gate", String::as_str);
            errors.push((document.place_of(key), error));
        }
        (Some(file.gate), errors)
    }

    /// What contradicts itself or names what is not there, each with its keys.
    pub(crate) fn problems(&self, tasks: Option<&[GateTask]>) -> Vec<(Vec<String>, RecipeError)> {
        let mut problems = Vec::new();
        for (index, check) in self.check.iter().enumerate() {
            let key = format!("gate.check.{index}");
            problems.extend(tasks.and_then(|tasks| check.unknown_name(&key, tasks)));
            problems.extend(check.claim_problem(&key));
            let uses_baseline = [
                ("non_inferior_to", check.non_inferior_to),
                ("better_than", check.better_than),
            ];
            let used = uses_baseline
                .iter()
                .find(|(_, against)| *against == Some(Against::Baseline));
            if let Some((name, _)) = used.filter(|_| self.baseline.is_none()) {
                let error = RecipeError::MissingKey {
                    key: "gate.baseline".into(),
                    reason: Some(format!("`{key}.{name}` compares with it")),
                };
                problems.push((vec![format!("{key}.{name}")], error));
            }
        }
        problems
    }
}

impl GateCheck {
    /// What it names that is not there.
    pub fn unknown(&self, tasks: &[GateTask]) -> Option<RecipeError> {
        let (_, error) = self.unknown_name("gate.check", tasks)?;
        Some(error)
    }

    fn unknown_name(&self, key: &str, tasks: &[GateTask]) -> Option<(Vec<String>, RecipeError)> {
        let unknown = |key: String, found: &str, allowed: Vec<String>| {
            let nearest = nearest(found, allowed.iter().map(String::as_str)).map(Into::into);
            let error = RecipeError::NotAllowed {
                key: key.clone(),
                found: found.into(),
                allowed,
                nearest,
            };
            Some((vec![key], error))
        };
        let of_task: Vec<&GateTask> = tasks.iter().filter(|it| it.name == self.task).collect();
        if of_task.is_empty() {
            let names = tasks.iter().map(|task| task.name.clone()).collect();
            return unknown(format!("{key}.task"), &self.task, names);
        }
        let metrics: Vec<String> = of_task.iter().flat_map(|it| it.metrics.clone()).collect();
        if !metrics.contains(&self.metric) {
            return unknown(format!("{key}.metric"), &self.metric, metrics);
        }
        None
    }

    fn claim_problem(&self, key: &str) -> Option<(Vec<String>, RecipeError)> {
        let conflict = |name: &str, reason: String| {
            let key = if name.is_empty() {
                key.into()
            } else {
                format!("{key}.{name}")
            };
            Some((vec![key], RecipeError::Conflict { reason }))
        };
        let is_compared = self.non_inferior_to.is_some() || self.better_than.is_some();
        if self.min.is_none() && self.max.is_none() && !is_compared && self.margin.is_none() {
            let reason = format!(
                "`{key}` claims nothing; give it `min`, `max`, `non_inferior_to` or `better_than`"
            );
            return conflict("", reason);
        }
        let is_share = MetricName::from_key(&self.metric).is_some_and(MetricName::is_share);
        let limits = [("min", self.min), ("max", self.max)];
        for (name, limit) in limits {
            if let Some(limit) = limit.filter(|it| is_share && !(0.0..=1.0).contains(it)) {
                let metric = &self.metric;
                return conflict(
                    name,
                    format!(
                        "`{key}.{name}` is {limit}, and `{metric}` is a share of 1: 60 % is 0.6"
                    ),
                );
            }
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min >= max
        {
            let reason =
                format!("`{key}.min` is {min} and `{key}.max` is {max}: nothing lies between");
            return conflict("min", reason);
        }
        match (self.non_inferior_to, self.margin) {
            (None, Some(_)) => {
                let reason = format!("`{key}.margin` is only read with `non_inferior_to`");
                conflict("margin", reason)
            }
            (Some(_), None) => {
                let error = RecipeError::MissingKey {
                    key: format!("{key}.margin"),
                    reason: Some(
                        "`non_inferior_to` needs to know how much worse is not worse".into(),
                    ),
                };
                Some((vec![format!("{key}.non_inferior_to")], error))
            }
            _ => None,
        }
    }
}
