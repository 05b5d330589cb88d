//! What `bench` measured.

mod lines;

use std::time::Instant;

use serde::Serialize;
use slm_model::device::DeviceMemory;
use slm_model::{Decoder, Sampling, generate};
use slm_recipe::Method;
use slm_train::{MeasuredStep, Memory, PartTimes};

use crate::workload::{WorkloadShape, random_ids};

/// The report of a measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Speed {
    pub(crate) device: String,
    pub(crate) dtype: slm_recipe::Dtype,
    pub(crate) quantization: slm_recipe::Quantization,
    /// Whether products with int8 codes are taken in integers.
    pub(crate) int8_activations: bool,
    pub(crate) parameters: usize,
    pub(crate) trained_parameters: usize,
    pub(crate) workload: WorkloadShape,
    /// From opening the base to a student that can learn.
    pub(crate) load_s: f64,
    /// The best matrix product on the device in this process ([`slm_model::matmul_flops`]).
    pub(crate) matmul_flops: f64,
    /// None without a step.
    pub(crate) training: Option<TrainingSpeed>,
    pub(crate) generation: Vec<GenerationSpeed>,
    /// After the base was loaded, and at the end; none where the system does not tell.
    pub(crate) loaded_peak_bytes: Option<u64>,
    pub(crate) peak_bytes: Option<u64>,
    /// Of the GPU, while it trained; none on a processor.
    pub(crate) device_peak: Option<DeviceMemory>,
    /// What the shapes foretell of a step, together and by part; none without one.
    pub(crate) expected_bytes: Option<usize>,
    pub(crate) expected: Option<Memory>,
    /// Pages that the measured steps had to be given, instead of using those of earlier ones again.
    pub(crate) fresh_pages: Option<u64>,
}

/// Of the measured steps together.
#[derive(Debug, Serialize)]
pub(crate) struct TrainingSpeed {
    pub(crate) learned_tokens_per_s: f64,
    /// Tokens that are no padding.
    pub(crate) tokens_per_s: f64,
    /// Padding included.
    pub(crate) places_per_s: f64,
    /// Share of the places that is padding.
    pub(crate) padding: f64,
    pub(crate) median_step_s: f64,
    /// Medians of `steps_by_part`, which come after `steps` and wait for the device at the end of each part.
    pub(crate) parts: PartTimes,
    /// Of a token that is no padding: `parameters` times this.
    pub(crate) flops_per_parameter: f64,
    pub(crate) flops: f64,
    pub(crate) share_of_matmul: f64,
    pub(crate) steps: Vec<MeasuredStep>,
    pub(crate) steps_by_part: Vec<MeasuredStep>,
}

impl TrainingSpeed {
    pub(crate) fn of(
        steps: Vec<MeasuredStep>,
        steps_by_part: Vec<MeasuredStep>,
        method: Method,
        parameters: usize,
        matmul_flops: f64,
    ) -> Self {
        let sum = |count: fn(&MeasuredStep) -> usize| steps.iter().map(count).sum::<usize>() as f64;
        let elapsed_s: f64 = steps.iter().map(|step| step.elapsed_s).sum();
        let (tokens, places) = (sum(|step| step.tokens), sum(|step| step.places));
        let flops_per_parameter = flops_per_parameter(method);
        let flops = flops_per_parameter * parameters as f64 * tokens / elapsed_s;
        let part = |part: fn(&PartTimes) -> f64| {
            let parts = steps_by_part.iter().filter_map(|step| step.parts.as_ref());
            median(parts.map(part).collect())
        };
        Self {
            learned_tokens_per_s: sum(|step| step.learned_tokens) / elapsed_s,
            tokens_per_s: tokens / elapsed_s,
            places_per_s: places / elapsed_s,
            padding: 1.0 - tokens / places,
            median_step_s: median(steps.iter().map(|step| step.elapsed_s).collect()),
            parts: PartTimes {
                data_s: part(|it| it.data_s),
                forward_s: part(|it| it.forward_s),
                head_s: part(|it| it.head_s),
                backward_s: part(|it| it.backward_s),
                optimizer_s: part(|it| it.optimizer_s),
            },
            flops_per_parameter,
            flops,
            share_of_matmul: flops / matmul_flops,
            steps,
            steps_by_part,
        }
    }
}

/// Operations per parameter and token: 2 forward, 2 for the gradient of the activations, and 2 more for that of the weights
/// where they are trained. The adapter's own, attention's and what a checkpointed layer does again are not counted.
fn flops_per_parameter(method: Method) -> f64 {
    match method {
        Method::Lora => 4.0,
        Method::Full => 6.0,
    }
}

/// Of greedy generation.
#[derive(Debug, Serialize)]
pub(crate) struct GenerationSpeed {
    /// Prompts that are continued together.
    pub(crate) rows: usize,
    pub(crate) prompt: usize,
    pub(crate) new_tokens: usize,
    /// Of the prompts, up to the first token.
    pub(crate) prefill_tokens_per_s: f64,
    /// Of the tokens after the first.
    pub(crate) decode_tokens_per_s: f64,
}

impl GenerationSpeed {
    /// The median of three. An adapter is left out: it is merged into what is shipped.
    pub(crate) fn measure(
        decoder: &Decoder,
        rows: usize,
        prompt: usize,
        new_tokens: usize,
    ) -> Self {
        let decoder = decoder.base();
        let vocab_size = decoder.config().vocab_size;
        let prompts: Vec<_> = (0..rows)
            .map(|row| random_ids(row, prompt, vocab_size))
            .collect();
        let sampling = Sampling {
            max_new_tokens: new_tokens,
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            stop_ids: Vec::new(),
        };
        let (mut prefill_s, mut decode_s) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let started = Instant::now();
            let mut first_s = None;
            generate(&decoder, &prompts, &sampling, &mut |_, _| {
                first_s.get_or_insert_with(|| started.elapsed().as_secs_f64());
                true
            });
            let first_s = first_s.unwrap_or(f64::NAN);
            prefill_s.push(first_s);
            decode_s.push(started.elapsed().as_secs_f64() - first_s);
        }
        Self {
            rows,
            prompt,
            new_tokens,
            prefill_tokens_per_s: (rows * prompt) as f64 / median(prefill_s),
            decode_tokens_per_s: (rows * (new_tokens - 1)) as f64 / median(decode_s),
        }
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_all_steps_and_parts_are_medians() {
        let step = |elapsed_s, places| MeasuredStep {
            elapsed_s,
            parts: Some(PartTimes {
                forward_s: elapsed_s / 2.0,
                ..PartTimes::default()
            }),
            learned_tokens: 10,
            tokens: 30,
            places,
            loss: 1.0,
        };
        let steps = vec![step(1.0, 40), step(2.0, 40), step(3.0, 40)];
        let speed = TrainingSpeed::of(steps.clone(), steps, Method::Lora, 100, 4000.0);
        assert_eq!(
            (
                speed.learned_tokens_per_s,
                speed.tokens_per_s,
                speed.places_per_s
            ),
            (5.0, 15.0, 20.0)
        );
        assert_eq!((speed.padding, speed.median_step_s), (0.25, 2.0));
        assert_eq!(speed.parts.forward_s, 1.0);
        // 4 operations for each of 100 parameters and 15 tokens a second.
        assert_eq!((speed.flops, speed.share_of_matmul), (6000.0, 1.5));
        assert_eq!(median(vec![1.0, 9.0]), 5.0);
    }
}
