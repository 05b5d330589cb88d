//! Ten steps that transformers took, taken again through the command line alone (`tests/goldens`).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/data");

/// The tensors of a safetensors file: type, shape, bytes.
fn tensors(path: &Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let bytes = fs_err::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let entries = header.as_object().unwrap().iter();
    let entries = entries.filter(|(name, _)| *name != "__metadata__");
    entries
        .map(|(name, entry)| {
            let numbers = |key: &str| -> Vec<usize> {
                let list = entry[key].as_array().unwrap().iter();
                list.map(|n| n.as_u64().unwrap() as usize).collect()
            };
            let at = numbers("data_offsets");
            let kind = entry["dtype"].as_str().unwrap().to_owned();
            (
                name.clone(),
                (kind, numbers("shape"), data[at[0]..at[1]].to_vec()),
            )
        })
        .collect()
}

fn eights<T>(bytes: &[u8], read: impl Fn([u8; 8]) -> T) -> Vec<T> {
    let chunks = bytes.chunks_exact(8);
    chunks
        .map(|chunk| read(chunk.try_into().unwrap()))
        .collect()
}

/// Rows of the ten batches, two of each step, padding and all.
fn rows() -> String {
    let batches = tensors(&Path::new(GOLDENS).join("train_batches.safetensors"));
    let mut lines = String::new();
    for step in 0..10 {
        let list = |name: &str| {
            let (kind, shape, bytes) = &batches[&format!("step{step}.{name}")];
            assert_eq!((kind.as_str(), shape[0]), ("I64", 2));
            let values = eights(bytes, i64::from_le_bytes);
            values
                .chunks(shape[1])
                .map(<[i64]>::to_vec)
                .collect::<Vec<_>>()
        };
        let [ids, masks, labels] = ["input_ids", "attention_mask", "labels"].map(list);
        for row in 0..2 {
            let line =
                json!({"input_ids": ids[row], "attention_mask": masks[row], "labels": labels[row]});
            lines += &format!("{line}\n");
        }
    }
    lines
}

/// A tokenizer for a model that has none: a word for each id.
fn write_tokenizer(sandbox: &Sandbox, folder: &str, vocab_size: usize) {
    let vocab: BTreeMap<String, usize> = (0..vocab_size).map(|id| (format!("w{id}"), id)).collect();
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "w3"},
    });
    sandbox.write(&format!("{folder}/tokenizer.json"), tokenizer.to_string());
    let config = json!({"bos_token": "w1", "eos_token": "w2", "pad_token": "w0"});
    sandbox.write(
        &format!("{folder}/tokenizer_config.json"),
        config.to_string(),
    );
}

const RECIPE: &str = r#"
name = "ten-steps"

[model]
base_model = "base"
device = "cpu"

[data]
shuffle = false
val_size = 0.0

[[data.train]]
path = "rows.jsonl"

[train]
per_device_train_batch_size = 2
num_train_epochs = 1
lr_scheduler_type = "cosine"
warmup_steps = 2
max_grad_norm = 1.0
logging_steps = 1
save_steps = 10

[eval]
compare_base = false
"#;

/// Takes the ten steps with `overrides` and compares each with `train.*` of the golden file.
fn repeats(sandbox: &Sandbox, golden: &str, overrides: &[&str]) {
    sandbox.write("rows.jsonl", rows());
    sandbox.write("ten-steps.toml", RECIPE);
    sandbox.succeeds(&[&["train", "ten-steps.toml", "--quiet"], overrides].concat());
    let golden = tensors(&Path::new(GOLDENS).join(golden));
    let metrics = sandbox.read("runs/ten-steps/metrics.jsonl");
    let steps: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["event"] == "step")
        .collect();
    assert_eq!(steps.len(), 10);
    for (key, tolerance) in [("loss", 1e-4), ("grad_norm", 1e-3), ("lr", 1e-9)] {
        let wanted = eights(&golden[&format!("train.{key}")].2, f64::from_le_bytes);
        for (at, (step, wanted)) in steps.iter().zip(wanted).enumerate() {
            let found = step[key].as_f64().unwrap();
            let off = (found - wanted).abs() / wanted.abs().max(1e-12);
            assert!(
                off < tolerance,
                "{key} of step {at}: {found}, needed {wanted}"
            );
        }
    }
}

/// A sandbox with the folder `base`: the golden's model, and a tokenizer.
fn with_model(family: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for file in ["config.json", "model.safetensors"] {
        let bytes = fs_err::read(format!("{GOLDENS}/{family}/model/{file}")).unwrap();
        sandbox.write(&format!("base/{file}"), bytes);
    }
    write_tokenizer(&sandbox, "base", 80);
    sandbox
}

#[test]
fn full_fine_tuning_takes_the_steps_that_transformers_took() {
    let sandbox = with_model("llama");
    repeats(
        &sandbox,
        "llama/full_ref.safetensors",
        &[
            "train.method=full",
            "train.learning_rate=1e-3",
            "train.weight_decay=0",
        ],
    );
}

#[test]
fn an_adapter_takes_the_steps_that_peft_took() {
    for (family, adapter) in [
        ("llama", "lora"),
        ("llama", "rslora"),
        ("llama", "dora"),
        ("qwen3", "lora"),
    ] {
        let sandbox = with_model(family);
        let folder = format!("lora.adapter_path={GOLDENS}/{family}/{adapter}");
        repeats(
            &sandbox,
            &format!("{family}/{adapter}/ref.safetensors"),
            &[
                "train.learning_rate=1e-2",
                "train.weight_decay=0.01",
                &folder,
            ],
        );
    }
}
