//! Which files there are, and what is in them.

use serde_json::{Value, json};
use slm_export::Trained;
use slm_gguf::Reader;
use slm_recipe::{GgufType, ParitySection};
use slm_run::Event;

use crate::bench::{Bench, config, left_over, random, with_adapter};

#[test]
fn an_adapter_is_exported_beside_the_merged_model() {
    let bench = Bench::new();
    let decoder = with_adapter(random(config(300, json!({})), 4));
    let (exported, events) = bench.export(&decoder, &[GgufType::F32]);
    let exported = exported.unwrap();
    let paths: Vec<&str> = exported
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let expected = [
        "adapter/README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "merged/README.md",
        "merged/config.json",
        "merged/generation_config.json",
        "merged/model.safetensors",
        "merged/tokenizer.json",
        "merged/tokenizer_config.json",
        "tiny-F32.gguf",
        "Modelfile",
        "README.md",
        "certificate.json",
    ];
    assert_eq!(paths, expected);
    let files: Vec<&str> = exported
        .comparisons
        .iter()
        .map(|c| c.file.as_str())
        .collect();
    assert_eq!(files, ["adapter", "merged", "tiny-F32.gguf"]);
    let wrote = events
        .iter()
        .filter(|event| matches!(event, Event::Wrote { .. }));
    assert_eq!(wrote.count(), 3);
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        let [theirs, ours] = [
            bench.dir.path().join(name),
            bench.out().join("merged").join(name),
        ];
        assert_eq!(fs_err::read(theirs).unwrap(), fs_err::read(ours).unwrap());
    }
    let list = fs_err::read_to_string(bench.out().join("export.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["files"].as_array().unwrap().len(), expected.len());
    assert_eq!(list["files"][9]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(left_over(&bench.out()), Vec::<String>::new());

    // What the adapter adds is in the files: the base alone answers otherwise.
    let trained = Trained::new(
        &decoder.inference(),
        &bench.probes(),
        &ParitySection::default(),
    )
    .unwrap();
    assert!(!trained.compare("base", "F32", &decoder.base()).ok);
}

#[test]
fn a_fully_trained_model_has_no_adapter_folder() {
    let bench = Bench::new();
    let (exported, _) = bench.export(&random(config(300, json!({})), 4), &[]);
    assert!(
        exported
            .unwrap()
            .files
            .iter()
            .all(|file| file.path.starts_with("merged/") || !file.path.contains('/'))
    );
    assert!(!bench.out().join("adapter").exists());
}

#[test]
fn a_width_that_is_no_multiple_of_32_falls_back_and_is_told() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({"intermediate_size": 172})), 2);
    let (exported, events) = bench.export(&decoder, &[GgufType::Q8_0]);
    exported.unwrap();
    let notes: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::Note { .. }))
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note = format!("{:?}", notes[0]);
    assert!(
        note.contains("2 tensors of `tiny-Q8_0.gguf` have a larger type")
            && note.contains("`blk.0.ffn_down.weight` is F16"),
        "{note}"
    );
    let reader = Reader::open(bench.out().join("tiny-Q8_0.gguf")).unwrap();
    let stored = |name: &str| reader.tensor(name).unwrap().tensor_type().name();
    assert_eq!(stored("blk.0.ffn_down.weight"), "F16");
    assert_eq!(stored("blk.0.ffn_up.weight"), "Q8_0");
    assert_eq!(stored("blk.0.attn_norm.weight"), "F32");
}
