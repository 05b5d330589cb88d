//! A file that is wrong in one place is found out.

use serde_json::json;
use slm_export::{Comparison, ExportError, MEAN_KL_LIMIT, Trained, read_gguf};
use slm_gguf::{Metadata, Reader, TensorSpec, Value, Writer};
use slm_model::Decoder;
use slm_recipe::GgufType;

use crate::bench::{Bench, config, random};

/// A good F32 file, written once more with `change` done to its metadata and to each tensor.
fn with_fault(
    bench: &Bench,
    decoder: &Decoder,
    mut change: impl FnMut(&mut Metadata, &mut Vec<(TensorSpec, Vec<f32>)>),
) -> Result<Comparison, ExportError> {
    let (exported, _) = bench.export(decoder, &[GgufType::F32]);
    exported.unwrap();
    let reader = Reader::open(bench.out().join("tiny-F32.gguf")).unwrap();
    let mut tensors: Vec<(TensorSpec, Vec<f32>)> = reader
        .tensors()
        .iter()
        .map(|info| {
            let spec = TensorSpec {
                name: info.name().into(),
                dims: info.dims().to_vec(),
                tensor_type: info.tensor_type(),
            };
            (spec, reader.dequantize(info.name()).unwrap())
        })
        .collect();
    let mut metadata = reader.metadata().clone();
    change(&mut metadata, &mut tensors);
    let path = bench.dir.path().join("fault.gguf");
    let specs = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = Writer::create(&path, &metadata, specs).unwrap();
    for (spec, values) in &tensors {
        writer.write_f32(&spec.name, values).unwrap();
    }
    writer.finish().unwrap();
    let trained = Trained::new(decoder, &bench.probes()).unwrap();
    let exported = read_gguf(&path, decoder.config(), decoder.device())?;
    Ok(trained.compare("fault.gguf", "F32", &exported))
}

fn find<'a>(tensors: &'a mut [(TensorSpec, Vec<f32>)], name: &str) -> &'a mut Vec<f32> {
    &mut tensors
        .iter_mut()
        .find(|(spec, _)| spec.name == name)
        .unwrap()
        .1
}

#[test]
fn a_fault_in_a_tensor_is_found() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 6);
    let nothing = with_fault(&bench, &decoder, |_, _| {}).unwrap();
    assert!(nothing.ok, "{nothing:?}");

    // Rows of q in HF's order instead of pairs: one layer is enough.
    let trained = decoder.params();
    let q = trained
        .iter()
        .find(|p| p.name == "model.layers.1.self_attn.q_proj.weight")
        .unwrap();
    let halves: Vec<f32> = q.tensor().into_data().try_into_vec().unwrap();
    let unpermuted = with_fault(&bench, &decoder, |_, tensors| {
        assert_ne!(*find(tensors, "blk.1.attn_q.weight"), halves);
        find(tensors, "blk.1.attn_q.weight").clone_from(&halves);
    });
    let unpermuted = unpermuted.unwrap();
    assert!(
        !unpermuted.ok && unpermuted.mean_kl > MEAN_KL_LIMIT,
        "{unpermuted:?}"
    );

    let transposed = with_fault(&bench, &decoder, |_, tensors| {
        let o = find(tensors, "blk.0.attn_output.weight");
        *o = (0..64 * 64).map(|i| o[(i % 64) * 64 + i / 64]).collect();
    });
    let transposed = transposed.unwrap();
    assert!(
        !transposed.ok && transposed.mean_kl > MEAN_KL_LIMIT,
        "{transposed:?}"
    );
}

#[test]
fn a_fault_in_the_metadata_is_found() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 6);
    let set = |key: &'static str, value: f32| {
        with_fault(&bench, &decoder, move |metadata, _| {
            assert!(metadata.value(key).is_some());
            metadata.insert(key, Value::F32(value));
        })
    };
    assert!(!set("llama.rope.freq_base", 100_000.0).unwrap().ok);
    assert!(
        !set("llama.attention.layer_norm_rms_epsilon", 0.1)
            .unwrap()
            .ok
    );
}

#[test]
fn a_fault_in_what_the_file_holds_is_found() {
    let bench = Bench::new();
    let untied = random(config(300, json!({"tie_word_embeddings": false})), 6);
    let dropped = with_fault(&bench, &untied, |_, tensors| {
        tensors.retain(|(spec, _)| spec.name != "output.weight");
    });
    assert!(!dropped.unwrap().ok);

    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64});
    let scaled = random(config(300, json!({"rope_scaling": scaling})), 6);
    let plain = with_fault(&bench, &scaled, |_, tensors| {
        find(tensors, "rope_freqs.weight").fill(1.0);
    });
    let error = plain.unwrap_err();
    assert!(
        error.is_mismatch() && error.to_string().contains("other factors"),
        "{error}"
    );
    let without = with_fault(&bench, &scaled, |_, tensors| {
        tensors.retain(|(spec, _)| spec.name != "rope_freqs.weight");
    });
    assert!(!without.unwrap().ok);
}
