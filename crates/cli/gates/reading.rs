//! What a gate reads: an evaluation as it was when it was made, and the baseline.

use std::path::{Path, PathBuf};

use anyhow::Result;
use slm_eval::{Baseline, Evaluation, GateReport, gate};
use slm_recipe::{GateSection, Recipe};
use slm_run::{RunDir, StageStatus, sha256_path};

use crate::{args::GateArguments, failure::refuse, walk::recipe_of};

/// What was gated, and what came of it.
pub(crate) struct Gated {
    pub(crate) run: PathBuf,
    pub(crate) report: GateReport,
}

impl Gated {
    /// Finds gates and evaluation of what was typed.
    pub(crate) fn of(arguments: &GateArguments) -> Result<Self> {
        let target = &arguments.target;
        if target.is_file() {
            let recipe = Recipe::load(target, &arguments.overrides)?;
            let run = PathBuf::from(&recipe.output_dir);
            return Self::with(&run, Some(&recipe), arguments);
        }
        if !target.is_dir() {
            return Err(refuse(
                format!("`{}` does not exist", target.display()),
                "give a run directory (`slm-tune runs ls`), the recipe of a run, or a folder that holds an evaluation",
            ));
        }
        if let Some(text) = arguments
            .overrides
            .iter()
            .find(|it| !it.starts_with("gate."))
        {
            return Err(refuse(
                format!("`{text}` would make another run of this one"),
                "of a run that is gated, `gate.*` can be changed",
            ));
        }
        if target.join("run.json").exists() {
            let recipe = recipe_of(target, &arguments.overrides)?;
            return Self::with(target, Some(&recipe), arguments);
        }
        if let Some(text) = arguments.overrides.first() {
            return Err(refuse(
                format!(
                    "`{text}` changes a recipe, and `{}` has none",
                    target.display()
                ),
                "change the file of `--gates` instead",
            ));
        }
        Self::with(target, None, arguments)
    }

    fn with(run: &Path, recipe: Option<&Recipe>, arguments: &GateArguments) -> Result<Self> {
        let evaluation = match recipe {
            Some(_) => of_run(run),
            None => read(run),
        };
        let mut section = match (&arguments.gates, recipe) {
            (Some(file), _) => {
                let tasks = evaluation.as_ref().ok().map(Evaluation::tasks);
                GateSection::load(file, tasks.as_deref())?
            }
            (None, Some(recipe)) => recipe.gate.clone(),
            (None, None) => {
                return Err(refuse(
                    format!("`{}` is no run, so it has no gates", run.display()),
                    "name a file that has some: `--gates FILE`",
                ));
            }
        };
        if section.check.is_empty() {
            return Err(refuse(
                "there is no `[[gate.check]]`, so nothing would be decided",
                "add one to the recipe, or name a file that has some: `--gates FILE`",
            ));
        }
        if let Some(baseline) = &arguments.baseline {
            section.baseline = Some(baseline.display().to_string());
        }
        let seed = recipe.map_or(Recipe::default().seed, |recipe| recipe.seed);
        Ok(Self {
            run: run.into(),
            report: decide(&section, evaluation, seed),
        })
    }
}

/// The gates of a recipe on the run that was made of it.
pub(crate) fn gate_run(recipe: &Recipe, run: &Path) -> GateReport {
    decide(&recipe.gate, of_run(run), recipe.seed)
}

/// The evaluation that a baseline is made of, and the name of the run.
pub(crate) fn saved_run(target: &Path) -> Result<(String, Evaluation)> {
    let is_run = target.join("run.json").exists();
    let evaluation = if is_run { of_run(target) } else { read(target) };
    let hint = "measure it first: `slm-tune eval RUN`";
    let evaluation = evaluation.map_err(|reason| refuse(reason, hint))?;
    let name = match is_run {
        true => recipe_of(target, &[])?.name,
        false => target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into(),
    };
    Ok((name, evaluation))
}

fn decide(section: &GateSection, evaluation: Result<Evaluation, String>, seed: u64) -> GateReport {
    let baseline = match &section.baseline {
        None => Err("no baseline is named".to_owned()),
        Some(path) => Baseline::read(Path::new(path)).map_err(|error| {
            format!("no baseline: {error}; `slm-tune baseline save RUN {path}` writes one")
        }),
    };
    gate(
        section,
        evaluation.as_ref().map_err(Clone::clone),
        baseline.as_ref().map_err(Clone::clone),
        seed,
    )
}

/// The evaluation of a run, whole and unchanged since it was made.
fn of_run(root: &Path) -> Result<Evaluation, String> {
    let run = RunDir::open(root).map_err(|error| error.to_string())?;
    let at = root.display();
    let stage = run.record().stages.get("eval");
    let Some(stage) = stage.filter(|stage| stage.status == StageStatus::Done) else {
        return Err(format!("the run in `{at}` has no finished evaluation"));
    };
    for (path, digest) in &stage.outputs {
        let found = sha256_path(run.path(path)).map_err(|error| error.to_string())?;
        if found != *digest {
            return Err(format!(
                "`{path}` of the run in `{at}` has changed since it was measured"
            ));
        }
    }
    read(&run.path("eval"))
}

fn read(folder: &Path) -> Result<Evaluation, String> {
    let evaluation = Evaluation::read(folder).map_err(|error| error.to_string())?;
    match evaluation.tuned.is_empty() {
        true => Err(format!("`{}` holds no evaluated task", folder.display())),
        false => Ok(evaluation),
    }
}
