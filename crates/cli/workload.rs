//! What `bench` works on: the rows and the base of a recipe, or rows and weights of which only the shape matters.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use slm_data::{Sample, TeacherCache};
use slm_model::{Decoder, DecoderConfig, device, locate, quant_scheme};
use slm_recipe::{BatchSize, DistillLoss, Init, Objective, Recipe};
use slm_train::{
    Corpus, LiveTeacher, Measure, Options, Practice, Reference, Teaching, Trainer, Tutor,
};
use tempfile::TempDir;

use crate::{
    args::BenchArguments, base::make_trainable, batch, failure::refuse, preview::Preview,
    reporter::Reporter, teacher::TeacherModel,
};

/// Rows to be trained on, and the base that learns them.
pub(crate) struct Workload {
    pub(crate) recipe: Recipe,
    pub(crate) shape: WorkloadShape,
    pub(crate) config: DecoderConfig,
    /// The recipe's rows, where they are read.
    preview: Option<Preview>,
    random_rows: Vec<Sample>,
    pub(crate) teacher: Option<TeacherModel>,
    /// The base, where it has a folder.
    folder: Option<PathBuf>,
    /// Where a step that diverges leaves its checkpoint.
    scratch: TempDir,
}

/// The size of a workload.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct WorkloadShape {
    /// Rows of a micro-batch; conversations share a row with `data.packing`.
    pub(crate) batch: usize,
    /// Micro-batches of a step.
    pub(crate) micro_batches: usize,
    /// Tokens of a random row; none where the rows are the recipe's.
    pub(crate) length: Option<usize>,
    pub(crate) random_weights: bool,
}

impl Workload {
    pub(crate) fn new(
        arguments: &BenchArguments,
        offline: bool,
        reporter: &mut Reporter,
    ) -> Result<Self> {
        let mut recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
        let section = &mut recipe.train;
        let steps = arguments.steps + steps_by_part(arguments.steps);
        section.max_steps = (arguments.warmup + steps).max(1);
        if let Some(batch) = arguments.batch {
            section.per_device_train_batch_size = BatchSize::Rows(batch);
        }
        if arguments.length.is_some() {
            section.objective = Objective::Sft;
            recipe.data.packing = false;
        }
        let needs_preview = arguments.length.is_none() || recipe.model.init == Init::Scratch;
        let preview = match needs_preview {
            true => Some(Preview::of(&recipe, offline, reporter)?),
            false => None,
        };
        let (folder, config) = match &preview {
            Some(preview) => (preview.base.folder.clone(), preview.base.config(&recipe)?),
            None => {
                let model = &recipe.model;
                let folder = locate(&model.base_model, model.revision.as_deref(), offline)?;
                let config = DecoderConfig::read(&folder)?;
                (Some(folder), config)
            }
        };
        let rows = preview.as_ref().map(|preview| preview.shards.train());
        let longest = match (arguments.length, rows) {
            (None, Some(rows)) => batch::longest_row(&recipe, rows),
            (length, _) => length.unwrap_or(recipe.model.max_length),
        };
        let teacher = TeacherModel::find(&recipe, offline)?;
        batch::settle(&mut recipe, &config, teacher.as_ref(), longest)?;
        let rows = recipe.train.per_device_train_batch_size.rows();
        let shape = WorkloadShape {
            batch: rows.unwrap_or(BatchSize::ROWS_OF_A_STEP),
            micro_batches: recipe.train.gradient_accumulation_steps,
            length: arguments.length,
            random_weights: arguments.random_weights,
        };
        let n_rows = shape.batch * shape.micro_batches * recipe.train.max_steps;
        let random_rows = shape.length.map(|length| {
            let row = |row| random_row(row, length, config.vocab_size);
            (0..n_rows).map(row).collect()
        });
        Ok(Self {
            recipe,
            shape,
            config,
            preview,
            random_rows: random_rows.unwrap_or_default(),
            teacher,
            folder,
            scratch: tempfile::tempdir().context("failed to make a temporary folder")?,
        })
    }

    /// The base with what the recipe trains of it.
    pub(crate) fn decoder(&self) -> Result<Decoder> {
        let (recipe, model) = (&self.recipe, &self.recipe.model);
        let device = device::open_for(model, 0)?;
        let (dtype, scheme) = (model.dtype, quant_scheme(model));
        let mut decoder = match &self.folder {
            Some(folder) if !self.shape.random_weights && model.init == Init::Pretrained => {
                Decoder::load_quantized(folder, &device, dtype, scheme)
                    .with_context(|| format!("failed to load `{}`", model.base_model))?
            }
            _ => Decoder::random(self.config.clone(), recipe.seed, &device, dtype, scheme),
        };
        make_trainable(&mut decoder, recipe)?;
        Ok(decoder)
    }

    /// How its teacher teaches, where the recipe has one: from its cache, if that is of these rows.
    fn teaching(&self, student: &Decoder) -> Result<Option<Teaching>> {
        let Some(teacher) = &self.teacher else {
            return Ok(None);
        };
        let measure = Measure::new(&teacher.section, teacher.shared_rows(student));
        let preview = self.preview.as_ref();
        if let (Some(preview), None) = (preview, self.shape.length) {
            let samples = preview.shards.train();
            if let Some(folder) = teacher.cache(&preview.base, samples)? {
                let tutor = Tutor::Cached(TeacherCache::open(&folder, samples)?.into());
                return Ok(Some(Teaching { measure, tutor }));
            }
        }
        let decoder = match self.shape.random_weights {
            true => teacher.random()?,
            false => teacher.load()?,
        };
        let recipe = &self.recipe;
        let live = match (preview, teacher.section.loss) {
            (Some(preview), _) => teacher.live(&decoder, student, &preview.base, recipe)?,
            (None, DistillLoss::Divergence) => {
                let (vocab, max_length) = (measure.vocab, recipe.model.max_length);
                let practice = Practice::new(&teacher.section, Vec::new(), max_length, vocab);
                let alignment = teacher.alignment(student, recipe.seed)?;
                LiveTeacher::new(&decoder, student, vocab)
                    .practising(practice)
                    .aligned(alignment)
            }
            (None, DistillLoss::Uld) => {
                return Err(refuse(
                    "random rows are no text, and a teacher with tokens of its own reads text",
                    "measure the rows of the recipe, without `--length`",
                ));
            }
        };
        let tutor = Tutor::Live(live);
        Ok(Some(Teaching { measure, tutor }))
    }

    /// A run over the rows that neither evaluates nor writes checkpoints.
    pub(crate) fn trainer(&self, decoder: &mut Decoder) -> Result<Trainer<'_>> {
        let shards = self.preview.as_ref().map(|preview| &preview.shards);
        let (train, shares) = match (shards, self.shape.length) {
            (Some(shards), None) => (shards.train(), shards.shares()),
            _ => (&self.random_rows[..], Vec::new()),
        };
        let corpus = Corpus {
            train,
            validation: &[],
        };
        let recipe = &self.recipe;
        let options = Options {
            section: recipe.train.clone(),
            seed: recipe.seed,
            loraplus_lr_ratio: recipe.lora.loraplus_lr_ratio,
            max_length: recipe.model.max_length,
            packing: recipe.data.packing,
            shuffle: recipe.data.shuffle,
            shares,
            preference: recipe.preference.clone(),
            // What the student held the answers for changes what is learned, not how fast.
            reference: Reference {
                train: vec![0.0; train.len()],
                validation: Vec::new(),
            },
            teaching: self.teaching(decoder)?,
            checkpoints: self.scratch.path().into(),
            resume: false,
        };
        Ok(Trainer::new(decoder, corpus, options)?)
    }
}

/// Steps that are measured by part, after so many that were measured as a whole.
pub(crate) fn steps_by_part(steps: usize) -> usize {
    steps.min(3)
}

/// A row of ids that are all learned; the same for the same number.
fn random_row(row: usize, length: usize, vocab_size: usize) -> Sample {
    Sample::new(row, random_ids(row, length, vocab_size), vec![true; length])
}

/// Ids from a linear congruence (Knuth's MMIX), whose upper bits are as good as random here.
pub(crate) fn random_ids(row: usize, length: usize, vocab_size: usize) -> Vec<u32> {
    let mut state = row as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocab_size as u64) as u32
    };
    (0..length).map(|_| next()).collect()
}
