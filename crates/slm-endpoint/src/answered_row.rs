//! A prompt and an answer to it, as a row that `train` reads.

use std::path::Path;

use serde_json::{Map, Value, json};
use slm_data::{HeldOut, Prompt};
use slm_run::{RunError, write_file_atomic};
use slm_text::Message;

use crate::EndpointError;

/// The prompt of a row with `text` for its answer, and the columns that it had.
pub(crate) fn answered(asked: &HeldOut, text: &str) -> Map<String, Value> {
    let mut row = Map::new();
    match &asked.prompt {
        Prompt::Chat(chat) => {
            let mut messages = chat.messages.clone();
            messages.push(Message::new("assistant", text));
            row.insert("messages".into(), json!(messages));
            if !chat.tools.is_empty() {
                row.insert("tools".into(), json!(chat.tools));
            }
        }
        Prompt::Text(prompt) => {
            // What stood between prompt and answer stands there still.
            let target = &asked.target;
            let space = &target[..target.len() - target.trim_start().len()];
            row.insert("prompt".into(), json!(prompt));
            row.insert("completion".into(), json!(format!("{space}{text}")));
        }
        Prompt::Tokens { .. } => {}
    }
    for (name, value) in &asked.slices {
        row.entry(name).or_insert_with(|| json!(value));
    }
    row
}

/// Writes rows with their own answers as `held_out.jsonl` into the folder of a teacher's: what a student of its answers is
/// measured on. Without rows there is no such file. Returns how many were left out because they have no answer.
///
/// # Errors
/// A row of ids, or a folder that cannot be written.
pub fn write_held_out(rows: &[HeldOut], path: &Path) -> Result<usize, EndpointError> {
    let (mut lines, mut left_out) = (String::new(), 0);
    for row in rows {
        if let Prompt::Tokens { .. } = row.prompt {
            return Err(EndpointError::Row {
                origin: row.origin.clone(),
                reason: "it is held out as ids, and has no text".into(),
            });
        }
        if row.target.trim().is_empty() {
            left_out += 1;
            continue;
        }
        let row = Value::Object(answered(row, row.target.trim_start()));
        lines += &format!("{row}\n");
    }
    match lines.is_empty() {
        false => write_file_atomic(path, lines.as_bytes())?,
        true if path.exists() => {
            fs_err::remove_file(path).map_err(|error| RunError::io(path, error))?;
        }
        true => {}
    }
    Ok(left_out)
}
