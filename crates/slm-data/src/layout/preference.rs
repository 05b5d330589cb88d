use serde_json::Value;
use slm_text::{Conversation, Message};

use super::tokenized::{TokenColumns, token_row};
use super::{Cells, ChatColumns, Found};
use crate::content::{Content, Judged};
use crate::error::{DataError, NeededBy, json_kind};

/// How rows with judged answers are read, as TRL's trainers read theirs.
///
/// A prompt is a text, a list of messages, or not there: then it is what the two answers have in common at their start. An
/// answer is a text, a message, or a list of messages. Rows may be tokens already. Of an answer that was judged alone, prompt and
/// answer may be one conversation.
#[derive(Clone, Debug)]
pub(super) enum Judging<'a> {
    /// `chosen` and `rejected`.
    Pairs(Answers<'a>),
    /// `completion` and `label`.
    Rated(Answers<'a>),
    /// `label`, and a column of messages whose last one is the answer.
    Closing(String),
}

/// How answers are read.
#[derive(Clone, Debug)]
pub(super) enum Answers<'a> {
    /// Texts and messages.
    Said {
        /// Column of the prompt; none where the answers begin with it.
        prompt: Option<String>,
        /// Whether two texts become a conversation of user and assistant.
        chat: bool,
    },
    /// Lists of ids.
    Tokens(TokenColumns<'a>),
}

/// The content of a column.
enum Said {
    Text(String),
    Messages(Vec<Message>),
}

impl<'a> Judging<'a> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pairs(_) => "preference",
            Self::Rated(_) | Self::Closing(_) => "unpaired_preference",
        }
    }

    fn needed_by(&self) -> NeededBy {
        NeededBy::Format(self.name())
    }

    pub(super) fn content(&self, cells: &Cells) -> Result<Content, DataError> {
        match self {
            Self::Pairs(Answers::Tokens(columns)) => Ok(Content::Preference {
                chosen: tokens(cells, columns, "chosen_ids", self.needed_by())?,
                rejected: tokens(cells, columns, "rejected_ids", self.needed_by())?,
            }),
            Self::Rated(Answers::Tokens(columns)) => Ok(Content::Rated {
                answer: tokens(cells, columns, "completion_ids", self.needed_by())?,
                desirable: desirable(cells, self.needed_by())?,
            }),
            Self::Pairs(Answers::Said { prompt, chat }) => {
                let chosen = said(cells, cells.name("chosen"), self.needed_by())?;
                let rejected = said(cells, cells.name("rejected"), self.needed_by())?;
                let prompt = match prompt {
                    Some(column) => Some(said(cells, column, self.needed_by())?),
                    None => None,
                };
                let (prompt, chosen, rejected) = apart(cells, prompt, chosen, rejected)?;
                Ok(Content::Preference {
                    chosen: judged(cells, "chosen", &prompt, chosen, *chat)?,
                    rejected: judged(cells, "rejected", &prompt, rejected, *chat)?,
                })
            }
            Self::Rated(Answers::Said { prompt, chat }) => {
                let column = prompt.as_deref().unwrap_or("prompt");
                let prompt = said(cells, column, self.needed_by())?;
                let answer = said(cells, cells.name("completion"), self.needed_by())?;
                Ok(Content::Rated {
                    answer: judged(cells, "completion", &prompt, answer, *chat)?,
                    desirable: desirable(cells, self.needed_by())?,
                })
            }
            Self::Closing(column) => Ok(Content::Rated {
                answer: closing(cells, column, self.needed_by())?,
                desirable: desirable(cells, self.needed_by())?,
            }),
        }
    }
}

impl Answers<'_> {
    /// Column of the prompt of rows that are not tokens: `prompt`, or the list of messages that LLaMA-Factory's files have.
    pub(super) fn prompt_column(found: &Found) -> Option<String> {
        let named = found.name("prompt").to_owned();
        match found.get(&named).is_some() {
            true => Some(named),
            false => messages_column(found),
        }
    }

    /// Whether the rows become conversations, told by the first of them.
    pub(super) fn makes_conversations(&self, found: &Found, answer: &str) -> bool {
        match self {
            Self::Tokens(_) => false,
            Self::Said { chat: true, .. } => true,
            Self::Said { .. } => {
                let answer = found.get(found.name(answer));
                answer.is_some_and(|value| !value.is_string())
            }
        }
    }
}

/// The column with a list of messages.
pub(super) fn messages_column(found: &Found) -> Option<String> {
    let named = found.name("messages");
    let mut names = [named, "messages", "conversations"].into_iter();
    let column = names.find(|name| found.get(name).is_some_and(Value::is_array))?;
    Some(column.to_owned())
}

/// What a column says.
fn said(cells: &Cells, column: &str, needed_by: NeededBy) -> Result<Said, DataError> {
    let list = match cells.row.fields.get(column) {
        None => return Err(cells.missing(column, needed_by)),
        Some(Value::String(text)) => return Ok(Said::Text(text.clone())),
        Some(Value::Array(list)) => &list[..],
        Some(message @ Value::Object(_)) => std::slice::from_ref(message),
        Some(other) => {
            return Err(cells.wrong(column, json_kind(other), "a text or a list of messages"));
        }
    };
    let columns = ChatColumns::of_list(column, list, cells.names);
    let messages = list.iter().enumerate();
    let messages = messages.map(|(at, message)| columns.message(cells, at, message));
    Ok(Said::Messages(messages.collect::<Result<_, _>>()?))
}

/// Prompt and answers of a pair. Where there is no prompt, or one that is a text beside whole conversations, the prompt is
/// what the answers begin with.
fn apart(
    cells: &Cells,
    prompt: Option<Said>,
    chosen: Said,
    rejected: Said,
) -> Result<(Said, Said, Said), DataError> {
    match (prompt, chosen, rejected) {
        (Some(Said::Text(_)) | None, Said::Messages(chosen), Said::Messages(rejected)) => {
            let shared = chosen.iter().zip(&rejected);
            let shared = shared.take_while(|(a, b)| a == b).count();
            let split = |mut messages: Vec<Message>| {
                let answer = messages.split_off(shared);
                (Said::Messages(messages), Said::Messages(answer))
            };
            let (prompt, chosen) = split(chosen);
            Ok((prompt, chosen, split(rejected).1))
        }
        (None, Said::Text(chosen), Said::Text(rejected)) => {
            let at = shared_text(&chosen, &rejected);
            let split = |text: &str| Said::Text(text[at..].to_owned());
            let (one, other) = (split(&chosen), split(&rejected));
            Ok((Said::Text(chosen[..at].to_owned()), one, other))
        }
        (Some(prompt), chosen, rejected) => Ok((prompt, chosen, rejected)),
        (None, Said::Text(_), Said::Messages(_)) => Err(cells.wrong(
            cells.name("rejected"),
            "a list of messages",
            "a text, as in `chosen`,",
        )),
        (None, Said::Messages(_), Said::Text(_)) => Err(cells.wrong(
            cells.name("rejected"),
            "a text",
            "a list of messages, as in `chosen`,",
        )),
    }
}

/// How many bytes two texts have in common at their start; a blank before the difference belongs to the answers.
fn shared_text(a: &str, b: &str) -> usize {
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    let at: usize = shared.map(|(a, _)| a.len_utf8()).sum();
    at - usize::from(a[..at].ends_with(' '))
}

fn judged(
    cells: &Cells,
    column: &'static str,
    prompt: &Said,
    answer: Said,
    chat: bool,
) -> Result<Judged, DataError> {
    let name = cells.name(column);
    let (given, answers) = match (prompt, answer) {
        (Said::Text(prompt), Said::Text(answer)) if !chat => {
            if answer.is_empty() {
                return Err(cells.wrong(name, "no answer of its own", "one"));
            }
            let (prompt, completion) = (prompt.clone(), answer);
            return Ok(Judged {
                content: Content::Pair { prompt, completion }.into(),
                given: 0,
            });
        }
        (Said::Text(_), Said::Messages(_)) => {
            return Err(cells.wrong(name, "a list of messages", "a text, as in the prompt,"));
        }
        (prompt, answer) => (messages("user", prompt), messages("assistant", &answer)),
    };
    if !answers.iter().any(Message::is_assistant) {
        return Err(cells.wrong(name, "no message of the assistant", "one behind the prompt"));
    }
    let chat = Conversation {
        messages: [given.clone(), answers].concat(),
        tools: ChatColumns::tools(cells)?,
    };
    Ok(Judged {
        content: Content::Chat(chat).into(),
        given: given.len(),
    })
}

/// A conversation whose last message is the answer that was judged.
fn closing(cells: &Cells, column: &str, needed_by: NeededBy) -> Result<Judged, DataError> {
    let Said::Messages(messages) = said(cells, column, needed_by)? else {
        return Err(cells.wrong(column, "a text", "a list of messages"));
    };
    let needed = "a last message of the assistant, which was judged,";
    match messages.split_last() {
        None => return Err(cells.wrong(column, "no messages", needed)),
        Some((last, _)) if !last.is_assistant() => {
            let found = format!("a last message of `{}`", last.role);
            return Err(cells.wrong(column, &found, needed));
        }
        Some(_) => {}
    }
    let given = messages.len() - 1;
    let tools = ChatColumns::tools(cells)?;
    let content = Content::Chat(Conversation { messages, tools }).into();
    Ok(Judged { content, given })
}

/// Messages as they are; a text as one message of `role`.
fn messages(role: &str, said: &Said) -> Vec<Message> {
    match said {
        Said::Messages(messages) => messages.clone(),
        Said::Text(text) => vec![Message::new(role, text)],
    }
}

fn tokens(
    cells: &Cells,
    columns: &TokenColumns,
    answer: &'static str,
    needed_by: NeededBy,
) -> Result<Judged, DataError> {
    let row = token_row(cells, columns, "prompt_ids", answer, needed_by)?;
    Ok(Judged {
        content: Content::Tokens(row).into(),
        given: 0,
    })
}

/// The judgement: `true` or `false`, or what stands for them in files that have no such values.
fn desirable(cells: &Cells, needed_by: NeededBy) -> Result<bool, DataError> {
    let column = cells.name("label");
    let value = cells
        .get("label")
        .ok_or_else(|| cells.missing(column, needed_by))?;
    let known = match value {
        Value::Bool(label) => Some(*label),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    known.ok_or_else(|| {
        let found = match value {
            Value::Array(_) | Value::Object(_) | Value::Null => json_kind(value).to_owned(),
            other => format!("`{}`", other.to_string().trim_matches('"')),
        };
        cells.wrong(column, &found, "true (desirable) or false")
    })
}
