//! Rows that were prepared: where they lie.

use std::path::{Path, PathBuf};

use anyhow::Result;
use slm_data::MANIFEST;
use slm_recipe::Recipe;
use slm_run::list_runs;
use slm_text::ChatTokenizer;

use crate::{base::Base, failure::refuse, walk::recipe_of};

/// A folder that `data prepare` or a run wrote.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The folder with the shards.
    pub(crate) folder: PathBuf,
    /// The run that it belongs to.
    pub(crate) run: Option<PathBuf>,
}

impl Prepared {
    /// A run directory, or the folder itself.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        for folder in [path.to_owned(), path.join("data")] {
            if folder.join(MANIFEST).is_file() {
                let run = folder.parent().filter(|run| run.join("run.json").is_file());
                return Ok(Self {
                    run: run.map(Path::to_owned),
                    folder,
                });
            }
        }
        Err(refuse(
            format!("`{}` holds no prepared rows", path.display()),
            "give a run directory, or a folder that `slm-tune data prepare RECIPE` wrote",
        ))
    }

    /// The one that was named, or the only one under `runs`.
    pub(crate) fn named_or_only(path: Option<&Path>) -> Result<Self> {
        if let Some(path) = path {
            return Self::at(path);
        }
        let listed = list_runs("runs")?;
        let found = listed.iter().filter_map(|(run, _)| Self::at(run).ok());
        let mut found: Vec<Self> = found.collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(refuse(
                "no run under `runs` has prepared rows",
                "name a run or a folder with `--data`; `slm-tune data prepare RECIPE` makes one",
            )),
            several => Err(refuse(
                format!("{several} runs under `runs` have prepared rows"),
                format!("name one: `--data {}`", found[0].folder.display()),
            )),
        }
    }

    /// What it was made by, where that is kept.
    pub(crate) fn recipe(&self, overrides: &[String]) -> Result<Option<Recipe>> {
        let Some(run) = &self.run else {
            return Ok(None);
        };
        Ok(Some(recipe_of(run, overrides)?))
    }

    /// What its rows are tokens of; none where recipe or base cannot be read any more.
    pub(crate) fn tokenizer(&self, offline: bool) -> Option<ChatTokenizer> {
        let recipe = self.recipe(&[]).ok()??;
        let trained = self.run.as_ref()?.join("tokenizer");
        let base = Base::open(&recipe, offline, &trained).ok()?;
        Some(base.tokenizer)
    }
}
