//! `slm-tune bench`: how fast a recipe trains here, and where the time goes.

use std::time::Instant;

use anyhow::Result;
use slm_model::device::{self, Place};
use slm_model::matmul_flops;
use slm_recipe::Quantization;
use slm_run::write_file_atomic;
use slm_train::{Memory, measure_steps};

use crate::{
    args::BenchArguments,
    machine::{fresh_pages, peak_memory_bytes},
    reporter::Reporter,
    speed::{GenerationSpeed, Speed, TrainingSpeed},
    terminal::Terminal,
    workload::{Workload, steps_by_part},
};

pub(crate) fn run(arguments: BenchArguments, terminal: &mut Terminal) -> Result<()> {
    let mut reporter = Reporter::warnings(terminal);
    let workload = Workload::new(&arguments, terminal.offline, &mut reporter)?;
    let started = Instant::now();
    let mut decoder = workload.decoder()?;
    let load_s = started.elapsed().as_secs_f64();
    let loaded_peak_bytes = peak_memory_bytes();
    device::reset_peak_memory(decoder.device());

    let mut trainer = workload.trainer(&mut decoder)?;
    measure_steps(&mut trainer, &mut decoder, arguments.warmup, false)?;
    let pages = fresh_pages();
    let steps = measure_steps(&mut trainer, &mut decoder, arguments.steps, false)?;
    let pages = Option::zip(fresh_pages(), pages).map(|(after, before)| after - before);
    let places = steps.iter().map(|step| step.places).max();
    let (recipe, parameters) = (&workload.recipe, workload.config.n_params());
    let by_part = match steps.len() {
        0 => Vec::new(),
        n => measure_steps(&mut trainer, &mut decoder, steps_by_part(n), true)?,
    };
    let expected = places.map(|places| {
        let micro_batch = places.div_ceil(workload.shape.micro_batches);
        let place = Place::of(decoder.device());
        let teacher = workload.teacher.as_ref();
        let teacher = teacher.and_then(|it| it.shape_beside(recipe));
        Memory::of(&workload.config, recipe, place, micro_batch).taught_by(
            teacher.as_ref(),
            &workload.config,
            place,
            micro_batch,
        )
    });
    let device_peak = device::peak_memory(decoder.device());
    let mut generation = Vec::new();
    for &rows in arguments
        .rows
        .iter()
        .filter(|_| arguments.generate.is_some())
    {
        let new_tokens = arguments.generate.unwrap_or_default();
        generation.push(GenerationSpeed::measure(
            &decoder,
            rows,
            arguments.prompt,
            new_tokens,
        ));
    }
    let peak_bytes = peak_memory_bytes();
    // Last, for its matrices are no part of what training needs.
    let matmul_flops = matmul_flops(decoder.device(), recipe.model.dtype);
    let method = recipe.train.method;
    let training = (!steps.is_empty())
        .then(|| TrainingSpeed::of(steps, by_part, method, parameters, matmul_flops));
    let speed = Speed {
        device: device::name(decoder.device()),
        dtype: recipe.model.dtype,
        quantization: recipe.model.quantization,
        int8_activations: recipe.model.quantization == Quantization::Int8
            && recipe.model.int8_activations,
        parameters,
        trained_parameters: decoder.n_trainable(),
        workload: workload.shape,
        load_s,
        matmul_flops,
        training,
        generation,
        loaded_peak_bytes,
        fresh_pages: pages,
        peak_bytes,
        device_peak,
        expected_bytes: expected.map(|expected| expected.total_bytes()),
        expected,
    };
    if let Some(path) = &arguments.out {
        write_file_atomic(path, &serde_json::to_vec_pretty(&speed)?)?;
    }
    match arguments.recipe.output.json {
        true => terminal.json(&speed),
        false => speed.write(&mut terminal.out),
    }
}
