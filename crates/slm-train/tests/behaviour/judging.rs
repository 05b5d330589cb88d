use slm_recipe::TrainSection;
use slm_run::Event;
use tempfile::tempdir;

use crate::tiny::{Run, run, samples, section, tiny, weights};

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
    let best = outcome.state.best.unwrap().step;
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

#[test]
fn a_gain_that_is_too_small_tries_patience() {
    let stopped_at = |early_stopping_threshold: f64| {
        let folder = tempdir().unwrap();
        let section = TrainSection {
            early_stopping_patience: 2,
            early_stopping_threshold,
            eval_steps: 1,
            ..section(12)
        };
        let (outcome, _) = run(&mut tiny(true, 0.0), folder.path(), &section, false, 0);
        (outcome.stopped_early, outcome.state.step)
    };
    assert_eq!(
        stopped_at(0.0),
        (false, 12),
        "the loss falls with every step"
    );
    assert_eq!(
        stopped_at(100.0),
        (true, 3),
        "no step makes it fall by so much"
    );
}

/// What a task says after each of six steps.
const METRICS: [f64; 6] = [0.1, 0.4, 0.3, 0.4, 0.5, 0.2];

#[test]
fn the_metric_of_a_task_tells_the_best_weights() {
    for (greater_is_better, best_step) in [(None, 5), (Some(false), 1)] {
        let folder = tempdir().unwrap();
        let section = TrainSection {
            metric_for_best_model: "intents/accuracy".into(),
            greater_is_better,
            eval_steps: 1,
            ..section(6)
        };
        let run = Run {
            folder: folder.path(),
            section: &section,
            resume: false,
            stop_at: 0,
        };
        let mut decoder = tiny(true, 0.0);
        let mut seen = Vec::new();
        let told = run.over(&mut decoder, &samples(8), |decoder| {
            seen.push(weights(decoder));
            METRICS[seen.len() - 1]
        });
        let outcome = told.outcome.unwrap();
        assert_eq!(
            (outcome.weights_of_step, outcome.state.step),
            (best_step, 6)
        );
        assert_eq!(weights(&decoder), seen[best_step - 1]);
        let evals: Vec<(f64, bool)> = told
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Eval { metric, loss, .. } => {
                    Some((metric.as_ref()?.value, loss.is_finite()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(evals, METRICS.map(|metric| (metric, true)));
    }
}

#[test]
fn patience_goes_by_the_metric_of_the_task() {
    let folder = tempdir().unwrap();
    let section = TrainSection {
        metric_for_best_model: "intents/accuracy".into(),
        early_stopping_patience: 2,
        eval_steps: 1,
        ..section(6)
    };
    let run = Run {
        folder: folder.path(),
        section: &section,
        resume: false,
        stop_at: 0,
    };
    let mut step = 0;
    let told = run.over(&mut tiny(true, 0.0), &samples(8), |_| {
        step += 1;
        METRICS[step - 1]
    });
    let outcome = told.outcome.unwrap();
    // 0.3 and 0.4 are no better than 0.4.
    assert_eq!((outcome.stopped_early, outcome.state.step), (true, 4));
    assert_eq!(outcome.weights_of_step, 2);
}
