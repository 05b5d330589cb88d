//! quantize: a file of floats becomes what the export makes of the same weights.

use slm_gguf::Reader;

use crate::sandbox::{Sandbox, assert_shown};

/// A run with a file in F32 and one in Q8_0, and the first one quantized once more.
fn quantized() -> Sandbox {
    let sandbox = Sandbox::with_base();
    let types = r#"export.gguf=["F32", "Q8_0"]"#;
    sandbox.succeeds(&["train", "adapter.toml", types, "--quiet"]);
    sandbox.write(
        "copy-F32.gguf",
        fs_err::read(sandbox.path("runs/adapter/export/adapter-F32.gguf")).unwrap(),
    );
    sandbox
}

#[test]
fn a_file_of_floats_becomes_what_an_export_writes() {
    let sandbox = quantized();
    assert_shown!(sandbox.run(&["quantize", "copy-F32.gguf", "Q8_0"]), @r"
    exit code: 0
    ----- stdout -----
    copy-Q8_0.gguf  28.3 KB
    ");
    let ours = Reader::open(sandbox.path("copy-Q8_0.gguf")).unwrap();
    let exported = Reader::open(sandbox.path("runs/adapter/export/adapter-Q8_0.gguf")).unwrap();
    assert_eq!(ours.tensors().len(), exported.tensors().len());
    for tensor in exported.tensors() {
        let name = tensor.name();
        assert_eq!(
            ours.tensor(name).unwrap().tensor_type(),
            tensor.tensor_type(),
            "{name}"
        );
        assert_eq!(
            ours.bytes(name).unwrap(),
            exported.bytes(name).unwrap(),
            "{name}"
        );
    }
    // All that its metadata does not say is what was certified of the source.
    let keys = |reader: &Reader| -> Vec<String> {
        reader
            .metadata()
            .iter()
            .map(|(key, _)| key.to_string())
            .collect()
    };
    let mut certified = keys(&exported);
    certified.retain(|key| key != "slm_tune.certificate_sha256");
    assert_eq!(keys(&ours), certified);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_training() {
    let sandbox = Sandbox::new();
    let shown = sandbox.run(&[
        "train",
        "scratch.toml",
        "--quiet",
        "model.config.intermediate_size=40",
        r#"export.compressed_tensors=["W4A16"]"#,
    ]);
    insta::assert_snapshot!(shown, @r#"
    exit code: 2
    ----- stderr -----
    error: compressed-tensors has no place for rows that are not whole groups of 32 columns, in 4 bits

    hint: leave it out of `export.compressed_tensors`, or take "W8A16" or "FP8"
    "#);
    assert!(!sandbox.path("runs/scratch/checkpoints").exists());
}

#[test]
fn what_cannot_be_quantized() {
    let sandbox = quantized();
    sandbox.succeeds(&["quantize", "copy-F32.gguf", "Q8_0"]);
    assert_shown!(sandbox.run(&["quantize", "copy-Q8_0.gguf", "Q4_0"]), @r"
    exit code: 2
    ----- stderr -----
    error: tensor `token_embd.weight` is Q8_0 already

    hint: rounding twice loses more than once: start from an F32, F16 or BF16 file
    ");
    assert_shown!(sandbox.run(&["quantize", "copy-F32.gguf", "Q4_0", "--out", "copy-F32.gguf"]), @r"
    exit code: 2
    ----- stderr -----
    error: `copy-F32.gguf` is the source itself

    hint: name another file with `--out`
    ");
    assert_shown!(sandbox.run(&["quantize", "copy-F32.gguf", "Q4_0", "--tensor-type", "attn_v"]), @r"
    exit code: 2
    ----- stderr -----
    error: type rule `attn_v`: it has no expression and no `=`

    hint: a rule is `REGEX=TYPE`, such as `attn_v=Q8_0`
    ");
    assert!(!sandbox.path("copy-Q4_0.gguf").exists());
}
