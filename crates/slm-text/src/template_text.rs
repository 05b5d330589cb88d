//! Where a chat template's text comes from.

use std::path::Path;

use serde::Deserialize;

use crate::TextError;

/// A chat template's text and where it came from.
#[derive(Debug)]
pub(crate) struct TemplateText {
    /// The file's name, for errors.
    pub(crate) origin: String,
    pub(crate) text: String,
    /// The variant for conversations with tools, where there is one.
    pub(crate) tool_use: Option<String>,
}

impl TemplateText {
    /// A chat template from a file of its own.
    pub(crate) fn read(path: &Path) -> Result<TemplateText, TextError> {
        Self::parse(path, &fs_err::read(path)?)
    }

    /// The content of the file at `path`.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<TemplateText, TextError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!("`{}` is not UTF-8: {error}", path.display()),
            )
        })?;
        Ok(TemplateText {
            origin: path.display().to_string(),
            text: text.into(),
            tool_use: None,
        })
    }
}

/// `chat_template` in `tokenizer_config.json`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum TemplateField {
    One(String),
    Named(Vec<NamedTemplate>),
}

/// One of several templates.
#[derive(Debug, Deserialize)]
pub(crate) struct NamedTemplate {
    name: String,
    template: String,
}

impl TemplateField {
    /// The template named `default`, with the one named `tool_use`, or the only one.
    pub(crate) fn choose(&self, origin: &str) -> Result<TemplateText, TextError> {
        let origin = origin.to_string();
        let named = match self {
            TemplateField::One(text) => {
                let (text, tool_use) = (text.clone(), None);
                return Ok(TemplateText {
                    origin,
                    text,
                    tool_use,
                });
            }
            TemplateField::Named(named) => named,
        };
        let find = |name| {
            let entry = named.iter().find(|entry| entry.name == name);
            entry.map(|entry| entry.template.clone())
        };
        let Some(text) = find("default") else {
            let names = named
                .iter()
                .map(|entry| format!("`{}`", entry.name))
                .collect();
            return Err(TextError::AmbiguousTemplate { names });
        };
        let tool_use = find("tool_use");
        Ok(TemplateText {
            origin,
            text,
            tool_use,
        })
    }
}
