//! What a template's `{% generation %}` blocks wrote.

use std::ops::Range;

use super::{Turn, Turns};
use crate::TextError;
use crate::encoded::Learned;

impl Turns<'_> {
    /// The template's own `{% generation %}` blocks; without those that the messages before the first learned one have.
    pub(super) fn marked(&self, which: Learned) -> Result<Vec<Turn>, TextError> {
        let blocks = self.blocks(self.messages.len(), &self.text)?;
        let earlier = match self.first(which) {
            0 => 0,
            first => {
                let values = self.values[..first].to_vec();
                let before = self.tokenizer.render_values(values, &self.arguments, None);
                match before {
                    Ok(text) => self.blocks(first, &text)?.len(),
                    // A template that refuses the messages up to there: the last block is the last answer.
                    Err(_) => blocks.len().saturating_sub(1),
                }
            }
        };
        let turns = blocks.into_iter().skip(earlier);
        Ok(turns.map(|block| self.turn_of(block)).collect())
    }

    /// The places of the `{% generation %}` blocks in `text`, which is what the template makes of the first `n` messages.
    fn blocks(&self, n: usize, text: &str) -> Result<Vec<Range<usize>>, TextError> {
        let unused = |from: u32| {
            let mut private_use = (from..).filter_map(char::from_u32);
            let mark = private_use.find(|mark| !text.contains(*mark));
            mark.unwrap_or_default().to_string()
        };
        let (open, close) = (unused(0xE000), unused(0xF0000));
        let values = self.values[..n].to_vec();
        let marks = Some([open.as_str(), close.as_str()]);
        let marked = self
            .tokenizer
            .render_values(values, &self.arguments, marks)?;
        let mut blocks = Vec::new();
        let mut plain = String::with_capacity(text.len());
        for piece in marked.split(open.as_str()) {
            let start = plain.len();
            match piece.split_once(close.as_str()) {
                Some((block, rest)) => {
                    plain.push_str(block);
                    blocks.push(start..plain.len());
                    plain.push_str(rest);
                }
                None => plain.push_str(piece),
            }
        }
        if plain != text {
            return Err(TextError::UnlocatedGeneration);
        }
        blocks.retain(|block| !block.is_empty());
        Ok(blocks)
    }

    /// A block as a message: end-of-turn tokens at its end, or one right after it, are its end.
    fn turn_of(&self, block: Range<usize>) -> Turn {
        let written = &self.text[block.clone()];
        let mut content = written;
        while let Some((_, token)) = self.tokenizer.special.end_of(content.trim_end()) {
            content = &content[..content.trim_end().len() - token.len()];
        }
        let is_ended = content.len() < written.len();
        Turn {
            start: block.start,
            content_end: block.start + content.len(),
            marker_end: match is_ended {
                true => Some(block.end),
                false => self.marker_end(block.end),
            },
        }
    }
}
