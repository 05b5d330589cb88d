//! What a step of training takes up, foretold from the shapes.

use serde::Serialize;
use slm_model::{DecoderConfig, LoraSpec, quant_scheme};
use slm_ops::loss::rows_at_once;
use slm_recipe::{Method, Optim, Recipe};

/// Bytes that training holds at its peak, the program itself apart.
///
/// It counts what the fused operations keep: f32 on a processor, f32 and bf16 on a GPU. Dropout, DoRA and bf16 on a processor
/// take the portable versions, which keep more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The base, as the recipe keeps it.
    pub weights_bytes: usize,
    /// Values, gradients and optimizer states of what is trained.
    pub trained_bytes: usize,
    /// What the layers keep of a micro-batch for its backward pass.
    pub activations_bytes: usize,
    /// What comes and goes: the head's chunk of logits, or what flows through a layer.
    pub working_bytes: usize,
}

impl Memory {
    /// Of a micro-batch of `tokens`, padding included.
    pub fn of(config: &DecoderConfig, recipe: &Recipe, tokens: usize) -> Self {
        let f32s = |values: usize| values * size_of::<f32>();
        let (section, model) = (&recipe.train, &recipe.model);
        let spec = LoraSpec::from(&recipe.lora);
        let (trained, beside, rank) = match section.method {
            Method::Lora => (spec.n_params(config), spec.n_params(config), recipe.lora.r),
            Method::Full => (config.n_params(), 0, 0),
        };
        let states = match section.optim {
            Optim::Adamw => f32s(2 * trained),
            Optim::Adamw8bit => 2 * trained,
            Optim::Lion => f32s(trained),
            Optim::Sgd if section.momentum > 0.0 => f32s(trained),
            Optim::Sgd | Optim::Adafactor => 0,
        };

        let (layers, d) = (config.num_hidden_layers, config.hidden_size);
        let layer = config.kept_per_token(rank);
        let kept = match section.gradient_checkpointing {
            true => layers * d + layer,
            false => layers * layer,
        };
        // The states before and after the last norm.
        let activations = tokens * (kept + 2 * d);

        let vocab = config.vocab_size;
        let rows = rows_at_once(tokens, vocab);
        let of_head = if section.method == Method::Full {
            vocab * d
        } else {
            0
        };
        // Logits, and beside them, on libtorch, their probabilities.
        let buffers = if model.device.starts_with("libtorch") {
            2
        } else {
            1
        };
        let at_the_head = buffers * rows * vocab + tokens * d + of_head;
        let in_a_layer = tokens * config.flowing_per_token();
        Self {
            weights_bytes: config.size_bytes(model.dtype, quant_scheme(model)),
            trained_bytes: f32s(beside + trained) + states,
            activations_bytes: f32s(activations),
            working_bytes: f32s(at_the_head.max(in_a_layer)),
        }
    }

    /// All together.
    pub fn total_bytes(&self) -> usize {
        self.weights_bytes + self.trained_bytes + self.activations_bytes + self.working_bytes
    }
}
