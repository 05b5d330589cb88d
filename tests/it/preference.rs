//! From judged answers to an adapter, with each objective.

use serde_json::Value;

use crate::sandbox::{Sandbox, assert_shown};

/// Steps over all nine rows at once.
const STEPS: [&str; 2] = ["train.max_steps=4", "train.per_device_train_batch_size=9"];

/// A sandbox whose rows have the right topic as the chosen answer and the other one as the rejected.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_base();
    let rows = sandbox.read("rows.jsonl");
    let judged = rows.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let right = row["topic"].as_str().unwrap();
        let wrong = if right == "refund" { "delivery" } else { "refund" };
        let prompt = format!("Message: {}\nTopic:", row["text"].as_str().unwrap());
        let row = serde_json::json!({"prompt": prompt, "chosen": format!(" {right}"), "rejected": format!(" {wrong}")});
        format!("{row}\n")
    });
    let judged: String = judged.collect();
    sandbox.write("rows.jsonl", judged);
    let asked = "prompt = \"Message: {text}\\nTopic:\"\ncompletion = \" {topic}\"\n";
    sandbox.replace("adapter.toml", asked, "");
    let task = "[[eval.task]]\nname = \"topic\"\noutput_type = \"multiple_choice\"\n";
    sandbox.replace("adapter.toml", task, "");
    sandbox
}

fn events(sandbox: &Sandbox, kind: &str) -> Vec<Value> {
    let text = sandbox.read("runs/adapter/metrics.jsonl");
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == kind).collect()
}

/// Trains, and checks what every objective leaves; returns the steps' events.
fn trained(sandbox: &Sandbox, objective: &str) -> Vec<Value> {
    let objective = format!("train.objective={objective}");
    sandbox.succeeds(
        &[
            &["train", "adapter.toml", &objective, "--quiet"],
            &STEPS[..],
        ]
        .concat(),
    );
    let steps = events(sandbox, "step");
    assert_eq!(steps.len(), 4);
    for step in &steps {
        let [chosen, rejected, margin] = ["chosen", "rejected", "margins"]
            .map(|name| step[format!("rewards/{name}")].as_f64().unwrap());
        assert!((chosen - rejected - margin).abs() < 1e-9, "{step}");
        assert!(step["loss"].is_number(), "{step}");
    }
    let held_out = events(sandbox, "eval");
    assert!(
        held_out
            .iter()
            .all(|event| event["rewards/margins"].is_number())
    );
    let adapter = sandbox.path("runs/adapter/export/adapter/adapter_model.safetensors");
    assert!(adapter.is_file());
    steps
}

/// The margin between the answers grows over steps that learn.
fn grows(steps: &[Value]) -> bool {
    let margin = |step: &Value| step["rewards/margins"].as_f64().unwrap();
    margin(&steps[3]) > margin(&steps[0])
}

#[test]
fn dpo_begins_at_its_reference_and_leaves_it() {
    let steps = trained(&sandbox(), "dpo");
    let margin = steps[0]["rewards/margins"].as_f64().unwrap();
    assert!(margin.abs() < 1e-6, "{margin}");
    let loss = steps[0]["loss"].as_f64().unwrap();
    assert!((loss - 2f64.ln()).abs() < 1e-6, "{loss}");
    assert!(grows(&steps));
    let share = steps[3]["rewards/accuracies"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&share), "{share}");
    assert!(steps[3].get("kl").is_none());
}

#[test]
fn orpo_needs_no_reference() {
    let sandbox = sandbox();
    let steps = trained(&sandbox, "orpo");
    let loss = |step: &Value| step["loss"].as_f64().unwrap();
    assert!(loss(&steps[3]) < loss(&steps[0]));
    assert!(steps[0]["rewards/accuracies"].is_number());
    let first = |key: &str| steps[0][key].as_f64().unwrap();
    // The cross entropy of the chosen rows, and a part of the odds ratio.
    assert!(first("loss") > 1.0 && first("rewards/chosen") < 0.0);
    assert!(
        sandbox
            .tree()
            .iter()
            .all(|name| !name.contains("reference"))
    );
}

#[test]
fn kto_judges_answers_one_by_one() {
    let steps = trained(&sandbox(), "kto");
    assert!((steps[0]["loss"].as_f64().unwrap() - 0.5).abs() < 1e-6);
    assert!(steps.iter().all(|step| step["kl"].as_f64().unwrap() >= 0.0));
    assert!(steps[0]["rewards/accuracies"].is_null());
}

#[test]
fn kto_reads_answers_that_were_judged_alone() {
    let sandbox = sandbox();
    let rows = sandbox.read("rows.jsonl");
    let apart = rows.lines().enumerate().map(|(at, line)| {
        let row: Value = serde_json::from_str(line).unwrap();
        let label = at % 3 != 0;
        let answer = &row[if label { "chosen" } else { "rejected" }];
        let row =
            serde_json::json!({"prompt": row["prompt"], "completion": answer, "label": label});
        format!("{row}\n")
    });
    let apart: String = apart.collect();
    sandbox.write("rows.jsonl", apart);
    trained(&sandbox, "kto");
    let shown = sandbox.run(&[
        "train",
        "adapter.toml",
        "train.objective=dpo",
        "--overwrite",
    ]);
    assert_shown!(shown, @r#"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: the rows have answers that were judged alone; `dpo` needs a chosen and a rejected answer in every row

    hint: rows look like {"prompt": "..", "chosen": "..", "rejected": ".."}; answers that were judged alone are for `train.objective = "kto"`
    "#);
}

#[test]
fn a_run_on_judged_answers_tells_their_rewards() {
    let sandbox = sandbox();
    let shown = sandbox.run(&["train", "adapter.toml", "train.objective=dpo"]);
    let told: Vec<_> = shown
        .lines()
        .filter(|line| line.contains("loss") && line.starts_with("step"))
        .collect();
    assert_shown!(told.join("\n"), @r"
    step 1/2: loss [figure], right [share], margin [figure], gradient [figure], lr 0.00e0, 16 learned, [speed] tokens/s, [time] left
    step 2/2: loss [figure], right [share], margin [figure], gradient [figure], lr 1.00e-2, 16 learned, [speed] tokens/s, [time] left
    step 2: held-out loss [figure], right [share], margin [figure], the best so far
    ");
}

#[cfg(unix)]
#[test]
fn a_killed_run_is_resumed_to_the_same_weights() {
    let weights = "runs/adapter/export/adapter/adapter_model.safetensors";
    for objective in ["dpo", "orpo", "kto"] {
        let objective = format!("train.objective={objective}");
        let long = [
            "train",
            "adapter.toml",
            &objective,
            "train.max_steps=600",
            "train.eval_steps=200",
            "train.save_steps=50",
            "--json",
        ];
        let straight = sandbox();
        straight.succeeds(&long);
        let killed = sandbox();
        killed.stopped(&long, "-KILL", "\"event\":\"checkpoint\"");
        killed.succeeds(&["resume", "runs/adapter", "--quiet"]);
        let [straight, killed] = [straight, killed].map(|it| it.tensors(weights));
        assert!(killed == straight, "{objective}");
    }
}
