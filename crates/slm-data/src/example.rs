use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slm_text::{Conversation, Message};

use crate::origin::Origin;

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

/// What is given to a model so that it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Messages up to the answer: render them with a generation prompt.
    Chat(Conversation),
    /// Text up to the answer; empty for rows of plain text.
    Text(String),
    /// The ids of a conversation up to its answer, and those of the answer: the last stretch that is learned.
    Tokens {
        /// What the model is given.
        prompt: Vec<u32>,
        /// What it should say, as [`HeldOut::target`] does in text.
        answer: Vec<u32>,
    },
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
            Self::Tokens(row) => row.prompt(),
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
            Self::Tokens(row) => &row.target,
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
