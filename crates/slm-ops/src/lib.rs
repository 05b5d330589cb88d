//! The operations that training lives on.
//!
//! Each file holds one operation: its mathematics with shapes, and the portable version made of burn's primitives,
//! which is also the oracle of the fused version. Beside it, `fused.rs` has the backward pass and `flex.rs` the loops.
//! `step.rs` has what a step of generation is made of on the processor. Nothing here knows about models, recipes or files.

#![cfg_attr(
    feature = "libtorch",
    expect(
        deprecated,
        reason = "burn-tch is the GPU backend for as long as burn has it"
    )
)]

pub mod adamw;
#[cfg(feature = "libtorch")]
mod aten;
pub mod attention;
pub mod blocks;
mod carried;
#[cfg(feature = "libtorch")]
pub mod cuda;
mod dense_product;
pub mod divergence;
pub mod dropout;
pub mod feed_forward;
pub mod fused;
pub mod gated;
pub mod gated_linear;
#[cfg(feature = "libtorch")]
pub mod gpus;
pub mod head;
mod heads;
pub mod hidden;
pub mod layer_norm;
pub mod likely;
pub mod lora_linear;
pub mod loss;
mod matrix;
pub mod noise;
mod norm;
#[cfg(feature = "libtorch")]
mod processor;
pub mod quantized;
pub mod rms_norm;
pub mod rotary;
mod rows;
pub mod self_attention;
pub mod sorted;
pub mod step;
pub mod sums;
#[cfg(feature = "libtorch")]
mod torch;
#[cfg(feature = "libtorch")]
pub mod torch_build;
#[cfg(feature = "libtorch")]
mod torch_view;
pub mod upload;
mod vector;
pub mod weight;

pub use adamw::{AdamW, Weighted, adamw, adamw_each};
#[cfg(feature = "libtorch")]
pub use aten::skip_autograd;
pub use attention::{Scores, Sight, attention};
pub use blocks::Blocks;
pub use carried::carried;
pub use divergence::{Divergence, Rest, Teacher, TopTokens, linear_kl, linear_kl_sums};
pub use dropout::Dropout;
pub use feed_forward::{Linear, feed_forward};
pub use gated::{Activation, gated};
pub use gated_linear::gated_linear;
pub use head::HeadShape;
pub use hidden::{StateDistance, StatesApart, states_apart};
pub use layer_norm::layer_norm;
pub use likely::{Choice, Likely, likely_tokens};
pub use lora_linear::{Adapter, Magnitude, lora_linear};
pub use loss::{
    TokenLoss, TokenScores, TokenWeights, linear_cross_entropy, linear_nll, token_scores,
};
pub use norm::global_norm;
pub use quantized::{QuantScheme, Quantized, Quantizer, dynamic_map};
pub use rms_norm::{NormBefore, RmsWeight, rms_norm};
pub use rotary::{RotaryTable, rotary};
pub use self_attention::{HeadsShape, self_attention};
pub use sorted::{ForeignTeacher, linear_uld};
pub use sums::{DeviceSums, TokenSums};
#[cfg(feature = "libtorch")]
pub use torch_view::torch_view;
pub use weight::Weight;
