use crate::sandbox::{Sandbox, assert_shown};

#[test]
fn train_goes_from_rows_to_artifacts_and_says_what_is_next() {
    let sandbox = Sandbox::with_base();
    let shown = sandbox.run(&["train", "adapter.toml"]);
    assert_shown!(shown, @r"
    exit code: 0
    ----- stdout -----

    task            metric                base               tuned               difference
    topic (3 rows)  accuracy             0.0 %  [0.0, 56.1]  0.0 %  [0.0, 56.1]        +0.0  [-56.1, +56.1]  unclear
                    accuracy, per token  0.0 %  [0.0, 56.1]  0.0 %  [0.0, 56.1]        +0.0  [-56.1, +56.1]  unclear
                    macro F1             0.0 %  [0.0, 0.0]   0.0 %  [0.0, 0.0]         +0.0  [+0.0, +0.0]    unclear

    topic, most often mistaken: `refund` for `delivery` (3 of 3)

    file                                      size  beside the trained model
    runs/adapter/export/adapter             7.2 KB  logits within [figure]
    runs/adapter/export/merged             90.5 KB  logits within [figure]
    runs/adapter/export/adapter-Q8_0.gguf  28.4 KB  mean KL [figure], same token 100.0 %, topic accuracy 0.000 (was 0.000)
    runs/adapter/report.html               [size]

    next: slm-tune chat runs/adapter
    ----- stderr -----
    data: started
    data: done in [time]
    mask         tokens  learned  held out  learned
    prompt          188        0        72        0
    completion        9        9         3        3
    end of turn       9        9         3        3
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    train: started
    step 1/2: loss [figure], accuracy [share], entropy [figure], gradient [figure], lr 0.00e0, 8 learned, [speed] tokens/s, [time] left
    step 2/2: loss [figure], accuracy [share], entropy [figure], gradient [figure], lr 1.00e-2, 8 learned, [speed] tokens/s, [time] left
    step 2: held-out loss [figure], accuracy [share], the best so far
    step 2: checkpoint `runs/adapter/checkpoints/step-000002`
    train: done in [time]
    eval: started
    eval: done in [time]
    export: started
    wrote `runs/adapter/export/adapter` (7.2 KB)
    wrote `runs/adapter/export/merged` (90.5 KB)
    wrote `runs/adapter/export/adapter-Q8_0.gguf` (28.4 KB)
    export: done in [time]
    report: started
    report: done in [time]
    ");
    let tree = sandbox.tree();
    for file in [
        "runs/adapter/run.json",
        "runs/adapter/recipe.toml",
        "runs/adapter/recipe.resolved.toml",
        "runs/adapter/metrics.jsonl",
        "runs/adapter/data/manifest.json",
        "runs/adapter/eval/tuned/topic/samples.jsonl",
        "runs/adapter/eval/base/topic/scores.json",
        "runs/adapter/export/adapter/adapter_model.safetensors",
        "runs/adapter/export/merged/model.safetensors",
        "runs/adapter/report.html",
    ] {
        assert!(
            tree.iter().any(|name| name == file),
            "`{file}` is not among {tree:#?}"
        );
    }
    assert!(
        tree.iter().all(|name| !name.contains(".partial")),
        "{tree:#?}"
    );
}

#[test]
fn a_second_train_skips_every_stage() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    assert_shown!(sandbox.run(&["train", "adapter.toml"]), @r"
    exit code: 0
    ----- stdout -----

    task            metric                base               tuned               difference
    topic (3 rows)  accuracy             0.0 %  [0.0, 56.1]  0.0 %  [0.0, 56.1]        +0.0  [-56.1, +56.1]  unclear
                    accuracy, per token  0.0 %  [0.0, 56.1]  0.0 %  [0.0, 56.1]        +0.0  [-56.1, +56.1]  unclear
                    macro F1             0.0 %  [0.0, 0.0]   0.0 %  [0.0, 0.0]         +0.0  [+0.0, +0.0]    unclear

    topic, most often mistaken: `refund` for `delivery` (3 of 3)

    file                                      size  beside the trained model
    runs/adapter/export/adapter             7.2 KB  logits within [figure]
    runs/adapter/export/merged             90.5 KB  logits within [figure]
    runs/adapter/export/adapter-Q8_0.gguf  28.4 KB  mean KL [figure], same token 100.0 %, topic accuracy 0.000 (was 0.000)
    runs/adapter/report.html               [size]

    next: slm-tune chat runs/adapter
    ----- stderr -----
    data: skipped, its inputs did not change
    mask         tokens  learned  held out  learned
    prompt          188        0        72        0
    completion        9        9         3        3
    end of turn       9        9         3        3
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    train: skipped, its inputs did not change
    eval: skipped, its inputs did not change
    export: skipped, its inputs did not change
    report: skipped, its inputs did not change
    ");
}

#[test]
fn another_recipe_does_not_get_into_a_run() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    let before = sandbox.read("runs/adapter/run.json");
    assert_shown!(sandbox.run(&["train", "adapter.toml", "lora.r=4"]), @r"
    exit code: 2
    ----- stderr -----
    error: `runs/adapter` holds a run of another recipe

    hint: give this one another name, `slm-tune train adapter.toml name=NAME`, or delete the old run with `--overwrite`
    ");
    assert_eq!(sandbox.read("runs/adapter/run.json"), before);
    sandbox.succeeds(&[
        "train",
        "adapter.toml",
        "lora.r=4",
        "--overwrite",
        "--quiet",
    ]);
    assert!(
        sandbox
            .read("runs/adapter/recipe.resolved.toml")
            .contains("r = 4")
    );
}

#[test]
fn the_same_recipe_makes_the_same_weights_on_any_number_of_threads() {
    let weights = "runs/adapter/export/adapter/adapter_model.safetensors";
    let bytes = ["1", "1", "2", "3"].map(|threads| {
        let sandbox = Sandbox::with_base();
        let mut command =
            sandbox.command(&["train", "adapter.toml", "--quiet", "model.device=cpu"]);
        let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        sandbox.tensors(weights)
    });
    assert!(bytes.iter().all(|each| *each == bytes[0]));
}

#[test]
fn train_as_json_is_one_event_per_line() {
    let sandbox = Sandbox::with_base();
    let text = sandbox.succeeds(&["train", "adapter.toml", "--json"]);
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps = events
        .iter()
        .filter(|event| event["event"] == "step")
        .count();
    assert_eq!(steps, 2);
    let end = events.last().unwrap();
    assert_eq!(end["event"], "end");
    assert_eq!(end["results"][0]["tuned"]["metrics"][0]["name"], "accuracy");
}

#[test]
fn runs_are_listed_and_shown() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    let shown = sandbox.run(&["runs", "ls"]);
    assert!(shown.contains("runs/adapter  done"), "{shown}");
    let shown = sandbox.run(&["runs", "show", "runs/adapter"]);
    for stage in ["data", "train", "eval", "export", "report"] {
        assert!(shown.contains(stage), "{stage}: {shown}");
    }
    let run = sandbox.json(&["runs", "show", "runs/adapter", "--json"]);
    assert_eq!(run["record"]["stages"]["train"]["status"], "done");
}

#[test]
fn a_run_is_measured_and_exported_again() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    let weights = "runs/adapter/export/merged/model.safetensors";
    let before = sandbox.tensors(weights);
    fs_err::remove_dir_all(sandbox.path("runs/adapter/export")).unwrap();
    sandbox.succeeds(&["export", "runs/adapter", "--quiet"]);
    assert!(sandbox.tensors(weights) == before);

    let results = sandbox.json(&[
        "eval",
        "runs/adapter",
        "eval.task.0.max_samples=2",
        "--json",
        "--quiet",
    ]);
    assert_eq!(results[0]["tuned"]["n"], 2);
    assert_shown!(sandbox.run(&["eval", "runs/adapter", "lora.r=4"]), @r"
    exit code: 2
    ----- stderr -----
    error: `lora.r=4` would make another run of this one

    hint: of a run, `eval.*` and `model.device` can be changed; train again for the rest
    ");
}

/// What `auto` is settled on is written down, and is not settled again.
#[test]
fn an_automatic_batch_size_is_written_down() {
    let sandbox = Sandbox::with_base();
    let auto = "train.per_device_train_batch_size=auto";
    let plan = &sandbox.json(&["check", "adapter.toml", auto, "--json"])["plan"];
    assert_eq!(plan["micro_batch_rows"], 32);
    assert_eq!(plan["auto"], "32 rows at a time, once a step");
    let text = sandbox.succeeds(&["check", "adapter.toml", auto]);
    assert!(text.contains("of 32 rows"), "{text}");

    sandbox.succeeds(&["train", "adapter.toml", auto, "--quiet"]);
    let resolved = sandbox.read("runs/adapter/recipe.resolved.toml");
    assert!(
        resolved.contains("per_device_train_batch_size = 32\n"),
        "{resolved}"
    );
    assert!(resolved.contains("gradient_accumulation_steps = 1\n"));
    let again = sandbox.succeeds(&["train", "adapter.toml", auto, "--json"]);
    let is_skipped = |line: &str| line.contains("\"train\"") && line.contains("skipped");
    assert!(again.lines().any(is_skipped), "{again}");
}

#[test]
fn the_base_of_a_recipe_is_measured_without_a_run() {
    let sandbox = Sandbox::with_base();
    let before = sandbox.tree();
    let reports = sandbox.json(&["eval", "adapter.toml", "--json", "--quiet"]);
    assert_eq!(reports[0]["task"], "topic");
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn a_tuned_model_answers_through_its_prompt_template() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    let arguments = [
        "generate",
        "runs/adapter",
        "--max-new-tokens",
        "4",
        "--json",
    ];
    let with = |rest: &[&str]| sandbox.json(&[&arguments, rest].concat());
    let answer = with(&["--prompt", "Where is my parcel?"]);
    assert!(answer["answer_tokens"].as_u64().unwrap() <= 4);
    let raw = with(&["--raw", "--prompt", "Message: Where is my parcel?\nTopic:"]);
    assert_eq!(answer["answer"], raw["answer"]);
    assert_eq!(answer["prompt_tokens"], raw["prompt_tokens"]);
    let drawn = with(&["--prompt", "Hi", "--temperature", "1", "--seed", "7"]);
    assert_eq!(
        drawn,
        with(&["--prompt", "Hi", "--temperature", "1", "--seed", "7"])
    );
}

#[test]
fn chat_answers_line_by_line() {
    let sandbox = Sandbox::with_base();
    let arguments = ["chat", "base", "--max-new-tokens", "3"];
    let shown = sandbox.run_with_input(&arguments, "Hi\n\n/reset\nHi\n/quit\nnever read\n");
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "exit code: 0");
    assert_eq!(lines.len(), 4, "two answers: {shown}");
    assert_eq!(
        lines[2], lines[3],
        "the second is asked as if it were the first: {shown}"
    );
}

#[test]
fn a_folder_without_a_model_does_not_answer() {
    let sandbox = Sandbox::new();
    fs_err::create_dir(sandbox.path("empty")).unwrap();
    assert_shown!(sandbox.run(&["chat", "empty"]), @r"
    exit code: 2
    ----- stderr -----
    error: `empty` is neither a run nor a model

    hint: give a run directory (`slm-tune runs ls`), a GGUF file, or a folder with `config.json`, `tokenizer.json` and `model.safetensors`
    ");
    assert_shown!(sandbox.run(&["generate", "nowhere", "--prompt", "Hi"]), @r"
    exit code: 2
    ----- stderr -----
    error: `nowhere` does not exist

    hint: give a run directory (`slm-tune runs ls`), a GGUF file, or a folder with `config.json`, `tokenizer.json` and `model.safetensors`
    ");
}

#[test]
fn a_prompt_longer_than_the_model_reads_is_refused() {
    let sandbox = Sandbox::with_base();
    let prompt = "word ".repeat(200);
    let shown = sandbox.run(&["generate", "base", "--prompt", &prompt]);
    assert!(shown.starts_with("exit code: 2"), "{shown}");
    assert!(shown.contains("the model reads 1 to 127"), "{shown}");
}

#[cfg(unix)]
const LONG: [&str; 6] = [
    "train",
    "adapter.toml",
    "train.max_steps=1500",
    "train.eval_steps=500",
    "train.save_steps=100",
    "--json",
];

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_is_resumed_to_the_same_weights() {
    let weights = "runs/adapter/export/adapter/adapter_model.safetensors";
    let straight = Sandbox::with_base();
    straight.succeeds(&LONG);
    let straight = straight.tensors(weights);

    let interrupted = Sandbox::with_base();
    let shown = interrupted.stopped(&LONG, "-INT", "\"event\":\"step\"");
    assert!(shown.starts_with("exit code: 130"), "{shown}");
    assert!(shown.contains("slm-tune resume runs/adapter"), "{shown}");
    let shown = interrupted.run(&LONG);
    assert!(shown.starts_with("exit code: 2"), "{shown}");
    assert!(
        shown.contains("was interrupted while it trained"),
        "{shown}"
    );
    interrupted.succeeds(&["resume", "runs/adapter", "--quiet"]);
    assert!(interrupted.tensors(weights) == straight);

    let killed = Sandbox::with_base();
    killed.stopped(&LONG, "-KILL", "\"event\":\"checkpoint\"");
    let mut resumed = killed.command(&["resume", "runs/adapter", "--quiet"]);
    let resumed = resumed.env("RAYON_NUM_THREADS", "3").output().unwrap();
    assert!(resumed.status.success(), "on another number of threads");
    assert!(killed.tensors(weights) == straight);
}

#[test]
fn a_run_is_not_resumed_on_other_rows() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    sandbox.replace("rows.jsonl", "parcel", "letter");
    assert_shown!(sandbox.run(&["resume", "runs/adapter", "--quiet"]), @r"
    exit code: 2
    ----- stderr -----
    error: the rows have changed since the run in `runs/adapter` began

    hint: put them back, or start again: `slm-tune train RECIPE --overwrite`
    ");
}

#[test]
fn sampling_that_cannot_be_is_refused() {
    let with = |option, value| Sandbox::new().run(&["chat", "base", option, value]);
    assert_shown!(with("--top-p", "1.5"), @r"
    exit code: 2
    ----- stderr -----
    error: invalid value '1.5' for '--top-p <TOP_P>': a number above 0 and up to 1 is needed

    For more information, try '--help'.
    ");
    assert_shown!(with("--temperature", "warm"), @r"
    exit code: 2
    ----- stderr -----
    error: invalid value 'warm' for '--temperature <TEMPERATURE>': a number of at least 0 is needed

    For more information, try '--help'.
    ");
}
