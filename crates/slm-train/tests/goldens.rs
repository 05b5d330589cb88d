//! Gradients and training trajectories against PEFT's (`../shared/fixtures`), on every processor backend that is built.

use std::path::Path;

use slm_data::Batch;
use slm_model::{Decoder, LoraSpec, device};
use slm_recipe::{Dtype, TrainSection};
use slm_testkit::{Golden, relative_difference, shared};
use slm_train::{Gradients, LossOptions, Optimizer, Schedule, clip, loss_and_gradients};

const FAMILIES: [&str; 6] = [
    "llama_tied",
    "llama_untied",
    "llama_rope_llama3",
    "llama_headdim_bias",
    "qwen2",
    "qwen3",
];

fn each_family(check: impl Fn(Decoder, &Path, &str)) {
    let Some(fixtures) = shared("fixtures", FAMILIES.len()) else {
        return;
    };
    for backend in device::available()
        .into_iter()
        .filter(|b| b.usable && b.spec.ends_with("cpu"))
    {
        let device = device::open(&backend.spec).unwrap();
        for family in FAMILIES {
            let dir = fixtures.join(family);
            let mut decoder = Decoder::load(&dir.join("model"), &device, Dtype::F32).unwrap();
            decoder.load_adapter(&dir.join("lora")).unwrap();
            decoder.train_adapter();
            check(decoder, &dir, &format!("{family} on {}", backend.spec));
        }
    }
}

/// A batch from HF's arrays: labels of -100 are not learned, and position i predicts label i + 1.
fn batch(golden: &Golden, prefix: &str) -> Batch {
    let shape = golden.shape(&format!("{prefix}.input_ids"));
    let [rows, cols] = [shape[0], shape[1]];
    let ints = |name: &str| -> Vec<i32> {
        golden
            .i64(&format!("{prefix}.{name}"))
            .into_iter()
            .map(|v| v as i32)
            .collect()
    };
    let labels = ints("labels");
    let has = |name: &str| golden.has(&format!("{prefix}.{name}"));
    let next = |i: usize| {
        if (i + 1).is_multiple_of(cols) {
            -100
        } else {
            labels[i + 1]
        }
    };
    let positions = if has("position_ids") {
        ints("position_ids")
    } else {
        (0..rows).flat_map(|_| 0..cols as i32).collect()
    };
    let mut segments = if has("attention_mask") {
        ints("attention_mask")
    } else {
        vec![1; rows * cols]
    };
    if has("position_ids") {
        let mut segment = 0;
        for (place, position) in segments.iter_mut().zip(&positions) {
            segment += i32::from(*position == 0);
            *place = segment;
        }
    }
    let learn: Vec<bool> = (0..rows * cols).map(|i| next(i) != -100).collect();
    Batch {
        rows,
        cols,
        ids: ints("input_ids"),
        positions,
        targets: (0..rows * cols).map(|i| next(i).max(0)).collect(),
        tokens: segments.iter().filter(|s| **s != 0).count(),
        learned: learn.iter().filter(|l| **l).count(),
        segments,
        learn,
    }
}

#[test]
fn gradients_equal_pefts_with_and_without_checkpointing() {
    each_family(|decoder, dir, what| {
        let inputs = Golden::open(&dir.join("base_ref.safetensors"));
        let reference = Golden::open(&dir.join("lora/ref.safetensors"));
        for case in ["plain", "packed", "rightpad"] {
            let batch = batch(&inputs, case);
            let mean = |options: &LossOptions, gradients: &mut Gradients| {
                let sums = loss_and_gradients(&decoder, &batch, options, gradients);
                sums.read().loss / batch.learned as f64
            };
            let mut plain = Gradients::new();
            let kept = LossOptions::mean_of(batch.learned);
            let loss = mean(&kept, &mut plain);
            let want = f64::from(reference.f32(&format!("{case}.loss"))[0]);
            assert!(
                (loss - want).abs() / want < 1e-5,
                "{what}, {case}: loss {loss} is not {want}"
            );

            let mut again = Gradients::new();
            let redone = LossOptions {
                gradient_checkpointing: true,
                ..kept
            };
            let loss_again = mean(&redone, &mut again);
            assert!(
                (loss - loss_again).abs() < 1e-6 * loss,
                "{what}, {case}: checkpointing changes the loss"
            );
            for param in decoder.lora_params() {
                let values = |g: &Gradients| {
                    g[&param.name]
                        .clone()
                        .into_data()
                        .try_into_vec::<f32>()
                        .unwrap()
                };
                let name = format!("{case}.grad.{}", param.name);
                if reference.has(&name) {
                    let difference = relative_difference(&values(&plain), &reference.f32(&name));
                    assert!(difference < 1e-3, "{what}: {name} differs by {difference}");
                }
                let difference = relative_difference(&values(&again), &values(&plain));
                assert!(
                    difference < 1e-5,
                    "{what}: checkpointing changes {name} by {difference}"
                );
            }
        }
    });
}

#[test]
fn ten_steps_have_pefts_losses_norms_and_weights() {
    each_family(|mut decoder, dir, what| {
        let reference = Golden::open(&dir.join("lora/ref.safetensors"));
        let batches = Golden::open(&dir.join("../train_batches.safetensors"));
        let section = TrainSection {
            learning_rate: 1e-3,
            weight_decay: 0.01,
            warmup_steps: 2,
            max_grad_norm: 1.0,
            ..TrainSection::default()
        };
        let schedule = Schedule::new(&section, 10);
        let mut optimizer = Optimizer::new(&section, 1.0);
        let wanted = |name: &str| reference.f64(&format!("train.{name}"));
        let expected = wanted("loss")
            .into_iter()
            .zip(wanted("grad_norm"))
            .zip(wanted("lr"));
        for (step, ((want_loss, want_norm), want_lr)) in expected.enumerate() {
            let batch = batch(&batches, &format!("step{step}"));
            let options = LossOptions::mean_of(batch.learned);
            let mut gradients = Gradients::new();
            let sums = loss_and_gradients(&decoder, &batch, &options, &mut gradients);
            let loss = sums.read().loss / batch.learned as f64;
            let norm = clip(&mut gradients, section.max_grad_norm);
            let lr = schedule.lr(step);
            optimizer.step(&mut decoder, &gradients, lr);
            for (name, got, want, tolerance) in [
                ("loss", loss, want_loss, 1e-4),
                ("norm", norm, want_norm, 1e-3),
                ("lr", lr, want_lr, 1e-9),
            ] {
                let close = (got - want).abs() <= tolerance * want.abs();
                assert!(close, "{what}, step {step}: {name} {got} is not {want}");
            }
        }
        for param in decoder.lora_params() {
            let got = param
                .value
                .clone()
                .inner()
                .into_data()
                .try_into_vec::<f32>()
                .unwrap();
            let difference = relative_difference(
                &got,
                &reference.f32(&format!("train.after10.{}", param.name)),
            );
            assert!(
                difference < 1e-3,
                "{what}: {} is {difference} off after ten steps",
                param.name
            );
        }
    });
}

#[test]
fn a_fresh_adapter_changes_nothing_and_follows_its_seed() {
    let Some(fixtures) = shared("fixtures", 1) else {
        return;
    };
    let device = device::open("cpu").unwrap();
    let spec = LoraSpec {
        r: 4,
        alpha: 8.0,
        dropout: 0.0,
        targets: vec!["q_proj".into(), "down_proj".into()],
    };
    let adapted = |seed| {
        let mut decoder =
            Decoder::load(&fixtures.join("llama_tied/model"), &device, Dtype::F32).unwrap();
        decoder.attach_lora(&spec, seed).unwrap();
        decoder
    };
    let values = |decoder: &Decoder| -> Vec<Vec<f32>> {
        decoder
            .lora_params()
            .iter()
            .map(|p| p.value.clone().inner().into_data().try_into_vec().unwrap())
            .collect()
    };
    assert_eq!(values(&adapted(1)), values(&adapted(1)));
    assert_ne!(values(&adapted(1)), values(&adapted(2)));
    assert!(
        values(&adapted(1))
            .iter()
            .skip(1)
            .step_by(2)
            .flatten()
            .all(|b| *b == 0.0),
        "B starts at zero"
    );
    assert_eq!(
        adapted(1).n_trainable(),
        2 * (4 * 64 + 64 * 4 + 4 * 96 + 64 * 4)
    );
}
