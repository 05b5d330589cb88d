use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slm_text::{Conversation, Message};

use crate::origin::Origin;

/// What a row says, before any tokenizer has seen it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Messages that a chat template renders.
    Chat(Conversation),
    /// A text and its continuation, tokenized separately.
    Pair {
        /// What is given.
        prompt: String,
        /// What is learned.
        completion: String,
    },
    /// A text that is learned as a whole.
    Text(String),
}

/// What is given to a model so that it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Messages up to the answer: render them with a generation prompt.
    Chat(Conversation),
    /// Text up to the answer; empty for rows of plain text.
    Text(String),
}

/// One row as the recipe reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Counted from 0 over all sources in the order of the recipe, before any row is left out.
    pub row: usize,
    /// Where it came from.
    pub origin: Origin,
    /// What it says.
    pub content: Content,
    /// Value of the column `data.group_by`.
    pub group: Option<String>,
    /// Short columns that the prompt does not use, to tell results apart by.
    pub slices: BTreeMap<String, String>,
}

/// A row to answer: what the model is given, and what it should say.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// As in [`Example::row`].
    pub row: usize,
    /// Where it came from, as in `train.csv:12`.
    pub origin: String,
    /// What the model is given.
    pub prompt: Prompt,
    /// What it should say: the completion as it stands (with its leading space), the last assistant message, or the text.
    pub target: String,
    /// Short columns that the prompt does not use, to tell results apart by.
    pub slices: BTreeMap<String, String>,
}

impl Content {
    /// What the model is given. Of a conversation: everything before the last assistant message.
    pub fn prompt(&self) -> Prompt {
        match self {
            Self::Chat(chat) => {
                let given = last_assistant(chat).unwrap_or(chat.messages.len());
                Prompt::Chat(Conversation {
                    messages: chat.messages[..given].to_vec(),
                    tools: chat.tools.clone(),
                })
            }
            Self::Pair { prompt, .. } => Prompt::Text(prompt.clone()),
            Self::Text(_) => Prompt::Text(String::new()),
        }
    }

    /// What it should say; empty for a conversation without an assistant message.
    pub fn target(&self) -> &str {
        match self {
            Self::Chat(chat) => {
                last_assistant(chat).map_or("", |at| chat.messages[at].content.as_str())
            }
            Self::Pair { completion, .. } => completion,
            Self::Text(text) => text,
        }
    }

    /// Bytes that are equal for equal contents only.
    pub(crate) fn key(&self) -> Vec<u8> {
        // Strings, lists and maps with string keys: none of them can fail to serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn user_and_assistant(prompt: String, answer: String) -> Self {
        Self::Chat(
            vec![
                Message::new("user", prompt),
                Message::new("assistant", answer),
            ]
            .into(),
        )
    }
}

fn last_assistant(chat: &Conversation) -> Option<usize> {
    chat.messages.iter().rposition(Message::is_assistant)
}

impl From<Example> for HeldOut {
    fn from(example: Example) -> Self {
        Self {
            row: example.row,
            origin: example.origin.to_string(),
            prompt: example.content.prompt(),
            target: example.content.target().to_owned(),
            slices: example.slices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_cut_before_its_last_answer() {
        let roles = ["system", "user", "assistant", "user", "assistant", "user"];
        let messages = roles
            .iter()
            .enumerate()
            .map(|(i, role)| Message::new(*role, i.to_string()))
            .collect::<Vec<_>>();
        let content = Content::Chat(messages.into());
        assert_eq!(content.target(), "4");
        let Prompt::Chat(given) = content.prompt() else {
            panic!("not a chat")
        };
        assert_eq!(given.messages.len(), 4);
    }

    #[test]
    fn keys_differ_where_contents_do() {
        let pair = |prompt: &str, completion: &str| Content::Pair {
            prompt: prompt.into(),
            completion: completion.into(),
        };
        assert_eq!(pair("a", "b").key(), pair("a", "b").key());
        assert_ne!(pair("a", "bc").key(), pair("ab", "c").key());
    }
}
