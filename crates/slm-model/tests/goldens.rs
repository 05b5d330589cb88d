//! Logits and generation against transformers' (`../shared/fixtures`), on every processor backend that is built.

use std::path::Path;

use slm_model::{Decoder, Sampling, Tokens, device, generate};
use slm_recipe::Dtype;
use slm_testkit::{Golden, assert_close, shared};

const FAMILIES: [&str; 6] = [
    "llama_tied",
    "llama_untied",
    "llama_rope_llama3",
    "llama_headdim_bias",
    "qwen2",
    "qwen3",
];

fn backends() -> Vec<String> {
    let built = device::available()
        .into_iter()
        .filter(|b| b.usable && b.spec.ends_with("cpu"));
    built.map(|b| b.spec).collect()
}

fn each_family(check: impl Fn(&Decoder, &Golden, &Path, &str)) {
    let Some(fixtures) = shared("fixtures", FAMILIES.len()) else {
        return;
    };
    for backend in backends() {
        let device = device::open(&backend).unwrap();
        for family in FAMILIES {
            let dir = fixtures.join(family);
            let decoder = Decoder::load(&dir.join("model"), &device, Dtype::F32).unwrap();
            let golden = Golden::open(&dir.join("base_ref.safetensors"));
            check(&decoder, &golden, &dir, &format!("{family} on {backend}"));
        }
    }
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

#[test]
fn logits_equal_transformers() {
    each_family(|decoder, golden, _, what| {
        for case in ["plain", "rightpad", "leftpad", "packed"] {
            let (tokens, real) = tokens(decoder, golden, case);
            let [rows, time] = tokens.shape;
            let hidden = decoder.config().hidden_size;
            let states = decoder
                .hidden(&tokens, None, None)
                .reshape([rows * time, hidden]);
            let got = decoder
                .logits(states)
                .into_data()
                .try_into_vec::<f32>()
                .unwrap();
            let want = golden.f32(&format!("{case}.logits"));
            let vocab = decoder.config().vocab_size;
            let keep = |values: &[f32]| -> Vec<f32> {
                values
                    .chunks(vocab)
                    .zip(&real)
                    .filter(|(_, real)| **real)
                    .flat_map(|(row, _)| row.to_vec())
                    .collect()
            };
            assert_close(&format!("{what}, {case}"), &keep(&got), &keep(&want), 2e-4);
        }
    });
}

#[test]
fn greedy_generation_equals_transformers() {
    each_family(|decoder, golden, dir, what| {
        let continued = |decoder: &Decoder, prompts: Vec<Vec<u32>>| {
            let sampling = Sampling {
                max_new_tokens: 16,
                temperature: 0.0,
                top_p: 1.0,
                seed: 0,
                stop_ids: vec![],
            };
            generate(decoder, &prompts, &sampling, &mut |_, _| true)
        };
        let last16 = |golden: &Golden, name: &str| -> Vec<Vec<u32>> {
            golden
                .i64(name)
                .chunks(24)
                .map(|row| row[8..].iter().map(|&id| id as u32).collect())
                .collect()
        };
        let prompt: Vec<u32> = golden
            .i64("generate.prompt")
            .into_iter()
            .map(|id| id as u32)
            .collect();
        let got = continued(decoder, vec![prompt.clone()]);
        assert_eq!(got[0].ids, last16(golden, "generate.sequence")[0], "{what}");

        let mask = golden.i64("generate_leftpad.attention_mask");
        let padded = golden.i64("generate_leftpad.prompt");
        let prompts = padded.chunks(8).zip(mask.chunks(8)).map(|(ids, mask)| {
            ids.iter()
                .zip(mask)
                .filter(|(_, m)| **m == 1)
                .map(|(id, _)| *id as u32)
                .collect()
        });
        let got = continued(decoder, prompts.collect());
        for (row, want) in got.iter().zip(last16(golden, "generate_leftpad.sequence")) {
            assert_eq!(row.ids, want, "{what}, left padded");
        }

        let mut adapted = decoder.clone();
        adapted.load_adapter(&dir.join("lora")).unwrap();
        let reference = Golden::open(&dir.join("lora/ref.safetensors"));
        for (model, kind) in [(adapted.clone(), "adapter"), (adapted.merged(), "merged")] {
            let got = continued(&model, vec![prompt.clone()]);
            assert_eq!(
                got[0].ids,
                last16(&reference, "generate.sequence")[0],
                "{what}, {kind}"
            );
        }
    });
}

#[test]
fn adapter_logits_equal_pefts() {
    each_family(|decoder, golden, dir, what| {
        let mut adapted = decoder.clone();
        adapted.load_adapter(&dir.join("lora")).unwrap();
        let reference = Golden::open(&dir.join("lora/ref.safetensors"));
        for case in ["plain", "packed"] {
            let (tokens, _) = tokens(decoder, golden, case);
            let [rows, time] = tokens.shape;
            let want = reference.f32(&format!("{case}.logits"));
            for (model, kind) in [(adapted.clone(), "adapter"), (adapted.merged(), "merged")] {
                let states = model.hidden(&tokens, None, None).reshape([rows * time, 64]);
                let got = model
                    .logits(states)
                    .into_data()
                    .try_into_vec::<f32>()
                    .unwrap();
                assert_close(&format!("{what}, {case}, {kind}"), &got, &want, 1e-5);
            }
        }
    });
}
