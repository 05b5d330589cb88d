//! `slm-tune data card`: what a data set is, for people and for programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use slm_data::{croissant, markdown};
use slm_run::write_file_atomic;

use crate::{args::CardArguments, looked::Looked, terminal::Terminal};

/// Name of the card for people.
const CARD: &str = "data-card.md";
/// Name of the card for programs, as its readers expect it.
const CROISSANT: &str = "croissant.json";

pub(crate) fn card(arguments: CardArguments, terminal: &mut Terminal) -> Result<()> {
    let out = arguments.out.as_deref();
    let looked = Looked::at(&arguments.target, &arguments.overrides, terminal)?;
    let card = looked.card()?;
    let shards = match looked.is_kept {
        true => Some(seen_from(&looked.folder, out)?),
        false => None,
    };
    let metadata = croissant(&card, shards.as_deref());
    let text = markdown(&card);
    if let Some(folder) = out {
        fs_err::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(&metadata)? + "\n";
        for (name, content) in [(CARD, &text), (CROISSANT, &json)] {
            let path = folder.join(name);
            write_file_atomic(&path, content.as_bytes())?;
            writeln!(terminal.out, "wrote `{}`", path.display())?;
        }
        return Ok(());
    }
    if arguments.json {
        return terminal.json(&metadata);
    }
    write!(terminal.out, "{text}")?;
    Ok(())
}

/// The folder of the shards as seen from where the card is written, with a slash at its end.
fn seen_from(folder: &Path, out: Option<&Path>) -> Result<String> {
    let out: PathBuf = match out {
        Some(out) => {
            fs_err::create_dir_all(out)?;
            fs_err::canonicalize(out)?
        }
        None => fs_err::canonicalize(".")?,
    };
    let seen = folder.strip_prefix(&out).unwrap_or(folder);
    Ok(match seen.to_string_lossy().replace('\\', "/") {
        here if here.is_empty() => here,
        below => below + "/",
    })
}
