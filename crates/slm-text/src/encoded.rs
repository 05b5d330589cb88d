//! Rows as ids, with the tokens that are learned from.

use crate::token_role::RoleMap;
use crate::turns::Turns;
use crate::{ChatTokenizer, Conversation, TextError, TokenRole};

/// A row as ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// `learn[i]`: token `i` is a target, predicted from those before it.
    pub learn: Vec<bool>,
}

/// Whose tokens of a conversation are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Every assistant message.
    Assistant,
    /// The last assistant message.
    LastAssistant,
    /// The assistant messages among those from this place on, counted from 0: what was given before is not learned.
    From(usize),
    /// Every token, headers included.
    All,
}

/// What is learned of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainOnSpec {
    /// Whose tokens.
    pub which: Learned,
    /// Whether also the end-of-turn token right after an assistant message, so that the model learns to stop.
    pub eos: bool,
}

impl Encoded {
    /// How many tokens are learned.
    pub fn learned(&self) -> usize {
        self.learn.iter().filter(|learn| **learn).count()
    }

    fn push(&mut self, ids: &[u32], learn: bool) {
        self.ids.extend_from_slice(ids);
        self.learn.resize(self.ids.len(), learn);
    }
}

/// A row as ids, with whose each of them is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedRoles {
    /// The row.
    pub encoded: Encoded,
    /// Whose the token at the same place is.
    pub roles: Vec<TokenRole>,
}

impl ChatTokenizer {
    /// Encodes a conversation as one text: rendered once, tokenized once.
    ///
    /// A token is learned if and only if its first byte lies in a learned span of the rendered text. An assistant
    /// message's span starts where the prompt for it ends, so it is what the model would have to write; it ends with
    /// the content, or, with `spec.eos`, with the end-of-turn token after it. What follows that token (a line break,
    /// usually) is not learned. Only the last answer has to have such a token: some templates write EOS once, at the end.
    ///
    /// # Errors
    /// There is no template, it refuses the messages, a message's place in the text is not certain, or with
    /// `spec.eos` no token that the tokenizer knows follows the last answer.
    pub fn encode_conversation(
        &self,
        conversation: &Conversation,
        spec: TrainOnSpec,
    ) -> Result<Encoded, TextError> {
        let turns = Turns::render(self, conversation)?;
        let spans = turns.learned(&turns.of(spec)?, spec)?;
        Ok(self.encode_spans(&turns.text, &spans, None)?.encoded)
    }

    /// [`Self::encode_conversation`], and whose each token is: that of its first byte.
    ///
    /// # Errors
    /// The same. Messages that cannot be told apart are no error, see [`TokenRole::Unplaced`].
    pub fn encode_conversation_with_roles(
        &self,
        conversation: &Conversation,
        spec: TrainOnSpec,
    ) -> Result<EncodedRoles, TextError> {
        let turns = Turns::render(self, conversation)?;
        let found = turns.of(spec)?;
        let spans = turns.learned(&found, spec)?;
        self.encode_spans(&turns.text, &spans, Some(&turns.roles(&found)))
    }

    fn encode_spans(
        &self,
        text: &str,
        spans: &[std::ops::Range<usize>],
        roles: Option<&RoleMap>,
    ) -> Result<EncodedRoles, TextError> {
        let mut row = EncodedRoles::default();
        for (id, range) in self.encode_with_ranges(text)? {
            let next = spans.partition_point(|span| span.end <= range.start);
            let learn = spans
                .get(next)
                .is_some_and(|span| span.contains(&range.start));
            row.encoded.push(&[id], learn);
            row.roles.extend(roles.map(|roles| roles.at(range.start)));
        }
        Ok(row)
    }

    /// Encodes a prompt and its completion, tokenized separately; needs no chat template.
    ///
    /// BOS comes first where the tokenizer adds one. Only the completion is learned, and with `eos` the EOS after it.
    ///
    /// # Errors
    /// `eos` is set and the tokenizer names none.
    pub fn encode_pair(
        &self,
        prompt: &str,
        completion: &str,
        eos: bool,
    ) -> Result<Encoded, TextError> {
        Ok(self
            .encode_pair_with_roles(prompt, completion, eos)?
            .encoded)
    }

    /// [`Self::encode_pair`], and whose each token is.
    ///
    /// # Errors
    /// The same.
    pub fn encode_pair_with_roles(
        &self,
        prompt: &str,
        completion: &str,
        eos: bool,
    ) -> Result<EncodedRoles, TextError> {
        let end = match eos {
            true => vec![self.require_eos()?],
            false => Vec::new(),
        };
        let mut row = EncodedRoles::default();
        for (ids, learn, role) in [
            (self.special.prefix.clone(), false, TokenRole::Template),
            (self.encode(prompt, false)?, false, TokenRole::Prompt),
            (self.encode(completion, false)?, true, TokenRole::Completion),
            (end, true, TokenRole::End),
        ] {
            row.encoded.push(&ids, learn);
            row.roles.resize(row.encoded.ids.len(), role);
        }
        Ok(row)
    }

    /// Encodes a plain text, all of it learned but the BOS before it.
    ///
    /// # Errors
    /// `eos` is set and the tokenizer names none.
    pub fn encode_text(&self, text: &str, eos: bool) -> Result<Encoded, TextError> {
        self.encode_pair("", text, eos)
    }
}
