//! `slm-tune gate`: what a run has to show, from its evaluation. No model is loaded.

use anyhow::Result;

use crate::{
    args::GateArguments,
    gates::{self, Gated},
    terminal::Terminal,
};

pub(crate) fn run(arguments: GateArguments, terminal: &mut Terminal) -> Result<()> {
    let Gated { run, report } = Gated::of(&arguments)?;
    gates::write(&report, &arguments.outputs, &run, terminal)?;
    gates::outcome(&report)
}
