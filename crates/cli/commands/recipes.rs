//! `slm-tune recipes`: the recipes inside the binary.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    args::JsonArguments,
    failure::refuse,
    library::{RECIPES, Shipped},
    table::Table,
    terminal::Terminal,
};

pub(crate) fn ls(output: JsonArguments, terminal: &mut Terminal) -> anyhow::Result<()> {
    if output.json {
        let list: Vec<_> = RECIPES
            .iter()
            .map(|recipe| json!({"name": recipe.name, "summary": recipe.summary()}))
            .collect();
        return terminal.json(&list);
    }
    let mut table = Table::new(&["name", "what it does"]);
    for recipe in RECIPES {
        table.row([recipe.name.into(), recipe.summary().into()]);
    }
    table.write(&mut terminal.out)?;
    Ok(())
}

pub(crate) fn cp(
    name: &str,
    destination: Option<PathBuf>,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let unknown = || {
        let hint = "`slm-tune recipes ls` lists them";
        refuse(format!("no recipe is called `{name}`"), hint)
    };
    let recipe = Shipped::find(name).ok_or_else(unknown)?;
    let flat = || PathBuf::from(format!("{}.toml", recipe.name.replace('/', "-")));
    let destination = destination.unwrap_or_else(flat);
    if destination.exists() {
        return Err(refuse(
            format!("`{}` exists already", destination.display()),
            format!("name another file: `slm-tune recipes cp {name} my-recipe.toml`"),
        ));
    }
    let here = format!("recipes/{}.toml", recipe.name);
    let mut text = recipe
        .text
        .replace(&here, &destination.display().to_string());
    if let Some((written, parent)) = recipe.extends() {
        let beside = format!("{}.toml", parent.name.replace('/', "-"));
        text = text.replace(&format!("\"{written}\""), &format!("\"{beside}\""));
        let path = destination.with_file_name(beside);
        if !path.exists() {
            write(&path, parent.text, terminal)?;
        }
    }
    write(&destination, &text, terminal)
}

fn write(path: &Path, text: &str, terminal: &mut Terminal) -> anyhow::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs_err::create_dir_all(folder)?;
    }
    slm_run::write_file_atomic(path, text.as_bytes())?;
    writeln!(terminal.out, "wrote {}", path.display())?;
    Ok(())
}
