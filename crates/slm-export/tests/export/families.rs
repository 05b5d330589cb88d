//! All files of all families answer as the trained model.

use serde_json::{Value, json};
use slm_export::{open_gguf, read_gguf};
use slm_gguf::{Reader, TensorType};
use slm_model::{Decoder, Tokens};
use slm_testkit::relative_difference;

use crate::bench::{Bench, TYPES, config, random};

pub(crate) fn families() -> Vec<(&'static str, Value)> {
    let mut all = llamas();
    all.extend(gemmas());
    all.extend(others());
    all
}

/// What llama.cpp converts like Llama, and Qwen.
fn llamas() -> Vec<(&'static str, Value)> {
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64});
    let yarn = json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "attention_factor": 1.3});
    vec![
        ("llama", json!({})),
        (
            "llama",
            json!({
                "tie_word_embeddings": false, "head_dim": 24, "num_key_value_heads": 1, "attention_bias": true, "mlp_bias": true,
                "rope_scaling": llama3,
            }),
        ),
        (
            "llama",
            json!({"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "num_key_value_heads": 4}),
        ),
        ("llama", json!({"rope_scaling": yarn})),
        (
            "llama",
            json!({"model_type": "mistral", "rope_theta": 5e5, "sliding_window": 4096}),
        ),
        ("qwen2", json!({"model_type": "qwen2", "rope_theta": 1e6})),
        (
            "qwen3",
            json!({"model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": false}),
        ),
        (
            "smollm3",
            json!({"model_type": "smollm3", "num_hidden_layers": 4}),
        ),
        (
            "granite",
            json!({
                "model_type": "granite", "attention_multiplier": 0.0625, "embedding_multiplier": 3.0,
                "residual_multiplier": 0.22, "logits_scaling": 8.0, "attention_bias": true, "rope_scaling": llama3,
            }),
        ),
    ]
}

fn gemmas() -> Vec<(&'static str, Value)> {
    let scaling = json!({"rope_type": "linear", "factor": 8.0});
    let of = |model_type: &str, more: Value| {
        let mut all =
            json!({"model_type": model_type, "head_dim": 24, "hidden_act": "gelu_pytorch_tanh"});
        let map = all.as_object_mut().unwrap();
        map.extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        ("gemma", of("gemma", json!({}))),
        (
            "gemma2",
            of(
                "gemma2",
                json!({"query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 6.0,
                    "sliding_window": 3}),
            ),
        ),
        (
            "gemma3",
            of(
                "gemma3_text",
                json!({"query_pre_attn_scalar": 24, "rope_theta": 1e6, "rope_scaling": scaling, "sliding_window": 3,
                    "layer_types": ["sliding_attention", "full_attention"], "tie_word_embeddings": false}),
            ),
        ),
    ]
}

fn others() -> Vec<(&'static str, Value)> {
    let factors = |by: f64| (0..6).map(|i| 1.0 + by * f64::from(i)).collect::<Vec<_>>();
    let longrope =
        json!({"rope_type": "longrope", "short_factor": factors(0.1), "long_factor": factors(0.5)});
    let neox = |is_parallel: bool| {
        json!({"model_type": "gpt_neox", "num_key_value_heads": null, "rms_norm_eps": null, "hidden_act": "gelu",
            "rotary_pct": 0.25, "use_parallel_residual": is_parallel, "tie_word_embeddings": false})
    };
    vec![
        (
            "phi3",
            json!({"model_type": "phi3", "partial_rotary_factor": 0.75, "original_max_position_embeddings": 8,
                "rope_scaling": longrope}),
        ),
        (
            "olmo2",
            json!({"model_type": "olmo2", "tie_word_embeddings": false}),
        ),
        ("gptneox", neox(true)),
        ("gptneox", neox(false)),
        (
            "gpt2",
            json!({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 96,
                "hidden_size": null, "num_hidden_layers": null, "num_attention_heads": null, "num_key_value_heads": null,
                "max_position_embeddings": null, "intermediate_size": null, "rms_norm_eps": null, "rope_theta": null,
                "hidden_act": null}),
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

/// Logits of all positions of a row.
fn logits(decoder: &Decoder, ids: &[i32]) -> Vec<f32> {
    let positions: Vec<i32> = (0..ids.len() as i32).collect();
    let segments = vec![1; ids.len()];
    let shape = [1, ids.len()];
    let tokens = Tokens::new(ids, &positions, &segments, shape, decoder.device());
    let states = decoder.hidden(&tokens, None, None);
    let states = states.reshape([ids.len(), decoder.config().hidden_size]);
    decoder.logits(states).into_data().try_into_vec().unwrap()
}

/// Blocks that stay as they are give what they stand for: in floats exactly, beside codes of 8 bits within their rounding.
#[test]
fn an_opened_file_answers_as_one_that_is_read() {
    let mut bench = Bench::new();
    // What rounding costs is not what is looked for.
    bench.parity.max_mean_kl = Some(100.0);
    let ids: Vec<i32> = (0..40).map(|i| (i * 29 + 3) % 300).collect();
    for (architecture, mut changes) in families() {
        // Rows of 256: the types of such blocks do not fall back.
        let wider = match architecture {
            "gpt2" => json!({"n_embd": 256, "n_inner": 512, "initializer_range": 0.05}),
            _ => json!({"hidden_size": 256, "intermediate_size": 512, "initializer_range": 0.05}),
        };
        let map = changes.as_object_mut().unwrap();
        map.extend(wider.as_object().unwrap().clone());
        // Four heads of 64; a config that does not say so means it.
        for key in ["head_dim", "query_pre_attn_scalar"] {
            if let Some(value) = map.get_mut(key) {
                *value = 64.into();
            }
        }
        // Heads are four times as wide as those that the factors are for.
        for key in ["short_factor", "long_factor"] {
            let factors = map.get_mut("rope_scaling").and_then(|it| it.get_mut(key));
            if let Some(Value::Array(factors)) = factors {
                *factors = [&factors[..]; 4].concat();
            }
        }
        let decoder = random(config(300, changes), 3);
        bench.export(&decoder, &TYPES).0.unwrap();
        for kind in TYPES {
            let path = bench.out().join(format!("tiny-{}.gguf", kind.name()));
            let what = format!("{architecture} {}", kind.name());
            let read = read_gguf(&path, decoder.device()).unwrap();
            let opened = open_gguf(&path, decoder.device()).unwrap();
            let size = fs_err::metadata(&path).unwrap().len() as usize;
            assert!(
                opened.size_bytes() < size,
                "{what} takes up more than its file"
            );
            let (got, want) = (logits(&opened, &ids), logits(&read, &ids));
            let is_float = ["F32", "F16", "BF16"].contains(&kind.name());
            // Weights this large multiply what is rounded; rows in a wrong order would give 1.
            let within = if is_float { 1e-5 } else { 0.15 };
            let off = relative_difference(&got, &want);
            assert!(off < within, "{what} is off by {off}");
        }
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
