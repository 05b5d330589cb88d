//! What linear layers are multiplied with: against hooks of transformers, and against what the layers compute.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use slm_model::{Decoder, Layout, Observation, Param, Tokens, device};
use slm_recipe::Dtype;
use slm_testkit::{Golden, assert_close};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data")
}

/// The families of `observed.safetensors`, and the paths of each.
fn families(observed: &Golden) -> BTreeMap<String, Vec<String>> {
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in observed.names() {
        let (family, path) = name.split_once('.').unwrap();
        families.entry(family.into()).or_default().push(path.into());
    }
    families
}

fn load(family: &str, backend: &str) -> Decoder {
    let device = device::open(backend).unwrap();
    Decoder::load(&goldens().join(family).join("model"), &device, Dtype::F32).unwrap()
}

/// The two rows of `plain`.
fn rows(family: &str) -> Vec<Vec<u32>> {
    let golden = Golden::open(&goldens().join(family).join("base_ref.safetensors"));
    let ids = golden.i64("plain.input_ids");
    let rows = ids.chunks(8);
    rows.map(|row| row.iter().map(|&id| id as u32).collect())
        .collect()
}

fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

#[test]
fn inputs_are_those_that_transformers_sees() {
    let observed = Golden::open(&goldens().join("observed.safetensors"));
    let families = families(&observed);
    assert_eq!(families.len(), 24);
    for backend in device::usable() {
        for (family, paths) in &families {
            let mut sums: HashMap<String, Vec<f32>> = HashMap::new();
            let mut observation = Observation::new(&load(family, &backend), &rows(family));
            while !observation.is_through() {
                observation.advance(&mut |path, x| {
                    let squares = floats(x.clone().powi_scalar(2).sum_dim(0));
                    let sums = sums
                        .entry(path.into())
                        .or_insert_with(|| vec![0.0; squares.len()]);
                    sums.iter_mut().zip(squares).for_each(|(sum, x)| *sum += x);
                });
            }
            assert_eq!(sums.len(), paths.len(), "{family}: linear layers");
            for path in paths {
                let want = observed.f64(&format!("{family}.{path}"));
                let want: Vec<f32> = want.into_iter().map(|sum| sum as f32).collect();
                let what = format!("{family} on {backend}, {path}");
                assert_close(&what, &sums[path], &want, 1e-4);
            }
        }
    }
}

/// `x Wᵀ + bias` of the layer at `path`.
fn product(decoder: &Decoder, path: &str, x: &Tensor<2>) -> Tensor<2> {
    let params = decoder.params();
    let find = |end: &str| {
        let name = format!("{path}.{end}");
        let found = params.iter().find(|param| param.name == name);
        found.map(|param| Param::tensor(param))
    };
    let y = x.clone().matmul(find("weight").unwrap().transpose());
    match find("bias") {
        Some(bias) => y.add(bias),
        None => y,
    }
}

#[test]
fn inputs_times_weights_are_what_a_layer_adds_to_the_stream() {
    // Without norms behind the halves, both of a layer's last products go into the stream as they are.
    for family in [
        "llama",
        "llama_bias",
        "qwen3",
        "phi3_partial",
        "gpt_neox",
        "gpt_neox_serial",
        "gpt2",
    ] {
        let decoder = load(family, "cpu");
        let row = rows(family).remove(0);
        let tokens = Tokens::of_row(&row, decoder.device());
        let pass = decoder.pass(&tokens, None);
        let mut stream = decoder.embed(&tokens);
        let mut observation = Observation::new(&decoder, &[row, Vec::new()]);
        for layer in decoder.layers() {
            let last: Vec<String> = {
                let matrices = layer
                    .params()
                    .filter(|param| param.layout != Layout::Vector);
                let paths: Vec<String> = matrices.map(|param| param.module().into()).collect();
                let is_last = |path: &&String| {
                    let ends = ["o_proj", "down_proj", "dense", "dense_4h_to_h", "c_proj"];
                    ends.iter().any(|end| path.ends_with(&format!(".{end}")))
                };
                paths.iter().filter(is_last).cloned().collect()
            };
            assert_eq!(last.len(), 2, "{family}: {last:?}");
            let [batch, time, hidden] = stream.dims();
            let mut sum = stream.clone().reshape([batch * time, hidden]);
            observation.advance(&mut |path, x| {
                if last.iter().any(|last| last == path) {
                    sum = sum.clone().add(product(&decoder, path, x));
                }
            });
            stream = layer.forward(decoder.config(), stream, &pass, None);
            let what = format!("{family}, {}", last[0]);
            assert_close(&what, &floats(sum), &floats(stream.clone()), 1e-5);
        }
        assert!(observation.is_through());
    }
}

#[test]
fn a_replaced_weight_is_what_later_layers_see() {
    let decoder = load("llama", "cpu");
    let path = "model.layers.0.mlp.down_proj";
    let seen = [false, true].map(|is_replaced| {
        let mut observation = Observation::new(&decoder, &rows("llama"));
        if is_replaced {
            observation.replace(path, Tensor::zeros([32, 48], decoder.device()));
        }
        observation.advance(&mut |_, _| {});
        let mut first = Vec::new();
        observation.look(&mut |path, x| {
            if path.ends_with("q_proj") {
                first.extend(floats(x.clone()));
            }
        });
        first
    });
    assert_eq!(seen[0].len(), 16 * 32);
    assert_ne!(seen[0], seen[1]);
    // The model that was given is as it was.
    let weight = product(&decoder, path, &Tensor::ones([1, 48], decoder.device()));
    assert!(floats(weight).iter().any(|value| *value != 0.0));
}
