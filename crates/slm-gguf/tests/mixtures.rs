//! Types of tensors are those that llama.cpp chose: tests/goldens/gguf/data/mixtures.json.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use serde_json::Value;
use slm_gguf::{FileType, Mixture, TensorSpec, TensorType, TypeRule};

type Case = Value;

/// All tensors of a case, in F32. Last first: the order that they are given in must not matter.
fn tensors(case: &Case) -> Vec<TensorSpec> {
    let of = |widths: &Value, prefix: &str| -> Vec<TensorSpec> {
        let widths = widths.as_object().unwrap().iter();
        let tensors = widths.map(|(name, width)| {
            let shape = width
                .as_u64()
                .map_or(vec![8], |width| vec![2, width as usize]);
            TensorSpec::from_shape(format!("{prefix}{name}"), &shape, TensorType::F32)
        });
        tensors.collect()
    };
    let layers = 0..case["layers"].as_u64().unwrap();
    let layers = layers.flat_map(|layer| of(&case["widths"]["layer"], &format!("blk.{layer}.")));
    let mut tensors = of(&case["widths"]["outside"], "");
    tensors.extend(layers);
    tensors.reverse();
    tensors
}

/// What llama.cpp chose for one file type, by name of the tensor.
fn expected(runs: &Value) -> HashMap<String, String> {
    let mut types = HashMap::new();
    for (run, roles) in runs.as_object().unwrap() {
        let parts = run.split(' ').map(|part| part.split_once('*').unwrap());
        let types_of_layers: Vec<&str> = parts
            .flat_map(|(n, name)| std::iter::repeat_n(name, n.parse().unwrap()))
            .collect();
        for role in roles.as_str().unwrap().split(' ') {
            for (layer, tensor_type) in types_of_layers.iter().enumerate() {
                let outside = ["token_embd", "output", "position_embd"].contains(&role);
                let prefix = if outside {
                    String::new()
                } else {
                    format!("blk.{layer}.")
                };
                types.insert(format!("{prefix}{role}.weight"), tensor_type.to_string());
            }
        }
    }
    types
}

#[test]
fn types_are_those_of_llama_cpp() -> Result<(), Box<dyn Error>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/gguf/data/mixtures.json");
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path)?)?;
    let (mut n_matrices, mut n_fallen_back) = (0, 0);
    for case in &cases {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        let rules = case["rules"].as_array().unwrap().iter();
        let rules: Vec<TypeRule> = rules
            .map(|rule| rule.as_str().unwrap().parse())
            .collect::<Result<_, _>>()?;
        let tensors = tensors(case);
        for &file_type in FileType::ALL {
            let mixture = Mixture {
                file_type,
                architecture: case["architecture"].as_str().unwrap().to_string(),
                n_layers: count("layers"),
                n_heads: count("heads"),
                n_kv_heads: count("kv_heads"),
                has_importance: case["importance"].as_bool().unwrap(),
                rules: &rules,
            };
            let mut expected = expected(&case["types"][file_type.name()]);
            for (tensor, choice) in tensors.iter().zip(mixture.choose(&tensors)) {
                // What llama.cpp does not name are vectors.
                let name = expected.remove(&tensor.name);
                n_matrices += usize::from(name.is_some());
                n_fallen_back += usize::from(choice.fell_back());
                assert_eq!(
                    choice.tensor_type.name(),
                    name.as_deref().unwrap_or("F32"),
                    "`{}` of {file_type}, {}",
                    tensor.name,
                    serde_json::to_string(&case["architecture"])?,
                );
            }
            assert!(expected.is_empty(), "{expected:?}");
        }
    }
    // So that an empty table cannot pass.
    assert!(n_matrices > 50_000 && n_fallen_back > 1000);
    Ok(())
}
