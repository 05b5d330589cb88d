//! The rows that a command looks at: of a recipe, of a run, or of a folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use slm_data::{DataCard, Outline};
use slm_recipe::Recipe;
use slm_text::ChatTokenizer;

use crate::{
    prepared::Prepared, preview::DATA, preview::Preview, reporter::Reporter, terminal::Terminal,
};

/// Prepared rows, and what is known of how they came about.
pub(crate) struct Looked {
    /// What they are called.
    pub(crate) name: String,
    /// The folder with the shards.
    pub(crate) folder: PathBuf,
    pub(crate) outline: Outline,
    /// None for a folder that lies in no run.
    pub(crate) recipe: Option<Recipe>,
    /// None where the base is not there any more.
    pub(crate) tokenizer: Option<ChatTokenizer>,
    /// Whether the folder stays.
    pub(crate) is_kept: bool,
    /// Removed with this value.
    _preview: Option<tempfile::TempDir>,
}

impl Looked {
    /// Prepares the rows of a recipe for it, or opens those that are there.
    pub(crate) fn at(target: &Path, overrides: &[String], terminal: &Terminal) -> Result<Self> {
        if !target.is_file() {
            return Self::prepared(&Prepared::at(target)?, overrides, terminal.offline);
        }
        let recipe = Recipe::load(target, overrides)?;
        let mut reporter = Reporter::warnings(terminal);
        let (base, preview) = Preview::prepare(&recipe, terminal.offline, &mut reporter)?;
        let folder = preview.path().join(DATA);
        Ok(Self {
            name: recipe.name.clone(),
            outline: Outline::open(&folder)?,
            folder,
            recipe: Some(recipe),
            tokenizer: Some(base.tokenizer),
            is_kept: false,
            _preview: Some(preview),
        })
    }

    /// Rows that are there.
    pub(crate) fn prepared(
        prepared: &Prepared,
        overrides: &[String],
        offline: bool,
    ) -> Result<Self> {
        let recipe = prepared.recipe(overrides)?;
        let folder = fs_err::canonicalize(&prepared.folder)?;
        let name = match &recipe {
            Some(recipe) => recipe.name.clone(),
            None => folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
        };
        Ok(Self {
            name,
            outline: Outline::open(&folder)?,
            folder,
            recipe,
            tokenizer: prepared.tokenizer(offline),
            is_kept: true,
            _preview: None,
        })
    }

    /// What the rows are, in figures and statements.
    pub(crate) fn card(&self) -> Result<DataCard> {
        let section = self.recipe.as_ref().map(|recipe| &recipe.data);
        let version = env!("CARGO_PKG_VERSION");
        Ok(DataCard::of(
            &self.name,
            version,
            &self.folder,
            &self.outline,
            section,
        )?)
    }
}
