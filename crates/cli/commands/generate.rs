//! `slm-tune generate`: one prompt, one answer.

use std::io::{self, Read, Write};

use anyhow::{Context, Result};
use serde_json::json;
use slm_grammar::Grammar;
use slm_text::Message;

use crate::{
    args::{ConstraintArguments, GenerateArguments},
    failure::refuse,
    speaker::Speaker,
    terminal::Terminal,
};

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
    let grammar = grammar(&arguments.constraint)?;
    if let Some(grammar) = &grammar {
        speaker = speaker.within(grammar)?;
    }
    let mut messages = speaker.opening(None);
    messages.push(Message::new("user", &text));
    let prompt = speaker.prompt(&messages)?;
    if arguments.output.json {
        let n_prompt = prompt.len();
        let (answer, generated) = speaker.answer(prompt, &mut io::sink())?;
        let mut shown = json!({
            "prompt": text,
            "prompt_tokens": n_prompt,
            "answer": answer,
            "answer_tokens": generated.ids.len(),
            "stopped": generated.stopped,
        });
        if grammar.is_some() {
            shown["valid"] = generated.stopped.into();
        }
        return terminal.json(&shown);
    }
    let (_, generated) = speaker.answer(prompt, &mut terminal.out)?;
    writeln!(terminal.out)?;
    if grammar.is_some() && !generated.stopped {
        let tokens = generated.ids.len();
        return Err(refuse(
            format!("the answer was cut short after {tokens} tokens, and is not whole"),
            "give it more with `--max-new-tokens`; a model that never ends an answer needs a grammar that does",
        ));
    }
    Ok(())
}

/// What the answer is held to, if to anything.
fn grammar(arguments: &ConstraintArguments) -> Result<Option<Grammar>> {
    let grammar = match (&arguments.labels, &arguments.regex, &arguments.json_schema) {
        (Some(labels), ..) => Grammar::labels(labels)?,
        (_, Some(regex), _) => Grammar::regex(regex)?,
        (_, _, Some(path)) => {
            let text = fs_err::read(path)?;
            let schema = serde_json::from_slice(&text).map_err(|error| {
                refuse(
                    format!("`{}` is not valid JSON: {error}", path.display()),
                    "`--json-schema` names a file with a JSON schema",
                )
            })?;
            Grammar::json_schema(&schema)?
        }
        _ => return Ok(None),
    };
    Ok(Some(grammar))
}
