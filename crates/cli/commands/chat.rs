//! `slm-tune chat`: a conversation, line by line.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result};
use slm_text::Message;

use crate::{args::ChatArguments, speaker::Speaker, terminal::Terminal};

pub(crate) fn run(arguments: ChatArguments, terminal: &mut Terminal) -> Result<()> {
    let speaker = Speaker::open(&arguments.model, &arguments.sampling, terminal.offline)?;
    let opening = speaker.opening(arguments.system);
    let is_typed = io::stdin().is_terminal();
    if is_typed && !terminal.quiet {
        writeln!(
            io::stderr(),
            "/reset forgets the conversation, /quit ends it"
        )?;
    }
    let mut messages = opening.clone();
    loop {
        if is_typed {
            write!(io::stderr(), "> ")?;
        }
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if read.context("failed to read from stdin")? == 0 {
            return Ok(());
        }
        match line.trim() {
            "" => continue,
            "/quit" | "/exit" => return Ok(()),
            "/reset" => {
                messages = opening.clone();
                continue;
            }
            text => messages.push(Message::new("user", text)),
        }
        let (answer, _) = speaker.answer(speaker.prompt(&messages)?, &mut terminal.out)?;
        writeln!(terminal.out)?;
        if speaker.remembers() {
            messages.push(Message::new("assistant", answer));
        } else {
            messages = opening.clone();
        }
    }
}
