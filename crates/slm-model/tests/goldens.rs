//! Logits and generation against transformers' and PEFT's, on every device that is there.
//!
//! Models: `tests/goldens/data` and `../shared/fixtures`. Tolerances are of the largest logit.

use std::path::Path;

use slm_model::{
    Decoder, DecoderConfig, LoraSpec, Sampling, Tokens, device, generate, save_adapter,
};
use slm_recipe::{Dtype, InitLora, LoraSection, TargetModules};
use slm_testkit::{
    Golden, assert_close, golden_adapters, golden_models, golden_name, relative_difference,
};

const SHARED_MODELS: usize = 15;

fn each_model(check: impl Fn(&Decoder, &Golden, &Path, &str)) {
    let models = golden_models(SHARED_MODELS);
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        for folder in &models {
            let decoder = Decoder::load(&folder.join("model"), &device, Dtype::F32).unwrap();
            let golden = Golden::open(&folder.join("base_ref.safetensors"));
            let what = format!("{} on {backend}", golden_name(folder));
            check(&decoder, &golden, folder, &what);
        }
    }
}

/// The cases of a file that have inputs.
fn cases(golden: &Golden) -> Vec<String> {
    let names = golden.names();
    let cases = names
        .iter()
        .filter_map(|name| name.strip_suffix(".input_ids"));
    cases.map(String::from).collect()
}

/// The case's tokens: padding on either side, or packed segments.
fn tokens(decoder: &Decoder, golden: &Golden, case: &str) -> (Tokens, Vec<bool>) {
    let shape = golden.shape(&format!("{case}.input_ids"));
    let [rows, time] = [shape[0], shape[1]];
    let ints = |name: &str| -> Vec<i32> {
        golden
            .i64(&format!("{case}.{name}"))
            .into_iter()
            .map(|v| v as i32)
            .collect()
    };
    let ids = ints("input_ids");
    let positions = match golden.has(&format!("{case}.position_ids")) {
        true => ints("position_ids"),
        false => (0..rows).flat_map(|_| 0..time as i32).collect(),
    };
    let real = match golden.has(&format!("{case}.attention_mask")) {
        true => ints("attention_mask"),
        false => vec![1; rows * time],
    };
    // A packed conversation begins where positions restart.
    let mut segments = real.clone();
    if case == "packed" {
        let mut segment = 0;
        for (place, position) in segments.iter_mut().zip(&positions) {
            segment += i32::from(*position == 0);
            *place = segment;
        }
    }
    let tokens = Tokens::new(&ids, &positions, &segments, [rows, time], decoder.device());
    (tokens, real.iter().map(|&r| r == 1).collect())
}

/// Logits of all positions, row-major.
fn logits(decoder: &Decoder, tokens: &Tokens) -> Vec<f32> {
    let [rows, time] = tokens.shape;
    let hidden = decoder.config().hidden_size;
    let states = decoder
        .hidden(tokens, None, None)
        .reshape([rows * time, hidden]);
    decoder.logits(states).into_data().try_into_vec().unwrap()
}

#[test]
fn logits_equal_transformers() {
    each_model(|decoder, golden, _, what| {
        let vocab = decoder.config().vocab_size;
        for case in cases(golden) {
            let (tokens, real) = tokens(decoder, golden, &case);
            let keep = |values: &[f32]| -> Vec<f32> {
                let rows = values.chunks(vocab).zip(&real).filter(|(_, real)| **real);
                rows.flat_map(|(row, _)| row.to_vec()).collect()
            };
            let (got, want) = (
                logits(decoder, &tokens),
                golden.f32(&format!("{case}.logits")),
            );
            assert_close(&format!("{what}, {case}"), &keep(&got), &keep(&want), 2e-4);
        }
    });
}

#[test]
fn both_spellings_of_a_config_read_alike() {
    for folder in golden_models(SHARED_MODELS) {
        let read = |name: &str| {
            let path = folder.join("model").join(name);
            let raw = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let mut config = DecoderConfig::from_json(raw, &path).unwrap();
            config.raw = serde_json::Value::Null;
            format!("{config:?}")
        };
        assert_eq!(
            read("config.json"),
            read("config.v4.json"),
            "{}",
            folder.display()
        );
    }
}

fn continued(decoder: &Decoder, prompts: &[Vec<u32>], n: usize) -> Vec<Vec<u32>> {
    let sampling = Sampling {
        max_new_tokens: n,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        stop_ids: vec![],
    };
    let rows = generate(decoder, prompts, &sampling, &mut |_, _| true);
    rows.into_iter().map(|row| row.ids).collect()
}

/// Prompts without their padding, and what follows each.
fn prompts(golden: &Golden, case: &str) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let rows = |name: &str| -> Vec<Vec<u32>> {
        let name = format!("{case}.{name}");
        let width = golden.shape(&name)[1];
        let ids = golden.i64(&name);
        ids.chunks(width)
            .map(|row| row.iter().map(|&id| id as u32).collect())
            .collect()
    };
    let padded = rows("prompt");
    let width = padded[0].len();
    let after = rows("sequence")
        .into_iter()
        .map(|row| row[width..].to_vec())
        .collect();
    if !golden.has(&format!("{case}.attention_mask")) {
        return (padded, after);
    }
    let unpadded = padded
        .iter()
        .zip(rows("attention_mask"))
        .map(|(ids, mask)| {
            ids.iter()
                .zip(mask)
                .filter(|(_, m)| *m == 1)
                .map(|(id, _)| *id)
                .collect()
        });
    (unpadded.collect(), after)
}

#[test]
fn greedy_generation_equals_transformers_with_and_without_the_cache() {
    each_model(|decoder, golden, _, what| {
        for case in ["generate", "generate_leftpad", "generate_long"] {
            if !golden.has(&format!("{case}.prompt")) {
                continue;
            }
            let (prompts, want) = prompts(golden, case);
            let n = want[0].len();
            assert_eq!(continued(decoder, &prompts, n), want, "{what}, {case}");
            for (prompt, want) in prompts.into_iter().zip(want) {
                // Every token from the whole row again.
                let mut row = prompt.clone();
                for _ in 0..n {
                    let next = continued(decoder, &[row.clone()], 1)[0][0];
                    row.push(next);
                }
                assert_eq!(
                    row[prompt.len()..],
                    want,
                    "{what}, {case}, without the cache"
                );
            }
        }
    });
}

fn each_adapter(check: impl Fn(&Decoder, &Decoder, &Golden, &Golden, &Path, &str)) {
    each_model(|decoder, golden, folder, what| {
        for adapter in golden_adapters(folder) {
            let mut adapted = decoder.clone();
            adapted.load_adapter(&adapter).unwrap();
            let reference = Golden::open(&adapter.join("ref.safetensors"));
            let kind = adapter.file_name().unwrap().to_string_lossy();
            check(
                decoder,
                &adapted,
                golden,
                &reference,
                &adapter,
                &format!("{what}, {kind}"),
            );
        }
    });
}

#[test]
fn adapter_logits_equal_pefts() {
    each_adapter(|decoder, adapted, golden, reference, _, what| {
        for case in ["plain", "packed"] {
            let name = format!("{case}.logits");
            if !reference.has(&name) {
                continue;
            }
            let (tokens, _) = tokens(decoder, golden, case);
            let want = reference.f32(&name);
            for (model, kind) in [(adapted.clone(), "adapter"), (adapted.merged(), "merged")] {
                assert_close(
                    &format!("{what}, {case}, {kind}"),
                    &logits(&model, &tokens),
                    &want,
                    1e-5,
                );
            }
            // With the adapter off, the base answers as before.
            let base = golden.f32(&name);
            assert_close(
                &format!("{what}, {case}, base"),
                &logits(&adapted.base(), &tokens),
                &base,
                2e-4,
            );
        }
        if reference.has("generate.sequence") {
            let (prompt, _) = prompts(golden, "generate");
            let sequence = reference.i64("generate.sequence");
            let want: Vec<u32> = sequence[prompt[0].len()..]
                .iter()
                .map(|&id| id as u32)
                .collect();
            for (model, kind) in [(adapted.clone(), "adapter"), (adapted.merged(), "merged")] {
                assert_eq!(
                    continued(&model, &prompt, want.len())[0],
                    want,
                    "{what}, {kind}"
                );
            }
        }
    });
}

#[test]
fn merged_weights_equal_pefts() {
    let checked = std::cell::Cell::new(0);
    each_adapter(|_, adapted, _, reference, _, what| {
        let merged = adapted.merged();
        for name in reference.names() {
            let Some(weight) = name
                .strip_prefix("merged.")
                .filter(|w| !w.contains("logits"))
            else {
                continue;
            };
            let params = merged.params();
            let param = params.iter().find(|p| p.name == weight);
            let param = param.unwrap_or_else(|| panic!("{what}: no `{weight}`"));
            let difference = relative_difference(&param.file_values(), &reference.f32(&name));
            assert!(difference < 1e-5, "{what}: {name} differs by {difference}");
            checked.set(checked.get() + 1);
        }
    });
    assert!(checked.get() > 0);
}

#[test]
fn a_saved_adapter_answers_as_before() {
    each_adapter(|decoder, adapted, golden, _, adapter, what| {
        let dir = tempfile::tempdir().unwrap();
        save_adapter(adapted, "base", dir.path(), &[]).unwrap();
        let mut again = decoder.clone();
        again.load_adapter(dir.path()).unwrap();
        let (tokens, _) = tokens(decoder, golden, "plain");
        assert_close(
            what,
            &logits(&again, &tokens),
            &logits(adapted, &tokens),
            1e-6,
        );
        let read = |dir: &Path| -> serde_json::Value {
            let text = std::fs::read_to_string(dir.join("adapter_config.json")).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let (ours, pefts) = (read(dir.path()), read(adapter));
        if pefts["init_lora_weights"] != "pissa" {
            for key in [
                "r",
                "lora_alpha",
                "rank_pattern",
                "use_dora",
                "use_rslora",
                "fan_in_fan_out",
                "peft_type",
            ] {
                assert_eq!(ours[key], pefts[key], "{what}: `{key}`");
            }
        }
    });
}

#[test]
fn pissa_takes_the_principal_part_and_changes_nothing_yet() {
    let models = golden_models(SHARED_MODELS);
    let llama = models.iter().find(|path| path.ends_with("llama")).unwrap();
    let reference = Golden::open(&llama.join("pissa/ref.safetensors"));
    let golden = Golden::open(&llama.join("base_ref.safetensors"));
    let section = LoraSection {
        r: 2,
        lora_alpha: 4.0,
        target_modules: TargetModules::Names(vec!["q_proj".into(), "down_proj".into()]),
        init_lora_weights: InitLora::Pissa,
        ..LoraSection::default()
    };
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        let mut decoder = Decoder::load(&llama.join("model"), &device, Dtype::F32).unwrap();
        let (tokens, _) = tokens(&decoder, &golden, "plain");
        let before = logits(&decoder, &tokens);
        decoder.attach_lora(&LoraSpec::from(&section), 1).unwrap();
        assert_close(
            "logits at the start",
            &logits(&decoder, &tokens),
            &before,
            1e-6,
        );

        let params = decoder.lora_params();
        let module = "model.layers.1.mlp.down_proj";
        let part = |end: &str| {
            let name = format!("base_model.model.{module}.{end}.weight");
            let param = params.iter().find(|p| p.name == name).unwrap();
            param.tensor().inner()
        };
        let product = part("lora_B").matmul(part("lora_A")).mul_scalar(2.0);
        let got: Vec<f32> = product.into_data().try_into_vec().unwrap();
        let want = reference.f32(&format!("init.{module}.product"));
        assert_close("product", &got, &want, 1e-4);
    }
}

/// bf16 rounds in other places than PyTorch does, so the two differ; what counts is that ours is no further from f32.
#[test]
fn bf16_is_no_further_from_f32_than_pytorchs() {
    let models = golden_models(SHARED_MODELS);
    let with_bf16: Vec<_> = models
        .iter()
        .filter(|model| model.join("bf16_ref.safetensors").is_file())
        .collect();
    assert_eq!(with_bf16.len(), 3, "llama, gemma2 and qwen3");
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        for model in &with_bf16 {
            let decoder = Decoder::load(&model.join("model"), &device, Dtype::Bf16).unwrap();
            let golden = Golden::open(&model.join("base_ref.safetensors"));
            let (tokens, _) = tokens(&decoder, &golden, "plain");
            let exact = golden.f32("plain.logits");
            let pytorchs = Golden::open(&model.join("bf16_ref.safetensors")).f32("plain.logits");
            let ours = relative_difference(&logits(&decoder, &tokens), &exact);
            let theirs = relative_difference(&pytorchs, &exact);
            let what = golden_name(model);
            assert!(
                ours <= theirs,
                "{what} on {backend}: {ours:.2e} from f32, PyTorch's {theirs:.2e}"
            );
        }
    }
}
