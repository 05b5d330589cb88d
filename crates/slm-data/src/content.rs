use serde::{Deserialize, Serialize};
use serde_json::Value;
use slm_text::{Conversation, Message};

use crate::example::Prompt;

/// What a row says, before any tokenizer has seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Tokens, with what is learned of them.
    Tokens(TokenRow),
    /// Two answers to the same prompt.
    Preference {
        /// The better one.
        chosen: Judged,
        /// The worse one.
        rejected: Judged,
    },
    /// One answer that was judged alone.
    Rated {
        /// The answer.
        answer: Judged,
        /// The judgement.
        desirable: bool,
    },
}

/// An answer that was judged, with its prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// A conversation, a prompt and its completion, or tokens.
    pub content: Box<Content>,
    /// Messages of a conversation that were given. Whatever the assistant says after them is the answer.
    pub given: usize,
}

/// A row that is tokens already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Token ids, without padding.
    pub ids: Vec<u32>,
    /// Whether the token at the same place is learned.
    pub learn: Vec<bool>,
    /// As in [`crate::Sample::breaks`].
    pub breaks: Vec<u32>,
    /// The text of the last learned stretch.
    pub target: String,
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
            Self::Tokens(row) => row.prompt(),
            Self::Preference { chosen: judged, .. } | Self::Rated { answer: judged, .. } => {
                judged.prompt()
            }
        }
    }

    /// What it should say, of two answers the better one; empty for a conversation without an assistant message.
    pub fn target(&self) -> &str {
        match self {
            Self::Chat(chat) => {
                last_assistant(chat).map_or("", |at| chat.messages[at].content.as_str())
            }
            Self::Pair { completion, .. } => completion,
            Self::Text(text) => text,
            Self::Tokens(row) => &row.target,
            Self::Preference { chosen: judged, .. } | Self::Rated { answer: judged, .. } => {
                judged.content.target()
            }
        }
    }

    /// Whether it is tokens already, and no text that a tokenizer could make others of.
    pub(crate) fn is_tokens(&self) -> bool {
        match self {
            Self::Tokens(_) => true,
            Self::Preference { chosen: judged, .. } | Self::Rated { answer: judged, .. } => {
                judged.content.is_tokens()
            }
            Self::Chat(_) | Self::Pair { .. } | Self::Text(_) => false,
        }
    }

    /// Whether its answers were judged.
    pub(crate) fn is_judged(&self) -> bool {
        matches!(self, Self::Preference { .. } | Self::Rated { .. })
    }

    /// The texts of it.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Chat(chat) => {
                let messages = chat.messages.iter();
                messages.map(|message| message.content.as_str()).collect()
            }
            Self::Pair { prompt, completion } => vec![prompt, completion],
            Self::Text(text) => vec![text],
            Self::Tokens(_) => Vec::new(),
            Self::Preference { chosen, rejected } => {
                [chosen.content.texts(), rejected.content.texts()].concat()
            }
            Self::Rated { answer, .. } => answer.content.texts(),
        }
    }

    /// The texts of it, without system messages, which many rows share.
    pub(crate) fn said(&self) -> Vec<&str> {
        match self {
            Self::Chat(chat) => {
                let messages = chat.messages.iter();
                let said = messages.filter(|message| message.role != "system");
                said.map(|message| message.content.as_str()).collect()
            }
            Self::Preference { chosen, rejected } => {
                [chosen.content.said(), rejected.content.said()].concat()
            }
            Self::Rated { answer, .. } => answer.content.said(),
            Self::Pair { .. } | Self::Text(_) | Self::Tokens(_) => self.texts(),
        }
    }

    /// Characters of its texts.
    pub(crate) fn chars(&self) -> usize {
        self.texts().iter().map(|text| text.chars().count()).sum()
    }

    /// Replaces its texts by what `edit` makes of them; gives whether any was.
    pub(crate) fn edit(&mut self, edit: Edit<'_>) -> bool {
        let text = |text: &mut String, edit: Edit<'_>| match edit(text, Where::Said) {
            Some(edited) => {
                *text = edited;
                true
            }
            None => false,
        };
        match self {
            Self::Chat(chat) => {
                let messages = chat.messages.iter_mut();
                messages.fold(false, |any, message| edit_message(message, edit) | any)
            }
            Self::Pair { prompt, completion } => text(prompt, edit) | text(completion, edit),
            Self::Text(said) => text(said, edit),
            Self::Tokens(_) => false,
            Self::Preference { chosen, rejected } => {
                chosen.content.edit(edit) | rejected.content.edit(edit)
            }
            Self::Rated { answer, .. } => answer.content.edit(edit),
        }
    }

    /// Puts a system message before every conversation that has none.
    pub(crate) fn begin_with(&mut self, system: &str) {
        match self {
            Self::Chat(chat) => {
                let first = chat.messages.first();
                if first.is_none_or(|first| first.role != "system") {
                    chat.messages.insert(0, Message::new("system", system));
                }
            }
            Self::Preference { chosen, rejected } => {
                chosen.begin_with(system);
                rejected.begin_with(system);
            }
            Self::Rated { answer, .. } => answer.begin_with(system),
            Self::Pair { .. } | Self::Text(_) | Self::Tokens(_) => {}
        }
    }

    /// Bytes that are equal for equal contents only.
    pub(crate) fn key(&self) -> Vec<u8> {
        // Strings, lists and maps with string keys: none of them can fail to serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Bytes that are equal for rows that have to be on the same side of a split: equal rows, and answers to the same prompt.
    pub(crate) fn split_key(&self) -> Vec<u8> {
        match self {
            Self::Preference { chosen: judged, .. } | Self::Rated { answer: judged, .. } => {
                let prompt = match judged.prompt() {
                    Prompt::Tokens { prompt, .. } => Prompt::Tokens {
                        prompt,
                        answer: Vec::new(),
                    },
                    prompt => prompt,
                };
                serde_json::to_vec(&prompt).unwrap_or_default()
            }
            _ => self.key(),
        }
    }

    /// The texts that decide on the side of a split where near-duplicates are kept together: of judged answers those of the prompt.
    pub(crate) fn split_texts(&self) -> Vec<String> {
        match self {
            Self::Preference { chosen: judged, .. } | Self::Rated { answer: judged, .. } => {
                match judged.prompt() {
                    Prompt::Chat(chat) => {
                        let messages = chat.messages.into_iter();
                        messages.map(|message| message.content).collect()
                    }
                    Prompt::Text(text) => vec![text],
                    Prompt::Tokens { .. } => Vec::new(),
                }
            }
            _ => self.said().into_iter().map(str::to_owned).collect(),
        }
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

/// Where a text of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// In what is said.
    Said,
    /// In another field of a message, such as what a tool is called with.
    Field,
}

/// Makes another text of a text, or leaves it.
pub(crate) type Edit<'a> = &'a mut dyn FnMut(&str, Where) -> Option<String>;

fn edit_message(message: &mut Message, edit: Edit<'_>) -> bool {
    let mut edited = false;
    if message.parts.is_empty() {
        if let Some(content) = edit(&message.content, Where::Said) {
            (message.content, edited) = (content, true);
        }
    } else {
        for part in &mut message.parts {
            edited |= edit_value(part, Where::Said, edit);
        }
        // As a message is read: its parts' texts, one after the other.
        let texts = message.parts.iter();
        let texts = texts.filter_map(|part| part.as_str().or(part.get("text")?.as_str()));
        message.content = texts.collect();
    }
    for value in message.extra.values_mut() {
        edited |= edit_value(value, Where::Field, edit);
    }
    edited
}

fn edit_value(value: &mut Value, at: Where, edit: Edit<'_>) -> bool {
    match value {
        Value::String(text) => match edit(text, at) {
            Some(edited) => {
                *text = edited;
                true
            }
            None => false,
        },
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |any, item| edit_value(item, at, edit) | any),
        Value::Object(fields) => fields.iter_mut().fold(false, |any, (name, value)| {
            // The kind of a part is no text.
            any | (name != "type" && edit_value(value, at, edit))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Judged {
    fn begin_with(&mut self, system: &str) {
        let messages = |content: &Content| match content {
            Content::Chat(chat) => chat.messages.len(),
            _ => 0,
        };
        let before = messages(&self.content);
        self.content.begin_with(system);
        self.given += messages(&self.content) - before;
    }

    /// What the model is given.
    pub fn prompt(&self) -> Prompt {
        match &*self.content {
            Content::Chat(chat) => Prompt::Chat(Conversation {
                messages: chat.messages[..self.given].to_vec(),
                tools: chat.tools.clone(),
            }),
            content => content.prompt(),
        }
    }
}

impl TokenRow {
    fn prompt(&self) -> Prompt {
        let end = self.learn.iter().rposition(|learn| *learn);
        let end = end.map_or(0, |at| at + 1);
        let begin = self.breaks.iter().map(|at| *at as usize);
        let begin = begin.take_while(|at| *at < end).last().unwrap_or(0);
        let learned = &self.learn[begin..end];
        let unlearned = learned.iter().rposition(|learn| !learn);
        let start = begin + unlearned.map_or(0, |at| at + 1);
        Prompt::Tokens {
            prompt: self.ids[begin..start].to_vec(),
            answer: self.ids[start..end].to_vec(),
        }
    }
}

fn last_assistant(chat: &Conversation) -> Option<usize> {
    chat.messages.iter().rposition(Message::is_assistant)
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
    fn tokens_are_cut_before_the_last_learned_stretch_of_their_conversation() {
        let row = |learned: &[usize], breaks: &[u32]| TokenRow {
            ids: (10..18).collect(),
            learn: (0..8).map(|at| learned.contains(&at)).collect(),
            breaks: breaks.to_vec(),
            target: String::new(),
        };
        let cut = |row: TokenRow| match row.prompt() {
            Prompt::Tokens { prompt, answer } => (prompt, answer),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            cut(row(&[2, 3, 5, 6], &[])),
            (vec![10, 11, 12, 13, 14], vec![15, 16])
        );
        assert_eq!(cut(row(&[2, 3, 5, 6], &[4, 7])), (vec![14], vec![15, 16]));
        assert_eq!(cut(row(&[4, 5], &[4])), (vec![], vec![14, 15]));
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
