//! What trained and exported model are both given.

use serde::{Deserialize, Serialize};
use slm_text::{ChatTokenizer, Conversation, TemplateArguments, TextError};

/// A held-out row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Where the row came from, as in `train.csv:12`.
    pub origin: String,
    /// What a deployed model is given of it.
    pub prompt: ProbePrompt,
    /// The ids of the whole row, answer included, as they were trained on. Models are compared at each of them.
    pub ids: Vec<u32>,
}

/// A prompt before it is tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbePrompt {
    /// Messages for the chat template, with the header of the answer behind them.
    Chat(Conversation),
    /// A text that is taken as it is.
    Text(String),
    /// The row was ids from the beginning: there is no text.
    Ids,
}

impl Probe {
    /// The text that a tokenizer makes of the prompt; `None` where there is none.
    ///
    /// # Errors
    /// The chat template refuses it, or is missing.
    pub(crate) fn render(&self, tokenizer: &ChatTokenizer) -> Result<Option<String>, TextError> {
        match &self.prompt {
            ProbePrompt::Chat(conversation) => {
                let arguments = TemplateArguments {
                    add_generation_prompt: true,
                    tools: conversation.tools.clone(),
                    ..TemplateArguments::default()
                };
                let text = tokenizer.render_with(&conversation.messages, &arguments)?;
                Ok(Some(text))
            }
            ProbePrompt::Text(text) => Ok(Some(text.clone())),
            ProbePrompt::Ids => Ok(None),
        }
    }

    /// The ids of the rendered prompt `text`: what a template writes is whole, a text gets what the model expects around it.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub(crate) fn encode(
        &self,
        tokenizer: &ChatTokenizer,
        text: &str,
    ) -> Result<Vec<u32>, TextError> {
        let is_bare = matches!(self.prompt, ProbePrompt::Text(_));
        tokenizer.encode(text, is_bare)
    }
}
