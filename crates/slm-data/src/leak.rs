//! Rows of tasks among the rows to learn from: a score on them says nothing.

mod passages;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use slm_recipe::{DataSection, OnLeak, Recipe, Source};

pub(crate) use self::search::{Met, Search};
use crate::content::Content;
use crate::error::DataError;
use crate::example::Example;
use crate::origin::Origin;
use crate::plan::{Draft, Fate};
use crate::side::Side;

/// Name of the file of a prepared folder that has a [`Leak`] a line.
pub const LEAKS: &str = "leaks.jsonl";

/// What rows of `[[data.test]]` are called where those of tasks go by the tasks' names.
pub const TEST: &str = "data.test";

/// Whose rows they are, for people.
pub fn whose(task: &str) -> String {
    match task {
        TEST => format!("`{TEST}`"),
        task => format!("task `{task}`"),
    }
}

/// Rows that nothing should be learned from: those of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guarded {
    /// Name of the task.
    pub task: String,
    /// Its rows.
    pub rows: GuardedRows,
}

/// Where guarded rows come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardedRows {
    /// A file, whose rows are read as those to learn from are.
    File(Source),
    /// Rows that something else has read.
    Said(Vec<GuardedRow>),
}

/// A row that something else has read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GuardedRow {
    /// Where it came from, as in `test.jsonl:3`.
    pub origin: String,
    /// What it asks.
    pub prompt: String,
    /// What is wanted.
    pub target: String,
}

impl Guarded {
    /// Those of the tasks of a recipe whose files are read as the rows to learn from are, those that calibrate them, and those of
    /// [`TEST`].
    pub fn of(recipe: &Recipe) -> Vec<Self> {
        let file = |task: String, path: &str| Self {
            task,
            rows: GuardedRows::File(recipe.task_source(path)),
        };
        let tasks = recipe.eval.task.iter();
        let guarded = tasks.filter(|task| !task.is_templated()).flat_map(|task| {
            let own = task
                .path
                .as_deref()
                .map(|path| file(task.name.clone(), path));
            let calibration = task.calibration.as_ref().and_then(|it| it.path.as_deref());
            let calibration =
                calibration.map(|path| file(format!("{} (calibration)", task.name), path));
            own.into_iter().chain(calibration)
        });
        let test = recipe.data.test.iter().map(|source| Self {
            task: TEST.into(),
            rows: GuardedRows::File(source.clone()),
        });
        guarded.chain(test).collect()
    }
}

impl GuardedRow {
    fn example(&self, row: usize) -> Example {
        Example {
            row,
            origin: Origin::told(&self.origin, row),
            content: Content::Pair {
                prompt: self.prompt.clone(),
                completion: self.target.clone(),
            },
            group: None,
            slices: BTreeMap::new(),
        }
    }
}

/// How a row of a task was found among the rows to learn from; the closest of those that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakKind {
    /// Both say the same, but for case and blanks.
    Exact,
    /// Their shingles are as similar as `data.clean.dedup_threshold`.
    Near,
    /// Both have the same 13 words in a row.
    Passage,
}

/// A row of a task and a row to learn from that has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Name of the task.
    pub task: String,
    /// Where its row came from.
    pub item: String,
    /// How it was found.
    pub kind: LeakKind,
    /// The row to learn from, counted over all sources in the order of the recipe.
    pub row: usize,
    /// Where that came from.
    pub origin: String,
    /// Jaccard similarity of their shingles; 1 for equal rows, none for passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
    /// The first words that both have, of a passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage: Option<String>,
}

impl Leak {
    /// Those of a prepared folder.
    ///
    /// # Errors
    /// When the folder is not complete.
    pub fn read(dir: &Path) -> Result<Vec<Self>, DataError> {
        let path = dir.join(LEAKS);
        let text = fs_err::read_to_string(&path).map_err(|source| DataError::Io { source })?;
        let lines = text.lines().map(serde_json::from_str);
        lines
            .collect::<Result<_, _>>()
            .map_err(|error| DataError::Shards {
                path: path.display().to_string(),
                reason: error.to_string(),
            })
    }

    fn told(&self) -> String {
        let (item, origin) = (&self.item, &self.origin);
        match (self.kind, self.similarity, &self.passage) {
            (LeakKind::Near, Some(similarity), _) => {
                format!("`{item}` is near `{origin}` ({similarity:.2})")
            }
            (LeakKind::Passage, _, Some(passage)) => {
                format!("`{item}` shares \"{passage}\" with `{origin}`")
            }
            _ => format!("`{item}` is `{origin}`"),
        }
    }
}

/// How many rows of a task are among the rows to learn from, each counted once, by the closest kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakTotals {
    /// Name of the task.
    pub task: String,
    /// Its rows.
    pub rows: usize,
    /// Those of them that are found.
    pub leaked: usize,
    /// Of these, equal ones.
    pub exact: usize,
    /// Of these, near-duplicates.
    pub near: usize,
    /// Of these, those that only share a passage.
    pub passage: usize,
}

impl LeakTotals {
    fn of(task: &str, rows: usize, found: &[Leak]) -> Self {
        let mut closest: BTreeMap<&str, LeakKind> = BTreeMap::new();
        for leak in found {
            let kind = closest.entry(&leak.item).or_insert(leak.kind);
            *kind = leak.kind.min(*kind);
        }
        let count = |kind| closest.values().filter(|closest| **closest == kind).count();
        Self {
            task: task.into(),
            rows,
            leaked: closest.len(),
            exact: count(LeakKind::Exact),
            near: count(LeakKind::Near),
            passage: count(LeakKind::Passage),
        }
    }

    /// A sentence for people.
    pub(crate) fn told(&self, dropped: bool) -> String {
        let Self {
            task,
            rows,
            leaked,
            exact,
            near,
            passage,
        } = self;
        let what = match dropped {
            true => "were among the rows to learn from, which are left out",
            false => "are among the rows to learn from",
        };
        format!(
            "{leaked} of {rows} rows of {} {what} ({exact} equal, {near} nearly equal, {passage} with 13 words in a row; `{LEAKS}` lists them)",
            whose(task)
        )
    }
}

/// What was found, of all tasks.
#[derive(Debug, Default)]
pub(crate) struct Leaks {
    totals: Vec<LeakTotals>,
    found: Vec<Leak>,
}

impl Leaks {
    /// Those of each task that rows to learn from have, of which `met` were found.
    pub(crate) fn find(searches: Vec<Search>, met: Vec<Vec<(usize, Met)>>, draft: &Draft) -> Self {
        let mut leaks = Self::default();
        for (search, mut met) in searches.into_iter().zip(met) {
            met.retain(|(at, _)| draft.fate(*at) == Fate::On(Side::Train));
            let found = search.leaks(met, draft);
            leaks
                .totals
                .push(LeakTotals::of(&search.task, search.rows(), &found));
            leaks.found.extend(found);
        }
        leaks
    }

    /// Refuses or leaves out, as the recipe says; gives how many rows to learn from were left out.
    pub(crate) fn act(&self, section: &DataSection, draft: &mut Draft) -> Result<usize, DataError> {
        let allowed = section.max_leak_rate;
        let too_many = |it: &&LeakTotals| it.leaked as f64 > it.rows as f64 * allowed;
        match section.on_leak {
            OnLeak::Error => match self.totals.iter().find(too_many) {
                Some(totals) => Err(self.refusal(totals, allowed)),
                None => Ok(0),
            },
            OnLeak::Drop => {
                let rows: BTreeSet<usize> = self.found.iter().map(|leak| leak.row).collect();
                let places = draft.train();
                let leaked: Vec<usize> = places
                    .filter(|at| rows.contains(&draft.facts.row(*at)))
                    .collect();
                leaked.iter().for_each(|at| draft.drop(*at));
                Ok(leaked.len())
            }
            OnLeak::Off | OnLeak::Report => Ok(0),
        }
    }

    fn refusal(&self, totals: &LeakTotals, allowed: f64) -> DataError {
        let of_task = self.found.iter().filter(|leak| leak.task == totals.task);
        let mut told: Vec<&Leak> = of_task.collect();
        // The closest of each row of the task.
        told.sort_by(|a, b| (&a.item, a.kind).cmp(&(&b.item, b.kind)));
        told.dedup_by(|a, b| a.item == b.item);
        told.sort_by_key(|leak| leak.kind);
        DataError::Leak {
            task: totals.task.clone(),
            rows: totals.rows,
            leaked: totals.leaked,
            allowed,
            found: told.into_iter().map(Leak::told).collect(),
        }
    }

    pub(crate) fn found(&self) -> &[Leak] {
        &self.found
    }

    pub(crate) fn into_totals(self) -> Vec<LeakTotals> {
        self.totals
    }
}
