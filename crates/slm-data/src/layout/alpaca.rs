use slm_text::{Conversation, Message};

use super::{Cells, chat};
use crate::content::Content;
use crate::error::{DataError, NeededBy};

/// An Alpaca row: a conversation, or the text of the original Stanford Alpaca (`train.py`, `PROMPT_DICT`).
pub(super) fn alpaca(cells: &Cells, chat: bool) -> Result<Content, DataError> {
    let needed_by = NeededBy::Format("alpaca");
    let instruction = cells.text("instruction", needed_by)?;
    let input = cells.optional_text("input")?.unwrap_or("");
    let output = cells.text("output", needed_by)?.to_owned();
    let history = chat::history(cells)?;
    if chat {
        let question = if input.is_empty() {
            instruction.to_owned()
        } else {
            format!("{instruction}\n{input}")
        };
        let mut messages = history;
        messages.extend([
            Message::new("user", question),
            Message::new("assistant", output),
        ]);
        return Ok(Content::Chat(Conversation::from(messages)));
    }
    if !history.is_empty() {
        return Err(cells.wrong(
            cells.name("history"),
            "earlier turns",
            "a tokenizer with a chat template",
        ));
    }
    let prompt = if input.is_empty() {
        format!(
            "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n\
             ### Instruction:\n{instruction}\n\n### Response:"
        )
    } else {
        format!(
            "Below is an instruction that describes a task, paired with an input that provides further context. \
             Write a response that appropriately completes the request.\n\n\
             ### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
        )
    };
    Ok(Content::Pair {
        prompt,
        completion: output,
    })
}
