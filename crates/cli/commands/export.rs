//! `slm-tune export`: the artifacts of a run, written again.

use anyhow::Result;

use crate::{args::RunArguments, mask, summary, terminal::Terminal, walk::Walk};

pub(crate) fn run(arguments: RunArguments, terminal: &mut Terminal) -> Result<()> {
    let json = arguments.output.json;
    let mut walk = Walk::open(&arguments.run, &[], json, terminal)?;
    mask::kept(&arguments.run)?;
    let base = walk.base()?;
    let student = walk.student(&base)?;
    let shards = walk.shards()?;
    let tasks = walk.tasks(&base, &shards)?;
    let artifacts = walk.export(&base, &shards, &tasks, &student)?;
    summary::write(&walk, &[], &artifacts, json, terminal)
}
