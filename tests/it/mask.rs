use crate::sandbox::{Sandbox, assert_shown};

/// Changes the chat template of a folder with a tokenizer.
fn change_template(sandbox: &Sandbox, folder: &str) {
    let file = format!("{folder}/tokenizer_config.json");
    sandbox.replace(&file, "<|im_start|>assistant", "<|im_start|>Assistant");
}

#[test]
fn chat_refuses_another_template_than_the_run_was_trained_with() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    let mask = sandbox.read("runs/adapter/checkpoints/mask.json");
    let mask: serde_json::Value = serde_json::from_str(&mask).unwrap();
    assert_eq!(mask["train"]["roles"]["completion"]["learned"], 9);
    change_template(&sandbox, "runs/adapter/export/merged");
    let asked = ["generate", "runs/adapter", "--prompt", "Hi"];
    assert_shown!(sandbox.run(&asked), @r"
    exit code: 6
    ----- stderr -----
    error: the chat template is not the one that the rows were rendered with

    hint: the files may come from another run, or were changed since: export the run again with `slm-tune export RUN`
    ");
    fs_err::remove_dir_all(sandbox.path("runs/adapter/export")).unwrap();
    sandbox.succeeds(&["export", "runs/adapter", "--quiet"]);
    sandbox.succeeds(&asked);
}

#[test]
fn export_refuses_another_tokenizer_than_the_run_was_trained_with() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    fs_err::remove_dir_all(sandbox.path("runs/adapter/export")).unwrap();
    change_template(&sandbox, "base");
    let shown = sandbox.run(&["export", "runs/adapter", "--quiet"]);
    assert_shown!(shown, @r"
    exit code: 6
    ----- stderr -----
    error: the chat template is not the one that the rows were rendered with

    hint: the files may come from another run, or were changed since: export the run again with `slm-tune export RUN`
    ");
}

#[test]
fn a_run_without_its_proof_says_what_to_do() {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet"]);
    fs_err::remove_file(sandbox.path("runs/adapter/checkpoints/mask.json")).unwrap();
    let shown = sandbox.run(&["generate", "runs/adapter", "--prompt", "Hi"]);
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    error: the run in `runs/adapter` has no `checkpoints/mask.json`, the proof of what it learned: an older version trained it

    hint: train it again with `slm-tune train RECIPE --overwrite`; the merged model alone needs no proof: `slm-tune chat runs/adapter/export/merged`
    ");
    assert_eq!(sandbox.run(&["export", "runs/adapter", "--quiet"]), shown);
    sandbox.succeeds(&["generate", "runs/adapter/export/merged", "--prompt", "Hi"]);
}

#[test]
fn two_bos_stop_a_run_before_its_first_step() {
    let sandbox = Sandbox::with_base();
    let config = "base/tokenizer_config.json";
    for (from, to) in [
        ("PreTrainedTokenizerFast", "LlamaTokenizer"),
        ("\"add_bos_token\": false", "\"add_bos_token\": true"),
        ("\"bos_token\": null", "\"bos_token\": \"<|im_start|>\""),
    ] {
        sandbox.replace(config, from, to);
    }
    sandbox.replace("adapter.toml", "\"Message:", "\"<|im_start|>Message:");
    assert_shown!(sandbox.run(&["train", "adapter.toml"]), @r#"
    exit code: 2
    ----- stderr -----
    data: started
    data: failed in [time]
    error: 12 of 12 rows begin with BOS twice: `rows.jsonl:2`, `rows.jsonl:3`, `rows.jsonl:4`, `rows.jsonl:6`, `rows.jsonl:7` and 7 more

    hint: one is added, and the row has another: take `<|im_start|>` out of the rows, or out of the chat template's first line; to train all the same: `data.accept_findings = ["doubled_bos"]`
    "#);
    let accepting = "data.accept_findings=[\"doubled_bos\"]";
    let shown = sandbox.run(&["train", "adapter.toml", accepting]);
    assert!(shown.starts_with("exit code: 0"), "{shown}");
    let warning = "warning: 9 of 9 training sequences have the finding `doubled_bos`";
    assert!(shown.contains(warning), "{shown}");
}
