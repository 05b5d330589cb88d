//! What can go wrong between text and ids.

use std::path::PathBuf;

use thiserror::Error;

/// A failure of a tokenizer, a chat template, or a conversation that neither can take.
#[derive(Debug, Error)]
pub enum TextError {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    File(#[from] std::io::Error),

    /// The folder holds no tokenizer in any format.
    #[error("`{}` holds no tokenizer: found no `tokenizer.json`", dir.display())]
    NoTokenizer {
        /// The folder that was searched.
        dir: PathBuf,
    },

    /// The folder holds a SentencePiece model and nothing that this tool reads.
    #[error("`{}` holds `tokenizer.model` (SentencePiece), needed `tokenizer.json`", dir.display())]
    SentencePieceOnly {
        /// The folder that was searched.
        dir: PathBuf,
    },

    /// A JSON file does not parse.
    #[error("`{}` is not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser met, with line and column.
        source: serde_json::Error,
    },

    /// `tokenizer.json` parses, and is not a tokenizer.
    #[error("`{}` is not a tokenizer: {reason}", path.display())]
    InvalidTokenizer {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },

    /// A special token is named that the vocabulary lacks.
    #[error("`{key}` is `{token}`, which is not in the vocabulary of `{}`", dir.display())]
    UnknownSpecialToken {
        /// The tokenizer's folder.
        dir: PathBuf,
        /// `bos_token` or `eos_token`.
        key: &'static str,
        /// Its text, or its id.
        token: String,
    },

    /// Two files disagree about an id.
    #[error("`tokenizer_config.json` gives `{token}` the id {config_id}, `tokenizer.json` {found}")]
    AddedTokenMismatch {
        /// The token's text.
        token: String,
        /// The id in `added_tokens_decoder`.
        config_id: u32,
        /// What `tokenizer.json` has instead.
        found: String,
    },

    /// A chat template does not parse.
    #[error("the chat template in `{origin}` does not parse: {message}")]
    InvalidTemplate {
        /// The file that it came from.
        origin: String,
        /// What the parser met, with its line.
        message: String,
    },

    /// Several chat templates, none of which is the default.
    #[error("`tokenizer_config.json` has the chat templates {}, none is named `default`", names.join(", "))]
    AmbiguousTemplate {
        /// Their names.
        names: Vec<String>,
    },

    /// Messages were given to a tokenizer that has no chat template.
    #[error("`{}` has no chat template, needed one for messages", dir.display())]
    NoTemplate {
        /// The tokenizer's folder.
        dir: PathBuf,
    },

    /// The template itself refuses the conversation.
    #[error("the chat template refuses the conversation: {message}")]
    Refused {
        /// The template's own words.
        message: String,
    },

    /// The template fails while it renders.
    #[error("the chat template failed: {message}")]
    Render {
        /// What failed, with its line.
        message: String,
    },

    /// The part of the text that an assistant message became cannot be told with certainty.
    #[error("cannot tell which part of the rendered text is message {index}: {reason}")]
    UnlocatedMessage {
        /// Which message, counted from 0.
        index: usize,
        /// What did not hold.
        reason: String,
    },

    /// What `{% generation %}` blocks write is changed afterwards, so that their places cannot be told.
    #[error(
        "cannot tell which part of the rendered text the `{{% generation %}}` blocks wrote: the template changes it afterwards"
    )]
    UnlocatedGeneration,

    /// Nothing after the last learned message tells a model to stop.
    #[error(
        "the chat template writes {found} after the last learned message, needed an end-of-turn token that the tokenizer knows"
    )]
    NoEndOfTurn {
        /// The text found there.
        found: String,
        /// The tokenizer's end-of-text token.
        eos_token: Option<String>,
    },

    /// An end-of-text token is needed and the tokenizer names none.
    #[error("`{}` names no end-of-text token (`eos_token`)", dir.display())]
    NoEos {
        /// The tokenizer's folder.
        dir: PathBuf,
    },

    /// The tokenizer failed on a text or on ids.
    #[error("the tokenizer failed: {reason}")]
    Tokenizer {
        /// What it said.
        reason: String,
    },

    /// The vocabulary has ids that the model has no embedding for.
    #[error("token `{token}` has id {id}, the embedding has {rows} rows")]
    EmbeddingTooSmall {
        /// The token with the largest id.
        token: String,
        /// That id.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
    },

    /// A text is not what its tokens spell one after the other.
    #[error("the tokenizer in `{}` does not spell a text token by token: {reason}", dir.display())]
    NotByTokens {
        /// The tokenizer's folder.
        dir: PathBuf,
        /// What it does instead.
        reason: String,
    },

    /// A vocabulary was asked for that cannot hold the bytes and the special tokens.
    #[error(
        "`tokenizer.vocab_size` is {asked}, needed at least {least} (256 bytes and the special tokens)"
    )]
    VocabularyTooSmall {
        /// The size asked for.
        asked: usize,
        /// The smallest possible.
        least: usize,
    },
}

impl TextError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            TextError::SentencePieceOnly { dir } => {
                let dir = dir.display();
                Some(format!(
                    "convert it once: python -c \"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('{dir}', use_fast=True).save_pretrained('{dir}')\""
                ))
            }
            TextError::NoTokenizer { .. } => {
                Some("`model.base_model` has to name a folder with `config.json`, `tokenizer.json` and weights".into())
            }
            TextError::NoTemplate { .. } => {
                Some("set `model.chat_template = \"file.jinja\"`, or train on prompt/completion rows, which need none".into())
            }
            TextError::AmbiguousTemplate { .. } => {
                Some("copy one of them to a file and set `model.chat_template = \"file.jinja\"`".into())
            }
            TextError::NoEndOfTurn { eos_token, .. } => Some(match eos_token {
                Some(token) => format!(
                    "without one the model never learns to stop: use a template that ends a turn with `{token}`, or set `data.train_on_eos = false`"
                ),
                None => "without one the model never learns to stop: name an `eos_token` in `tokenizer_config.json`, or set `data.train_on_eos = false`".into(),
            }),
            TextError::NoEos { .. } => {
                Some("name an `eos_token` in `tokenizer_config.json`, or set `data.train_on_eos = false`".into())
            }
            TextError::UnlocatedGeneration => Some(
                "take the blocks out of the template: what is learned is then told by rendering".into(),
            ),
            TextError::UnlocatedMessage { .. } => Some(
                "a template that renders messages independently of each other makes this work: set `model.chat_template = \"file.jinja\"`".into(),
            ),
            TextError::Refused { .. } => Some(
                "the rows do not fit this template: change them, or set `model.chat_template = \"file.jinja\"`".into(),
            ),
            TextError::NotByTokens { .. } => Some(
                "answers of this model cannot be constrained: leave the constraint out, or use another base".into(),
            ),
            TextError::InvalidTokenizer { .. } => {
                Some("the file may be incomplete: fetch the model again".into())
            }
            TextError::EmbeddingTooSmall { .. } => {
                Some("tokenizer and weights may come from different models".into())
            }
            TextError::AddedTokenMismatch { .. } | TextError::UnknownSpecialToken { .. } => {
                Some("the tokenizer's files may come from different models".into())
            }
            _ => None,
        }
    }
}

/// What the `tokenizers` crate says, as an error of ours.
pub(crate) fn tokenizer_failed(error: tokenizers::Error) -> TextError {
    TextError::Tokenizer {
        reason: error.to_string(),
    }
}
