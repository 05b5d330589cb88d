//! `slm-tune generate`: one prompt, one answer.

use std::io::{self, Read, Write};

use anyhow::{Context, Result};
use serde_json::json;
use slm_text::Message;

use crate::{args::GenerateArguments, speaker::Speaker, terminal::Terminal};

pub(crate) fn run(arguments: GenerateArguments, terminal: &mut Terminal) -> Result<()> {
    let text = match arguments.prompt {
        Some(text) => text,
        None => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.context("failed to read the prompt from stdin")?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let mut speaker = Speaker::open(&arguments.model, &arguments.sampling, terminal.offline)?;
    if arguments.raw {
        speaker = speaker.plainly();
    }
    let mut messages = speaker.opening(None);
    messages.push(Message::new("user", &text));
    let prompt = speaker.prompt(&messages)?;
    if arguments.output.json {
        let n_prompt = prompt.len();
        let (answer, generated) = speaker.answer(prompt, &mut io::sink())?;
        return terminal.json(&json!({
            "prompt": text,
            "prompt_tokens": n_prompt,
            "answer": answer,
            "answer_tokens": generated.ids.len(),
            "stopped": generated.stopped,
        }));
    }
    speaker.answer(prompt, &mut terminal.out)?;
    writeln!(terminal.out)?;
    Ok(())
}
