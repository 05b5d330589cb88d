//! `train.per_device_train_batch_size = "auto"`, settled on this machine.

use std::path::Path;

use anyhow::Result;
use slm_data::Sample;
use slm_dist::Launch;
use slm_model::DecoderConfig;
use slm_model::device::{self, Place};
use slm_model::gpu;
use slm_recipe::{BatchSize, Objective, Recipe};
use slm_train::Fit;

use crate::{failure::refuse, machine::available_memory_bytes, teacher::TeacherModel};

/// Writes what fits into a recipe that says `auto`; none of another recipe.
pub(crate) fn settle(
    recipe: &mut Recipe,
    config: &DecoderConfig,
    teacher: Option<&TeacherModel>,
    longest_row: usize,
) -> Result<Option<Fit>> {
    if recipe.train.per_device_train_batch_size != BatchSize::Auto {
        return Ok(None);
    }
    let nth = Launch::local_rank()?;
    let place = Place::of(&device::open_nth(&recipe.model.device, nth)?);
    let free_bytes = free_bytes(recipe, place, nth).ok_or_else(|| {
        refuse(
            "how much memory is free is not known here",
            "write `train.per_device_train_batch_size` as a number",
        )
    })?;
    let row_tokens = answers(recipe) * longest_row;
    let teacher = teacher.and_then(|it| it.shape_beside(recipe));
    let fit = Fit::of(
        config,
        recipe,
        teacher.as_ref(),
        place,
        row_tokens,
        free_bytes,
    )?;
    fit.settle(&mut recipe.train);
    Ok(Some(fit))
}

/// Takes over what the run in `root` settled on: a run is one of the same recipe, and goes on as it began.
pub(crate) fn adopt(recipe: &mut Recipe, root: &Path) {
    let earlier = Recipe::load(&root.join("recipe.resolved.toml"), &[]);
    let Ok(earlier) = earlier.map(|recipe| recipe.train) else {
        return;
    };
    let train = &mut recipe.train;
    if let (BatchSize::Auto, BatchSize::Rows(rows)) = (
        train.per_device_train_batch_size,
        earlier.per_device_train_batch_size,
    ) && rows * earlier.gradient_accumulation_steps == BatchSize::ROWS_OF_A_STEP
    {
        train.per_device_train_batch_size = BatchSize::Rows(rows);
        train.gradient_accumulation_steps = earlier.gradient_accumulation_steps;
        train.gradient_checkpointing |= earlier.gradient_checkpointing;
    }
}

/// Tokens of the longest row that training reads at a time.
pub(crate) fn longest_row(recipe: &Recipe, rows: &[Sample]) -> usize {
    match recipe.data.packing {
        true => recipe.model.max_length,
        false => rows.iter().map(|row| row.ids.len()).max().unwrap_or(0),
    }
}

/// Answers of a row that are read together.
pub(crate) fn answers(recipe: &Recipe) -> usize {
    match recipe.train.objective {
        Objective::Dpo | Objective::Orpo => 2,
        Objective::Sft | Objective::Kto => 1,
    }
}

/// What was chosen, in words.
pub(crate) fn told(fit: &Fit) -> String {
    let times = match fit.micro_batches {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let checkpointing = match fit.gradient_checkpointing {
        true => ", with gradient checkpointing",
        false => "",
    };
    format!("{} rows at a time, {times} a step{checkpointing}", fit.rows)
}

fn free_bytes(recipe: &Recipe, place: Place, nth: usize) -> Option<u64> {
    match (place, recipe.model.device.as_str()) {
        (Place::Gpu, "libtorch:mps") => available_memory_bytes(),
        (Place::Gpu, "auto") => {
            gpu::free_bytes("libtorch:cuda", nth).or_else(available_memory_bytes)
        }
        (Place::Gpu, spec) => gpu::free_bytes(spec, nth),
        _ => available_memory_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_told_in_words() {
        let fit = |rows, micro_batches, gradient_checkpointing| Fit {
            rows,
            micro_batches,
            gradient_checkpointing,
        };
        assert_eq!(told(&fit(32, 1, false)), "32 rows at a time, once a step");
        assert_eq!(
            told(&fit(4, 8, true)),
            "4 rows at a time, 8 times a step, with gradient checkpointing"
        );
    }
}
