//! Folders for vLLM.

use serde_json::{Value, json};
use slm_export::ExportError;
use slm_model::{Decoder, Observation, Param, device};
use slm_recipe::{CompressedScheme, Dtype, ExportSection};
use slm_run::Event;

use crate::bench::{Bench, config, left_over, random, with_adapter};

const SCHEMES: [CompressedScheme; 3] = [
    CompressedScheme::W8A16,
    CompressedScheme::W4A16,
    CompressedScheme::FP8,
];

fn section() -> ExportSection {
    ExportSection {
        merged: false,
        compressed_tensors: SCHEMES.to_vec(),
        ..ExportSection::default()
    }
}

fn wide(changes: Value) -> Decoder {
    let mut all = json!({"hidden_size": 128, "intermediate_size": 256});
    let map = all.as_object_mut().unwrap();
    map.extend(changes.as_object().unwrap().clone());
    random(config(300, all), 6)
}

#[test]
fn folders_answer_as_the_trained_model() {
    let bench = Bench::new();
    for (changes, adapted) in [
        (json!({}), true),
        (
            json!({"tie_word_embeddings": false, "attention_bias": true, "mlp_bias": true}),
            false,
        ),
        (json!({"model_type": "qwen3", "head_dim": 32}), false),
    ] {
        let mut decoder = wide(changes.clone());
        if adapted {
            decoder = with_adapter(decoder);
        }
        let (exported, events) = bench.export_as(&decoder, &section());
        let exported = exported.unwrap();
        let compared: Vec<_> = exported
            .comparisons
            .iter()
            .map(|c| c.file.as_str())
            .collect();
        let start = if adapted { 1 } else { 0 };
        assert_eq!(
            compared[start..],
            ["merged weights", "W8A16", "W4A16", "FP8"],
            "{changes}"
        );
        for comparison in &exported.comparisons[start + 1..] {
            let rounding = comparison.rounding.as_ref().unwrap();
            assert!(
                comparison.ok && comparison.tokens > 20,
                "{changes}: {comparison:?}"
            );
            assert_eq!(rounding.tensor_type, comparison.weights);
            let share = rounding.adapter_share;
            assert!(!adapted || share.is_some(), "{changes}: {comparison:?}");
        }
        let told = |part: &str| {
            let is_told =
                |event: &Event| matches!(event, Event::Note { text } if text.contains(part));
            events.iter().any(is_told)
        };
        assert!(told("rounds activations to 8 bits") && !told("columns instead of"));
        assert_eq!(left_over(&bench.out()), Vec::<String>::new());
    }
}

#[test]
fn a_folder_is_a_model_with_its_config() {
    let bench = Bench::new();
    let decoder = wide(json!({}));
    let (exported, _) = bench.export_as(&decoder, &section());
    let exported = exported.unwrap();
    let files = exported.files.iter().map(|file| file.path.as_str());
    let files: Vec<_> = files.filter(|path| path.starts_with("W4A16/")).collect();
    let expected = [
        "W4A16/README.md",
        "W4A16/config.json",
        "W4A16/generation_config.json",
        "W4A16/model.safetensors",
        "W4A16/tokenizer.json",
        "W4A16/tokenizer_config.json",
    ];
    assert_eq!(files, expected);
    let read = |scheme: &str| -> Value {
        let path = bench.out().join(scheme).join("config.json");
        serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
    };
    for (scheme, bits, strategy, group, kind) in [
        ("W8A16", 8, "channel", json!(null), "int"),
        ("W4A16", 4, "group", json!(128), "int"),
        ("FP8", 8, "channel", json!(null), "float"),
    ] {
        let config = read(scheme);
        let quantization = &config["quantization_config"];
        assert_eq!(quantization["ignore"], json!(["lm_head"]));
        let weights = &quantization["config_groups"]["group_0"]["weights"];
        let expected = json!({
            "num_bits": bits, "strategy": strategy, "group_size": group, "type": kind, "symmetric": true, "dynamic": false,
        });
        assert_eq!(weights, &expected, "{scheme}");
    }
    let list = fs_err::read_to_string(bench.out().join("export.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["calibration"]["rows"], 3);
    // What is read from it is a model without codes.
    let device = device::open("cpu").unwrap();
    let again = Decoder::load(&bench.out().join("W4A16"), &device, Dtype::F32).unwrap();
    assert_eq!(again.config().raw["quantization_config"], Value::Null);
    assert_eq!(again.n_params(), decoder.n_params());
}

/// Σ over all rows of tokens and linear layers of |x (stored − weight)ᵀ|², with the inputs of the trained model.
fn output_error(stored: &Decoder, decoder: &Decoder, rows: &[Vec<u32>]) -> f64 {
    let find = |decoder: &Decoder, path: &str| {
        let params = decoder.params();
        let is_it = |param: &&&Param| !param.is_vector() && param.module() == path;
        params.iter().find(is_it).unwrap().tensor()
    };
    let mut sum = 0.0;
    let mut observation = Observation::new(decoder, rows);
    while !observation.is_through() {
        observation.advance(&mut |path, x| {
            let off = find(stored, path).sub(find(decoder, path));
            let error = x.clone().matmul(off.transpose()).powi_scalar(2).sum();
            sum += f64::from(error.into_scalar::<f32>());
        });
    }
    sum
}

#[test]
fn integers_that_are_corrected_are_nearer_on_the_rows() {
    let bench = Bench::new();
    let decoder = wide(json!({}));
    let (exported, _) = bench.export_as(&decoder, &section());
    exported.unwrap();
    let device = device::open("cpu").unwrap();
    for (scheme, levels, group) in [("W8A16", 255.0, None), ("W4A16", 15.0, Some(128))] {
        let stored = Decoder::load(&bench.out().join(scheme), &device, Dtype::F32).unwrap();
        let nearest = |name: &str, shape: &[usize]| -> Result<Vec<f32>, std::convert::Infallible> {
            let params = decoder.params();
            let param = params.iter().find(|param| param.name == name).unwrap();
            let values = param.file_values();
            if param.is_vector() || !name.contains(".layers.") {
                return Ok(values);
            }
            let groups = values.chunks(group.unwrap_or(shape[1]));
            Ok(groups
                .flat_map(|group| {
                    let size = group.iter().fold(0f32, |size, w| size.max(w.abs()));
                    let (scale, most) = (size / (levels / 2.0), (levels - 1.0) / 2.0);
                    group.iter().map(move |w| {
                        (w / scale).round_ties_even().clamp(-most - 1.0, most) * scale
                    })
                })
                .collect())
        };
        let Ok(rounded) = Decoder::from_tensors(decoder.config().clone(), nearest, &device);
        let of = |stored: &Decoder| output_error(stored, &decoder, &bench.rows());
        let (corrected, rounded) = (of(&stored), of(&rounded));
        assert!(
            corrected < 0.5 * rounded,
            "{scheme}: {corrected} of {rounded}"
        );
    }
}

#[test]
fn rows_that_are_not_whole_groups() {
    let bench = Bench::new();
    let four_bits = ExportSection {
        merged: false,
        peft_adapter: false,
        compressed_tensors: vec![CompressedScheme::W4A16],
        ..ExportSection::default()
    };
    // 64 and 96: groups of 32.
    let (exported, events) = bench.export_as(&random(config(300, json!({})), 2), &four_bits);
    exported.unwrap();
    let is_told = |event: &Event| matches!(event, Event::Note { text } if text.contains("each 32 columns instead of 128"));
    assert!(events.iter().any(is_told), "{events:?}");
    let odd = random(config(300, json!({"intermediate_size": 72})), 2);
    let (refused, _) = bench.export_as(&odd, &four_bits);
    let error = refused.unwrap_err();
    assert!(
        matches!(error, ExportError::NotCompressible { .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("W8A16"));
}
