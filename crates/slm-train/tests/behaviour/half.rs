use std::path::Path;

use slm_data::batches;
use slm_model::{Decoder, device};
use slm_ops::TokenWeights;
use slm_recipe::{Dtype, TrainSection};
use slm_run::Event;
use slm_train::{Gradients, LossOptions, LossScale, loss_and_gradients};
use tempfile::tempdir;

use crate::learning::options;
use crate::tiny::{Run, adapt, adapter, config, run, samples, section, weights};

/// An adapter over a base of this precision, the same for each.
fn student(spec: &str, dtype: Dtype) -> Decoder {
    let device = device::open(spec).unwrap();
    let mut decoder = Decoder::random(config(24), 7, &device, dtype, None);
    adapt(&mut decoder, &adapter(0.0));
    decoder
}

fn on_each_processor(check: impl Fn(&str)) {
    let backends = device::available().into_iter();
    for backend in backends.filter(|it| it.usable && it.spec.ends_with("cpu")) {
        check(&backend.spec);
    }
}

fn steps(n: usize) -> TrainSection {
    TrainSection {
        load_best_model_at_end: false,
        ..section(n)
    }
}

/// Gradients of B, which come down through every layer, where each token counts this much.
fn gradients(decoder: &Decoder, weight: f64, loss_scale: f64) -> Vec<f32> {
    let rows = samples(8);
    let batch = batches(&rows, &options(8, false)).get(0).unwrap();
    let options = LossOptions {
        weights: TokenWeights::Same(weight),
        loss_scale,
        ..LossOptions::mean_of(1)
    };
    let mut found = Gradients::new();
    loss_and_gradients(decoder, &batch, &options, &mut found);
    let found = found
        .into_iter()
        .filter(|(name, _)| name.contains("layers.0"));
    let values = found.flat_map(|(_, it)| it.into_data().try_into_vec::<f32>().unwrap());
    values.map(|value| value / loss_scale as f32).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    let off = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    off / norm(&mut b.iter().copied())
}

#[test]
fn scaling_keeps_gradients_that_f16_would_lose() {
    on_each_processor(|spec| {
        // As of a step of ten million tokens: below 6e-8, the least that f16 can tell from zero.
        let weight = 1e-7;
        let want = gradients(&student(spec, Dtype::F32), weight, 1.0);
        let half = student(spec, Dtype::F16);
        let lost = distance(&gradients(&half, weight, 1.0), &want);
        let kept = distance(&gradients(&half, weight, 65536.0), &want);
        assert!(lost > 0.2, "{spec}: {lost} without a scale");
        assert!(kept < 0.02, "{spec}: {kept} with one");
    });
}

#[test]
fn a_base_in_f16_learns_and_only_f16_is_scaled() {
    on_each_processor(|spec| {
        for dtype in [Dtype::F16, Dtype::F32] {
            let folder = tempdir().unwrap();
            let mut decoder = student(spec, dtype);
            let (outcome, _) = run(&mut decoder, folder.path(), &steps(100), false, 0);
            let state = outcome.state;
            assert!(
                state.last_loss < 0.7 * state.first_loss,
                "{spec} {dtype:?}: loss went from {} to {}",
                state.first_loss,
                state.last_loss
            );
            assert_eq!(state.loss_scale.is_some(), dtype == Dtype::F16);
        }
    });
}

/// Writes another scale into the checkpoint of a step.
fn set_scale(folder: &Path, step: usize, factor: f64) {
    let path = folder.join(format!("checkpoints/step-{step:06}/state.json"));
    let text = fs_err::read_to_string(&path).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["loss_scale"]["factor"] = factor.into();
    fs_err::write(&path, state.to_string()).unwrap();
}

#[test]
fn an_overflow_passes_a_step_over_and_halves_the_scale() {
    on_each_processor(|spec| {
        let folder = tempdir().unwrap();
        let mut decoder = student(spec, Dtype::F16);
        run(&mut decoder, folder.path(), &steps(4), false, 3);
        let before = weights(&decoder);
        let too_large = 2_f64.powi(40);
        set_scale(folder.path(), 3, too_large);
        let mut resumed = student(spec, Dtype::F16);
        let run = Run {
            folder: folder.path(),
            section: &steps(4),
            resume: true,
            stop_at: 0,
        };
        let told = run.over(&mut resumed, &samples(8), |_| unreachable!("no task"));
        let notes = told.events.iter().filter_map(|event| match event {
            Event::Note { text } => Some(text.as_str()),
            _ => None,
        });
        let notes: Vec<_> = notes.collect();
        assert!(notes[0].starts_with("step 4 was passed over"), "{notes:?}");
        let state = told.outcome.unwrap().state;
        let expected = LossScale {
            factor: too_large / 2.0,
            good_steps: 0,
            skipped: 1,
        };
        assert_eq!((state.step, state.loss_scale), (4, Some(expected)));
        assert_eq!(weights(&resumed), before, "{spec}: nothing was learned");
    });
}

/// Steps that are passed over fall on both sides of the interruption.
#[test]
fn a_scale_is_resumed_bit_for_bit() {
    on_each_processor(|spec| {
        let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
        for folder in [&whole, &parts] {
            run(
                &mut student(spec, Dtype::F16),
                folder.path(),
                &steps(30),
                false,
                2,
            );
            set_scale(folder.path(), 2, 2_f64.powi(26));
        }
        let mut uninterrupted = student(spec, Dtype::F16);
        let (outcome, losses) = run(&mut uninterrupted, whole.path(), &steps(30), true, 0);
        let skipped = outcome.state.loss_scale.unwrap().skipped;
        assert!((1..25).contains(&skipped), "{spec}: {skipped}");

        let mut resumed = student(spec, Dtype::F16);
        let (_, mut before) = run(&mut resumed, parts.path(), &steps(30), true, 5);
        let mut resumed = student(spec, Dtype::F16);
        let (again, after) = run(&mut resumed, parts.path(), &steps(30), true, 0);
        before.extend(after);
        assert_eq!(before, losses, "{spec}: losses");
        assert_eq!(
            weights(&resumed),
            weights(&uninterrupted),
            "{spec}: weights"
        );
        assert_eq!(again.state.loss_scale, outcome.state.loss_scale);
    });
}
