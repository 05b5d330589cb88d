//! What a run must do: learn a few rows by heart, and go on after an interruption as if nothing had happened.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use slm_data::Sample;
use slm_model::{Decoder, DecoderConfig, LoraSpec, device};
use slm_recipe::{LoraSection, Optim, TargetModules, TrainSection};
use slm_run::Event;
use slm_train::{Corpus, Options, Outcome, Trainer};
use tempfile::tempdir;

/// A decoder of 2 layers on the processor, with every weight or an adapter to train.
fn tiny(full: bool, dropout: f64) -> Decoder {
    decoder(full, dropout, 24)
}

fn decoder(full: bool, dropout: f64, intermediate_size: usize) -> Decoder {
    let config = json!({
        "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": intermediate_size, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": true, "initializer_range": 0.2,
    });
    let config = DecoderConfig::from_json(config, Path::new("config.json")).unwrap();
    let mut decoder = Decoder::init(config, 7, &device::open("cpu").unwrap());
    if full {
        decoder.train_all();
    } else {
        let targets = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
            .map(String::from)
            .into();
        decoder
            .attach_lora(
                &LoraSpec::from(&LoraSection {
                    r: 4,
                    lora_alpha: 8.0,
                    lora_dropout: dropout,
                    target_modules: TargetModules::Names(targets),
                    ..LoraSection::default()
                }),
                3,
            )
            .unwrap();
    }
    decoder
}

fn samples(n: u32) -> Vec<Sample> {
    let row = |i: u32| -> Vec<u32> {
        (0..6 + i % 3)
            .map(|t| (i * 7 + t * (i + 1)) % 31 + 1)
            .collect()
    };
    (0..n)
        .map(|i| Sample::new(i as usize, row(i), vec![true; row(i).len()]))
        .collect()
}

fn section(steps: usize) -> TrainSection {
    TrainSection {
        max_steps: steps,
        per_device_train_batch_size: 4,
        learning_rate: 0.02,
        eval_steps: 5,
        ..TrainSection::default()
    }
}

fn run(
    decoder: &mut Decoder,
    folder: &Path,
    section: &TrainSection,
    resume: bool,
    stop_at: usize,
) -> (Outcome, Vec<u64>) {
    let (train, validation) = (samples(8), samples(2));
    let corpus = Corpus {
        train: &train,
        validation: &validation,
    };
    let options = Options {
        section: section.clone(),
        seed: 1,
        loraplus_lr_ratio: 1.0,
        max_length: 16,
        packing: false,
        shuffle: true,
        shares: Vec::new(),
        checkpoints: folder.join("checkpoints"),
        resume,
    };
    let stop = AtomicBool::new(false);
    let mut losses = Vec::new();
    let outcome = Trainer::new(decoder, corpus, options)
        .unwrap()
        .run(decoder, &stop, &mut |event| {
            if let Event::Step { step, loss, .. } = event {
                losses.push(loss.to_bits());
                stop.store(step == stop_at, Ordering::Relaxed);
            }
        })
        .unwrap();
    (outcome, losses)
}

fn weights(decoder: &Decoder) -> Vec<Vec<f32>> {
    decoder
        .trainable()
        .iter()
        .map(|p| p.value.clone().inner().into_data().try_into_vec().unwrap())
        .collect()
}

#[test]
fn eight_rows_are_learned_by_heart() {
    for full in [true, false] {
        let (folder, mut decoder) = (tempdir().unwrap(), tiny(full, 0.0));
        let steps = if full { 80 } else { 200 };
        let (outcome, _) = run(&mut decoder, folder.path(), &section(steps), false, 0);
        let (first, last) = (outcome.state.first_loss, outcome.state.last_loss);
        assert!(
            last < 0.5 * first && last < 1.5,
            "full {full}: loss went from {first} to {last}"
        );
    }
}

#[test]
fn ten_steps_equal_five_and_five_resumed_bit_for_bit() {
    for (full, dropout) in [(true, 0.0), (false, 0.0), (false, 0.2)] {
        let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
        let mut uninterrupted = tiny(full, dropout);
        let section = TrainSection {
            load_best_model_at_end: false,
            ..section(10)
        };
        let (_, losses) = run(&mut uninterrupted, whole.path(), &section, false, 0);

        let (first, mut before) = run(&mut tiny(full, dropout), parts.path(), &section, false, 5);
        assert!(first.interrupted && first.state.step == 5);
        let mut resumed = tiny(full, dropout);
        let (second, after) = run(&mut resumed, parts.path(), &section, true, 0);
        before.extend(after);
        assert_eq!(before, losses, "full {full}, dropout {dropout}: losses");
        assert_eq!(
            weights(&resumed),
            weights(&uninterrupted),
            "full {full}, dropout {dropout}: weights"
        );
        assert_eq!(second.state.step, 10);
    }
}

#[test]
fn every_optimizer_learns_and_is_resumed_bit_for_bit() {
    for (optim, momentum, learning_rate) in [
        (Optim::Adamw, 0.0, 0.02),
        (Optim::Adamw8bit, 0.0, 0.02),
        (Optim::Adafactor, 0.0, 0.02),
        (Optim::Lion, 0.0, 0.005),
        (Optim::Sgd, 0.0, 0.3),
        (Optim::Sgd, 0.9, 0.1),
    ] {
        // Matrices of 16 times 260 values are large enough for 8-bit states, and end in a block that is not full.
        let fresh = || decoder(true, 0.0, 260);
        let section = TrainSection {
            optim,
            momentum,
            learning_rate,
            weight_decay: 0.01,
            load_best_model_at_end: false,
            ..section(10)
        };
        let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
        let mut uninterrupted = fresh();
        let (outcome, losses) = run(&mut uninterrupted, whole.path(), &section, false, 0);
        let (first, last) = (outcome.state.first_loss, outcome.state.last_loss);
        assert!(
            last < 0.95 * first,
            "{optim:?}: loss went from {first} to {last}"
        );

        let (_, mut before) = run(&mut fresh(), parts.path(), &section, false, 5);
        let mut resumed = fresh();
        let (_, after) = run(&mut resumed, parts.path(), &section, true, 0);
        before.extend(after);
        assert_eq!(before, losses, "{optim:?}: losses");
        assert_eq!(
            weights(&resumed),
            weights(&uninterrupted),
            "{optim:?}: weights"
        );
    }
}

#[test]
fn accumulated_micro_batches_equal_one_large_batch() {
    let losses = |batch: usize, accumulation: usize, checkpointing: bool| {
        let folder = tempdir().unwrap();
        let section = TrainSection {
            per_device_train_batch_size: batch,
            gradient_accumulation_steps: accumulation,
            gradient_checkpointing: checkpointing,
            ..section(6)
        };
        let (_, bits) = run(&mut tiny(true, 0.0), folder.path(), &section, false, 0);
        bits.into_iter().map(f64::from_bits).collect::<Vec<_>>()
    };
    let whole = losses(8, 1, false);
    for (what, parts) in [
        ("8 of 1", losses(1, 8, false)),
        ("checkpointed", losses(8, 1, true)),
    ] {
        for (step, (a, b)) in whole.iter().zip(&parts).enumerate() {
            assert!(
                (a - b).abs() < 1e-5 * a,
                "{what}, step {step}: {b} is not {a}"
            );
        }
    }
}

#[test]
fn patience_ends_a_run_that_no_longer_improves_and_the_best_weights_are_taken() {
    let (folder, mut decoder) = (tempdir().unwrap(), tiny(true, 0.0));
    // A rate so high that the held-out loss rises again.
    let section = TrainSection {
        learning_rate: 0.3,
        early_stopping_patience: 2,
        eval_steps: 1,
        ..section(60)
    };
    let (outcome, _) = run(&mut decoder, folder.path(), &section, false, 0);
    assert!(outcome.stopped_early && outcome.state.step < 60);
    let (best, _) = outcome.state.best.unwrap();
    assert_eq!(
        (outcome.weights_of_step, outcome.state.step),
        (best, best + 2)
    );
    let left = std::fs::read_dir(folder.path().join("checkpoints"))
        .unwrap()
        .count();
    assert!(
        left <= section.save_total_limit + 1,
        "{left} checkpoints are left"
    );
}

#[test]
fn a_run_that_stops_early_leaves_a_checkpoint_of_its_last_step() {
    let folder = tempdir().unwrap();
    let section = TrainSection {
        learning_rate: 0.3,
        early_stopping_patience: 2,
        eval_steps: 1,
        save_steps: 50,
        load_best_model_at_end: false,
        ..section(60)
    };
    let (outcome, _) = run(&mut tiny(true, 0.0), folder.path(), &section, false, 0);
    assert!(outcome.stopped_early);
    let last = slm_train::latest_checkpoint(&folder.path().join("checkpoints"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (last.state.step, outcome.weights_of_step),
        (outcome.state.step, outcome.state.step)
    );
}
