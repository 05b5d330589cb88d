use serde_json::Value;

use crate::sandbox::{Sandbox, shown};

/// The events of `metrics.jsonl`.
fn metrics(sandbox: &Sandbox) -> Vec<Value> {
    let text = sandbox.read("runs/adapter/metrics.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Files under the run's `tensorboard/`.
fn event_files(sandbox: &Sandbox) -> usize {
    let tree = sandbox.tree();
    let is_one = |name: &&String| name.starts_with("runs/adapter/tensorboard/events.out.tfevents.");
    tree.iter().filter(is_one).count()
}

#[test]
fn every_step_is_in_the_metrics_however_rarely_it_is_told() {
    let sandbox = Sandbox::with_base();
    let told = sandbox.run(&[
        "train",
        "adapter.toml",
        "train.max_steps=4",
        "train.logging_steps=3",
    ]);
    assert_eq!(told.matches("/4: loss").count(), 3, "1, 3 and 4:\n{told}");
    let steps: Vec<Value> = metrics(&sandbox)
        .into_iter()
        .filter(|event| event["event"] == "step")
        .collect();
    let numbers: Vec<_> = steps.iter().map(|step| step["step"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3, 4].map(Some));
    for key in [
        "loss",
        "entropy",
        "token_accuracy",
        "grad_norm",
        "lr",
        "learned_tokens",
        "tokens_per_s",
    ] {
        assert!(steps.iter().all(|step| step[key].is_number()), "{key}");
    }
    assert_eq!(event_files(&sandbox), 0);
}

#[test]
fn event_files_are_written_when_asked_for() {
    let sandbox = Sandbox::with_base();
    let report_to = "train.report_to=[\"tensorboard\"]";
    sandbox.succeeds(&["train", "adapter.toml", "--quiet", report_to]);
    assert_eq!(event_files(&sandbox), 1);
    // What is trained anew leaves nothing of what was trained before.
    sandbox.succeeds(&["train", "adapter.toml", "--quiet", "--overwrite"]);
    assert_eq!(event_files(&sandbox), 0);
}

#[test]
fn the_best_weights_are_those_that_a_task_likes_best() {
    let sandbox = Sandbox::with_base();
    let told = sandbox.run(&[
        "train",
        "adapter.toml",
        "train.max_steps=3",
        "train.eval_steps=1",
        "train.metric_for_best_model=topic/accuracy",
    ]);
    assert!(told.starts_with("exit code: 0"), "{told}");
    assert!(told.contains("topic/accuracy 0."), "{told}");
    let evals: Vec<Value> = metrics(&sandbox)
        .into_iter()
        .filter(|event| event["event"] == "eval")
        .collect();
    assert_eq!(evals.len(), 3);
    let best = evals.iter().rfind(|event| event["best"] == true).unwrap();
    let outcome: Value = serde_json::from_str(&sandbox.read("runs/adapter/outcome.json")).unwrap();
    assert_eq!(outcome["weights_of_step"], best["step"]);
    assert_eq!(best["metric"]["name"], "topic/accuracy");
    let shown = sandbox.succeeds(&["runs", "show", "runs/adapter"]);
    assert!(shown.contains("token accuracy  topic/accuracy"), "{shown}");
}

#[test]
fn a_run_that_blows_up_says_where() {
    let sandbox = Sandbox::with_base();
    let mut command = sandbox.command(&[
        "train",
        "adapter.toml",
        "train.max_steps=9",
        "train.learning_rate=1e30",
        "train.warmup_ratio=0",
    ]);
    let told = shown(&command.output().unwrap());
    assert!(told.starts_with("exit code: 1"), "{told}");
    assert!(told.contains("was not taken: the "), "{told}");
    assert!(told.contains("; it learned from `rows.jsonl:"), "{told}");
    assert!(told.contains("hint: look at these rows"), "{told}");
    assert!(
        sandbox
            .tree()
            .iter()
            .any(|name| name.starts_with("runs/adapter/checkpoints/step-")),
        "the state before the step is kept"
    );
}

#[test]
fn a_module_that_is_tied_to_another_is_said_to_be() {
    let sandbox = Sandbox::with_base();
    let saved = "lora.modules_to_save=[\"embed_tokens\"]";
    let shown = sandbox.run(&[
        "train",
        "adapter.toml",
        saved,
        "lora.target_modules=[\"q_proj\"]",
    ]);
    assert!(shown.starts_with("exit code: 0"), "{shown}");
    assert!(
        shown.contains("note: embedding and head of this base are one weight"),
        "{shown}"
    );
}
