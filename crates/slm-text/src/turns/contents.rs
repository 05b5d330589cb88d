//! Where each message's content is, whoever wrote it.

use std::ops::Range;

use minijinja::value::{Serde, Value};

use super::{Turn, Turns};
use crate::Message;
use crate::token_role::{RoleMap, TokenRole};

impl Turns<'_> {
    /// Whose each byte of the text is; `turns` are the assistant's messages that were found.
    ///
    /// A given message is found by its own content, whatever was found of the assistant's: so a token that is learned and
    /// belongs to the user shows.
    pub(crate) fn roles(&self, turns: &[Turn]) -> RoleMap {
        let contents = self.contents();
        let rest = match contents {
            Some(_) => TokenRole::Template,
            None => TokenRole::Unplaced,
        };
        let mut given = Vec::new();
        let mut written: Vec<(Range<usize>, TokenRole)> = Vec::new();
        for turn in turns {
            written.push((turn.start..turn.content_end, TokenRole::Assistant));
            written.extend(
                turn.marker_end
                    .map(|end| (turn.content_end..end, TokenRole::End)),
            );
        }
        for (message, content) in self.messages.iter().zip(contents.unwrap_or_default()) {
            let role = TokenRole::of(message);
            if role != TokenRole::Assistant {
                given.push((content, role));
            } else if !turns
                .iter()
                .any(|turn| turn.start <= content.start && content.end <= turn.content_end)
            {
                let marker_end = self.marker_end(content.end);
                written.extend(marker_end.map(|end| (content.end..end, TokenRole::End)));
                written.push((content, role));
            }
        }
        written.sort_by_key(|(range, _)| (range.start, range.end));
        RoleMap {
            first: given,
            second: written,
            rest,
        }
    }

    /// Where the content of each message is, told by rendering all of them with stand-ins: the text between two contents
    /// has to be the same. None where it is not, because the template leaves a message out, moves or changes one.
    fn contents(&self) -> Option<Vec<Range<usize>>> {
        let word = self.stand_in();
        let stand_in = |at: usize| format!("{word}n{at}n");
        let with_stand_in = |(at, message): (usize, &Message)| {
            let message = Message {
                extra: message.extra.clone(),
                ..Message::new(&message.role, stand_in(at))
            };
            Value::from(Serde(&message))
        };
        let values = self.messages.iter().enumerate().map(with_stand_in);
        let rendered = self
            .tokenizer
            .render_values(values.collect(), &self.arguments, None)
            .ok()?;
        let (mut rest, mut at) = (rendered.as_str(), 0);
        let mut before = Vec::new();
        for index in 0..self.messages.len() {
            let (literal, behind) = rest.split_once(&stand_in(index))?;
            before.push(literal);
            rest = behind;
        }
        let mut contents = Vec::new();
        for (index, message) in self.messages.iter().enumerate() {
            at += self.text[at..]
                .starts_with(before[index])
                .then_some(before[index].len())?;
            let next = before.get(index + 1).copied().unwrap_or(rest);
            let content = message.content.as_str();
            let written = [
                content,
                content.trim(),
                content.trim_start(),
                content.trim_end(),
            ];
            let found = written.into_iter().find(|written| {
                let behind = self.text[at..].strip_prefix(written);
                behind.is_some_and(|behind| behind.starts_with(next))
            })?;
            contents.push(at..at + found.len());
            at += found.len();
        }
        (self.text[at..] == *rest).then_some(contents)
    }
}
