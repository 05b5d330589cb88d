//! `slm-tune resume`: an interrupted run, to its end.

use anyhow::Result;

use slm_train::Ranks;

use crate::{
    args::RunArguments,
    commands::train,
    terminal::Terminal,
    walk::{Walk, follow},
};

pub(crate) fn run(arguments: RunArguments, terminal: &mut Terminal) -> Result<()> {
    let ranks = Ranks::join()?;
    if !ranks.leads() {
        return follow(&arguments.run, true, &ranks, terminal);
    }
    let json = arguments.output.json;
    let walk = Walk::open(&arguments.run, &[], json, terminal)?;
    let walk = walk.resuming().among(ranks);
    train::finish(walk, json, terminal)
}
