use slm_data::{BatchOptions, Sample, batches};
use slm_model::Decoder;
use slm_recipe::{BatchSize, TrainSection};
use slm_run::Event;
use slm_train::{Gradients, LossOptions, loss_and_gradients};
use tempfile::tempdir;

use crate::tiny::{Run, run, samples, section, tiny, weights};

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
fn accumulated_micro_batches_equal_one_large_batch() {
    let losses = |batch: usize, accumulation: usize, checkpointing: bool| {
        let folder = tempdir().unwrap();
        let section = TrainSection {
            per_device_train_batch_size: BatchSize::Rows(batch),
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

/// Batches of this many rows.
pub(crate) fn options(batch_size: usize, packing: bool) -> BatchOptions {
    BatchOptions {
        batch_size,
        max_length: 24,
        packing,
        shuffle: true,
        group_by_length: false,
        shares: Vec::new(),
        seed: 5,
        epoch: 0,
    }
}

/// The mean loss over all learned tokens of rows, and the gradients of it in the order of the weights.
fn epoch(decoder: &Decoder, rows: &[Sample], packing: bool, batch_size: usize) -> (f64, Vec<f32>) {
    let plan = batches(rows, &options(batch_size, packing));
    let learned = plan.iter().map(|batch| batch.learned).sum();
    let (mut gradients, mut loss) = (Gradients::new(), 0.0);
    for batch in plan.iter() {
        let options = LossOptions::mean_of(learned);
        let sums = loss_and_gradients(decoder, &batch, &options, &mut gradients);
        loss += sums.read().loss;
    }
    let gradients = gradients
        .into_values()
        .flat_map(|gradient| gradient.into_data().try_into_vec::<f32>().unwrap());
    (loss / learned as f64, gradients.collect())
}

#[test]
fn packed_rows_have_the_loss_and_gradients_of_rows_alone() {
    for n in [2, 5, 8, 13] {
        let (decoder, rows) = (tiny(true, 0.0), samples(n));
        let (alone, gradients) = epoch(&decoder, &rows, false, 1);
        for (packing, batch_size) in [(true, 1), (true, 3), (false, 4)] {
            let (loss, others) = epoch(&decoder, &rows, packing, batch_size);
            assert!(
                (loss - alone).abs() < 1e-5 * alone,
                "{n} rows: {loss} is not {alone}"
            );
            let norm =
                |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
            let apart = norm(&mut gradients.iter().zip(&others).map(|(a, b)| a - b));
            assert!(
                apart < 1e-5 * norm(&mut gradients.iter().copied()),
                "{n} rows: {apart}"
            );
        }
    }
}

#[test]
fn dropout_of_zero_is_no_dropout() {
    let trained = |dropout: f64| {
        let (folder, mut decoder) = (tempdir().unwrap(), tiny(false, dropout));
        run(&mut decoder, folder.path(), &section(6), false, 0);
        weights(&decoder)
    };
    let [none, zero, some] = [0.0, 1e-12, 0.2].map(trained);
    let apart = |others: &[Vec<f32>]| {
        let pairs = none.iter().flatten().zip(others.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // A mask of ones goes another way through the layer, which rounds in another order.
    assert!(apart(&zero) < 1e-4, "{}", apart(&zero));
    assert!(apart(&some) > 1e-2, "{}", apart(&some));
}

#[test]
fn a_smoothed_target_is_learned_less_surely() {
    let last_entropy = |label_smoothing_factor: f64| {
        let (folder, mut decoder) = (tempdir().unwrap(), tiny(true, 0.0));
        let section = TrainSection {
            label_smoothing_factor,
            ..section(60)
        };
        let run = Run {
            folder: folder.path(),
            section: &section,
            resume: false,
            stop_at: 0,
        };
        let told = run.over(&mut decoder, &samples(8), |_| 0.0);
        let mut steps = told.events.iter().filter_map(|event| match event {
            Event::Step { entropy, .. } => Some(*entropy),
            _ => None,
        });
        steps.next_back().unwrap()
    };
    let (plain, smoothed) = (last_entropy(0.0), last_entropy(0.3));
    assert!(
        smoothed > 1.5 * plain,
        "{smoothed} is not far above {plain}"
    );
}

#[test]
fn a_step_tells_how_sure_and_how_right_the_model_is() {
    let (folder, mut decoder) = (tempdir().unwrap(), tiny(true, 0.0));
    let section = section(80);
    let run = Run {
        folder: folder.path(),
        section: &section,
        resume: false,
        stop_at: 0,
    };
    let told = run.over(&mut decoder, &samples(8), |_| 0.0);
    let steps: Vec<(f64, f64)> = told
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Step {
                entropy,
                token_accuracy,
                ..
            } => Some((*entropy, *token_accuracy)),
            _ => None,
        })
        .collect();
    let ((first_entropy, first_accuracy), (entropy, accuracy)) = (steps[0], steps[79]);
    assert!(first_entropy <= f64::from(32.0f32).ln() && entropy < first_entropy);
    assert!(
        (0.0..0.3).contains(&first_accuracy) && accuracy > 0.6,
        "{accuracy}"
    );
}
