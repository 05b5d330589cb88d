//! One key of a task, filled with a row.

use serde_json::Value;

use crate::python::literal;
use crate::template::{Fields, Template, as_jinja};

/// What stands under a key such as `doc_to_text`.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Number(i64),
    List(Vec<String>),
    /// A column where the rows have one of this name, else a template.
    Text {
        column: String,
        template: Box<Template>,
    },
}

/// What a key is for a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filled {
    Text(String),
    /// The number of a choice.
    Number(i64),
    List(Vec<Value>),
}

impl Field {
    /// A column, or Jinja.
    pub(crate) fn jinja(text: &str) -> Result<Self, String> {
        Ok(Self::Text {
            column: text.into(),
            template: Box::new(Template::compile(text)?),
        })
    }

    /// A column, a text with `{column}` places, or Jinja.
    pub(crate) fn text(text: &str) -> Result<Self, String> {
        Ok(Self::Text {
            column: text.into(),
            template: Box::new(Template::compile(&as_jinja(text))?),
        })
    }

    /// The value for a row. Digits are a number where they can be that of a choice.
    pub(crate) fn fill(
        &self,
        fields: &Fields,
        columns: &[String],
        has_choices: bool,
    ) -> Result<Filled, String> {
        let (column, template) = match self {
            Self::Number(number) => return Ok(Filled::Number(*number)),
            Self::List(texts) => {
                return Ok(Filled::List(
                    texts.iter().map(|text| text.as_str().into()).collect(),
                ));
            }
            Self::Text { column, template } => (column, template),
        };
        if columns.contains(column) {
            return match fields.get(column) {
                Some(Value::String(text)) => Ok(Filled::Text(text.clone())),
                Some(Value::Array(items)) => Ok(Filled::List(items.clone())),
                Some(Value::Bool(value)) => Ok(Filled::Number(i64::from(*value))),
                Some(Value::Number(number)) => match number.as_i64() {
                    Some(number) => Ok(Filled::Number(number)),
                    None => Ok(Filled::Text(number.to_string())),
                },
                Some(Value::Null) | None => Err(format!("the row's column `{column}` is empty")),
                Some(Value::Object(_)) => Err(format!("the row's column `{column}` is a table")),
            };
        }
        let text = template.fill(fields)?;
        if has_choices && !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            return text
                .parse()
                .map(Filled::Number)
                .map_err(|_| format!("`{text}` is too large a number"));
        }
        Ok(Filled::Text(text))
    }

    /// The value as a list of texts: what choices are.
    pub(crate) fn texts(&self, fields: &Fields, columns: &[String]) -> Result<Vec<String>, String> {
        let list = match self.fill(fields, columns, false)? {
            Filled::List(items) => Some(items),
            Filled::Text(text) => match literal(&text) {
                Some(Value::Array(items)) => Some(items),
                _ => return Err(format!("`{text}` is no list of choices")),
            },
            Filled::Number(_) => None,
        };
        let texts = list.unwrap_or_default().into_iter().map(|item| match item {
            Value::String(text) => Ok(text),
            other => Err(format!("the choice {other} is no text")),
        });
        texts.collect()
    }

    /// The value as a text.
    pub(crate) fn as_text(&self, fields: &Fields, columns: &[String]) -> Result<String, String> {
        match self.fill(fields, columns, false)? {
            Filled::Text(text) => Ok(text),
            Filled::Number(number) => Ok(number.to_string()),
            Filled::List(_) => Err("is a list, needs a text".into()),
        }
    }

    /// What was written under the key, for messages.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Text { template, .. } => template.source(),
            Self::Number(_) | Self::List(_) => "",
        }
    }
}

impl Filled {
    /// A target that reads like a list of Python is one.
    pub(crate) fn into_target(self) -> Self {
        match self {
            Self::Text(text) if text.len() >= 2 && text.starts_with('[') && text.ends_with(']') => {
                match literal(&text) {
                    Some(Value::Array(items)) => Self::List(items),
                    _ => Self::Text(text),
                }
            }
            other => other,
        }
    }
}
