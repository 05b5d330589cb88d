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
    assert_shown!(train(&Sandbox::new(), &[]), @r"
    exit code: 2
    ----- stderr -----
    error: no model at `base`, and it is not a hub name either

    hint: give the path of a model folder, or a hub name such as `owner/name`
    ");
}

#[test]
fn a_missing_tensor_is_named() {
    assert_shown!(train(&header("model.norm.weight", "model.nrom.weight"), &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: failed to load `base`
      caused by: `base/model.safetensors` holds tensors that `config.json` has no place for: `model.nrom.weight`

    hint: config.json and the weights may come from different models
    ");
}

#[test]
fn a_misshapen_tensor_is_shown_beside_the_config() {
    let sandbox = Sandbox::with_base();
    sandbox.replace(
        "base/config.json",
        "\"intermediate_size\": 64",
        "\"intermediate_size\": 48",
    );
    assert_shown!(train(&sandbox, &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: failed to load `base`
      caused by: tensor `model.layers.0.mlp.gate_proj.weight` of `base/model.safetensors` has shape [64, 32], `config.json` needs [48, 32]

    hint: config.json and the weights may come from different models
    ");
}

#[test]
fn truncated_weights_are_refused() {
    let sandbox = with_weights(|bytes| bytes[..bytes.len() / 2].to_vec());
    assert_shown!(train(&sandbox, &[]), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: failed to load `base`
      caused by: `base/model.safetensors` is not a readable safetensors file: its size differs from what its header says; it is truncated

    hint: the file may be a partial download or a Git LFS pointer: fetch it again
    ");
}

#[test]
fn an_unknown_architecture_is_refused_with_the_known_ones() {
    let sandbox = Sandbox::with_base();
    sandbox.replace(
        "base/config.json",
        "\"model_type\": \"llama\"",
        "\"model_type\": \"rwkv\"",
    );
    assert_shown!(train(&sandbox, &[]), @r"
    exit code: 2
    ----- stderr -----
    error: `base/config.json`: `model_type` is `rwkv`, which slm-tune cannot run (it runs llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3_text, phi3, smollm3, granite, olmo2, gpt_neox, gpt2)

    hint: choose a base of one of these families
    ");
}

#[test]
fn a_tokenizer_with_more_ids_than_the_embedding_is_refused() {
    let sandbox = Sandbox::with_base();
    let config = sandbox.read("base/config.json");
    let vocab_size: serde_json::Value = serde_json::from_str(&config).unwrap();
    let written = format!("\"vocab_size\": {}", vocab_size["vocab_size"]);
    sandbox.replace("base/config.json", &written, "\"vocab_size\": 200");
    assert_shown!(train(&sandbox, &[]), @r"
    exit code: 2
    ----- stderr -----
    error: token `Ġh` has id 299, the embedding has 200 rows

    hint: tokenizer and weights may come from different models
    ");
}

#[test]
fn a_folder_without_a_tokenizer_is_refused() {
    let sandbox = Sandbox::with_base();
    fs_err::remove_file(sandbox.path("base/tokenizer.json")).unwrap();
    assert_shown!(train(&sandbox, &[]), @r"
    exit code: 2
    ----- stderr -----
    error: failed to load the tokenizer of `base`
      caused by: `base` holds no tokenizer: found no `tokenizer.json`

    hint: `model.base_model` has to name a folder with `config.json`, `tokenizer.json` and weights
    ");
}

#[test]
fn an_unknown_device_is_refused() {
    assert_shown!(train(&Sandbox::with_base(), &["model.device=gpu"]), @r"
    exit code: 2
    ----- stderr -----
    error: device `gpu` is not known

    hint: devices are auto, cpu, libtorch:cpu, libtorch:cuda:N, libtorch:mps
    ");
}

#[cfg(not(feature = "libtorch"))]
#[test]
fn a_device_that_is_not_built_says_how_to_build_it() {
    assert_shown!(train(&Sandbox::with_base(), &["model.device=libtorch:cuda:0"]), @r#"
    exit code: 2
    ----- stderr -----
    error: device `libtorch:cuda:0` is not built into this slm-tune

    hint: build with `--features libtorch`, or set `model.device = "cpu"`; `slm-tune doctor` shows what is built
    "#);
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
    assert_shown!(train(&Sandbox::with_base(), &["lora.target_modules=[\"q_prj\"]"]), @r#"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: `lora.target_modules` names `q_prj`, which the model does not have

    hint: its modules are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or "all-linear"
    "#);
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
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    error: no model at `nobody/nothing`, and this run is offline and the hub's cache does not hold it

    hint: give the path of a model folder, or a hub name such as `owner/name`
    ");
}

#[test]
fn a_run_directory_below_a_file_is_refused() {
    let sandbox = Sandbox::with_base();
    sandbox.write("taken", "a file");
    assert_shown!(train(&sandbox, &["output_dir=taken/run"]), @r"
    exit code: 1
    ----- stderr -----
    error: `taken/run` cannot be a folder: a part of that path is a file

    hint: choose a folder that can be written with `output_dir`
    ");
}

#[test]
fn a_folder_with_something_else_in_it_is_no_run_directory() {
    let sandbox = Sandbox::with_base();
    sandbox.write("photos/one.txt", "a photo");
    assert_shown!(train(&sandbox, &["output_dir=photos"]), @r"
    exit code: 2
    ----- stderr -----
    error: `photos` is not a run directory: it has no `run.json`

    hint: `slm-tune runs ls` lists the runs; a new run needs an empty or a new folder
    ");
    assert_shown!(sandbox.run(&["train", "adapter.toml", "output_dir=photos", "--overwrite"]), @r"
    exit code: 2
    ----- stderr -----
    error: `photos` is not a run directory: it has no `run.json`

    hint: `slm-tune runs ls` lists the runs; a new run needs an empty or a new folder
    ");
    assert_eq!(sandbox.read("photos/one.txt"), "a photo");
}

/// Trains into a file system of its own, mounted with `options` in a user namespace; `None` where that is not allowed.
#[cfg(target_os = "linux")]
fn train_into_mounted(options: &str) -> Option<String> {
    let sandbox = Sandbox::with_base();
    fs_err::create_dir(sandbox.path("disk")).unwrap();
    let train = sandbox.command(&["train", "adapter.toml", "output_dir=disk/run", "--quiet"]);
    let binary = train.get_program().to_str().unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} tmpfs disk || exit 99
            {binary} train adapter.toml output_dir=disk/run --quiet
            status=$?
            find disk -name '*.partial' >&2
            exit $status"
    );
    let mut command = std::process::Command::new("unshare");
    let command = command
        .args(["-rm", "sh", "-c", &script])
        .current_dir(sandbox.path(""));
    let output = command.output().ok()?;
    if !matches!(output.status.code(), Some(0..=6)) {
        return None;
    }
    Some(crate::sandbox::shown(&output))
}

#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn a_full_or_read_only_disk_is_told_apart_and_nothing_half_written_is_left() {
    let Some(shown) = train_into_mounted("ro") else {
        println!("skipped: 2 mounts, this machine has no user namespaces");
        return;
    };
    assert_shown!(shown, @r"
    exit code: 1
    ----- stderr -----
    error: `disk/run` is on a read-only file system

    hint: choose a folder that can be written with `output_dir`
    ");
    assert_shown!(train_into_mounted("size=16k").unwrap(), @r"
    exit code: 1
    ----- stderr -----
    error: no space is left to write `disk/run/run.json`

    hint: free some space, or choose another disk with `output_dir`
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn an_unwritable_stdout_is_an_error() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["schema"]);
    let full = fs_err::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command.stdout(full.into_file()).output().unwrap();
    assert_shown!(crate::sandbox::shown(&output), @r"
    exit code: 1
    ----- stderr -----
    error: No space left on device (os error 28)

    hint: the disk is full: free some space
    ");
}

#[cfg(not(feature = "libtorch"))]
#[test]
fn a_build_without_libtorch_trains_in_one_process() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["train", "scratch.toml"]);
    let launched = [
        ("WORLD_SIZE", "2"),
        ("RANK", "0"),
        ("MASTER_ADDR", "127.0.0.1"),
        ("MASTER_PORT", "29500"),
    ];
    let output = command.envs(launched).output().unwrap();
    assert_shown!(crate::sandbox::shown(&output), @r"
    exit code: 2
    ----- stderr -----
    error: `WORLD_SIZE` is 2, and this build trains in one process only

    hint: build with `--features libtorch`; for one process, unset WORLD_SIZE
    ");
    assert!(sandbox.tree().is_empty());
}
