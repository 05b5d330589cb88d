//! What a teacher takes up that is asked in every step, foretold from its shape.

use slm_model::device::Place;
use slm_model::{DecoderConfig, QuantScheme};
use slm_ops::loss::{LOGITS_AT_ONCE, rows_of_at_most};
use slm_recipe::{Dtype, HiddenSection};

use crate::Memory;

/// A teacher on the student's device.
#[derive(Clone, Debug)]
pub struct TeacherShape {
    pub config: DecoderConfig,
    pub dtype: Dtype,
    /// How its weights are kept.
    pub scheme: Option<QuantScheme>,
    /// What a student learns from its layers.
    pub hidden: HiddenSection,
}

impl TeacherShape {
    /// What it adds to the `memory` of a student for a micro-batch of `tokens`.
    ///
    /// Its weights are there all the time. It reads a micro-batch before the student does, without keeping anything of a layer, so
    /// that only what is larger than all that the student keeps counts; its final states, and a chunk of its logits, lie beside
    /// the student's. So do the states of its layers that the student's follow.
    pub fn added_to(
        &self,
        memory: &Memory,
        student: &DecoderConfig,
        place: Place,
        tokens: usize,
    ) -> usize {
        let (config, width) = (&self.config, self.width(place));
        let rows = rows_of_at_most(LOGITS_AT_ONCE, tokens, config.vocab_size);
        let logits = size_of::<f32>() * rows * config.vocab_size;
        let states = width * tokens * config.hidden_size;
        let flowing = width * tokens * config.flowing_per_token();
        let of_student = memory.activations_bytes + memory.working_bytes;
        // Flex multiplies with a copy in f32, which is there all the time.
        let head = match (place, self.dtype) {
            (Place::Flex, Dtype::Bf16 | Dtype::F16) => {
                size_of::<f32>() * config.vocab_size * config.hidden_size
            }
            _ => 0,
        };
        let [of_layers, projections] = self.of_layers(student, place, tokens);
        let beside = logits + states + of_layers;
        let weights = config.size_bytes(self.dtype, self.scheme);
        weights + head + projections + beside.max(flowing.saturating_sub(of_student))
    }

    /// Of layers that are mapped: the teacher's states and the gradients of the student's, for a micro-batch; and the projections,
    /// with gradients and moments.
    fn of_layers(&self, student: &DecoderConfig, place: Place, tokens: usize) -> [usize; 2] {
        if !self.hidden.is_on() {
            return [0, 0];
        }
        let [n, m] = [student, &self.config].map(|it| it.num_hidden_layers);
        let [d, wanted] = [student, &self.config].map(|it| it.hidden_size);
        let pairs = self.hidden.layers.pairs(n, m).len();
        let projection = if d == wanted { 0 } else { d * wanted };
        let states = pairs * tokens * self.width(place) * (d + wanted);
        [states, pairs * 4 * size_of::<f32>() * projection]
    }

    /// Bytes of a value that is computed.
    fn width(&self, place: Place) -> usize {
        match (place, self.dtype) {
            (Place::Gpu, Dtype::Bf16 | Dtype::F16) => 2,
            _ => size_of::<f32>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slm_recipe::Recipe;

    use super::*;

    fn shape(name: &str) -> DecoderConfig {
        let shapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/shapes");
        DecoderConfig::read(&shapes.join(name)).unwrap()
    }

    #[test]
    fn weights_states_and_a_chunk_of_logits_are_added() {
        let teacher = TeacherShape {
            config: shape("llama-3.2-1b"),
            dtype: Dtype::Bf16,
            scheme: None,
            hidden: HiddenSection::default(),
        };
        let (config, recipe) = (shape("15m"), Recipe::default());
        let memory = Memory::of(&config, &recipe, Place::Flex, 1024);
        let added = teacher.added_to(&memory, &config, Place::Flex, 1024);
        // 1,235,814,400 weights of two bytes, and the head in f32; 1024 states of 2048 values, and as many rows of logits as fit at
        // once.
        let rows = rows_of_at_most(LOGITS_AT_ONCE, 1024, 128_256);
        let beside = 4 * (1024 * 2048 + rows * 128_256);
        let flowing = 4 * 1024 * teacher.config.flowing_per_token();
        let of_student = memory.activations_bytes + memory.working_bytes;
        assert_eq!(
            added,
            2 * 1_235_814_400 + 4 * 128_256 * 2048 + beside.max(flowing.saturating_sub(of_student))
        );
        // A few tokens need little beside the weights, where these are multiplied as they are.
        let few = TeacherShape {
            dtype: Dtype::F32,
            ..teacher
        };
        let few = few.added_to(&memory, &config, Place::Flex, 1);
        assert!(few < 4 * 1_235_814_400 + (1 << 20), "{few}");
    }

    #[test]
    fn layers_that_are_followed_are_added() {
        let teacher = |weight| TeacherShape {
            config: shape("llama-3.2-1b"),
            dtype: Dtype::Bf16,
            scheme: None,
            hidden: HiddenSection {
                weight,
                ..HiddenSection::default()
            },
        };
        let (config, recipe) = (shape("15m"), Recipe::default());
        let memory = Memory::of(&config, &recipe, Place::Flex, 1024);
        let [without, with] =
            [0.0, 1.0].map(|weight| teacher(weight).of_layers(&config, Place::Flex, 1024));
        assert_eq!(without, [0, 0]);
        let (layers, d) = (config.num_hidden_layers, config.hidden_size);
        let expected = [4 * layers * 1024 * (d + 2048), 16 * layers * d * 2048];
        assert_eq!(with, expected);
        let added = |weight| teacher(weight).added_to(&memory, &config, Place::Flex, 1024);
        assert!(added(1.0) >= added(0.0) + expected[1]);
    }
}
