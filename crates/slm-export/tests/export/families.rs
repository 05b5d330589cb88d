//! All files of all families answer as the trained model.

use serde_json::{Value, json};
use slm_gguf::{Reader, TensorType};

use crate::bench::{Bench, TYPES, config, random};

fn families() -> Vec<(&'static str, Value)> {
    vec![
        ("llama", json!({})),
        (
            "llama",
            json!({
                "tie_word_embeddings": false, "head_dim": 24, "num_key_value_heads": 1, "attention_bias": true, "mlp_bias": true,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64},
            }),
        ),
        (
            "llama",
            json!({"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "num_key_value_heads": 4}),
        ),
        ("llama", json!({"model_type": "mistral", "rope_theta": 5e5})),
        ("qwen2", json!({"model_type": "qwen2", "rope_theta": 1e6})),
        (
            "qwen3",
            json!({"model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": false}),
        ),
    ]
}

#[test]
fn every_type_of_every_family_answers_as_the_trained_model() {
    let bench = Bench::new();
    for (architecture, changes) in families() {
        let decoder = random(config(300, changes.clone()), 3);
        let (exported, _) = bench.export(&decoder, &TYPES);
        let exported = exported.unwrap();
        assert_eq!(
            exported.comparisons.len(),
            20,
            "merged/ and nineteen GGUF files"
        );
        for comparison in &exported.comparisons {
            assert!(
                comparison.ok && comparison.tokens > 20,
                "{changes}: {comparison:?}"
            );
        }
        let reader = Reader::open(bench.out().join("tiny-Q8_0.gguf")).unwrap();
        let text = |key: &str| format!("{:?}", reader.metadata().value(key));
        assert!(text("general.architecture").contains(architecture));
        assert_eq!(
            reader.tensor("output.weight").is_ok(),
            changes["tie_word_embeddings"] == false
        );
    }
}

/// Rows of 256: none of the types has to fall back.
#[test]
fn a_wide_model_is_stored_in_large_blocks() {
    let bench = Bench::new();
    let changes =
        json!({"hidden_size": 256, "intermediate_size": 512, "tie_word_embeddings": false});
    let (exported, _) = bench.export(&random(config(300, changes), 5), &TYPES);
    for comparison in &exported.unwrap().comparisons {
        assert!(comparison.ok, "{comparison:?}");
    }
    for (file, name, expected) in [
        ("tiny-Q4_K_M.gguf", "blk.0.ffn_up.weight", TensorType::Q4_K),
        (
            "tiny-Q4_K_M.gguf",
            "blk.1.ffn_down.weight",
            TensorType::Q6_K,
        ),
        ("tiny-Q4_K_M.gguf", "output.weight", TensorType::Q6_K),
        (
            "tiny-IQ4_XS.gguf",
            "blk.0.attn_q.weight",
            TensorType::IQ4_XS,
        ),
        (
            "tiny-Q2_K.gguf",
            "blk.0.attn_output.weight",
            TensorType::Q3_K,
        ),
        ("tiny-Q2_K.gguf", "blk.0.attn_norm.weight", TensorType::F32),
    ] {
        let reader = Reader::open(bench.out().join(file)).unwrap();
        let found = reader.tensor(name).unwrap().tensor_type();
        assert_eq!(found, expected, "{name} of {file}");
    }
}
