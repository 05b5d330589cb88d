//! A recipe's rows, prepared for looking at them: nothing is written into the project.

use std::path::PathBuf;

use anyhow::{Context, Result};
use slm_data::{Sample, Shards};
use slm_recipe::Recipe;
use tempfile::TempDir;

use crate::{args::Split, base::Base, failure::refuse, guarded::guarded, reporter::Reporter};

/// The rows of a recipe as training would read them.
pub(crate) struct Preview {
    pub(crate) base: Base,
    pub(crate) shards: Shards,
    /// Removed with this value.
    pub(crate) folder: TempDir,
}

impl Preview {
    pub(crate) fn of(recipe: &Recipe, offline: bool, reporter: &mut Reporter) -> Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let base = Base::open(recipe, offline, &folder.path().join("tokenizer"))?;
        let data = folder.path().join("data");
        let max_length = recipe.model.max_length;
        slm_data::prepare(
            &recipe.data,
            &guarded(recipe)?,
            &base.tokenizer,
            max_length,
            recipe.seed,
            &data,
            &mut |event| reporter.show(event),
        )?;
        let shards = Shards::open(&data)?;
        Ok(Self {
            base,
            shards,
            folder,
        })
    }

    /// The rows of one side.
    pub(crate) fn side(&self, split: Split) -> &[Sample] {
        match split {
            Split::Train => self.shards.train(),
            Split::Validation => self.shards.validation(),
        }
    }

    /// One row of either side: its sample, or those of its two answers.
    pub(crate) fn row(&self, row: usize) -> Result<&[Sample]> {
        let mut both = [Split::Train, Split::Validation].map(|side| self.side(side));
        let found = both.iter_mut().find_map(|side| {
            let mut rows = side.chunk_by(|a, b| a.row == b.row);
            rows.find(|samples| samples[0].row == row)
        });
        found.ok_or_else(|| {
            let sources = &self.shards.manifest().sources;
            let rows: usize = sources.iter().map(|source| source.rows).sum();
            refuse(
                format!("row {row} is not among the {rows} rows of the recipe, or was left out"),
                "rows are counted from 0, in the order of the files; `slm-tune data stats` counts what was left out",
            )
        })
    }

    /// A path that is gone with this value.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
