//! Text to ids and back: the tokenizer, its chat template, and which tokens are learned from.
//!
//! What is learned is decided on the rendered text, by byte spans, and only then carried over to tokens: it never
//! depends on where a token boundary happens to fall. A conversation is rendered once and tokenized once, so the ids
//! that are trained on are the ids that the chat sends.

mod bpe_training;
mod chat_template;
mod clean_up;
mod encoded;
mod error;
mod message;
mod python_json;
mod rendering;
mod special_tokens;
mod stream;
mod template_text;
mod token_bytes;
mod token_role;
mod tokenizer;
mod tokenizer_files;
mod turns;
mod vocabulary_proof;

pub use bpe_training::{TrainedTokenizer, train_bpe};
pub use encoded::{Encoded, EncodedRoles, Learned, TrainOnSpec};
pub use error::TextError;
pub use message::{Conversation, Message};
pub use rendering::TemplateArguments;
pub use stream::StreamDecoder;
pub use token_role::TokenRole;
pub use tokenizer::ChatTokenizer;
pub use tokenizer_files::TokenizerFile;
pub use vocabulary_proof::VocabularyProof;
