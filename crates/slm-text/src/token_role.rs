//! Whose a token is.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Message;

/// Whose a token of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRole {
    /// What the chat template, or the tokenizer, writes around the messages: headers, line breaks, BOS.
    Template,
    /// A message of the role `system` or `developer`.
    System,
    /// A message of the role `user`.
    User,
    /// A message of the role `assistant`.
    Assistant,
    /// What a tool answered.
    Tool,
    /// A message of another role.
    Other,
    /// The prompt of a row of prompt and completion.
    Prompt,
    /// The completion of such a row.
    Completion,
    /// A row of plain text.
    Text,
    /// A row that was tokens already.
    Tokens,
    /// The token that ends an answer, and white space that is learned behind it.
    End,
    /// In a conversation whose messages cannot be told apart, everything that the assistant did not write.
    Unplaced,
}

impl TokenRole {
    /// As it is written in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other => "other",
            Self::End => "end of turn",
            Self::Unplaced => "not told apart",
            Self::Prompt => "prompt",
            Self::Completion => "completion",
            Self::Text => "text",
            Self::Tokens => "tokens",
        }
    }

    /// Whether a message of this role was given to the model, and not written by it.
    pub fn is_given(self) -> bool {
        matches!(
            self,
            Self::System | Self::User | Self::Tool | Self::Other | Self::Prompt
        )
    }

    pub(crate) fn of(message: &Message) -> Self {
        match message.role.as_str() {
            "system" | "developer" => Self::System,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" | "ipython" | "function" | "observation" => Self::Tool,
            _ => Self::Other,
        }
    }
}

/// Roles of the bytes of a text: those of `first` where it has one, else those of `second`, else `rest`.
#[derive(Debug)]
pub(crate) struct RoleMap {
    pub(crate) first: Vec<(Range<usize>, TokenRole)>,
    pub(crate) second: Vec<(Range<usize>, TokenRole)>,
    pub(crate) rest: TokenRole,
}

impl RoleMap {
    /// The role of the byte at a place.
    pub(crate) fn at(&self, place: usize) -> TokenRole {
        let find = |ranges: &[(Range<usize>, TokenRole)]| {
            let next = ranges.partition_point(|(range, _)| range.end <= place);
            let (range, role) = ranges.get(next)?;
            range.contains(&place).then_some(*role)
        };
        find(&self.first)
            .or_else(|| find(&self.second))
            .unwrap_or(self.rest)
    }
}
