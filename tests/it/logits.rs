//! `slm-tune logits` against transformers and PEFT, from the outside.

use std::path::Path;

use slm_testkit::{Golden, assert_close};

use crate::sandbox::{Sandbox, assert_shown};

fn goldens() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/data/llama");
    path.display().to_string()
}

/// The first row of the case `plain`.
fn ids() -> String {
    let golden = Golden::open(&Path::new(&goldens()).join("base_ref.safetensors"));
    let row = golden.shape("plain.input_ids")[1];
    let ids = golden.i64("plain.input_ids");
    let ids: Vec<String> = ids[..row].iter().map(i64::to_string).collect();
    ids.join(",")
}

#[test]
fn logits_of_a_base_and_of_an_adapter_are_transformers_and_pefts() {
    let (sandbox, root, ids) = (Sandbox::new(), goldens(), ids());
    let model = format!("{root}/model");
    for (adapter, reference) in [
        (None, "base_ref.safetensors"),
        (Some(format!("{root}/dora")), "dora/ref.safetensors"),
    ] {
        let mut arguments = vec!["logits", &model, "--ids", &ids, "--out", "out.safetensors"];
        if let Some(adapter) = &adapter {
            arguments.extend(["--adapter", adapter]);
        }
        arguments.push("--json");
        let printed = sandbox.json(&arguments);
        let got = Golden::open(&sandbox.path("out.safetensors"));
        let reference = Golden::open(&Path::new(&root).join(reference));
        let [_, time, vocab] = got.shape("logits")[..] else {
            panic!("three dimensions");
        };
        let want = &reference.f32("plain.logits")[..time * vocab];
        assert_close("logits", &got.f32("logits"), want, 1e-5);

        let last = &want[(time - 1) * vocab..];
        let best = (0..vocab)
            .max_by(|&a, &b| last[a].total_cmp(&last[b]))
            .unwrap();
        assert_eq!(printed["top"][0]["id"], best);
        assert_eq!(printed["top"].as_array().unwrap().len(), 10);
    }
}

#[test]
fn ids_outside_the_vocabulary_and_no_ids_are_refused() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["logits", "base", "--ids", "1,99999"]), @r"
    exit code: 2
    ----- stderr -----
    error: id 99999 is not in the vocabulary of 300 tokens

    hint: ids are 0 to 299
    ");
    assert_shown!(sandbox.run(&["logits", "base", "--text", ""]), @r"
    exit code: 2
    ----- stderr -----
    error: there is no token to read

    hint: give a text that holds at least one token
    ");
    assert_shown!(sandbox.run(&["logits", "base", "--ids", "1", "--adapter", "nothing"]), @r"
    exit code: 2
    ----- stderr -----
    error: failed to load the adapter `nothing`
      caused by: no model at `nothing`: adapter_config.json is not there

    hint: an adapter in PEFT's format holds adapter_config.json and adapter_model.safetensors
    ");
}
