//! The walk from a recipe to its artifacts, stage by stage. A stage whose inputs did not change is skipped.

mod auditing;
mod following;
mod gating;
mod judge;
mod log;
mod measuring;
mod page;
mod parity;
mod reference;
mod shipping;
mod teaching;
mod training;

use std::path::{Path, PathBuf};

pub(crate) use auditing::{Audited, Known};
pub(crate) use following::follow;
pub(crate) use measuring::{measure, of_suites, tasks};
pub(crate) use page::side;
pub(crate) use shipping::Artifact;

use anyhow::Result;
use slm_data::{Preparation, Shards};
use slm_recipe::{GateSection, Recipe, RecipeErrors};
use slm_run::{Event, RunDir, StageStatus};
use slm_train::Ranks;

use crate::{
    args::RecipeArguments,
    base::{self, Base},
    batch, exhaustion,
    failure::{is_interruption, refuse},
    guarded::guarded,
    reporter::Reporter,
    served::ServedTeacher,
    terminal::Terminal,
};

/// A run and the recipe that it follows.
pub(crate) struct Walk {
    pub(crate) recipe: Recipe,
    pub(crate) run: RunDir,
    pub(crate) reporter: Reporter,
    offline: bool,
    /// Whether training goes on from its newest checkpoint.
    resume: bool,
    /// Whether a teacher is asked for what its cache does not have yet.
    teaches: bool,
    /// The processes that train along.
    ranks: Ranks,
    /// Digest of what the student depends on, for the stages that build on it.
    inputs: String,
}

impl Walk {
    /// Starts the run of a recipe, or goes on with one of the same recipe.
    pub(crate) fn begin(
        arguments: &RecipeArguments,
        overwrite: bool,
        terminal: &Terminal,
    ) -> Result<Self> {
        let mut recipe = Recipe::load(&arguments.recipe, &arguments.overrides)?;
        ServedTeacher::adopt(&mut recipe, &arguments.recipe)?;
        let root = PathBuf::from(&recipe.output_dir);
        if overwrite {
            remove_run(&root)?;
        }
        batch::adopt(&mut recipe, &root);
        refuse_other_recipe(&recipe, &root, &arguments.recipe)?;
        base::check(&recipe, terminal.offline)?;
        let written = fs_err::read_to_string(&arguments.recipe)?;
        let mut run = RunDir::create(&root)?;
        run.write_recipe(&written, &recipe.to_toml())?;
        let reporter = Reporter::new(terminal, arguments.output.json);
        Ok(Self::new(recipe, run, reporter, terminal))
    }

    /// Opens a run that is there.
    pub(crate) fn open(
        root: &Path,
        overrides: &[String],
        json: bool,
        terminal: &Terminal,
    ) -> Result<Self> {
        let run = RunDir::open(root)?;
        let recipe = recipe_of(root, overrides)?;
        let reporter = Reporter::new(terminal, json);
        Ok(Self::new(recipe, run, reporter, terminal))
    }

    fn new(recipe: Recipe, run: RunDir, reporter: Reporter, terminal: &Terminal) -> Self {
        Self {
            recipe,
            run,
            reporter,
            offline: terminal.offline,
            resume: false,
            teaches: false,
            ranks: Ranks::default(),
            inputs: String::new(),
        }
    }

    /// Lets training go on from its newest checkpoint.
    pub(crate) fn resuming(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Lets the teacher be asked for what its cache does not have yet.
    pub(crate) fn teaching_first(mut self) -> Self {
        self.teaches = true;
        self
    }

    /// Lets other processes train along.
    pub(crate) fn among(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }

    /// Finds the base and its tokenizer.
    pub(crate) fn base(&self) -> Result<Base> {
        Base::open(&self.recipe, self.offline, &self.run.path("tokenizer"))
    }

    /// Rows to shards, which are read.
    pub(crate) fn data(&mut self, base: &Base) -> Result<Shards> {
        self.prepare(base, None)?;
        self.shards()
    }

    /// Rows to shards; `parts` of them may have been written by several workers.
    pub(crate) fn prepare(&mut self, base: &Base, parts: Option<&Path>) -> Result<()> {
        let section = self.recipe.data.clone();
        let guarded = guarded(&self.recipe)?;
        let preparation = Preparation {
            section: &section,
            guarded: &guarded,
            tokenizer: &base.tokenizer,
            max_length: self.recipe.model.max_length,
            seed: self.recipe.seed,
        };
        let digest = preparation.digest()?;
        self.refuse_changed("rows", "data", &digest)?;
        self.stage("data", &digest, |run, reporter| {
            let mut emit = |event| reporter.show(event);
            let out = run.path("data");
            match parts {
                Some(parts) => preparation.merge(parts, &out, &mut emit)?,
                None => preparation.write(&out, &mut emit)?,
            };
            Ok(vec!["data".into()])
        })?;
        self.run.set_digest("data", digest)?;
        Ok(())
    }

    /// A run is resumed from what it began with, or not at all.
    fn refuse_changed(&self, what: &str, stage: &str, digest: &str) -> Result<()> {
        let began_with = self.run.record().stages.get(stage);
        if !self.resume || began_with.is_none_or(|stage| stage.input_digest == digest) {
            return Ok(());
        }
        let root = self.run.root().display();
        Err(refuse(
            format!("the {what} have changed since the run in `{root}` began"),
            "put them back, or start again: `slm-tune train RECIPE --overwrite`",
        ))
    }

    /// The shards that the run was trained on, whatever became of the files since.
    pub(crate) fn shards(&self) -> Result<Shards> {
        Ok(Shards::open(&self.run.path("data"))?)
    }

    /// Does the work of a stage unless its outputs are there already, made from the same inputs. The work tells what it wrote,
    /// below the run directory.
    pub(crate) fn stage(
        &mut self,
        name: &str,
        digest: &str,
        work: impl FnOnce(&mut RunDir, &mut Reporter) -> Result<Vec<PathBuf>>,
    ) -> Result<()> {
        if self.run.stage_is_current(name, digest) {
            self.tell(name, StageStatus::Skipped);
            return Ok(());
        }
        self.run.start_stage(name, digest)?;
        self.tell(name, StageStatus::Started);
        match exhaustion::caught(|| work(&mut self.run, &mut self.reporter)) {
            Ok(outputs) => {
                self.run.finish_stage(name, digest, &outputs)?;
                self.tell(name, StageStatus::Done);
                Ok(())
            }
            Err(error) => {
                let status = match is_interruption(&error) {
                    true => StageStatus::Interrupted,
                    false => StageStatus::Failed,
                };
                self.tell(name, status);
                // The error of the work matters more than one of writing it down: a full disk causes both.
                let _ = self.run.stop_stage(name, status);
                Err(error)
            }
        }
    }

    fn tell(&mut self, name: &str, status: StageStatus) {
        let name = name.to_owned();
        self.reporter.show(Event::Stage { name, status });
    }
}

/// The recipe in force of a run.
pub(crate) fn recipe_of(root: &Path, overrides: &[String]) -> Result<Recipe, RecipeErrors> {
    Recipe::load(&root.join("recipe.resolved.toml"), overrides)
}

fn remove_run(root: &Path) -> Result<()> {
    if root.join("run.json").exists() {
        let mut run = RunDir::open(root)?;
        run.lock()?;
        fs_err::remove_dir_all(root)?;
    }
    Ok(())
}

/// A run that has begun to train keeps its recipe, and one that was interrupted is resumed by its own verb.
fn refuse_other_recipe(recipe: &Recipe, root: &Path, path: &Path) -> Result<()> {
    if !root.join("run.json").exists() {
        return Ok(());
    }
    let (run, path) = (RunDir::open(root)?, path.display());
    let Some(train) = run.record().stages.get("train") else {
        return Ok(());
    };
    let at = root.display();
    let without_gates = |recipe: &Recipe| Recipe {
        gate: GateSection::default(),
        data: recipe.data.without_statements(),
        ..recipe.clone()
    };
    let its_own = recipe_of(root, &[]).ok();
    // What a run has to show may change after it was made, and so may what is stated of its rows.
    if its_own.as_ref().map(without_gates) != Some(without_gates(recipe)) {
        return Err(refuse(
            format!("`{at}` holds a run of another recipe"),
            format!(
                "give this one another name, `slm-tune train {path} name=NAME`, or delete the old run with `--overwrite`"
            ),
        ));
    }
    let resumable = run.path("checkpoints").exists();
    if matches!(
        train.status,
        StageStatus::Interrupted | StageStatus::Started
    ) && resumable
    {
        return Err(refuse(
            format!("the run in `{at}` was interrupted while it trained"),
            format!("go on with `slm-tune resume {at}`, or start again with `--overwrite`"),
        ));
    }
    Ok(())
}
