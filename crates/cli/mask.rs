//! The proof of what is learned: shown, and kept where those who answer later find it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use slm_data::{DataError, MaskProof, RoleTokens, SideProof};
use slm_run::write_file_atomic;
use slm_text::ChatTokenizer;

use crate::failure::refuse;
use crate::table::{Table, thousands};

/// Where a run keeps it: beside its checkpoints.
pub(crate) const MASK: &str = "checkpoints/mask.json";

/// Writes it into a run that is about to train.
pub(crate) fn keep(proof: &MaskProof, run: &Path) -> Result<PathBuf> {
    let path = run.join(MASK);
    fs_err::create_dir_all(run.join("checkpoints"))?;
    write_file_atomic(path, &serde_json::to_vec_pretty(proof)?)?;
    Ok(MASK.into())
}

/// Checks that a tokenizer makes of the run's rows what they were trained as.
pub(crate) fn check_run(run: &Path, tokenizer: &ChatTokenizer) -> Result<()> {
    let path = kept(run)?;
    let text = fs_err::read(&path)?;
    let proof: MaskProof = serde_json::from_slice(&text).map_err(|error| DataError::Shards {
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    Ok(proof.check(tokenizer)?)
}

/// The file of a run that has one; those that an older version trained have none.
pub(crate) fn kept(run: &Path) -> Result<PathBuf> {
    let path = run.join(MASK);
    if path.exists() {
        return Ok(path);
    }
    let run = run.display();
    Err(refuse(
        format!(
            "the run in `{run}` has no `{MASK}`, the proof of what it learned: an older version trained it"
        ),
        format!(
            "train it again with `slm-tune train RECIPE --overwrite`; the merged model alone needs no proof: \
             `slm-tune chat {run}/export/merged`"
        ),
    ))
}

/// Whose tokens there are, and which of them are learned.
pub(crate) fn write(proof: &MaskProof, out: &mut dyn Write) -> io::Result<()> {
    let header = [
        "mask", "tokens", "learned", "held out", "learned", "test", "learned",
    ];
    let sides: Vec<&SideProof> = proof.sides().map(|(_, side)| side).collect();
    let header = &header[..1 + 2 * sides.len()];
    let mut table = Table::new(header).right(&[1, 2, 3, 4, 5, 6]);
    let mut roles: Vec<_> = sides.iter().flat_map(|side| side.roles.keys()).collect();
    roles.sort();
    roles.dedup();
    for role in roles {
        let of = |side: &&SideProof| side.roles.get(role).copied().unwrap_or_default();
        let mut cells = vec![role.name().to_owned()];
        for RoleTokens { tokens, learned } in sides.iter().map(of) {
            cells.extend([thousands(tokens), thousands(learned)]);
        }
        table.row(cells);
    }
    table.write(out)?;
    writeln!(out, "{}", summary(proof))
}

/// What was proven, in one line.
fn summary(proof: &MaskProof) -> String {
    let sum = |of: fn(&SideProof) -> usize| {
        let sides = proof.sides().map(|(_, side)| of(side));
        thousands(sides.sum())
    };
    let bos = match proof.adds_bos {
        true => "",
        false => " (the tokenizer adds none)",
    };
    format!(
        "of {} sequences, {} learn something, {} learn where the answer ends, {} begin with BOS{bos}; {} cut, {} left out",
        sum(|side| side.sequences),
        sum(|side| side.sequences - side.unlearned),
        sum(|side| side.ended),
        sum(|side| side.begun),
        sum(|side| side.cut),
        sum(|side| side.left_out),
    )
}
