//! `slm-tune resume`: an interrupted run, to its end.

use anyhow::Result;

use crate::{args::RunArguments, commands::train, terminal::Terminal, walk::Walk};

pub(crate) fn run(arguments: RunArguments, terminal: &mut Terminal) -> Result<()> {
    let json = arguments.output.json;
    let walk = Walk::open(&arguments.run, &[], json, terminal)?.resuming();
    train::finish(walk, json, terminal)
}
