//! What a chat consists of, before any template has seen it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what else the template knows.
    pub role: String,
    /// The text; empty where a message consists of tool calls alone (files have `null` there, or nothing).
    pub content: String,
    /// The parts that `content` is made of, where a file has a list of them; none where it has a text.
    pub parts: Vec<Value>,
    /// Every other field (`tool_calls`, `name`, `reasoning_content`, ..), handed to the template as it is.
    pub extra: Map<String, Value>,
}

/// A message as it is in a file.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    role: String,
    #[serde(default)]
    content: Value,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl From<Written> for Message {
    fn from(written: Written) -> Message {
        let (content, parts) = match written.content {
            Value::String(text) => (text, Vec::new()),
            Value::Array(parts) => (parts.iter().filter_map(text_of).collect(), parts),
            _ => (String::new(), Vec::new()),
        };
        Message {
            role: written.role,
            content,
            parts,
            extra: written.extra,
        }
    }
}

impl From<Message> for Written {
    fn from(message: Message) -> Written {
        Written {
            role: message.role,
            content: match message.parts.is_empty() {
                true => Value::String(message.content),
                false => Value::Array(message.parts),
            },
            extra: message.extra,
        }
    }
}

/// The text of a part, `{"type": "text", "text": ..}`; `value` is what some files write instead of `text`.
fn text_of(part: &Value) -> Option<&str> {
    let is_text = part.get("type")? == "text";
    let text = part.get("text").or_else(|| part.get("value"));
    text.filter(|_| is_text)?.as_str()
}

impl Message {
    /// A message without further fields.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message {
            role: role.into(),
            content: content.into(),
            parts: Vec::new(),
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

    #[test]
    fn parts_are_kept_beside_their_text() {
        let line = r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","value":"b"}]}"#;
        let message: Message = serde_json::from_str(line).unwrap();
        assert_eq!((message.content.as_str(), message.parts.len()), ("ab", 3));
        assert_eq!(serde_json::to_string(&message).unwrap(), line);
    }
}
