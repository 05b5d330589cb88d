//! Where the assistant's messages are in a rendered conversation.

mod blocks;
mod contents;

use std::ops::Range;

use minijinja::value::{Serde, Value};

use crate::encoded::{Learned, TrainOnSpec};
use crate::{ChatTokenizer, Conversation, Message, TemplateArguments, TextError};

/// A conversation as the template renders it, and where its assistant messages are.
///
/// Templates are programs, so a message's place is found by rendering, and every step is checked:
///
/// - it starts where the prompt for it ends: the messages before it, rendered with `add_generation_prompt`, have to be
///   a prefix of the whole text. Where a template's prompt is no such prefix, it starts where a stand-in starts;
/// - it ends where the text behind it starts: with the content replaced by a stand-in, the text after the stand-in has
///   to be a suffix of the whole text;
/// - the content's last word has to lie in between.
///
/// A template with `{% generation %}` blocks says itself what the assistant writes: its blocks are taken instead.
pub(crate) struct Turns<'a> {
    pub(crate) text: String,
    tokenizer: &'a ChatTokenizer,
    messages: &'a [Message],
    values: Vec<Value>,
    arguments: TemplateArguments,
}

/// Byte positions of one assistant message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    start: usize,
    /// Where the message's own text ends.
    content_end: usize,
    /// Where the end-of-turn token after it ends, if there is one.
    marker_end: Option<usize>,
}

impl<'a> Turns<'a> {
    pub(crate) fn render(
        tokenizer: &'a ChatTokenizer,
        conversation: &'a Conversation,
    ) -> Result<Turns<'a>, TextError> {
        let values = tokenizer.values(&conversation.messages)?;
        let arguments = TemplateArguments {
            tools: conversation.tools.clone(),
            ..TemplateArguments::default()
        };
        let text = tokenizer.render_values(values.clone(), &arguments, None)?;
        Ok(Turns {
            text,
            tokenizer,
            messages: &conversation.messages,
            values,
            arguments,
        })
    }

    /// The assistant's messages that `spec` is about; none where everything is learned anyway.
    pub(crate) fn of(&self, spec: TrainOnSpec) -> Result<Vec<Turn>, TextError> {
        if spec.which == Learned::All && spec.eos {
            return Ok(Vec::new());
        }
        match self.tokenizer.require_template()?.has_generation() {
            true => self.marked(spec.which),
            false => self.located(spec.which),
        }
    }

    /// The spans that are learned, in order and apart from each other.
    pub(crate) fn learned(
        &self,
        turns: &[Turn],
        spec: TrainOnSpec,
    ) -> Result<Vec<Range<usize>>, TextError> {
        match (spec.which, spec.eos) {
            (Learned::All, true) => return Ok(std::iter::once(0..self.text.len()).collect()),
            (Learned::All, false) => return Ok(all_but_markers(turns, self.text.len())),
            _ => {}
        }
        let last = turns.last().filter(|turn| turn.marker_end.is_none());
        if let Some(last) = last.filter(|_| spec.eos) {
            return Err(self.no_end_of_turn(last));
        }
        let end = |turn: &Turn| {
            let marker_end = turn.marker_end.filter(|_| spec.eos);
            marker_end.unwrap_or(turn.content_end)
        };
        Ok(turns.iter().map(|turn| turn.start..end(turn)).collect())
    }

    /// The first message that may be learned.
    fn first(&self, which: Learned) -> usize {
        let last = || self.messages.iter().rposition(Message::is_assistant);
        match which {
            Learned::Assistant | Learned::All => 0,
            Learned::LastAssistant => last().unwrap_or(0),
            Learned::From(first) => first,
        }
    }

    /// The assistant's messages, found by rendering.
    fn located(&self, which: Learned) -> Result<Vec<Turn>, TextError> {
        let mut answers: Vec<usize> = (0..self.messages.len())
            .filter(|&i| self.messages[i].is_assistant())
            .collect();
        answers.retain(|&index| index >= self.first(which));
        let mut turns: Vec<Turn> = Vec::new();
        for index in answers {
            let turn = self.locate(index)?;
            let before = turns
                .last()
                .map_or(0, |last| last.marker_end.unwrap_or(last.content_end));
            if before > turn.start {
                return Err(unlocated(index, "it overlaps the message before it"));
            }
            turns.push(turn);
        }
        Ok(turns)
    }

    /// Where the end-of-turn token ends that follows `at`, white space in between left out.
    fn marker_end(&self, at: usize) -> Option<usize> {
        let behind = &self.text[at..];
        let gap = behind.len() - behind.trim_start().len();
        let (_, token) = self.tokenizer.special.end_at(&behind[gap..])?;
        Some(at + gap + token.len())
    }

    fn locate(&self, index: usize) -> Result<Turn, TextError> {
        let (before, behind) = self.around(index)?;
        let Some(content_end) = self.text.strip_suffix(behind.as_str()).map(str::len) else {
            return Err(unlocated(index, "the text after it depends on its content"));
        };
        let start = self.start(index, &before)?;
        if start > content_end {
            return Err(unlocated(index, "the template leaves it out"));
        }
        let last_word = self.messages[index]
            .content
            .split_whitespace()
            .next_back()
            .unwrap_or_default();
        if !self.text[start..content_end].contains(last_word) {
            return Err(unlocated(index, "the template changes its content"));
        }
        Ok(Turn {
            start,
            content_end,
            marker_end: self.marker_end(content_end),
        })
    }

    /// The texts before and behind the content of message `index`.
    fn around(&self, index: usize) -> Result<(String, String), TextError> {
        let stand_in = self.stand_in();
        let mut values = self.values.clone();
        values[index] = Value::from(Serde(Message::new(&self.messages[index].role, &stand_in)));
        let text = self
            .tokenizer
            .render_values(values, &self.arguments, None)?;
        match text.split(stand_in.as_str()).collect::<Vec<_>>()[..] {
            [before, behind] => Ok((before.to_string(), behind.to_string())),
            [_] => Err(unlocated(
                index,
                "the template leaves its content out, or changes it",
            )),
            _ => Err(unlocated(
                index,
                "the template writes its content more than once",
            )),
        }
    }

    /// Where what the model writes for message `index` starts; `before` is the text before its content.
    fn start(&self, index: usize, before: &str) -> Result<usize, TextError> {
        let head = |add_generation_prompt| {
            let arguments = TemplateArguments {
                add_generation_prompt,
                ..self.arguments.clone()
            };
            self.tokenizer
                .render_values(self.values[..index].to_vec(), &arguments, None)
                .ok()
        };
        let prompt = head(true).filter(|prompt| self.text.starts_with(prompt.as_str()));
        let content = self
            .text
            .starts_with(before)
            .then(|| before.trim_end_matches(' ').len());
        match (prompt, content) {
            // A template that ignores `add_generation_prompt` writes the header itself: it is not the answer's.
            (Some(prompt), Some(content))
                if prompt.len() < content
                    && !self.text[prompt.len()..content].trim().is_empty()
                    && head(false).as_deref() == Some(prompt.as_str()) =>
            {
                Ok(content)
            }
            (Some(prompt), _) => Ok(prompt.len()),
            (None, Some(content)) => Ok(content),
            (None, None) => Err(unlocated(
                index,
                "the text before it depends on its content",
            )),
        }
    }

    /// A word that the text does not have.
    fn stand_in(&self) -> String {
        (0..)
            .map(|i| format!("standin{i}standin"))
            .find(|word| !self.text.contains(word.as_str()))
            .unwrap_or_default()
    }

    fn no_end_of_turn(&self, turn: &Turn) -> TextError {
        let behind = self.text[turn.content_end..].trim();
        let found = match behind.chars().take(24).collect::<String>() {
            text if text.is_empty() => "nothing".into(),
            text => format!("`{text}`"),
        };
        let eos_token = self.tokenizer.special.eos.as_ref();
        let eos_token = eos_token.map(|token| token.1.clone());
        TextError::NoEndOfTurn { found, eos_token }
    }
}

impl ChatTokenizer {
    /// The token with which the chat template ends an answer.
    pub(crate) fn end_of_turn(&self) -> Option<u32> {
        let conversation = vec![Message::new("user", "a"), Message::new("assistant", "b")].into();
        let turn = Turns::render(self, &conversation).ok()?.locate(1).ok()?;
        let text = self.render(&conversation.messages, false).ok()?;
        self.special
            .end_at(text.get(turn.content_end..turn.marker_end?)?.trim_start())
            .map(|(id, _)| *id)
    }
}

fn unlocated(index: usize, reason: &str) -> TextError {
    TextError::UnlocatedMessage {
        index,
        reason: reason.into(),
    }
}

/// Everything, but for the end-of-turn tokens.
fn all_but_markers(turns: &[Turn], len: usize) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut from = 0;
    for turn in turns {
        spans.push(from..turn.content_end);
        from = turn.marker_end.unwrap_or(turn.content_end);
    }
    spans.push(from..len);
    spans
}
