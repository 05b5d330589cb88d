//! A recipe's rows, prepared for looking at them: nothing is written into the project.

use std::path::PathBuf;

use anyhow::{Context, Result};
use slm_data::Shards;
use slm_recipe::Recipe;
use tempfile::TempDir;

use crate::{base::Base, guarded::guarded, reporter::Reporter};

/// Where the rows lie in the folder.
pub(crate) const DATA: &str = "data";

/// The rows of a recipe as training would read them.
pub(crate) struct Preview {
    pub(crate) base: Base,
    pub(crate) shards: Shards,
    /// Removed with this value.
    pub(crate) folder: TempDir,
}

impl Preview {
    pub(crate) fn of(recipe: &Recipe, offline: bool, reporter: &mut Reporter) -> Result<Self> {
        let (base, folder) = Self::prepare(recipe, offline, reporter)?;
        Ok(Self {
            base,
            shards: Shards::open(&folder.path().join(DATA))?,
            folder,
        })
    }

    /// The rows, in [`DATA`] of a folder, without reading them.
    pub(crate) fn prepare(
        recipe: &Recipe,
        offline: bool,
        reporter: &mut Reporter,
    ) -> Result<(Base, TempDir)> {
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let base = Base::open(recipe, offline, &folder.path().join("tokenizer"))?;
        let data = folder.path().join(DATA);
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
        Ok((base, folder))
    }

    /// A path that is gone with this value.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
