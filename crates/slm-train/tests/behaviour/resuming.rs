use slm_recipe::{InitLora, LoraSection, LrSchedulerKwargs, Optim, Scheduler, TrainSection};
use tempfile::tempdir;

use crate::tiny::{adapt, adapter, decoder, run, section, tiny, weights};

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
fn every_kind_of_adapter_is_resumed_bit_for_bit() {
    let kinds = [
        LoraSection {
            use_dora: true,
            ..adapter(0.2)
        },
        LoraSection {
            use_rslora: true,
            modules_to_save: vec!["embed_tokens".into()],
            ..adapter(0.0)
        },
        LoraSection {
            init_lora_weights: InitLora::Pissa,
            ..adapter(0.0)
        },
    ];
    for kind in kinds {
        let section = TrainSection {
            load_best_model_at_end: false,
            neftune_noise_alpha: 5.0,
            ..section(6)
        };
        let fresh = || {
            let mut decoder = tiny(true, 0.0).inference();
            adapt(&mut decoder, &kind);
            decoder
        };
        let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
        let mut uninterrupted = fresh();
        let (outcome, losses) = run(&mut uninterrupted, whole.path(), &section, false, 0);
        assert!(
            outcome.state.last_loss < outcome.state.first_loss,
            "{kind:?} learns"
        );
        let (_, mut before) = run(&mut fresh(), parts.path(), &section, false, 3);
        let mut resumed = fresh();
        let (_, after) = run(&mut resumed, parts.path(), &section, true, 0);
        before.extend(after);
        assert_eq!(before, losses, "{kind:?}: losses");
        assert_eq!(
            weights(&resumed),
            weights(&uninterrupted),
            "{kind:?}: weights"
        );
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
fn a_plateau_and_the_watchdog_are_resumed_where_they_stood() {
    let section = TrainSection {
        lr_scheduler_type: Scheduler::ReduceLrOnPlateau,
        lr_scheduler_kwargs: LrSchedulerKwargs {
            patience: Some(0),
            threshold: Some(0.2),
            factor: Some(0.5),
            ..LrSchedulerKwargs::default()
        },
        eval_steps: 1,
        loss_spike_factor: 100.0,
        load_best_model_at_end: false,
        ..section(10)
    };
    let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
    let (uninterrupted, losses) = run(&mut tiny(true, 0.0), whole.path(), &section, false, 0);
    let (_, mut before) = run(&mut tiny(true, 0.0), parts.path(), &section, false, 5);
    let (resumed, after) = run(&mut tiny(true, 0.0), parts.path(), &section, true, 0);
    before.extend(after);
    assert_eq!(before, losses);
    assert_eq!(resumed.state, uninterrupted.state);
    let plateau = resumed.state.plateau.unwrap();
    assert!(plateau.lr < 0.02 / 4.0, "the rate is {}", plateau.lr);
    assert_eq!(resumed.state.recent_losses.len(), 10);
}

#[test]
fn a_checkpoint_of_another_optimizer_is_refused() {
    let folder = tempdir().unwrap();
    run(&mut tiny(true, 0.0), folder.path(), &section(10), false, 5);
    let checkpoint = slm_train::latest_checkpoint(&folder.path().join("checkpoints"))
        .unwrap()
        .unwrap();
    let other = TrainSection {
        optim: Optim::Adafactor,
        ..section(10)
    };
    let mut optimizer = slm_train::Optimizer::new(&other, 1.0);
    let error = checkpoint
        .restore(tiny(true, 0.0).trainable_mut(), &mut optimizer)
        .unwrap_err();
    assert!(
        error.to_string().contains("of another optimizer"),
        "{error}"
    );
}
