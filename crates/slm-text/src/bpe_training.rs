//! A tokenizer of one's own, for models that start from random weights.

use std::path::Path;

use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder, TokenizerImpl,
};

use crate::TextError;
use crate::error::tokenizer_failed;
use crate::tokenizer_files::{CONFIG, TOKENIZER};

/// Fills rows.
const PAD: &str = "<|pad|>";
/// Opens a message.
const START: &str = "<|im_start|>";
/// Ends a message, and any other text.
const END: &str = "<|im_end|>";
/// Ids 0, 1 and 2.
const SPECIAL: [&str; 3] = [PAD, START, END];
/// The bytes, each of which is a token.
const BYTES: usize = 256;

/// ChatML with an optional system message.
const CHAT_TEMPLATE: &str = "{%- for message in messages %}\n    \
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\n\
    {%- endfor %}\n\
    {%- if add_generation_prompt %}\n    \
    {{- '<|im_start|>assistant\\n' }}\n\
    {%- endif %}\n";

/// What [`train_bpe`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainedTokenizer {
    /// Tokens in the vocabulary; fewer than asked for where the texts give no more pairs that occur twice.
    pub vocab_size: usize,
}

/// Trains a byte-level BPE on `texts` and writes `tokenizer.json` and `tokenizer_config.json` into the folder `dir`.
///
/// Digits are tokens of their own, then words are cut as GPT-2 does, so the result is what llama.cpp calls `smollm`.
/// The special tokens are `<|pad|>`, `<|im_start|>` and `<|im_end|>` (EOS), ids 0 to 2; there is no BOS. The chat
/// template is ChatML. The same texts give the same bytes.
///
/// # Errors
/// `vocab_size` is too small for the bytes and special tokens, or a file cannot be written.
pub fn train_bpe(
    texts: impl Iterator<Item = String> + Send,
    vocab_size: usize,
    dir: &Path,
) -> Result<TrainedTokenizer, TextError> {
    let least = BYTES + SPECIAL.len();
    if vocab_size < least {
        return Err(TextError::VocabularyTooSmall {
            asked: vocab_size,
            least,
        });
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(
            SPECIAL
                .iter()
                .map(|token| AddedToken::from(*token, true))
                .collect(),
        )
        .build();
    let bytes = ByteLevel::new(false, true, true);
    let words = Sequence::new(vec![
        PreTokenizerWrapper::Digits(Digits::new(true)),
        PreTokenizerWrapper::ByteLevel(bytes),
    ]);
    let mut tokenizer: TokenizerImpl<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(words)))
        .with_post_processor(None)
        .with_decoder(Some(DecoderWrapper::ByteLevel(bytes)))
        .build()
        .map_err(tokenizer_failed)?;
    tokenizer
        .train(&mut trainer, texts)
        .map_err(tokenizer_failed)?;
    let size = tokenizer.get_vocab_size(true);
    let text = tokenizer.to_string(true).map_err(tokenizer_failed)?;
    fs_err::write(dir.join(TOKENIZER), text)?;
    fs_err::write(dir.join(CONFIG), format!("{:#}\n", tokenizer_config()))?;
    Ok(TrainedTokenizer { vocab_size: size })
}

fn tokenizer_config() -> serde_json::Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": false,
        "add_eos_token": false,
        "bos_token": null,
        "eos_token": END,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": false,
        "chat_template": CHAT_TEMPLATE,
    })
}
