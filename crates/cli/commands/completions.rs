//! `slm-tune completions`: a script that completes verbs and options.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Arguments, terminal::Terminal};

pub(crate) fn run(shell: Shell, terminal: &mut Terminal) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "slm-tune", &mut script);
    terminal.out.write_all(&script)?;
    Ok(())
}
