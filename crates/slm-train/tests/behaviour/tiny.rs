//! A model of 2 layers, 8 rows, and a run over them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use slm_data::Sample;
use slm_model::{Decoder, DecoderConfig, LoraSpec, device};
use slm_recipe::{BatchSize, LoraSection, PreferenceSection, TargetModules, TrainSection};
use slm_run::Event;
use slm_train::{Corpus, Options, Outcome, Reference, Teaching, TrainError, Trainer, Turn};

/// A decoder of 2 layers on the processor, with every weight or an adapter to train.
pub(crate) fn tiny(full: bool, dropout: f64) -> Decoder {
    decoder(full, dropout, 24)
}

pub(crate) fn decoder(full: bool, dropout: f64, intermediate_size: usize) -> Decoder {
    let mut decoder = Decoder::init(config(intermediate_size), 7, &device::open("cpu").unwrap());
    match full {
        true => decoder.train_all(),
        false => adapt(&mut decoder, &adapter(dropout)),
    }
    decoder
}

pub(crate) fn config(intermediate_size: usize) -> DecoderConfig {
    let config = json!({
        "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": intermediate_size, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": true, "initializer_range": 0.2,
    });
    DecoderConfig::from_json(config, Path::new("config.json")).unwrap()
}

pub(crate) fn adapter(dropout: f64) -> LoraSection {
    let targets = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"];
    LoraSection {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout: dropout,
        target_modules: TargetModules::Names(targets.map(String::from).into()),
        ..LoraSection::default()
    }
}

pub(crate) fn adapt(decoder: &mut Decoder, section: &LoraSection) {
    decoder.attach_lora(&LoraSpec::from(section), 3).unwrap();
}

pub(crate) fn samples(n: u32) -> Vec<Sample> {
    let row = |i: u32| -> Vec<u32> {
        (0..6 + i % 3)
            .map(|t| (i * 7 + t * (i + 1)) % 31 + 1)
            .collect()
    };
    (0..n)
        .map(|i| Sample::new(i as usize, row(i), vec![true; row(i).len()]))
        .collect()
}

pub(crate) fn section(steps: usize) -> TrainSection {
    TrainSection {
        max_steps: steps,
        per_device_train_batch_size: BatchSize::Rows(4),
        learning_rate: 0.02,
        eval_steps: 5,
        ..TrainSection::default()
    }
}

/// What a run is made of.
pub(crate) struct Run<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) section: &'a TrainSection,
    pub(crate) resume: bool,
    /// Interrupt after this step; 0 = never.
    pub(crate) stop_at: usize,
}

/// How a run ended, and the steps and evaluations on the way.
pub(crate) struct Told {
    pub(crate) outcome: Result<Outcome, TrainError>,
    pub(crate) events: Vec<Event>,
}

impl Run<'_> {
    /// Runs over `rows`; a task's metric is what `measure` says of the step.
    pub(crate) fn over(
        &self,
        decoder: &mut Decoder,
        rows: &[Sample],
        measure: impl FnMut(&Decoder) -> f64,
    ) -> Told {
        self.taught_over(decoder, rows, None, measure)
    }

    /// The same with a teacher.
    pub(crate) fn taught_over(
        &self,
        decoder: &mut Decoder,
        rows: &[Sample],
        teaching: Option<Teaching>,
        mut measure: impl FnMut(&Decoder) -> f64,
    ) -> Told {
        let validation = samples(2);
        let corpus = Corpus {
            train: rows,
            validation: &validation,
        };
        let options = Options {
            section: self.section.clone(),
            seed: 1,
            loraplus_lr_ratio: 1.0,
            max_length: 16,
            packing: false,
            shuffle: true,
            shares: Vec::new(),
            preference: PreferenceSection::default(),
            reference: Reference::default(),
            teaching,
            checkpoints: self.folder.join("checkpoints"),
            resume: self.resume,
        };
        let stop = AtomicBool::new(false);
        let mut events = Vec::new();
        let mut emit = |event| {
            if let Event::Step { step, .. } = event {
                stop.store(step == self.stop_at, Ordering::Relaxed);
            }
            events.push(event);
        };
        let mut trainer = Trainer::new(decoder, corpus, options).unwrap();
        let outcome = loop {
            match trainer.advance(decoder, &stop, &mut emit) {
                Ok(Turn::Ended(outcome)) => break Ok(outcome),
                Ok(Turn::Measure) => {
                    let metric = measure(decoder);
                    trainer.measured(decoder, metric, &mut emit).unwrap();
                }
                Err(error) => break Err(error),
            }
        };
        Told { outcome, events }
    }
}

/// A run that ends well, and the bits of its losses.
pub(crate) fn run(
    decoder: &mut Decoder,
    folder: &Path,
    section: &TrainSection,
    resume: bool,
    stop_at: usize,
) -> (Outcome, Vec<u64>) {
    let run = Run {
        folder,
        section,
        resume,
        stop_at,
    };
    let told = run.over(decoder, &samples(8), |_| {
        unreachable!("no task is measured")
    });
    let losses = told.events.iter().filter_map(|event| match event {
        Event::Step { loss, .. } => Some(loss.to_bits()),
        _ => None,
    });
    (told.outcome.unwrap(), losses.collect())
}

pub(crate) fn weights(decoder: &Decoder) -> Vec<Vec<f32>> {
    decoder
        .trainable()
        .iter()
        .map(|p| p.tensor().inner().into_data().try_into_vec().unwrap())
        .collect()
}
