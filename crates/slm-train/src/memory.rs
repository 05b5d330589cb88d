//! What a step of training takes up, foretold from the shapes.

use serde::Serialize;
use slm_model::device::Place;
use slm_model::{DecoderConfig, LoraSpec, quant_scheme};
use slm_ops::loss::{LOGITS_AT_ONCE_ON_GPU, rows_at_once, rows_of_at_most};
use slm_recipe::{Dtype, Method, ModelSection, Optim, Recipe, TrainSection};

use crate::TeacherShape;

/// Bytes that training holds at its peak, the program itself apart.
///
/// It counts what the fused operations keep: f32 on a processor, f32 and 16 bits on a GPU. DoRA and 16 bits on a processor
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
    /// What a teacher takes up that is asked in every step, where there is one on the same device.
    pub teacher_bytes: usize,
}

impl Memory {
    /// Of a micro-batch of `tokens`, padding included, on `place`.
    pub fn of(config: &DecoderConfig, recipe: &Recipe, place: Place, tokens: usize) -> Self {
        let (section, model) = (&recipe.train, &recipe.model);
        let spec = LoraSpec::from(&recipe.lora);
        let (trained, beside, rank) = match section.method {
            Method::Lora => (spec.n_params(config), spec.n_params(config), recipe.lora.r),
            Method::Full => (config.n_params(), 0, 0),
        };
        let width = width(model, place);
        let layer =
            width * config.kept_per_token(rank, place) + f32s(config.statistics_per_token());
        let (layers, d) = (config.num_hidden_layers, config.hidden_size);
        let kept = match section.gradient_checkpointing {
            true => layers * width * d + layer,
            false => layers * layer,
        };
        // The states before and after the last norm.
        let around = 2 * width * d;
        let in_a_layer = tokens * width * config.flowing_per_token();
        Self {
            weights_bytes: config.size_bytes(model.dtype, quant_scheme(model)),
            trained_bytes: f32s(beside + trained) + states_bytes(section, trained),
            activations_bytes: tokens * (kept + around),
            working_bytes: at_the_head(config, section, place, tokens, width).max(in_a_layer),
            teacher_bytes: 0,
        }
    }

    /// The same of a student of the shape `config` with a teacher that reads the same micro-batch.
    #[must_use]
    pub fn taught_by(
        self,
        teacher: Option<&TeacherShape>,
        config: &DecoderConfig,
        place: Place,
        tokens: usize,
    ) -> Self {
        let added = teacher.map_or(0, |it| it.added_to(&self, config, place, tokens));
        Self {
            teacher_bytes: added,
            ..self
        }
    }

    /// All together.
    pub fn total_bytes(&self) -> usize {
        self.weights_bytes
            + self.trained_bytes
            + self.activations_bytes
            + self.working_bytes
            + self.teacher_bytes
    }
}

/// Bytes of a value that is kept.
fn width(model: &ModelSection, place: Place) -> usize {
    match (place, model.dtype) {
        (Place::Gpu, Dtype::Bf16 | Dtype::F16) => 2,
        _ => size_of::<f32>(),
    }
}

fn f32s(values: usize) -> usize {
    values * size_of::<f32>()
}

/// What the optimizer remembers of `trained` weights.
fn states_bytes(section: &TrainSection, trained: usize) -> usize {
    match section.optim {
        Optim::Adamw => f32s(2 * trained),
        Optim::Adamw8bit => 2 * trained,
        Optim::Lion => f32s(trained),
        Optim::Sgd if section.momentum > 0.0 => f32s(trained),
        Optim::Sgd | Optim::Adafactor => 0,
    }
}

/// A chunk of logits with what is beside it, the gradient of the states, and that of the head where it is trained.
fn at_the_head(
    config: &DecoderConfig,
    section: &TrainSection,
    place: Place,
    tokens: usize,
    width: usize,
) -> usize {
    let (vocab, d) = (config.vocab_size, config.hidden_size);
    let of_head = match section.method {
        Method::Full => vocab * d,
        Method::Lora => 0,
    };
    let in_one_pass = place == Place::Gpu && config.head.softcap.is_none();
    let (logits, states) = if in_one_pass {
        let rows = rows_of_at_most(LOGITS_AT_ONCE_ON_GPU, tokens, vocab);
        // The gradient takes the logits' place. Each row pulls at its state once, and once more weighted, in f32; the states
        // themselves are gathered from the learned places.
        let pulls = rows * d * (2 * width + size_of::<f32>());
        (width * rows * vocab + pulls, 2 * width * tokens * d)
    } else {
        // Beside the logits, on a GPU, lie their probabilities.
        let buffers = match place {
            Place::Flex | Place::LibtorchCpu => 1,
            Place::Gpu => 2,
        };
        let rows = rows_at_once(tokens, vocab);
        (f32s(buffers * rows * vocab), width * tokens * d)
    };
    logits + states + width * of_head
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn foretold(shape: &str, place: Place, tokens: usize, recipe: &Recipe) -> usize {
        let shapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/shapes");
        let config = DecoderConfig::read(&shapes.join(shape)).unwrap();
        Memory::of(&config, recipe, place, tokens).total_bytes()
    }

    fn adapter(dtype: Dtype) -> Recipe {
        let mut recipe = Recipe::default();
        recipe.lora.r = 16;
        recipe.model.dtype = dtype;
        recipe
    }

    /// Peaks of libtorch's allocator on an H100: `bench --random-weights`, r = 16 on every linear layer, bf16, every token learned; the
    /// last with gradient checkpointing.
    #[test]
    fn what_a_gpu_was_measured_to_hold_is_foretold() {
        for (shape, tokens, measured) in [
            ("llama-3.2-1b", 8 * 1024, 10_817_828_352_usize),
            ("qwen2.5-0.5b", 16 * 512, 7_520_207_872),
            ("llama-3.2-3b", 2 * 4096, 9_152_028_160),
        ] {
            let mut recipe = adapter(Dtype::Bf16);
            recipe.train.gradient_checkpointing = shape == "llama-3.2-3b";
            let expected = foretold(shape, Place::Gpu, tokens, &recipe);
            let off = expected as f64 / measured as f64 - 1.0;
            assert!(
                off.abs() < 0.05,
                "{shape}: {expected} bytes for {measured}, {off:+.3}"
            );
        }
    }

    #[test]
    fn sixteen_bits_halve_what_is_kept_on_a_gpu_alone() {
        let kept = |dtype, place| {
            let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/shapes/15m");
            let config = DecoderConfig::read(&config).unwrap();
            let memory = Memory::of(&config, &adapter(dtype), place, 1024);
            memory.activations_bytes as f64
        };
        let full = kept(Dtype::F32, Place::Gpu);
        assert!((kept(Dtype::F16, Place::Gpu) / full - 0.5).abs() < 0.01);
        let on_flex = |dtype| kept(dtype, Place::Flex);
        assert_eq!(on_flex(Dtype::Bf16), on_flex(Dtype::F32));
    }

    #[test]
    fn checkpointing_keeps_one_layer_and_an_input_of_each() {
        let mut recipe = adapter(Dtype::Bf16);
        let all = foretold("llama-3.2-1b", Place::Gpu, 8192, &recipe);
        recipe.train.gradient_checkpointing = true;
        let some = foretold("llama-3.2-1b", Place::Gpu, 8192, &recipe);
        // 15 layers less, and 16 inputs of 2048 values more.
        let config =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/shapes/llama-3.2-1b");
        let config = DecoderConfig::read(&config).unwrap();
        let layer = 2 * config.kept_per_token(16, Place::Gpu) + 4 * config.statistics_per_token();
        assert_eq!(all - some, 8192 * (15 * layer - 16 * 2 * 2048));
    }
}
