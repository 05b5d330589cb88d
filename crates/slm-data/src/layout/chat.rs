use std::collections::BTreeMap;

use serde_json::{Map, Value};
use slm_recipe::Format;
use slm_text::{Conversation, Message};

use super::{Cells, Found};
use crate::error::{DataError, NeededBy, json_kind};

/// Where a row keeps its messages, and what their fields are called.
#[derive(Clone, Debug)]
pub(super) struct ChatColumns {
    messages: String,
    role: String,
    content: String,
}

/// What ShareGPT files call the roles that chat templates know. A function call is what the assistant wrote, as it stands.
const ROLES: [(&str, &str); 8] = [
    ("human", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("bot", "assistant"),
    ("model", "assistant"),
    ("function_call", "assistant"),
    ("observation", "tool"),
    ("function_response", "tool"),
];

impl ChatColumns {
    pub(super) fn resolve(found: &Found, format: Format) -> Result<Self, DataError> {
        let (messages, needed_by) = match format {
            Format::Sharegpt => ("conversations", NeededBy::Format("sharegpt")),
            _ => ("messages", NeededBy::Format("messages")),
        };
        let mapped = found.names.get("messages").map(String::as_str);
        let other = ["messages", "conversations"]
            .into_iter()
            .find(|name| found.get(name).is_some_and(Value::is_array));
        let messages = mapped
            .or_else(|| found.get(messages).map(|_| messages))
            .or(other)
            .unwrap_or(messages)
            .to_owned();
        found.need_column(&messages, needed_by)?;
        let key = |name: &str, usual: &str, share_gpt: &str| match found.names.get(name) {
            Some(mapped) => mapped.clone(),
            None if Self::first_message(found, &messages)
                .is_some_and(|first| first.contains_key(usual)) =>
            {
                usual.to_owned()
            }
            None if Self::first_message(found, &messages)
                .is_some_and(|first| first.contains_key(share_gpt)) =>
            {
                share_gpt.to_owned()
            }
            None if format == Format::Sharegpt => share_gpt.to_owned(),
            None => usual.to_owned(),
        };
        Ok(Self {
            role: key("role", "role", "from"),
            content: key("content", "content", "value"),
            messages,
        })
    }

    /// The messages of a column, by what the first of them calls its fields.
    pub(super) fn of_list(column: &str, list: &[Value], names: &BTreeMap<String, String>) -> Self {
        let first = list.first().and_then(Value::as_object);
        let key = |name: &str, usual: &str, share_gpt: &str| {
            let share_gpt = first
                .filter(|first| first.contains_key(share_gpt))
                .map(|_| share_gpt);
            let found = names.get(name).map(String::as_str).or(share_gpt);
            found.unwrap_or(usual).to_owned()
        };
        Self {
            messages: column.to_owned(),
            role: key("role", "role", "from"),
            content: key("content", "content", "value"),
        }
    }

    /// Which of the two chat formats rows that have a list of messages are.
    pub(super) fn format_of(found: &Found) -> Format {
        let mapped = found.name("messages");
        let column = if found.get(mapped).is_some() {
            mapped
        } else {
            "conversations"
        };
        match Self::first_message(found, column) {
            Some(first) if first.contains_key("from") => Format::Sharegpt,
            _ => Format::Messages,
        }
    }

    fn first_message<'a>(found: &Found<'a>, column: &str) -> Option<&'a Map<String, Value>> {
        found.get(column)?.as_array()?.first()?.as_object()
    }

    pub(super) fn format(&self) -> Format {
        if self.role == "from" {
            Format::Sharegpt
        } else {
            Format::Messages
        }
    }

    fn name(&self) -> &'static str {
        if self.role == "from" {
            "sharegpt"
        } else {
            "messages"
        }
    }

    pub(super) fn conversation(&self, cells: &Cells) -> Result<Conversation, DataError> {
        let value = cells
            .row
            .fields
            .get(&self.messages)
            .ok_or_else(|| cells.missing(&self.messages, NeededBy::Format(self.name())))?;
        let Value::Array(list) = value else {
            return Err(cells.wrong(&self.messages, json_kind(value), "a list of messages"));
        };
        let messages = list
            .iter()
            .enumerate()
            .map(|(at, message)| self.message(cells, at, message));
        Ok(Conversation {
            messages: messages.collect::<Result<_, _>>()?,
            tools: Self::tools(cells)?,
        })
    }

    pub(super) fn message(
        &self,
        cells: &Cells,
        at: usize,
        message: &Value,
    ) -> Result<Message, DataError> {
        let place = |key: &str| format!("{}[{at}].{key}", self.messages);
        let Value::Object(fields) = message else {
            return Err(cells.wrong(
                &format!("{}[{at}]", self.messages),
                json_kind(message),
                "an object",
            ));
        };
        let role = match fields.get(&self.role) {
            Some(Value::String(role)) => match cells.roles.get(role) {
                Some(given) => given.as_str(),
                None => ROLES
                    .iter()
                    .find(|(other, _)| other == role)
                    .map_or(role.as_str(), |(_, role)| role),
            },
            Some(other) => return Err(cells.wrong(&place(&self.role), json_kind(other), "a text")),
            None => return Err(self.missing_key(cells, at, &self.role, fields)),
        };
        let mut parts = &[][..];
        let content = match fields.get(&self.content) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(list)) => {
                parts = list;
                list.iter()
                    .map(|part| {
                        text_part(part).ok_or_else(|| {
                            cells.wrong(&place(&self.content), &part_kind(part), "text")
                        })
                    })
                    .collect::<Result<String, _>>()?
            }
            None | Some(Value::Null) if fields.get("tool_calls").is_some_and(Value::is_array) => {
                String::new()
            }
            Some(other) => {
                return Err(cells.wrong(&place(&self.content), json_kind(other), "a text"));
            }
            None => return Err(self.missing_key(cells, at, &self.content, fields)),
        };
        let others = fields
            .iter()
            .filter(|(key, value)| **key != self.role && **key != self.content && !value.is_null());
        Ok(Message {
            role: role.to_owned(),
            content,
            parts: parts.to_vec(),
            extra: others
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }

    fn missing_key(
        &self,
        cells: &Cells,
        at: usize,
        key: &str,
        fields: &Map<String, Value>,
    ) -> DataError {
        let found: Vec<_> = fields.keys().map(|key| format!("`{key}`")).collect();
        let found = if found.is_empty() {
            "nothing".into()
        } else {
            found.join(", ")
        };
        cells.wrong(
            &format!("{}[{at}]", self.messages),
            &found,
            &format!("`{key}`"),
        )
    }

    /// Tool descriptions: a list, or a list written as JSON text (as in LLaMA-Factory's files).
    pub(super) fn tools(cells: &Cells) -> Result<Vec<Value>, DataError> {
        let column = cells.name("tools");
        match cells.get("tools") {
            None => Ok(Vec::new()),
            Some(Value::Array(tools)) => Ok(tools.clone()),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(Vec::new()),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|_| cells.wrong(column, "a text", "a JSON list of tools")),
            Some(other) => Err(cells.wrong(column, json_kind(other), "a list of tools")),
        }
    }
}

/// The text of one part of a content that is a list of parts.
fn text_part(part: &Value) -> Option<&str> {
    if part.get("type")? != "text" {
        return None;
    }
    part.get("text").or_else(|| part.get("value"))?.as_str()
}

fn part_kind(part: &Value) -> String {
    match part.get("type").and_then(Value::as_str) {
        Some(kind) => format!("a part of type `{kind}`"),
        None => json_kind(part).into(),
    }
}

/// The earlier turns of an Alpaca row: a list of pairs of question and answer.
pub(super) fn history(cells: &Cells) -> Result<Vec<Message>, DataError> {
    let wrong = |found| {
        cells.wrong(
            cells.name("history"),
            found,
            "a list of pairs of question and answer",
        )
    };
    match cells.get("history") {
        None => Ok(Vec::new()),
        Some(Value::Array(turns)) => {
            let mut messages = Vec::with_capacity(2 * turns.len());
            for turn in turns {
                match turn.as_array().map(Vec::as_slice) {
                    Some([Value::String(question), Value::String(answer)]) => {
                        messages.extend([
                            Message::new("user", question),
                            Message::new("assistant", answer),
                        ]);
                    }
                    _ => return Err(wrong(json_kind(turn))),
                }
            }
            Ok(messages)
        }
        Some(other) => Err(wrong(json_kind(other))),
    }
}
