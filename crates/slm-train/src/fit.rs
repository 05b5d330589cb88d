//! How many rows of a step fit into the memory at a time.

use slm_model::DecoderConfig;
use slm_model::device::Place;
use slm_recipe::{BatchSize, Objective, Recipe, TrainSection};

use crate::{Memory, TeacherShape, TrainError};

/// Share of the memory that is free that a step may take: allocators round, and what is foretold is a few percent off.
const SHARE: f64 = 0.9;

/// What `train.per_device_train_batch_size = "auto"` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Of a micro-batch.
    pub rows: usize,
    pub micro_batches: usize,
    pub gradient_checkpointing: bool,
}

impl Fit {
    /// The largest micro-batch that fits, a power of two: without gradient checkpointing, unless not even the smallest does.
    /// `row_tokens` are those of the longest row, both answers of one with two; `teacher` is asked in every step, on the same device.
    ///
    /// # Errors
    /// Nothing fits.
    pub fn of(
        config: &DecoderConfig,
        recipe: &Recipe,
        teacher: Option<&TeacherShape>,
        place: Place,
        row_tokens: usize,
        free_bytes: u64,
    ) -> Result<Self, TrainError> {
        let room = (SHARE * free_bytes as f64) as usize;
        // KTO puts the answers of a batch to each other's prompts.
        let fewest = match recipe.train.objective {
            Objective::Kto => 2,
            _ => 1,
        };
        let mut needed_bytes = 0;
        for gradient_checkpointing in [recipe.train.gradient_checkpointing, true] {
            let mut recipe = recipe.clone();
            recipe.train.gradient_checkpointing = gradient_checkpointing;
            let mut rows = BatchSize::ROWS_OF_A_STEP;
            while rows >= fewest {
                let tokens = rows * row_tokens;
                let memory = Memory::of(config, &recipe, place, tokens);
                needed_bytes = memory
                    .taught_by(teacher, config, place, tokens)
                    .total_bytes();
                if needed_bytes <= room {
                    return Ok(Self {
                        rows,
                        micro_batches: BatchSize::ROWS_OF_A_STEP / rows,
                        gradient_checkpointing,
                    });
                }
                rows /= 2;
            }
        }
        Err(TrainError::WillNotFit {
            needed_bytes: needed_bytes as u64,
            free_bytes,
            row_tokens,
        })
    }

    /// Writes it where the recipe says `auto`.
    pub fn settle(self, section: &mut TrainSection) {
        section.per_device_train_batch_size = BatchSize::Rows(self.rows);
        section.gradient_accumulation_steps = self.micro_batches;
        section.gradient_checkpointing = self.gradient_checkpointing;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slm_recipe::{Dtype, HiddenSection};

    use super::*;

    const GB: u64 = 1_000_000_000;

    fn fit(free_bytes: u64, objective: Objective) -> Result<Fit, TrainError> {
        let shape = "../../tests/peers/shapes/llama-3.2-1b";
        let shape = Path::new(env!("CARGO_MANIFEST_DIR")).join(shape);
        let config = DecoderConfig::read(&shape).unwrap();
        let mut recipe = Recipe::default();
        recipe.lora.r = 16;
        recipe.model.dtype = Dtype::Bf16;
        recipe.train.objective = objective;
        Fit::of(&config, &recipe, None, Place::Gpu, 1024, free_bytes)
    }

    /// A teacher of 2.5 GB leaves room for half of the rows.
    #[test]
    fn a_teacher_on_the_same_device_takes_its_room() {
        let shape = "../../tests/peers/shapes/llama-3.2-1b";
        let shape = Path::new(env!("CARGO_MANIFEST_DIR")).join(shape);
        let config = DecoderConfig::read(&shape).unwrap();
        let mut recipe = Recipe::default();
        recipe.lora.r = 16;
        recipe.model.dtype = Dtype::Bf16;
        let teacher = TeacherShape {
            config: config.clone(),
            dtype: Dtype::Bf16,
            scheme: None,
            hidden: HiddenSection::default(),
        };
        let rows = |teacher| {
            let fit = Fit::of(&config, &recipe, teacher, Place::Gpu, 1024, 13 * GB);
            fit.unwrap().rows
        };
        assert_eq!((rows(None), rows(Some(&teacher))), (8, 4));
    }

    fn parts(fit: &Fit) -> (usize, usize, bool) {
        (fit.rows, fit.micro_batches, fit.gradient_checkpointing)
    }

    /// Eight rows of 1024 tokens take 11.0 GB, of which the base is 2.5; each row one more.
    #[test]
    fn the_largest_micro_batch_that_fits_is_taken() {
        for (free, expected) in [
            (80 * GB, (32, 1, false)),
            (24 * GB, (16, 2, false)),
            (13 * GB, (8, 4, false)),
            (12 * GB, (4, 8, false)),
            (5 * GB, (1, 32, false)),
            (4 * GB, (4, 8, true)),
        ] {
            let fit = fit(free, Objective::Sft).unwrap();
            assert_eq!(parts(&fit), expected, "{free}");
        }
    }

    #[test]
    fn kto_needs_two_answers() {
        let fit = fit(5 * GB, Objective::Kto).unwrap();
        assert!(fit.rows >= 2 && fit.gradient_checkpointing, "{fit:?}");
    }

    #[test]
    fn what_fits_in_no_way_is_told() {
        let error = fit(3 * GB, Objective::Sft).unwrap_err();
        assert!(
            error.to_string().starts_with("a row of 1024 tokens needs "),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("nf4"));
    }

    #[test]
    fn a_step_has_as_many_rows_on_every_machine() {
        for free in [80 * GB, 13 * GB, 5 * GB] {
            let mut section = TrainSection {
                per_device_train_batch_size: BatchSize::Auto,
                ..TrainSection::default()
            };
            fit(free, Objective::Sft).unwrap().settle(&mut section);
            let rows = section.per_device_train_batch_size.rows().unwrap();
            let step = rows * section.gradient_accumulation_steps;
            assert_eq!(step, BatchSize::ROWS_OF_A_STEP);
        }
    }
}
