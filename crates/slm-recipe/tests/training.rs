//! `[train]`: every key of optimizer, schedule, best metric and watchdog is read, and what contradicts itself is refused.

use serde_json::json;
use slm_recipe::{Optim, Recipe, Scheduler};

/// A recipe with rows held out and two tasks, and these lines in `[train]`.
fn load(lines: &str) -> Result<Recipe, Vec<String>> {
    let text = format!(
        "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n\
         [[eval.task]]\nname = \"intents\"\noutput_type = \"multiple_choice\"\n\
         [[eval.task]]\nname = \"answers\"\noutput_type = \"generate_until\"\n[train]\n{lines}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    fs_err::write(&path, text).unwrap();
    let errors = match Recipe::load(&path, &[]) {
        Ok(recipe) => return Ok(recipe),
        Err(errors) => errors.to_string(),
    };
    let place = format!("{}:", path.display());
    let problem = |line: &str| {
        let line = line.trim_start().strip_prefix(&place)?;
        Some(line.split_once(' ')?.1.trim().to_owned())
    };
    Err(errors.lines().filter_map(problem).collect())
}

fn refused(lines: &str) -> Vec<String> {
    load(lines).expect_err(lines)
}

#[test]
fn every_key_is_read_and_written() {
    let schedule = "lr_scheduler_type = ";
    for (key, value, others) in [
        ("per_device_train_batch_size", json!("auto"), ""),
        ("per_device_train_batch_size", json!(3), ""),
        ("optim", json!("adafactor"), ""),
        ("momentum", json!(0.9), "optim = \"sgd\""),
        ("label_smoothing_factor", json!(0.1), ""),
        ("metric_for_best_model", json!("intents/macro_f1"), ""),
        ("greater_is_better", json!(true), ""),
        ("early_stopping_threshold", json!(0.01), ""),
        ("loss_spike_factor", json!(4.0), ""),
        ("report_to", json!(["tensorboard"]), ""),
        ("num_cycles", json!(2.0), "\"cosine_with_restarts\""),
        ("power", json!(2.0), "\"polynomial\""),
        ("lr_end", json!(1e-6), "\"polynomial\""),
        ("timescale", json!(100), "\"inverse_sqrt\""),
        ("min_lr", json!(1e-5), "\"cosine_with_min_lr\""),
        ("min_lr_rate", json!(0.1), "\"cosine_with_min_lr\""),
        ("num_decay_steps", json!(10), "\"warmup_stable_decay\""),
        ("factor", json!(0.5), "\"reduce_lr_on_plateau\""),
        ("patience", json!(2), "\"reduce_lr_on_plateau\""),
        ("threshold", json!(0.1), "\"reduce_lr_on_plateau\""),
        ("threshold_mode", json!("abs"), "\"reduce_lr_on_plateau\""),
        ("cooldown", json!(1), "\"reduce_lr_on_plateau\""),
    ] {
        let is_kwarg = others.starts_with('"');
        let (table, others) = match is_kwarg {
            true => ("lr_scheduler_kwargs.", format!("{schedule}{others}")),
            false => ("", others.to_owned()),
        };
        let recipe = load(&format!("{others}\n{table}{key} = {value}")).unwrap();
        let train = serde_json::to_value(&recipe.train).unwrap();
        let section = if is_kwarg {
            &train["lr_scheduler_kwargs"]
        } else {
            &train
        };
        assert_eq!(section[key], value, "`{key}`");
        let again: Recipe = toml::from_str(&recipe.to_toml()).unwrap();
        assert_eq!(again.train, recipe.train, "`{key}`");
    }
    let stable = "lr_scheduler_type = \"warmup_stable_decay\"\n[train.lr_scheduler_kwargs]\nnum_decay_steps = 5\n\
                  num_stable_steps = 7\nwarmup_type = \"cosine\"\ndecay_type = \"1-sqrt\"\nmin_lr_ratio = 0.1";
    let kwargs = load(stable).unwrap().train.lr_scheduler_kwargs;
    assert_eq!(
        serde_json::to_value(kwargs).unwrap(),
        json!({
            "num_decay_steps": 5, "num_stable_steps": 7, "warmup_type": "cosine", "decay_type": "1-sqrt", "min_lr_ratio": 0.1,
        })
    );
}

#[test]
fn optimizers_have_their_other_names() {
    for (name, optim) in [
        ("adamw_torch", Optim::Adamw),
        ("adamw_torch_fused", Optim::Adamw),
        ("adamw_bnb_8bit", Optim::Adamw8bit),
        ("lion_32bit", Optim::Lion),
    ] {
        assert_eq!(
            load(&format!("optim = \"{name}\"")).unwrap().train.optim,
            optim
        );
    }
}

#[test]
fn the_best_metric_is_the_lowest_loss_or_the_largest_of_the_others() {
    let up = |lines: &str| load(lines).unwrap().train.greater_is_better();
    assert!(!up(""));
    assert!(up("metric_for_best_model = \"intents/accuracy\""));
    assert!(!up("metric_for_best_model = \"intents/ece\""));
    assert!(!up(
        "metric_for_best_model = \"intents/accuracy\"\ngreater_is_better = false"
    ));
    let train = load("metric_for_best_model = \"answers/exact_match\"")
        .unwrap()
        .train;
    assert_eq!(train.task_metric(), Some(("answers", "exact_match")));
    assert_eq!(
        refused("metric_for_best_model = \"accuracy\""),
        [
            "`train.metric_for_best_model` is `accuracy`, needs `loss`, or a task and its metric, `TASK/METRIC`"
        ]
    );
    assert_eq!(
        refused("metric_for_best_model = \"intent/accuracy\""),
        [
            "`train.metric_for_best_model` needs an `[[eval.task]]` of the name `intent`; there is `intents`, `answers`"
        ]
    );
    assert_eq!(
        refused("metric_for_best_model = \"answers/accuracy\""),
        [
            "task `answers` has no metric `accuracy`; it has `exact_match`, `macro_f1`, `micro_f1`, `weighted_f1`, `mcc`, \
             `invalid_outputs`, `json_valid`, `field_accuracy`, `field_f1`, `bleu`, `chrf`, `rouge1`, `rouge2`, `rouge_l`, `stop_rate`"
        ]
    );
}

#[test]
fn a_schedule_takes_its_own_figures_only() {
    for (lines, expected) in [
        ("lr_scheduler_kwargs.num_cycles = 2", Ok(Scheduler::Cosine)),
        (
            "lr_scheduler_kwargs.power = 2",
            Err("`cosine` reads `num_cycles` only"),
        ),
        (
            "lr_scheduler_type = \"linear\"\nlr_scheduler_kwargs.power = 2",
            Err("`linear` reads no `lr_scheduler_kwargs`"),
        ),
        ("lr_scheduler_type = \"constant\"", Ok(Scheduler::Constant)),
        (
            "lr_scheduler_type = \"constant\"\nwarmup_steps = 3",
            Err("`constant` does not warm up; `constant_with_warmup` does"),
        ),
        (
            "lr_scheduler_type = \"reduce_lr_on_plateau\"\nwarmup_ratio = 0.1",
            Err("`reduce_lr_on_plateau` does not warm up"),
        ),
        (
            "lr_scheduler_type = \"cosine_with_min_lr\"",
            Err("`cosine_with_min_lr` needs one of `min_lr` and `min_lr_rate`"),
        ),
        (
            "lr_scheduler_type = \"cosine_with_min_lr\"\nlr_scheduler_kwargs = { min_lr = 1e-5, min_lr_rate = 0.1 }",
            Err("`cosine_with_min_lr` needs one of `min_lr` and `min_lr_rate`"),
        ),
        (
            "lr_scheduler_type = \"cosine_with_min_lr\"\nlr_scheduler_kwargs.min_lr = 1.0",
            Err("`min_lr` is above `train.learning_rate`"),
        ),
        (
            "lr_scheduler_type = \"warmup_stable_decay\"",
            Err(
                "missing key `train.lr_scheduler_kwargs.num_decay_steps`: `warmup_stable_decay` needs to know how many steps it falls",
            ),
        ),
        (
            "learning_rate = 1e-5\nlr_scheduler_type = \"polynomial\"\nlr_scheduler_kwargs.lr_end = 1e-5",
            Err("`polynomial` ends at 1e-5, which is not below `train.learning_rate`, 1e-5"),
        ),
    ] {
        match expected {
            Ok(kind) => assert_eq!(load(lines).unwrap().train.lr_scheduler_type, kind),
            Err(problem) => assert_eq!(refused(lines), [problem], "{lines}"),
        }
    }
}

#[test]
fn a_plateau_needs_something_to_go_by() {
    let text = "model.base_model = \"base\"\ndata.val_size = 0\ntrain.lr_scheduler_type = \"reduce_lr_on_plateau\"\n\
                [[data.train]]\npath = \"rows.jsonl\"\n";
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("r.toml"), text).unwrap();
    let errors = Recipe::load(&folder.path().join("r.toml"), &[])
        .unwrap_err()
        .to_string();
    let wanted = "`reduce_lr_on_plateau` goes by the held-out loss, and no rows are held out";
    assert!(errors.contains(wanted), "{errors}");
}

#[test]
fn a_task_stands_in_for_held_out_rows() {
    let text = "model.base_model = \"base\"\ndata.val_size = 0\n[[data.train]]\npath = \"rows.jsonl\"\n\
                [[eval.task]]\nname = \"intents\"\noutput_type = \"multiple_choice\"\npath = \"test.jsonl\"\n\
                [train]\neval_steps = 5\nearly_stopping_patience = 2\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    fs_err::write(&path, text).unwrap();
    let errors = Recipe::load(&path, &[]).unwrap_err().to_string();
    assert!(
        errors.contains("`train.eval_steps` needs held-out rows"),
        "{errors}"
    );
    let metric = "train.metric_for_best_model=intents/accuracy".to_owned();
    let recipe = Recipe::load(&path, &[metric]).unwrap();
    assert!(recipe.train.load_best_model_at_end);
}

#[test]
fn ranges() {
    for (lines, problem) in [
        (
            "per_device_train_batch_size = \"all\"",
            "`train.per_device_train_batch_size` is `all`, needs one of `auto`",
        ),
        (
            "per_device_train_batch_size = 0",
            "`train.per_device_train_batch_size` is 0, needs at least 1",
        ),
        (
            "per_device_train_batch_size = 1.5",
            "`train.per_device_train_batch_size` is a float, needs a string or an integer",
        ),
        (
            "label_smoothing_factor = 1",
            "`train.label_smoothing_factor` is 1, needs at least 0 and less than 1",
        ),
        (
            "momentum = -0.1",
            "`train.momentum` is -0.1, needs at least 0 and less than 1",
        ),
        (
            "loss_spike_factor = 0.5",
            "`train.loss_spike_factor` is 0.5, needs 0 (off) or more than 1: a loss below the median is no spike",
        ),
        (
            "lr_scheduler_kwargs.factor = 1",
            "`train.lr_scheduler_kwargs.factor` is 1, needs more than 0 and less than 1",
        ),
    ] {
        assert_eq!(refused(lines), [problem]);
    }
}
