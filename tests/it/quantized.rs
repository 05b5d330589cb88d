//! An adapter over a base in codes.

use crate::sandbox::{Sandbox, assert_shown};

const NF4: &str = "model.quantization=nf4";

#[test]
fn an_adapter_is_trained_over_nf4_and_shipped() {
    let sandbox = Sandbox::with_base();
    let shown = sandbox.run(&["train", "adapter.toml", NF4]);
    for line in [
        "exit code: 0",
        "note: the base is quantized: files of the whole model hold what its codes stand for, with the adapter added",
        "wrote `runs/adapter/export/adapter` (7.2 KB)",
        "wrote `runs/adapter/export/merged` (90.5 KB)",
        "wrote `runs/adapter/export/adapter-Q8_0.gguf` (28.4 KB)",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    let resolved = sandbox.read("runs/adapter/recipe.resolved.toml");
    assert!(resolved.contains("quantization = \"nf4\""), "{resolved}");
    // Over the same codes the adapter answers as what was merged from them.
    let prompt = [
        "generate",
        "runs/adapter",
        "--prompt",
        "I want my money back.",
    ];
    let merged = sandbox.succeeds(&prompt);
    fs_err::remove_dir_all(sandbox.path("runs/adapter/export/merged")).unwrap();
    assert_eq!(sandbox.succeeds(&prompt), merged);
}

#[test]
fn rounding_follows_the_training_rows() {
    let sandbox = Sandbox::with_base();
    let keys = [
        "export.imatrix=rows",
        "export.compressed_tensors=[\"W8A16\"]",
    ];
    let shown = sandbox.run(&["train", "adapter.toml", keys[0], keys[1]]);
    for part in [
        "exit code: 0",
        "note: `W8A16` is made on 9 training rows (206 tokens)",
        "note: `adapter.imatrix.gguf` is made on 9 training rows (206 tokens)",
        "wrote `runs/adapter/export/W8A16`",
        "wrote `runs/adapter/export/adapter.imatrix.gguf`",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    // The folder is a model like any other.
    let folder = "runs/adapter/export/W8A16";
    sandbox.succeeds(&["logits", folder, "--text", "I want my money back."]);
    let missing = sandbox.run(&[
        "train",
        "adapter.toml",
        "export.imatrix=missing.gguf",
        "name=other",
    ]);
    assert!(
        missing.contains("missing.gguf") && !missing.contains("step 1"),
        "{missing}"
    );
}

#[test]
fn check_says_what_codes_save() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["check", "adapter.toml", NF4, "model.double_quant=false"]), @r"
    exit code: 0
    ----- stdout -----
    run        runs/adapter (new)
    base       base (llama, 19,936 parameters)
    weights    44.5 KB, 17.9 bits per parameter (unquantized: 79.7 KB)
    memory     about 367 KB while training: 17.4 KB for what is trained, 167 KB for 104 tokens at a time
    device     cpu
    rows       9 to learn from, 3 held out, 0 left out
    tokens     206, of which 18 are learned
    steps      2 of 4 rows, 0.7 epochs
    tasks      topic (3 rows)
    artifacts  adapter, merged model, GGUF Q8_0
    ");
    let plan = |scheme: &str| {
        let plan = sandbox.json(&["check", "adapter.toml", "--json", scheme]);
        plan["plan"]["weights_bytes"].as_u64().unwrap()
    };
    let [none, int8, nf4] =
        ["none", "int8", "nf4"].map(|kind| plan(&format!("model.quantization={kind}")));
    assert!(none > int8 && int8 > nf4, "{none} {int8} {nf4}");
}

#[test]
fn a_run_over_codes_is_repeated_bit_for_bit() {
    let weights = "runs/adapter/export/adapter/adapter_model.safetensors";
    let exact = "model.int8_activations=false";
    let kinds = [("int8", None), ("int8", Some(exact)), ("nf4", None)];
    let bytes = kinds.map(|(kind, more)| {
        let twice = [(); 2].map(|()| {
            let sandbox = Sandbox::with_base();
            let kind = format!("model.quantization={kind}");
            let mut args = vec!["train", "adapter.toml", "--quiet", &kind];
            args.extend(more);
            sandbox.succeeds(&args);
            sandbox.tensors(weights)
        });
        assert_eq!(twice[0], twice[1], "{kind}");
        twice[0].clone()
    });
    assert!(bytes[0] != bytes[1] && bytes[1] != bytes[2]);
}

#[test]
fn all_weights_cannot_be_trained_in_codes() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["train", "adapter.toml", NF4, "train.method=full"]), @r#"
    exit code: 2
    ----- stderr -----
    error: recipe `adapter.toml` has 1 problem
      override `model.quantization=nf4` `model.quantization` freezes the base: it needs `train.method = "lora"`
    "#);
}

/// The codes are made again from the base, and what is learned over them goes on where it was.
#[cfg(unix)]
#[test]
fn a_killed_run_over_codes_is_resumed_to_the_same_weights() {
    let weights = "runs/adapter/export/adapter/adapter_model.safetensors";
    for scheme in ["int8", "nf4"] {
        let scheme = format!("model.quantization={scheme}");
        let long = [
            "train",
            "adapter.toml",
            &scheme,
            "train.max_steps=600",
            "train.eval_steps=200",
            "train.save_steps=50",
            "--json",
        ];
        let straight = Sandbox::with_base();
        straight.succeeds(&long);
        let killed = Sandbox::with_base();
        killed.stopped(&long, "-KILL", "\"event\":\"checkpoint\"");
        killed.succeeds(&["resume", "runs/adapter", "--quiet"]);
        let [straight, killed] = [straight, killed].map(|it| it.tensors(weights));
        assert!(killed == straight, "{scheme}");
    }
}
