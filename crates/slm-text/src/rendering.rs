//! Messages to text, through the chat template.

use chrono::DateTime;
use minijinja::value::{Serde, Value};
use serde_json::{Map, json};

use crate::chat_template::{MARKS, strftime_at};
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
    /// What `strftime_now` tells, in seconds since 1970, instead of the tokenizer's own time.
    pub now: Option<i64>,
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
        self.render_values(self.values(messages)?, arguments, None)
    }

    /// The ids of a prompt: `messages`, then the header of the answer.
    ///
    /// No special token is added beyond those that the template writes.
    pub fn render_prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, TextError> {
        self.encode(&self.render(messages, true)?, false)
    }

    /// Renders messages that are template values already, with `marks` around what `{% generation %}` blocks write.
    ///
    /// As in transformers, `tools` and `documents` are `none` when there are none, and a special token that the model
    /// lacks stays undefined and so renders as nothing.
    pub(crate) fn render_values(
        &self,
        messages: Vec<Value>,
        arguments: &TemplateArguments,
        marks: Option<[&str; 2]>,
    ) -> Result<String, TextError> {
        let template = self.require_template()?;
        let tokens = self.template_tokens.iter();
        let tokens = tokens.map(|(key, text)| (key.as_str(), Value::from(text.as_str())));
        let now = arguments
            .now
            .and_then(|at| DateTime::from_timestamp(at, 0))
            .unwrap_or(self.now);
        let given = [
            ("messages", Value::from(messages)),
            ("tools", list_or_none(&arguments.tools)),
            ("documents", list_or_none(&arguments.documents)),
            (
                "add_generation_prompt",
                Value::from(arguments.add_generation_prompt),
            ),
            ("strftime_now", strftime_at(now)),
        ];
        let marks = marks.map(|marks| (MARKS, Value::from(marks.map(Value::from).to_vec())));
        let extra = arguments.extra.iter();
        let extra = extra.map(|(key, value)| (key.as_str(), Value::from(Serde(value))));
        let variables = Value::from_pairs(tokens.chain(given).chain(marks).chain(extra));
        template.render(variables, !arguments.tools.is_empty())
    }

    /// Messages as the template sees them. Contents that are lists of parts stay lists where the template reads them;
    /// any other gets their text.
    pub(crate) fn values(&self, messages: &[Message]) -> Result<Vec<Value>, TextError> {
        let has_parts = messages.iter().any(|message| !message.parts.is_empty());
        let joined = has_parts && !self.template_reads_parts()?;
        let value = |message: &Message| {
            let mut message = with_reasoning_names(message);
            if joined {
                message.parts.clear();
            }
            Value::from(Serde(&message))
        };
        Ok(messages.iter().map(value).collect())
    }

    /// Whether the template makes the same of a text and of a list with that text as its one part.
    fn template_reads_parts(&self) -> Result<bool, TextError> {
        let probe = Message::new("user", "standin");
        let parts = vec![json!({"type": "text", "text": probe.content})];
        let in_parts = Message {
            parts,
            ..probe.clone()
        };
        let render = |message: &Message| {
            self.render_values(
                vec![Value::from(Serde(message))],
                &TemplateArguments::default(),
                None,
            )
        };
        self.require_template()?;
        Ok(match (render(&probe), render(&in_parts)) {
            (Ok(text), Ok(in_parts)) => text == in_parts,
            _ => false,
        })
    }
}

/// What a model thought has three names in the files; a template may read any of them (as transformers gives them).
fn with_reasoning_names(message: &Message) -> Message {
    let mut message = message.clone();
    let names = ["reasoning_content", "thinking", "reasoning"];
    let thought = names
        .iter()
        .find_map(|name| message.extra.get(*name).filter(|value| !value.is_null()));
    if let Some(thought) = thought.cloned() {
        message.extra.entry("thinking").or_insert(thought.clone());
        message.extra.insert("reasoning_content".into(), thought);
    }
    message
}

fn list_or_none(items: &[serde_json::Value]) -> Value {
    match items {
        [] => Value::from(()),
        items => Value::from(Serde(items)),
    }
}
