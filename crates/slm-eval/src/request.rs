//! Items as the ids that a model is asked about: the same ids that training saw.

use slm_data::{HeldOut, Prompt};
use slm_text::{
    ChatTokenizer, Encoded, Learned, Message, TemplateArguments, TextError, TrainOnSpec,
};

use crate::error::EvalError;

/// Encodes the items of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding<'a> {
    pub(crate) task: &'a str,
    pub(crate) tokenizer: &'a ChatTokenizer,
    /// Whether an answer ends with the token that ends it, as `data.train_on_eos` says for training.
    pub(crate) eos: bool,
    /// Tokens that the model can read.
    pub(crate) limit: usize,
}

/// A prompt and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Never empty.
    pub(crate) prompt: Vec<u32>,
    /// Never empty.
    pub(crate) answer: Vec<u32>,
}

/// A prompt and the answers to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choices {
    /// What all of them begin with.
    pub(crate) prompt: Vec<u32>,
    /// What follows it, one per choice.
    pub(crate) continuations: Vec<Vec<u32>>,
    /// How many tokens of each continuation still belong to the prompt. Zero, unless the tokenizer joins the end of the
    /// prompt with the beginning of an answer.
    pub(crate) unscored: Vec<usize>,
}

impl Encoding<'_> {
    /// The prompt alone, with the header of the answer.
    pub(crate) fn prompt(&self, item: &HeldOut) -> Result<Vec<u32>, EvalError> {
        let encoded = match &item.prompt {
            Prompt::Chat(chat) => {
                let arguments = TemplateArguments {
                    add_generation_prompt: true,
                    tools: chat.tools.clone(),
                    ..TemplateArguments::default()
                };
                self.tokenizer
                    .render_with(&chat.messages, &arguments)
                    .and_then(|text| self.tokenizer.encode(&text, false))
            }
            Prompt::Text(text) => self
                .tokenizer
                .encode_pair(text, "", false)
                .map(|encoded| encoded.ids),
            Prompt::Tokens { prompt, .. } => Ok(prompt.clone()),
        };
        let prompt = encoded.map_err(|source| self.refused(item, source))?;
        // One token of the answer has to fit as well.
        self.check(item, &prompt, 1)?;
        Ok(prompt)
    }

    /// The prompt with one answer.
    ///
    /// Where nothing stands before a text (no prompt, and a tokenizer without BOS), its first token is not predicted and counts as the prompt.
    pub(crate) fn answered(&self, item: &HeldOut, answer: &str) -> Result<Answered, EvalError> {
        let encoded = self
            .encode(item, answer)
            .map_err(|source| self.refused(item, source))?;
        // The last learned stretch: what a template writes after the end of the turn is not part of the answer.
        let end = encoded.learn.iter().rposition(|learn| *learn);
        let Some(end) = end.filter(|end| *end > 0 && !answer.is_empty()) else {
            return Err(EvalError::EmptyTarget {
                task: self.task.into(),
                origin: item.origin.clone(),
                target: answer.into(),
            });
        };
        let start = encoded.learn[..end]
            .iter()
            .rposition(|learn| !learn)
            .map_or(0, |before| before + 1)
            .max(1);
        let answered = Answered {
            prompt: encoded.ids[..start].to_vec(),
            answer: encoded.ids[start..=end].to_vec(),
        };
        self.check(item, &answered.prompt, answered.answer.len())?;
        Ok(answered)
    }

    /// The prompt with each of the choices, written as the item's own target is: with the white space around it.
    pub(crate) fn choices(&self, item: &HeldOut, choices: &[String]) -> Result<Choices, EvalError> {
        let answered = choices
            .iter()
            .map(|choice| self.answered(item, &dressed_like(&item.target, choice)))
            .collect::<Result<Vec<_>, _>>()?;
        let shared = answered
            .iter()
            .map(|each| common_prefix(&each.prompt, &answered[0].prompt))
            .min()
            .unwrap_or(0);
        let prompt = answered
            .first()
            .map_or_else(Vec::new, |each| each.prompt[..shared].to_vec());
        self.check(item, &prompt, 1)?;
        Ok(Choices {
            unscored: answered
                .iter()
                .map(|each| each.prompt.len() - shared)
                .collect(),
            continuations: answered
                .into_iter()
                .map(|each| [&each.prompt[shared..], &each.answer].concat())
                .collect(),
            prompt,
        })
    }

    fn encode(&self, item: &HeldOut, answer: &str) -> Result<Encoded, TextError> {
        match &item.prompt {
            Prompt::Text(prompt) => self.tokenizer.encode_pair(prompt, answer, self.eos),
            Prompt::Chat(chat) => {
                let mut chat = chat.clone();
                chat.messages.push(Message::new("assistant", answer));
                let spec = TrainOnSpec {
                    which: Learned::LastAssistant,
                    eos: self.eos,
                };
                self.tokenizer.encode_conversation(&chat, spec)
            }
            // The row's own answer is tokens already; any other is a text.
            Prompt::Tokens {
                prompt,
                answer: own,
            } => {
                let ids = match answer == item.target {
                    true => own.clone(),
                    false => self.tokenizer.encode(answer, false)?,
                };
                let learn = [vec![false; prompt.len()], vec![true; ids.len()]].concat();
                let ids = [&prompt[..], &ids].concat();
                Ok(Encoded { ids, learn })
            }
        }
    }

    fn check(&self, item: &HeldOut, prompt: &[u32], answer: usize) -> Result<(), EvalError> {
        let tokens = prompt.len() + answer;
        if prompt.is_empty() {
            return Err(EvalError::EmptyPrompt {
                task: self.task.into(),
                origin: item.origin.clone(),
            });
        }
        if tokens > self.limit {
            return Err(EvalError::TooLong {
                task: self.task.into(),
                origin: item.origin.clone(),
                tokens,
                limit: self.limit,
            });
        }
        Ok(())
    }

    pub(crate) fn refused(&self, item: &HeldOut, source: TextError) -> EvalError {
        EvalError::Text {
            task: self.task.into(),
            origin: item.origin.clone(),
            source,
        }
    }
}

/// `choice` with the white space that stands around `target`: a completion begins with a blank where the rows do.
fn dressed_like(target: &str, choice: &str) -> String {
    let lead = &target[..target.len() - target.trim_start().len()];
    let trail = &target[lead.len() + target.trim().len()..];
    format!("{lead}{}{trail}", choice.trim())
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_as_the_target_is() {
        assert_eq!(dressed_like(" card_arrival\n", "lost_card"), " lost_card\n");
        assert_eq!(dressed_like("card_arrival", " lost_card"), "lost_card");
        assert_eq!(dressed_like("  ", "lost_card"), "  lost_card");
    }

    #[test]
    fn prefixes_by_hand() {
        assert_eq!(common_prefix(&[1, 2, 3], &[1, 2, 4, 5]), 2);
        assert_eq!(common_prefix(&[], &[1]), 0);
    }
}
