//! How the rows of a source are read: which columns hold what.

mod alpaca;
mod cells;
mod chat;
mod found;
mod preference;
mod tokenized;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use slm_recipe::{Format, Source};
use slm_text::ChatTokenizer;

use self::alpaca::alpaca;
use self::cells::Cells;
use self::chat::ChatColumns;
use self::found::Found;
pub(crate) use self::found::Head;
use self::preference::{Answers, Judging, messages_column};
use self::tokenized::tokens;
use crate::content::Content;
use crate::error::{DataError, NeededBy, json_kind, nearest};
use crate::reading::Reader;
use crate::source::Row;
use crate::template::Template;

/// The names that `columns` of a source can give to columns of its file.
pub(crate) const NAMES: [&str; 23] = [
    "messages",
    "role",
    "content",
    "system",
    "tools",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "history",
    "text",
    "input_ids",
    "labels",
    "position_ids",
    "attention_mask",
    "chosen",
    "rejected",
    "label",
    "prompt_ids",
    "chosen_ids",
    "rejected_ids",
    "completion_ids",
];

/// Longest text of a column that tells results apart.
const SLICE_BYTES: usize = 64;

/// How the rows of one source are read.
#[derive(Clone, Debug)]
pub(crate) struct Layout<'a> {
    shape: Shape<'a>,
    system: Option<String>,
    names: BTreeMap<String, String>,
    roles: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
enum Shape<'a> {
    Chat(ChatColumns),
    Alpaca {
        chat: bool,
    },
    Pair {
        prompt: Side,
        completion: Side,
        chat: bool,
    },
    Text,
    Tokens(&'a ChatTokenizer),
    Judged {
        judging: Judging<'a>,
        /// Whether the answers are messages.
        chat: bool,
    },
}

/// One side of a prompt/completion row.
#[derive(Clone, Debug)]
enum Side {
    Column(String),
    Template(Template),
}

impl<'a> Layout<'a> {
    /// Settles how rows are read, by the first of them where the recipe leaves it open.
    pub(crate) fn resolve(
        source: &Source,
        reader: &Reader<'a>,
        file: &Head,
    ) -> Result<Self, DataError> {
        for name in source.columns.keys() {
            if !NAMES.contains(&name.as_str()) {
                let (path, name) = (source.path.clone(), name.clone());
                return Err(DataError::UnknownColumnName {
                    path,
                    nearest: nearest(&name, NAMES),
                    name,
                });
            }
        }
        let found = Found {
            file,
            names: &source.columns,
        };
        let format = match reader.format {
            Format::Auto if source.prompt.is_some() || source.completion.is_some() => {
                Format::PromptCompletion
            }
            Format::Auto => found.format()?,
            given => given,
        };
        if let Some(shape) = Shape::judged(source, reader, &found, format)? {
            return Self::with(shape, source);
        }
        let templates = source.prompt.is_some() || source.completion.is_some();
        let bare_pair = format == Format::Messages
            && !found.has("messages")
            && found.has("prompt")
            && found.has("completion");
        let shape = match format {
            _ if templates || bare_pair => Shape::pair(source, &found, format == Format::Messages)?,
            Format::Messages | Format::Sharegpt => {
                Shape::Chat(ChatColumns::resolve(&found, format)?)
            }
            Format::Alpaca => {
                found.need(&["instruction", "output"], NeededBy::Format("alpaca"))?;
                Shape::Alpaca {
                    chat: reader.has_template,
                }
            }
            Format::Text => {
                found.need(&["text"], NeededBy::Format("text"))?;
                Shape::Text
            }
            Format::Tokenized => {
                found.need(&["input_ids", "labels"], NeededBy::Format("tokenized"))?;
                Shape::Tokens(reader.tokenizer.ok_or_else(|| DataError::NoTokenizer {
                    path: source.path.clone(),
                })?)
            }
            _ => Shape::pair(source, &found, false)?,
        };
        Self::with(shape, source)
    }

    fn with(shape: Shape<'a>, source: &Source) -> Result<Self, DataError> {
        let layout = Self {
            shape,
            system: source.system.clone(),
            names: source.columns.clone(),
            roles: source.roles.clone(),
        };
        match (&layout.system, layout.without_messages()) {
            (Some(_), Some(format)) => Err(DataError::SystemWithoutMessages {
                path: source.path.clone(),
                format,
            }),
            _ => Ok(layout),
        }
    }

    fn without_messages(&self) -> Option<&'static str> {
        match &self.shape {
            Shape::Text => Some("text"),
            Shape::Tokens(_) => Some("tokenized"),
            Shape::Judged {
                chat: false,
                judging,
            } => Some(judging.name()),
            Shape::Pair { chat: false, .. } => Some("prompt/completion"),
            Shape::Alpaca { chat: false } => Some("Alpaca (the tokenizer has no chat template)"),
            _ => None,
        }
    }

    /// What the rows are read as.
    pub(crate) fn format(&self) -> Format {
        match &self.shape {
            Shape::Chat(columns) => columns.format(),
            Shape::Alpaca { .. } => Format::Alpaca,
            Shape::Pair { .. } => Format::PromptCompletion,
            Shape::Text => Format::Text,
            Shape::Tokens(_) => Format::Tokenized,
            Shape::Judged { judging, .. } => match judging {
                Judging::Pairs(_) => Format::Preference,
                Judging::Rated(_) | Judging::Closing(_) => Format::UnpairedPreference,
            },
        }
    }

    /// Whether rows become conversations, which need a chat template.
    pub(crate) fn makes_conversations(&self) -> bool {
        self.without_messages().is_none()
    }

    /// What a row says.
    pub(crate) fn content(&self, row: &Row) -> Result<Content, DataError> {
        let cells = Cells {
            row,
            names: &self.names,
            roles: &self.roles,
        };
        let mut content = match &self.shape {
            Shape::Chat(columns) => Content::Chat(columns.conversation(&cells)?),
            Shape::Alpaca { chat } => alpaca(&cells, *chat)?,
            Shape::Pair {
                prompt,
                completion,
                chat,
            } => {
                let (prompt, completion) = (
                    prompt.text(&cells, "prompt")?,
                    completion.text(&cells, "completion")?,
                );
                match chat {
                    true => Content::user_and_assistant(prompt, completion),
                    false => Content::Pair { prompt, completion },
                }
            }
            Shape::Text => Content::Text(cells.text("text", NeededBy::Format("text"))?.to_owned()),
            Shape::Tokens(tokenizer) => Content::Tokens(tokens(&cells, tokenizer)?),
            Shape::Judged { judging, .. } => judging.content(&cells)?,
        };
        let own = cells.optional_text("system")?.map(str::to_owned);
        if let Some(system) = own.or_else(|| self.system.clone()) {
            content.begin_with(&system);
        }
        Ok(content)
    }

    /// Short columns that the prompt does not use.
    pub(crate) fn slices(&self, row: &Row) -> BTreeMap<String, String> {
        let used = self.prompt_columns();
        let short = row
            .fields
            .iter()
            .filter(|(column, _)| !used.contains(column.as_str()))
            .filter_map(|(column, value)| {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Bool(_) | Value::Number(_) => value.to_string(),
                    _ => return None,
                };
                (text.len() <= SLICE_BYTES).then(|| (column.clone(), text))
            });
        short.collect()
    }

    fn prompt_columns(&self) -> BTreeSet<&str> {
        let named = |name: &'static str| self.names.get(name).map_or(name, String::as_str);
        match &self.shape {
            Shape::Chat(_) => [named("system")].into(),
            Shape::Alpaca { .. } => ["instruction", "input", "system"].map(named).into(),
            Shape::Pair {
                prompt: Side::Column(column),
                ..
            } => [column.as_str()].into(),
            Shape::Pair {
                prompt: Side::Template(template),
                ..
            } => template.columns().collect(),
            Shape::Text => [named("text")].into(),
            Shape::Tokens(_) => BTreeSet::new(),
            Shape::Judged { .. } => ["prompt", "system", "chosen", "rejected", "completion"]
                .map(named)
                .into(),
        }
    }
}

impl<'a> Shape<'a> {
    /// Rows with judged answers; none for other formats.
    fn judged(
        source: &Source,
        reader: &Reader<'a>,
        found: &Found,
        format: Format,
    ) -> Result<Option<Self>, DataError> {
        let pairs = match format {
            Format::Preference => true,
            Format::UnpairedPreference => false,
            // Texts become conversations, as `messages` makes them of prompt and completion.
            Format::Messages if found.has("chosen") && found.has("rejected") => true,
            _ => return Ok(None),
        };
        let has_answer = pairs || found.has("completion") || found.has("completion_ids");
        let whole = messages_column(found).filter(|_| !has_answer);
        if let Some(messages) = whole {
            found.need(&["label"], NeededBy::Format("unpaired_preference"))?;
            let judging = Judging::Closing(messages);
            return Ok(Some(Self::Judged {
                judging,
                chat: true,
            }));
        }
        let needed = match pairs {
            true => [["chosen_ids", "rejected_ids"], ["chosen", "rejected"]],
            false => [["completion_ids", "label"], ["completion", "label"]],
        };
        let has_tokens = found.has("prompt_ids") && found.has(needed[0][0]);
        let needed_by = NeededBy::Format(match pairs {
            true => "preference",
            false => "unpaired_preference",
        });
        let answers = if has_tokens {
            found.need(&needed[0], needed_by)?;
            Answers::Tokens(reader.tokenizer.ok_or_else(|| DataError::NoTokenizer {
                path: source.path.clone(),
            })?)
        } else {
            found.need(&needed[1], needed_by)?;
            let prompt = Answers::prompt_column(found);
            if prompt.is_none() && !pairs {
                found.need(&["prompt"], needed_by)?;
            }
            let chat = format == Format::Messages;
            Answers::Said { prompt, chat }
        };
        let chat = answers.makes_conversations(found, needed[1][0]);
        let judging = match pairs {
            true => Judging::Pairs(answers),
            false => Judging::Rated(answers),
        };
        Ok(Some(Self::Judged { judging, chat }))
    }

    fn pair(source: &Source, found: &Found, chat: bool) -> Result<Self, DataError> {
        let side = |template: &Option<String>, name: &'static str| -> Result<Side, DataError> {
            let Some(template) = template else {
                found.need(&[name], NeededBy::Format("prompt_completion"))?;
                return Ok(Side::Column(found.name(name).to_owned()));
            };
            let template = Template::parse(template)?;
            for column in template.columns() {
                found.need_column(column, NeededBy::Template(name))?;
            }
            Ok(Side::Template(template))
        };
        Ok(Self::Pair {
            prompt: side(&source.prompt, "prompt")?,
            completion: side(&source.completion, "completion")?,
            chat,
        })
    }
}

impl Side {
    fn text(&self, cells: &Cells, name: &'static str) -> Result<String, DataError> {
        match self {
            Self::Column(_) => Ok(cells
                .text(name, NeededBy::Format("prompt_completion"))?
                .to_owned()),
            Self::Template(template) => template.fill(&cells.row.fields).map_err(|column| {
                match cells.row.fields.get(column) {
                    Some(value) => {
                        cells.wrong(column, json_kind(value), "a value for the template")
                    }
                    None => cells.missing(column, NeededBy::Template(name)),
                }
            }),
        }
    }
}
