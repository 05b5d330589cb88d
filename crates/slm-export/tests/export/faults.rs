//! A file that is wrong in one place is found out, whatever its bits.

use serde_json::json;
use slm_export::{Comparison, ExportError, Trained};
use slm_gguf::{Metadata, Reader, TensorSpec, Value, Writer};
use slm_model::Decoder;
use slm_recipe::GgufType;

use crate::bench::{Bench, TYPES, config, random, with_adapter};

/// Rows of 256: no type has to fall back.
fn wide(changes: serde_json::Value) -> Decoder {
    let mut all = json!({"hidden_size": 256, "intermediate_size": 256});
    let map = all.as_object_mut().unwrap();
    map.extend(changes.as_object().unwrap().clone());
    random(config(300, all), 6)
}

type Change<'a> = &'a dyn Fn(&mut Metadata, &mut Vec<(TensorSpec, Vec<f32>)>);

/// Good files of all types, to be written once more with something changed.
struct Files {
    bench: Bench,
    trained: Trained,
}

impl Files {
    fn new(decoder: &Decoder) -> Self {
        let mut bench = Bench::new();
        // What rounding costs is not what is looked for.
        bench.parity.max_mean_kl = Some(100.0);
        let (exported, _) = bench.export(decoder, &TYPES);
        exported.unwrap();
        let trained = Trained::new(decoder, &bench.probes(), &bench.parity).unwrap();
        Self { bench, trained }
    }

    /// The file of this type, made of the weights of the F32 file after `change`.
    fn with(&self, weights: GgufType, change: Change<'_>) -> Result<Comparison, ExportError> {
        let open =
            |name: &str| Reader::open(self.bench.out().join(format!("tiny-{name}.gguf"))).unwrap();
        let (exact, rounded) = (open("F32"), open(weights.name()));
        let mut tensors: Vec<(TensorSpec, Vec<f32>)> = rounded
            .tensors()
            .iter()
            .map(|info| {
                let spec = TensorSpec {
                    name: info.name().into(),
                    dims: info.dims().to_vec(),
                    tensor_type: info.tensor_type(),
                };
                (spec, exact.dequantize(info.name()).unwrap())
            })
            .collect();
        let mut metadata = rounded.metadata().clone();
        change(&mut metadata, &mut tensors);
        let path = self.bench.dir.path().join("fault.gguf");
        let specs = tensors.iter().map(|(spec, _)| spec.clone()).collect();
        let mut writer = Writer::create(&path, &metadata, specs).unwrap();
        for (spec, values) in &tensors {
            writer.write_f32(&spec.name, values).unwrap();
        }
        writer.finish().unwrap();
        self.trained
            .compare_gguf(&path, "fault.gguf", weights.name())
    }

    /// Whatever the bits, the file is refused, and not because of what its rounding costs.
    fn all_refuse(&self, what: &str, change: Change<'_>) {
        for weights in TYPES {
            let fine = self.with(weights, &|_, _| {}).unwrap();
            assert!(fine.faults.is_empty(), "{weights:?}: {fine:?}");
            if let Ok(comparison) = self.with(weights, change) {
                let is_found = !comparison.ok && !comparison.faults.is_empty();
                assert!(is_found, "{what} in {weights:?}: {comparison:?}");
            }
        }
    }
}

fn find<'a>(tensors: &'a mut [(TensorSpec, Vec<f32>)], name: &str) -> &'a mut Vec<f32> {
    let mut tensors = tensors.iter_mut();
    &mut tensors.find(|(spec, _)| spec.name == name).unwrap().1
}

#[test]
fn a_fault_in_a_tensor_is_found() {
    let decoder = wide(json!({}));
    let files = Files::new(&decoder);
    // Rows of q and k in HF's order instead of pairs: one layer is enough.
    for (hf, gguf) in [("q_proj", "attn_q"), ("k_proj", "attn_k")] {
        let hf = format!("model.layers.1.self_attn.{hf}.weight");
        let params = decoder.params();
        let halves = params.iter().find(|p| p.name == hf).unwrap().file_values();
        files.all_refuse("unpermuted rows", &|_, tensors| {
            let pairs = find(tensors, &format!("blk.1.{gguf}.weight"));
            assert_ne!(*pairs, halves);
            pairs.clone_from(&halves);
        });
    }
    files.all_refuse("a transposed tensor", &|_, tensors| {
        let o = find(tensors, "blk.0.attn_output.weight");
        *o = (0..256 * 256)
            .map(|i| o[(i % 256) * 256 + i / 256])
            .collect();
    });
    files.all_refuse("a norm of ones", &|_, tensors| {
        find(tensors, "blk.1.ffn_norm.weight").fill(1.0);
    });
}

#[test]
fn a_fault_in_the_metadata_is_found() {
    let files = Files::new(&wide(json!({})));
    for (key, value) in [
        ("llama.rope.freq_base", 100_000.0),
        ("llama.attention.layer_norm_rms_epsilon", 1e-2),
    ] {
        files.all_refuse(key, &|metadata, _| {
            assert!(metadata.value(key).is_some());
            metadata.insert(key, Value::F32(value));
        });
    }
}

#[test]
fn a_head_that_was_dropped_is_found() {
    let files = Files::new(&wide(json!({"tie_word_embeddings": false})));
    files.all_refuse("a dropped head", &|_, tensors| {
        tensors.retain(|(spec, _)| spec.name != "output.weight");
    });
}

#[test]
fn other_rotary_factors_are_found() {
    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64});
    let files = Files::new(&wide(json!({"rope_scaling": scaling})));
    let plain = files.with(GgufType::Q4_0, &|_, tensors| {
        find(tensors, "rope_freqs.weight").fill(1.0);
    });
    let error = plain.unwrap_err();
    let is_told = error.to_string().contains("other factors");
    assert!(error.is_mismatch() && is_told, "{error}");
    files.all_refuse("factors that are gone", &|_, tensors| {
        tensors.retain(|(spec, _)| spec.name != "rope_freqs.weight");
    });
}

#[test]
fn a_norm_without_the_one_and_other_windows_are_found() {
    let gemma = json!({"model_type": "gemma2", "head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 3,
        "hidden_act": "gelu_pytorch_tanh", "attn_logit_softcapping": 5.0, "final_logit_softcapping": 6.0});
    let files = Files::new(&wide(gemma));
    files.all_refuse("a norm as HF has it", &|_, tensors| {
        let norm = find(tensors, "blk.1.post_attention_norm.weight");
        norm.iter_mut().for_each(|weight| *weight -= 1.0);
    });
    for (key, value) in [
        ("gemma2.attention.sliding_window", Value::U32(9)),
        ("gemma2.final_logit_softcapping", Value::F32(60.0)),
    ] {
        files.all_refuse(key, &|metadata, _| {
            assert!(metadata.value(key).is_some());
            metadata.insert(key, value.clone());
        });
    }
}

#[test]
fn an_adapter_that_is_merged_twice_or_not_at_all_is_found() {
    let decoder = with_adapter(wide(json!({})));
    let files = Files::new(&decoder);
    let (merged, base) = (decoder.merged(), decoder.base());
    for (what, times) in [("merged twice", 2.0), ("not merged", 0.0)] {
        files.all_refuse(what, &|_, tensors| {
            // Tensors whose rows keep their order.
            for (hf, gguf) in [
                ("self_attn.v_proj", "attn_v"),
                ("mlp.down_proj", "ffn_down"),
            ] {
                for layer in 0..2 {
                    let hf = format!("model.layers.{layer}.{hf}.weight");
                    let of = |decoder: &Decoder| {
                        let params = decoder.params();
                        params.iter().find(|p| p.name == hf).unwrap().file_values()
                    };
                    let (merged, base) = (of(&merged), of(&base));
                    let both = merged.iter().zip(&base);
                    *find(tensors, &format!("blk.{layer}.{gguf}.weight")) =
                        both.map(|(m, b)| b + times * (m - b)).collect();
                }
            }
        });
    }
}
