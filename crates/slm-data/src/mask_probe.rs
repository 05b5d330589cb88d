use serde::{Deserialize, Serialize};
use slm_text::{ChatTokenizer, Encoded, Message, TemplateArguments, TextError};

use crate::content::Content;
use crate::error::DataError;
use crate::example::{Example, Prompt};

/// A row with the ids that it became, to be rendered again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// As in [`crate::Example::row`].
    pub row: usize,
    /// Where it came from, as in `train.csv:12`.
    pub origin: String,
    /// What it says.
    pub content: Content,
    /// The ids of all of it, before any cut.
    pub ids: Vec<u32>,
    /// The ids of its prompt, as they are sent to a model that shall answer.
    pub prompt_ids: Vec<u32>,
}

impl Probe {
    /// None for a row that is tokens already: it is rendered by nobody.
    pub(crate) fn of(
        example: &Example,
        tokenizer: &ChatTokenizer,
    ) -> Result<Option<Self>, DataError> {
        let content = example.content.clone();
        if content.is_tokens() {
            return Ok(None);
        }
        let [ids, prompt_ids] =
            rendered(&content, tokenizer, tokenizer.now()).map_err(|source| DataError::Encode {
                origin: example.origin.clone(),
                source,
            })?;
        Ok(Some(Self {
            row: example.row,
            origin: example.origin.to_string(),
            content,
            ids,
            prompt_ids,
        }))
    }

    /// What a tokenizer makes another of, if anything.
    pub(crate) fn difference(
        &self,
        tokenizer: &ChatTokenizer,
        rendered_at: i64,
    ) -> Result<Option<String>, TextError> {
        let now = rendered(&self.content, tokenizer, rendered_at)?;
        for (what, now, then) in [
            ("row", &now[0], &self.ids),
            ("prompt of the row", &now[1], &self.prompt_ids),
        ] {
            if now != then {
                let at = now.iter().zip(then).take_while(|(a, b)| a == b).count();
                let shown = |ids: &[u32]| match ids.get(at) {
                    Some(id) => format!("`{}`", tokenizer.token(*id)),
                    None => "nothing".into(),
                };
                return Ok(Some(format!(
                    "the {what} `{}` becomes other tokens than it was trained with: token {at} is {}, it was {}",
                    self.origin,
                    shown(now),
                    shown(then)
                )));
            }
        }
        Ok(None)
    }
}

/// The ids of a row, and those of its prompt, told the time `now`.
fn rendered(
    content: &Content,
    tokenizer: &ChatTokenizer,
    now: i64,
) -> Result<[Vec<u32>; 2], TextError> {
    let plain = |prompt: &str, completion: &str| -> Result<Vec<u32>, TextError> {
        let Encoded { ids, .. } = tokenizer.encode_pair(prompt, completion, false)?;
        Ok(ids)
    };
    match content {
        Content::Chat(chat) => {
            let render = |messages: &[Message], add_generation_prompt| {
                let arguments = TemplateArguments {
                    add_generation_prompt,
                    tools: chat.tools.clone(),
                    now: Some(now),
                    ..TemplateArguments::default()
                };
                let text = tokenizer.render_with(messages, &arguments)?;
                tokenizer.encode(&text, false)
            };
            let prompt = match content.prompt() {
                // A template may refuse a prompt without any message, or one that another answer follows.
                Prompt::Chat(prompt) => render(&prompt.messages, true).unwrap_or_default(),
                _ => Vec::new(),
            };
            Ok([render(&chat.messages, false)?, prompt])
        }
        Content::Pair { prompt, completion } => {
            Ok([plain(prompt, completion)?, plain(prompt, "")?])
        }
        Content::Text(text) => Ok([plain("", text)?, plain("", "")?]),
        Content::Tokens(row) => Ok([row.ids.clone(), Vec::new()]),
        Content::Preference { chosen: judged, .. } | Content::Rated { answer: judged, .. } => {
            rendered(&judged.content, tokenizer, now)
        }
    }
}
