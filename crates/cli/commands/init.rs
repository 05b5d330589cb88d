//! `slm-tune init`: a starter recipe that runs, and a few rows for it.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{args::InitArguments, failure::refuse, terminal::Terminal};

const RECIPE: &str = include_str!("../starter/recipe.toml");
const ROWS: &str = include_str!("../starter/rows.jsonl");
/// The project's own base, as seen from a checkout of it.
const PROJECT_BASE: &str = "datasets/base/slm-base-2m";
/// A small base that anyone may fetch.
const HUB_BASE: &str = "HuggingFaceTB/SmolLM2-135M";

pub(crate) fn run(arguments: InitArguments, terminal: &mut Terminal) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    let within = |name: &str| match folder.to_str() {
        Some(".") => PathBuf::from(name),
        _ => folder.join(name),
    };
    let (recipe, rows) = (within("recipe.toml"), within("rows.jsonl"));
    for path in [&recipe, &rows] {
        if path.exists() {
            return Err(refuse(
                format!("`{}` exists already", path.display()),
                "name another folder: `slm-tune init my-project`",
            ));
        }
    }
    let base = match arguments.base {
        Some(base) => base,
        None => choose_base()?,
    };
    let text = RECIPE
        .replace("@RECIPE@", &recipe.display().to_string())
        .replace("@ROWS@", &toml_escaped(&rows.display().to_string()))
        .replace("@BASE@", &toml_escaped(&base))
        .replace("@NAME@", &toml_escaped(&name_of(folder)));
    fs_err::create_dir_all(folder)?;
    slm_run::write_file_atomic(&rows, ROWS.as_bytes())?;
    slm_run::write_file_atomic(&recipe, text.as_bytes())?;
    let (recipe, rows) = (recipe.display(), rows.display());
    writeln!(terminal.out, "wrote {recipe} (base: {base})")?;
    writeln!(terminal.out, "wrote {rows} ({} rows)", ROWS.lines().count())?;
    if !terminal.quiet {
        writeln!(terminal.out, "\nnext: slm-tune train {recipe}")?;
    }
    Ok(())
}

/// The project's base where it is at hand; otherwise the user is asked, and without a terminal a small hub model is named.
fn choose_base() -> anyhow::Result<String> {
    if Path::new(PROJECT_BASE).join("config.json").exists() {
        return Ok(PROJECT_BASE.into());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(HUB_BASE.into());
    }
    let mut stderr = io::stderr();
    write!(stderr, "base model, a folder or a hub name [{HUB_BASE}]: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("failed to read the base model from stdin")?;
    let answer = answer.trim();
    Ok(if answer.is_empty() { HUB_BASE } else { answer }.into())
}

/// The run is named after the folder.
fn name_of(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy());
    name.map_or_else(|| "topics".into(), |name| name.into_owned())
}

fn toml_escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
