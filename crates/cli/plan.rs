//! What a recipe would do: rows, tokens, steps, parameters.

use std::{collections::BTreeMap, io::Write};

use anyhow::Result;
use serde::Serialize;
use slm_data::{BatchOptions, Side};
use slm_model::device::{self, Place};
use slm_model::quant_scheme;
use slm_recipe::{BatchSize, Method, Recipe};
use slm_train::{Fit, Memory, batches_per_epoch, total_steps};

use crate::{
    batch,
    preview::Preview,
    table::{Table, size, thousands},
    teacher::TeacherModel,
    walk::tasks,
};

/// The plan that `check` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    run: String,
    run_exists: bool,
    base: String,
    family: String,
    /// Of a student that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    teacher: Option<String>,
    device: String,
    parameters: usize,
    /// Of the base, as the recipe keeps it.
    weights_bytes: usize,
    /// The same without `model.quantization`.
    weights_bytes_unquantized: usize,
    /// Of a micro-batch at its largest.
    memory: Memory,
    micro_batch_tokens: usize,
    train_rows: usize,
    held_out_rows: usize,
    /// Held out for the tasks; none where none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_rows: Option<usize>,
    left_out_rows: usize,
    tokens: usize,
    learned_tokens: usize,
    micro_batch_rows: usize,
    batch_rows: usize,
    /// What was chosen for `per_device_train_batch_size = "auto"`.
    auto: Option<String>,
    epochs: f64,
    steps: usize,
    tasks: BTreeMap<String, usize>,
    artifacts: Vec<String>,
}

impl Plan {
    /// `fit` is what `auto` was settled on.
    pub(crate) fn of(
        recipe: &Recipe,
        preview: &Preview,
        teacher: Option<&TeacherModel>,
        fit: Option<Fit>,
    ) -> Result<Self> {
        let config = preview.base.config(recipe)?;
        let device = device::open(&recipe.model.device)?;
        let place = Place::of(&device);
        let manifest = preview.shards.manifest();
        let (train, held_out) = (manifest.side(Side::Train), manifest.side(Side::Validation));
        let (steps, epochs) = steps(recipe, preview);
        let section = &recipe.train;
        let micro_batch_tokens = largest_micro_batch(recipe, preview);
        Ok(Self {
            run: recipe.output_dir.clone(),
            run_exists: std::path::Path::new(&recipe.output_dir)
                .join("run.json")
                .exists(),
            base: match recipe.model.base_model.as_str() {
                "" => "random weights, a new tokenizer".into(),
                name => name.into(),
            },
            family: config.family.model_type.into(),
            teacher: recipe
                .distill
                .as_ref()
                .map(|it| it.teacher.name().to_owned()),
            device: device::name(&device),
            parameters: config.n_params(),
            weights_bytes: config.size_bytes(recipe.model.dtype, quant_scheme(&recipe.model)),
            weights_bytes_unquantized: config.size_bytes(recipe.model.dtype, None),
            memory: Memory::of(&config, recipe, place, micro_batch_tokens).taught_by(
                teacher.and_then(|it| it.shape_beside(recipe)).as_ref(),
                &config,
                place,
                micro_batch_tokens,
            ),
            micro_batch_tokens,
            train_rows: train.rows,
            held_out_rows: held_out.rows,
            test_rows: (!manifest.test.is_empty()).then_some(manifest.test.rows),
            left_out_rows: manifest.cleaned_out() + manifest.left_out(),
            tokens: train.tokens,
            learned_tokens: train.learned_tokens,
            micro_batch_rows: micro_batch_rows(recipe),
            batch_rows: micro_batch_rows(recipe) * section.gradient_accumulation_steps,
            auto: fit.as_ref().map(batch::told),
            epochs,
            steps,
            tasks: tasks(recipe, &preview.shards, &preview.base.tokenizer)?
                .iter()
                .map(|task| (task.name().to_owned(), task.rows()))
                .collect(),
            artifacts: artifacts(recipe),
        })
    }

    /// Prints the plan for people.
    pub(crate) fn write(&self, out: &mut dyn Write) -> Result<()> {
        let mut table = Table::new(&[]);
        let state = if self.run_exists {
            "there already"
        } else {
            "new"
        };
        table.row(["run".into(), format!("{} ({state})", self.run)]);
        let parameters = thousands(self.parameters);
        table.row([
            "base".into(),
            format!("{} ({}, {parameters} parameters)", self.base, self.family),
        ]);
        if let Some(teacher) = &self.teacher {
            table.row(["teacher".into(), teacher.clone()]);
        }
        table.row(["weights".into(), self.weights()]);
        table.row(["memory".into(), self.memory()]);
        if let Some(auto) = &self.auto {
            table.row(["auto batch".into(), auto.clone()]);
        }
        table.row(["device".into(), self.device.clone()]);
        let test = self.test_rows.map(thousands);
        table.row([
            "rows".into(),
            format!(
                "{} to learn from, {} held out{}, {} left out",
                thousands(self.train_rows),
                thousands(self.held_out_rows),
                test.map_or_else(String::new, |rows| format!(", {rows} of the test")),
                thousands(self.left_out_rows)
            ),
        ]);
        let (tokens, learned) = (thousands(self.tokens), thousands(self.learned_tokens));
        table.row([
            "tokens".into(),
            format!("{tokens}, of which {learned} are learned"),
        ]);
        let (steps, rows) = (thousands(self.steps), self.batch_rows);
        table.row([
            "steps".into(),
            format!("{steps} of {rows} rows, {:.1} epochs", self.epochs),
        ]);
        let tasks = self.tasks.iter();
        let tasks: Vec<_> = tasks
            .map(|(name, rows)| format!("{name} ({} rows)", thousands(*rows)))
            .collect();
        table.row(["tasks".into(), listed(&tasks)]);
        table.row(["artifacts".into(), listed(&self.artifacts)]);
        table.write(out)?;
        Ok(())
    }
}

impl Plan {
    /// What training takes up, and what most of it goes to.
    fn memory(&self) -> String {
        let bytes = |bytes: usize| size(bytes as u64);
        let Memory {
            trained_bytes,
            activations_bytes,
            teacher_bytes,
            ..
        } = self.memory;
        let of_teacher = match teacher_bytes {
            0 => String::new(),
            taken => format!(", {} for the teacher", bytes(taken)),
        };
        format!(
            "about {} while training: {} for what is trained, {} for {} tokens at a time{of_teacher}",
            bytes(self.memory.total_bytes()),
            bytes(trained_bytes),
            bytes(activations_bytes),
            thousands(self.micro_batch_tokens),
        )
    }

    /// What the weights take up, and what that saves.
    fn weights(&self) -> String {
        let [kept, floats] = [self.weights_bytes, self.weights_bytes_unquantized];
        let text = size(kept as u64);
        match kept == floats {
            true => text,
            false => {
                let bits = 8.0 * kept as f64 / self.parameters as f64;
                let floats = size(floats as u64);
                format!("{text}, {bits:.1} bits per parameter (unquantized: {floats})")
            }
        }
    }
}

/// Tokens of a micro-batch that has the longest row, padding included.
fn largest_micro_batch(recipe: &Recipe, preview: &Preview) -> usize {
    let length = batch::longest_row(recipe, preview.shards.train());
    micro_batch_rows(recipe) * batch::answers(recipe) * length
}

/// Rows of a micro-batch, which are settled by now.
fn micro_batch_rows(recipe: &Recipe) -> usize {
    let rows = recipe.train.per_device_train_batch_size.rows();
    rows.unwrap_or(BatchSize::ROWS_OF_A_STEP)
}

/// Optimizer steps, and the passes over the rows that they make.
fn steps(recipe: &Recipe, preview: &Preview) -> (usize, f64) {
    let section = &recipe.train;
    let options = BatchOptions {
        batch_size: micro_batch_rows(recipe),
        max_length: recipe.model.max_length,
        packing: recipe.data.packing,
        shuffle: recipe.data.shuffle,
        group_by_length: recipe.train.group_by_length,
        shares: preview.shards.shares(),
        seed: recipe.seed,
        epoch: 0,
    };
    let samples = preview.shards.train();
    let micro_batches = batches_per_epoch(samples, section.objective, &options);
    let of_step = section.gradient_accumulation_steps;
    let steps = total_steps(section, micro_batches, of_step);
    let each = micro_batches.div_ceil(of_step);
    (steps, steps as f64 / each.max(1) as f64)
}

fn artifacts(recipe: &Recipe) -> Vec<String> {
    let export = &recipe.export;
    let adapter = export.peft_adapter && recipe.train.method == Method::Lora;
    let mut names = Vec::new();
    names.extend(adapter.then(|| "adapter".to_owned()));
    names.extend(export.gguf_adapter.then(|| "GGUF adapter".to_owned()));
    names.extend(export.merged.then(|| "merged model".to_owned()));
    let schemes = export.compressed_tensors.iter();
    names.extend(schemes.map(|scheme| format!("{} for vLLM", scheme.name())));
    names.extend(
        export
            .gguf
            .iter()
            .map(|kind| format!("GGUF {}", kind.name())),
    );
    names
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        names => names.join(", "),
    }
}
