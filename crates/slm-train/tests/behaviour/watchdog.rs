use slm_data::Sample;
use slm_recipe::{BatchSize, TrainSection};
use slm_train::{Diverged, Fault, TrainError, latest_checkpoint};
use tempfile::{TempDir, tempdir};

use crate::tiny::{Run, samples, section, tiny, weights};

/// A run over `rows` that has to stop before its end.
fn diverges(section: &TrainSection, rows: &[Sample]) -> (Diverged, TempDir) {
    let folder = tempdir().unwrap();
    let run = Run {
        folder: folder.path(),
        section,
        resume: false,
        stop_at: 0,
    };
    match run.over(&mut tiny(true, 0.0), rows, |_| 0.0).outcome {
        Err(TrainError::Diverged(it)) => (*it, folder),
        other => panic!("the run ended with {other:?}"),
    }
}

#[test]
fn weights_that_blow_up_are_not_learned_from() {
    let section = TrainSection {
        learning_rate: 1e30,
        warmup_ratio: 0.0,
        ..section(20)
    };
    let (diverged, folder) = diverges(&section, &samples(8));
    assert!(
        matches!(diverged.fault, Fault::Loss(_) | Fault::GradNorm(_)),
        "{diverged:?}"
    );
    let kept = latest_checkpoint(&folder.path().join("checkpoints"))
        .unwrap()
        .unwrap();
    assert_eq!(kept.path, diverged.checkpoint);
    assert_eq!(kept.state.step, diverged.step - 1);
}

#[test]
fn a_spike_names_the_rows_and_keeps_the_state_before_it() {
    // Seven rows that are learned by heart, and one of other tokens that comes up once an epoch.
    let mut rows: Vec<Sample> = (0..8)
        .map(|row| Sample::new(row, vec![1, 2, 3, 4, 5, 6], vec![true; 6]))
        .collect();
    rows[5].ids = vec![20, 9, 31, 14, 27, 8];
    let section = TrainSection {
        per_device_train_batch_size: BatchSize::Rows(1),
        gradient_accumulation_steps: 2,
        learning_rate: 0.01,
        loss_spike_factor: 4.0,
        max_grad_norm: 0.1,
        eval_steps: 1000,
        ..section(200)
    };
    let (diverged, folder) = diverges(&section, &rows);
    let Fault::Spike {
        loss,
        median,
        of_steps,
    } = diverged.fault
    else {
        panic!("{diverged:?}");
    };
    assert!(loss > 4.0 * median && of_steps >= 10);
    assert_eq!(
        diverged.rows,
        [5],
        "of the two micro-batches of the step, the one with the larger loss"
    );
    let kept = latest_checkpoint(&folder.path().join("checkpoints"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (kept.path.clone(), kept.state.step),
        (diverged.checkpoint.clone(), diverged.step - 1)
    );

    // The state before the step is that of a run that ended there.
    let (mut restored, mut ended) = (tiny(true, 0.0), tiny(true, 0.0));
    kept.restore_weights(&mut restored).unwrap();
    let other = tempdir().unwrap();
    let run = Run {
        folder: other.path(),
        section: &section,
        resume: false,
        stop_at: diverged.step - 1,
    };
    run.over(&mut ended, &rows, |_| 0.0).outcome.unwrap();
    assert_eq!(weights(&restored), weights(&ended));

    let error = TrainError::Diverged(Box::new(diverged))
        .with_origins(|row| (row == 5).then_some("train.jsonl:6"));
    let told = error.to_string();
    assert!(
        told.ends_with("; it learned from `train.jsonl:6`"),
        "{told}"
    );
    assert!(
        error.hint().unwrap().contains("step-"),
        "{:?}",
        error.hint()
    );
}
