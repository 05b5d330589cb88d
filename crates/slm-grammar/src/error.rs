//! What is wrong with a grammar, or stops an answer inside one.

use thiserror::Error;

/// A grammar that cannot be, or that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GrammarError {
    /// A set of labels with nothing in it.
    #[error("found no label, needed at least one")]
    NoLabels,
    /// A label without text.
    #[error("label {number} is `{label}`, needs text")]
    BlankLabel {
        /// Which, counted from 1.
        number: usize,
        /// The label.
        label: String,
    },
    /// A text that is not a regular expression.
    #[error("the regex `{regex}` is wrong at character {at}: {reason}")]
    InvalidRegex {
        /// The text.
        regex: String,
        /// Where, in characters, counted from 1.
        at: usize,
        /// What the parser says.
        reason: String,
    },
    /// A condition on what stands beside the text.
    #[error(
        "the regex `{regex}` has `{assertion}` at character {at}, which no answer can be held to while it is written"
    )]
    Assertion {
        /// The regular expression.
        regex: String,
        /// Where, in characters, counted from 1.
        at: usize,
        /// The assertion.
        assertion: String,
    },
    /// A keyword of JSON Schema that is not enforced, or that nobody knows.
    #[error("the JSON schema has `{keyword}` at `{at}`, which is not enforced")]
    Keyword {
        /// The keyword.
        keyword: String,
        /// The schema that it is in, as a JSON pointer.
        at: String,
        /// A keyword that was probably meant.
        nearest: Option<String>,
    },
    /// A part of a schema of the wrong type.
    #[error("the JSON schema has {found} at `{at}`, needs {needed}")]
    Shape {
        /// Where, as a JSON pointer.
        at: String,
        /// What was found.
        found: &'static str,
        /// What is needed.
        needed: &'static str,
    },
    /// A grammar that is well formed and that no automaton comes of.
    #[error("{what} cannot be followed: {reason}")]
    Refused {
        /// The grammar, in words.
        what: String,
        /// Why.
        reason: String,
    },
    /// A vocabulary that cannot spell.
    #[error("the tokenizer's {tokens} tokens give no vocabulary to spell answers with: {reason}")]
    Vocabulary {
        /// Tokens in it.
        tokens: usize,
        /// Why.
        reason: String,
    },
    /// An answer that the vocabulary cannot go on with.
    #[error("no token of the vocabulary continues the answer `{text}` within {what}")]
    DeadEnd {
        /// The grammar, in words.
        what: String,
        /// The answer so far.
        text: String,
    },
    /// A token that the grammar does not allow here.
    #[error("token {id} does not continue the answer `{text}` within {what}")]
    NotAllowed {
        /// The token.
        id: u32,
        /// The grammar, in words.
        what: String,
        /// The answer so far.
        text: String,
    },
}

impl GrammarError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoLabels | Self::BlankLabel { .. } => Some("list the answers that are possible".into()),
            Self::Assertion { .. } => Some(
                "an answer always matches from its first to its last character: leave the assertion out".into(),
            ),
            Self::Keyword { nearest: Some(nearest), .. } => {
                Some(format!("did you mean `{nearest}`?"))
            }
            Self::Keyword { nearest: None, .. } => Some(
                "leave it out: what is not enforced while decoding would only look as if it were".into(),
            ),
            Self::Refused { .. } => Some("make the grammar simpler".into()),
            Self::DeadEnd { .. } => Some(
                "the tokenizer lacks the bytes that this grammar needs: use a base with a byte-level tokenizer or one with byte fallback".into(),
            ),
            _ => None,
        }
    }
}
