use crate::sandbox::{Sandbox, assert_shown};

fn train(sandbox: &Sandbox, overrides: &[&str]) -> String {
    let shown = sandbox.run(&[&["train", "adapter.toml"], overrides].concat());
    let left = sandbox.tree();
    let is_result = |name: &&String| name.contains("/checkpoints/") || name.contains("/export/");
    assert_eq!(left.iter().find(is_result), None, "half-written");
    shown
}

/// The sandbox's base with its weights changed.
fn with_weights(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Sandbox {
    let sandbox = Sandbox::with_base();
    let weights = fs_err::read(sandbox.path("base/model.safetensors")).unwrap();
    sandbox.write("base/model.safetensors", change(weights));
    sandbox
}

/// Replaces text in the header of a safetensors file by text of the same length.
fn header(from: &str, to: &str) -> Sandbox {
    assert_eq!(from.len(), to.len());
    with_weights(|mut bytes| {
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes());
        let at = at.expect("the header holds the text");
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        bytes
    })
}

#[test]
fn a_base_that_is_not_there_is_refused() {
    assert_shown!(train(&Sandbox::new(), &[]), @"");
}

#[test]
fn a_missing_tensor_is_named() {
    assert_shown!(train(&header("model.norm.weight", "model.nrom.weight"), &[]), @"");
}

#[test]
fn a_misshapen_tensor_is_shown_beside_the_config() {
    let sandbox = Sandbox::with_base();
    sandbox.replace(
        "base/config.json",
        "\"intermediate_size\": 64",
        "\"intermediate_size\": 48",
    );
    assert_shown!(train(&sandbox, &[]), @"");
}

#[test]
fn truncated_weights_are_refused() {
    let sandbox = with_weights(|bytes| bytes[..bytes.len() / 2].to_vec());
    assert_shown!(train(&sandbox, &[]), @"");
}

#[test]
fn an_unknown_architecture_is_refused_with_the_known_ones() {
    let sandbox = Sandbox::with_base();
    sandbox.replace(
        "base/config.json",
        "\"model_type\": \"llama\"",
        "\"model_type\": \"rwkv\"",
    );
    assert_shown!(train(&sandbox, &[]), @"");
}

#[test]
fn a_tokenizer_with_more_ids_than_the_embedding_is_refused() {
    let sandbox = Sandbox::with_base();
    let config = sandbox.read("base/config.json");
    let vocab_size: serde_json::Value = serde_json::from_str(&config).unwrap();
    let written = format!("\"vocab_size\": {}", vocab_size["vocab_size"]);
    sandbox.replace("base/config.json", &written, "\"vocab_size\": 200");
    assert_shown!(train(&sandbox, &[]), @"");
}

#[test]
fn a_folder_without_a_tokenizer_is_refused() {
    let sandbox = Sandbox::with_base();
    fs_err::remove_file(sandbox.path("base/tokenizer.json")).unwrap();
    assert_shown!(train(&sandbox, &[]), @"");
}

#[test]
fn an_unknown_device_is_refused() {
    assert_shown!(train(&Sandbox::with_base(), &["model.device=gpu"]), @"");
}

#[cfg(not(feature = "libtorch"))]
#[test]
fn a_device_that_is_not_built_says_how_to_build_it() {
    assert_shown!(train(&Sandbox::with_base(), &["model.device=libtorch:cuda:0"]), @"");
}

#[cfg(feature = "libtorch")]
#[test]
fn a_device_that_is_not_there_is_refused() {
    let shown = train(&Sandbox::with_base(), &["model.device=libtorch:cuda:99"]);
    assert!(
        shown.starts_with("exit code: 2") && shown.contains("hint:"),
        "{shown}"
    );
}

#[test]
fn a_module_that_no_layer_has_is_refused() {
    assert_shown!(train(&Sandbox::with_base(), &["lora.target_modules=[\"q_prj\"]"]), @"");
}

#[test]
fn a_hub_name_needs_a_network_when_it_is_not_in_the_cache() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&[
        "--offline",
        "check",
        "adapter.toml",
        "model.base_model=nobody/nothing",
    ]);
    command.env("HF_HOME", sandbox.path("hub"));
    let shown = crate::sandbox::shown(&command.output().unwrap());
    assert_shown!(shown, @"");
}

#[test]
fn a_run_directory_below_a_file_is_refused() {
    let sandbox = Sandbox::with_base();
    sandbox.write("taken", "a file");
    assert_shown!(train(&sandbox, &["output_dir=taken/run"]), @"");
}

#[test]
fn a_folder_with_something_else_in_it_is_no_run_directory() {
    let sandbox = Sandbox::with_base();
    sandbox.write("photos/one.txt", "a photo");
    assert_shown!(train(&sandbox, &["output_dir=photos"]), @"");
    assert_shown!(sandbox.run(&["train", "adapter.toml", "output_dir=photos", "--overwrite"]), @"");
    assert_eq!(sandbox.read("photos/one.txt"), "a photo");
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_run_directory_is_refused() {
    // /proc takes no new folders, not even from root.
    let sandbox = Sandbox::with_base();
    let shown = train(&sandbox, &["output_dir=/proc/slm-tune"]);
    assert!(
        shown.starts_with("exit code: 1") || shown.starts_with("exit code: 2"),
        "{shown}"
    );
    assert!(shown.contains("/proc/slm-tune"), "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_such() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["schema"]);
    let full = fs_err::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command.stdout(full.into_file()).output().unwrap();
    assert_shown!(crate::sandbox::shown(&output), @"");
}
