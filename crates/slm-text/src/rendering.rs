//! Messages to text, through the chat template.

use minijinja::value::{Serde, Value};
use serde_json::Map;

use crate::chat_template::strftime_at;
use crate::{ChatTokenizer, Message, TextError};

/// What a chat template may read besides the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateArguments {
    /// Whether to end with the header of an answer that is still to be written.
    pub add_generation_prompt: bool,
    /// Tool descriptions (JSON schemas).
    pub tools: Vec<serde_json::Value>,
    /// Documents to answer from.
    pub documents: Vec<serde_json::Value>,
    /// Further variables, such as `enable_thinking`.
    pub extra: Map<String, serde_json::Value>,
}

impl ChatTokenizer {
    /// Renders `messages` through the chat template.
    ///
    /// # Errors
    /// There is no template, or it refuses the messages.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let arguments = TemplateArguments {
            add_generation_prompt,
            ..TemplateArguments::default()
        };
        self.render_with(messages, &arguments)
    }

    /// Renders `messages` with tools, documents and further variables.
    pub fn render_with(
        &self,
        messages: &[Message],
        arguments: &TemplateArguments,
    ) -> Result<String, TextError> {
        self.render_values(values(messages), arguments)
    }

    /// The ids of a prompt: `messages`, then the header of the answer.
    ///
    /// No special token is added beyond those that the template writes.
    pub fn render_prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, TextError> {
        self.encode(&self.render(messages, true)?, false)
    }

    /// Renders messages that are template values already.
    ///
    /// As in transformers, `tools` and `documents` are `none` when there are none, and a special token that the model
    /// lacks stays undefined and so renders as nothing.
    pub(crate) fn render_values(
        &self,
        messages: Vec<Value>,
        arguments: &TemplateArguments,
    ) -> Result<String, TextError> {
        let template = self.require_template()?;
        let tokens = self.template_tokens.iter();
        let tokens = tokens.map(|(key, text)| (key.as_str(), Value::from(text.as_str())));
        let given = [
            ("messages", Value::from(messages)),
            ("tools", list_or_none(&arguments.tools)),
            ("documents", list_or_none(&arguments.documents)),
            (
                "add_generation_prompt",
                Value::from(arguments.add_generation_prompt),
            ),
            ("strftime_now", strftime_at(self.now)),
        ];
        let extra = arguments.extra.iter();
        let extra = extra.map(|(key, value)| (key.as_str(), Value::from(Serde(value))));
        let variables = Value::from_pairs(tokens.chain(given).chain(extra));
        template.render(variables, !arguments.tools.is_empty())
    }
}

/// Messages as a template sees them.
pub(crate) fn values(messages: &[Message]) -> Vec<Value> {
    let value = |message| Value::from(Serde(message));
    messages.iter().map(value).collect()
}

fn list_or_none(items: &[serde_json::Value]) -> Value {
    match items {
        [] => Value::from(()),
        items => Value::from(Serde(items)),
    }
}
