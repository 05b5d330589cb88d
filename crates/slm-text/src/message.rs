//! What a chat consists of, before any template has seen it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what else the template knows.
    pub role: String,
    /// The text; empty where a message consists of tool calls alone (files have `null` there, or nothing).
    #[serde(default, deserialize_with = "text_or_null")]
    pub content: String,
    /// Every other field (`tool_calls`, `name`, `reasoning_content`, ..), handed to the template as it is.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message without further fields.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message {
            role: role.into(),
            content: content.into(),
            extra: Map::new(),
        }
    }

    /// Whether this is a message that a model wrote.
    pub fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }
}

/// Messages in order, and the tools that the assistant may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Tool descriptions (JSON schemas) that the template shows to the model; most conversations have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
}

impl From<Vec<Message>> for Conversation {
    fn from(messages: Vec<Message>) -> Conversation {
        Conversation {
            messages,
            tools: Vec::new(),
        }
    }
}

fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let line = r#"{"role":"assistant","content":null,"tool_calls":[]}"#;
        assert_eq!(serde_json::from_str::<Message>(line).unwrap().content, "");
        let line = r#"{"role":"assistant","content":"","tool_calls":[{"name":"weather"}]}"#;
        let message: Message = serde_json::from_str(line).unwrap();
        assert_eq!(message.extra["tool_calls"][0]["name"], "weather");
        assert_eq!(serde_json::to_string(&message).unwrap(), line);
    }
}
