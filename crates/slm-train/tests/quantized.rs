//! QLoRA is LoRA over what the codes stand for: a step over a quantized base against the same step over the dequantized
//! base in f32, for every adapter of every golden model, on every device that is there.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use slm_data::Batch;
use slm_model::{Decoder, LoraSpec, ModelError, QuantScheme, Tokens, device};
use slm_recipe::{Dtype, InitLora, LoraSection, TargetModules};
use slm_testkit::{
    Golden, assert_close, golden_adapters, golden_models, golden_name, relative_difference, shared,
};
use slm_train::{Gradients, LossOptions, loss_and_gradients};

const SHARED_MODELS: usize = 15;
const ALL: [QuantScheme; 3] = [QuantScheme::Int8, QuantScheme::Nf4, QuantScheme::Nf4Double];

fn llama() -> PathBuf {
    let models = golden_models(SHARED_MODELS);
    let mut models = models.into_iter();
    let llama = models.find(|model| golden_name(model) == "llama");
    llama.expect("there is a llama among the goldens")
}

fn quantized(model: &Path, device: &Device, kind: QuantScheme) -> Decoder {
    let folder = model.join("model");
    Decoder::load_quantized(&folder, device, Dtype::F32, Some(kind)).unwrap()
}

/// Two documents in a row, and one with padding.
fn batch() -> Batch {
    let (rows, cols) = (2, 9);
    let segments = [
        vec![1, 1, 1, 1, 2, 2, 2, 2, 2],
        vec![1, 1, 1, 1, 1, 1, 0, 0, 0],
    ]
    .concat();
    let positions = [vec![0, 1, 2, 3, 0, 1, 2, 3, 4], (0..9).collect()].concat();
    let ids: Vec<i32> = (0..18).map(|i| (i * 29 + 5) % 77 + 3).collect();
    let learn: Vec<bool> = (0..18).map(|i| segments[i] > 0 && i % 9 > 1).collect();
    Batch {
        rows,
        cols,
        targets: ids.iter().map(|id| (id * 7) % 77 + 3).collect(),
        ids,
        positions,
        tokens: segments.iter().filter(|s| **s != 0).count(),
        learned: learn.iter().filter(|l| **l).count(),
        segments,
        learn,
    }
}

fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().inner().into_data().try_into_vec().unwrap()
}

fn step(decoder: &Decoder, gradient_checkpointing: bool) -> (f64, Gradients) {
    let (batch, mut gradients) = (batch(), Gradients::new());
    let options = LossOptions {
        gradient_checkpointing,
        dropout_seed: 5,
        ..LossOptions::mean_of(batch.learned)
    };
    let sums = loss_and_gradients(decoder, &batch, &options, &mut gradients);
    (sums.read().loss, gradients)
}

/// Loss and every gradient within 1e-5.
fn assert_same_step(got: &(f64, Gradients), want: &(f64, Gradients), what: &str) {
    let off = (got.0 - want.0).abs() / want.0;
    assert!(off < 1e-5, "{what}: loss {} is not {}", got.0, want.0);
    assert!(
        got.1.keys().eq(want.1.keys()),
        "{what}: gradients of other weights"
    );
    for (name, gradient) in &got.1 {
        let off = relative_difference(&values(gradient), &values(&want.1[name]));
        assert!(off < 1e-5, "{what}: the gradient of {name} is {off:e} off");
    }
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let ids: Vec<i32> = (3..11).collect();
    let positions: Vec<i32> = (0..8).collect();
    let tokens = Tokens::new(&ids, &positions, &[1; 8], [1, 8], decoder.device());
    let states = decoder.hidden(&tokens, None, None);
    let [_, time, width] = states.dims();
    values(&decoder.logits(states.reshape([time, width])))
}

fn assert_same_logits(got: &Decoder, want: &Decoder, what: &str) {
    let off = relative_difference(&logits(got), &logits(want));
    assert!(off < 1e-5, "{what}: logits are {off:e} off");
}

#[test]
fn a_step_is_that_over_the_dequantized_base() {
    let mut compared = 0;
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        for model in golden_models(SHARED_MODELS) {
            let adapters = golden_adapters(&model).into_iter();
            let adapters: Vec<_> = adapters.filter(|dir| !dir.ends_with("pissa")).collect();
            for kind in ALL {
                let base = quantized(&model, &device, kind);
                // The base's own values, as floats.
                let dense = base.merged();
                for dir in &adapters {
                    let what = format!("{kind:?} {} on {backend}", golden_name(dir));
                    let [over_codes, over_floats] = [&base, &dense].map(|base| {
                        let mut decoder = base.clone();
                        decoder.load_adapter(dir).unwrap();
                        decoder.train_adapter();
                        decoder
                    });
                    let want = step(&over_floats, false);
                    assert_same_step(&step(&over_codes, false), &want, &what);
                    assert_same_step(&step(&over_codes, true), &want, &what);
                    assert_same_logits(&over_codes.merged(), &over_floats.merged(), &what);
                    assert_same_logits(&over_codes.inference(), &over_codes.merged(), &what);
                    assert_same_logits(&over_codes.base(), &dense, &what);
                    compared += 1;
                }
            }
        }
    }
    let of_each_backend = match shared("fixtures", SHARED_MODELS) {
        Some(_) => 129,
        None => 66,
    };
    assert_eq!(compared, of_each_backend * device::usable().len());
}

/// The case `plain` of a golden model: no padding, labels of -100 are not learned.
fn plain(golden: &Golden) -> Batch {
    let shape = golden.shape("plain.input_ids");
    let [rows, cols] = [shape[0], shape[1]];
    let ints = |name| -> Vec<i32> { golden.i64(name).into_iter().map(|v| v as i32).collect() };
    let labels = ints("plain.labels");
    let next = |i: usize| match (i + 1) % cols {
        0 => -100,
        _ => labels[i + 1],
    };
    let learn: Vec<bool> = (0..rows * cols).map(|i| next(i) != -100).collect();
    Batch {
        rows,
        cols,
        ids: ints("plain.input_ids"),
        positions: (0..rows).flat_map(|_| 0..cols as i32).collect(),
        targets: (0..rows * cols).map(|i| next(i).max(0)).collect(),
        tokens: rows * cols,
        learned: learn.iter().filter(|l| **l).count(),
        segments: vec![1; rows * cols],
        learn,
    }
}

#[test]
fn a_step_over_nf4_is_that_of_transformers_peft_and_bitsandbytes() {
    let mut compared = 0;
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        for model in golden_models(SHARED_MODELS) {
            for dir in golden_adapters(&model) {
                if !dir.join("qlora_ref.safetensors").exists() {
                    continue;
                }
                let golden = Golden::open(&dir.join("qlora_ref.safetensors"));
                let batch = plain(&Golden::open(&model.join("base_ref.safetensors")));
                for (name, kind) in [
                    ("nf4", QuantScheme::Nf4),
                    ("nf4_double", QuantScheme::Nf4Double),
                ] {
                    let mut decoder = quantized(&model, &device, kind);
                    decoder.load_adapter(&dir).unwrap();
                    decoder.train_adapter();
                    let what = format!("{name} {} on {backend}", golden_name(&dir));
                    compared += compare(&decoder, &batch, &golden, name, &what);
                }
            }
        }
    }
    assert!(compared >= 288, "{compared} gradients");
}

/// Logits, loss and every gradient. Returns how many gradients there were.
fn compare(decoder: &Decoder, batch: &Batch, golden: &Golden, name: &str, what: &str) -> usize {
    let (ids, positions) = (&batch.ids, &batch.positions);
    let shape = [batch.rows, batch.cols];
    let tokens = Tokens::new(ids, positions, &batch.segments, shape, decoder.device());
    let states = decoder.inference().hidden(&tokens, None, None);
    let width = states.dims()[2];
    let logits = decoder.logits(states.reshape([batch.rows * batch.cols, width]));
    let want = golden.f32(&format!("{name}.logits"));
    assert_close(&format!("{what}: logits"), &values(&logits), &want, 1e-5);

    let mut gradients = Gradients::new();
    let options = LossOptions::mean_of(batch.learned);
    let sums = loss_and_gradients(decoder, batch, &options, &mut gradients);
    let loss = sums.read().loss / batch.learned as f64;
    let want = f64::from(golden.f32(&format!("{name}.loss"))[0]);
    let off = (loss - want).abs() / want;
    assert!(off < 1e-5, "{what}: loss {loss} is not {want}");
    for (param, gradient) in &gradients {
        let key = format!("{name}.grad.{}", param.trim_end_matches(".weight"));
        let want = golden.f32(&format!("{key}.weight"));
        let off = relative_difference(&values(gradient), &want);
        assert!(off < 1e-4, "{what}: the gradient of {param} is {off:e} off");
    }
    let held = golden.names().into_iter();
    let held = held.filter(|key| key.starts_with(&format!("{name}.grad.")));
    assert_eq!(gradients.len(), held.count(), "{what}");
    gradients.len()
}

#[test]
fn dropout_falls_on_the_same_inputs() {
    let device = device::open("cpu").unwrap();
    for use_dora in [false, true] {
        let spec = LoraSpec::from(&LoraSection {
            r: 4,
            lora_dropout: 0.3,
            use_dora,
            ..LoraSection::default()
        });
        let base = quantized(&llama(), &device, QuantScheme::Nf4Double);
        let [codes, floats] = [base.clone(), base.merged()].map(|mut decoder| {
            decoder.attach_lora(&spec, 3).unwrap();
            for param in decoder.trainable_mut() {
                param.set(param.tensor().add_scalar(0.02));
            }
            decoder
        });
        let want = step(&floats, false);
        assert_same_step(&step(&codes, false), &want, "without checkpointing");
        assert_same_step(&step(&codes, true), &want, "with checkpointing");
    }
}

#[test]
fn codes_change_the_model_a_little_and_shrink_it() {
    let device = device::open("cpu").unwrap();
    let folder = llama().join("model");
    let plain = Decoder::load(&folder, &device, Dtype::F32).unwrap();
    let mut before = plain.size_bytes();
    assert_eq!(before, plain.config().size_bytes(Dtype::F32, None));
    assert_eq!(before, 4 * plain.n_params());
    for kind in ALL {
        let base = quantized(&llama(), &device, kind);
        assert_eq!(base.n_params(), plain.n_params());
        let off = relative_difference(&logits(&base), &logits(&plain));
        let bounds = match kind {
            QuantScheme::Int8 | QuantScheme::Int8Products => 1e-4..0.05,
            QuantScheme::Nf4 | QuantScheme::Nf4Double => 0.01..0.5,
        };
        assert!(bounds.contains(&off), "{kind:?}: logits are {off} off");
        assert_eq!(
            base.size_bytes(),
            base.config().size_bytes(Dtype::F32, Some(kind))
        );
        if kind != QuantScheme::Nf4Double {
            // Groups of 256 scales are more than these small matrices have.
            assert!(base.size_bytes() < before);
            before = base.size_bytes();
        }
    }
}

#[test]
fn what_is_trained_whole_becomes_floats() {
    let device = device::open("cpu").unwrap();
    let mut decoder = quantized(&llama(), &device, QuantScheme::Nf4);
    let before = logits(&decoder);
    let spec = LoraSpec::from(&LoraSection {
        modules_to_save: vec!["o_proj".into()],
        target_modules: TargetModules::Names(vec!["q_proj".into()]),
        lora_dropout: 0.0,
        ..LoraSection::default()
    });
    decoder.attach_lora(&spec, 3).unwrap();
    // A product with floats may add in another order.
    let off = relative_difference(&logits(&decoder.inference()), &before);
    assert!(off < 1e-5, "logits are {off:e} off");
    let (_, gradients) = step(&decoder, false);
    let copies = gradients
        .keys()
        .filter(|name| name.contains("o_proj.weight"));
    assert_eq!(copies.count(), 2);
    for param in decoder.trainable_mut() {
        param.set(param.tensor().add_scalar(0.1));
    }
    assert_ne!(logits(&decoder.inference()), before);
    assert_eq!(logits(&decoder.base()), before);
}

#[test]
fn pissa_wants_floats() {
    let device = device::open("cpu").unwrap();
    let mut decoder = quantized(&llama(), &device, QuantScheme::Int8);
    let spec = LoraSpec::from(&LoraSection {
        init_lora_weights: InitLora::Pissa,
        ..LoraSection::default()
    });
    for refused in [
        decoder.attach_lora(&spec, 3),
        decoder.load_adapter(&llama().join("pissa")),
    ] {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, ModelError::QuantizedPissa { .. }),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("model.quantization"));
    }
}

/// A story for karpathy's model, and what a customer says for the project's own, in their tokens.
const STORY: [i32; 59] = [
    403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267,
    337, 410, 408, 419, 292, 411, 322, 265, 282, 295, 433, 335, 311, 268, 388, 426, 385, 328, 432,
    358, 394, 261, 370, 400, 428, 426, 291, 400, 428, 286, 296, 418, 269, 391, 266, 267, 337, 267,
    414, 426,
];
const REQUEST: [i32; 59] = [
    1933, 1734, 896, 223, 23, 26, 337, 264, 361, 437, 451, 343, 850, 14, 358, 1404, 223, 20, 24,
    446, 16, 1434, 618, 479, 956, 1734, 514, 33, 310, 1759, 359, 442, 49, 15, 22, 23, 22, 19, 18,
    275, 348, 25, 20, 16, 23, 20, 16, 490, 307, 746, 303, 958, 1953, 318, 1408, 223, 20, 26, 16,
];

/// How far 8 bits lead from f32 on trained bases: `[loss, gradients]`, as ‖off‖ / ‖f32‖ over all adapters.
fn deviation(base: &Path, ids: &[i32], backend: &str, scheme: QuantScheme) -> [f64; 2] {
    let device = device::open(backend).unwrap();
    let batch = Batch {
        rows: 1,
        cols: ids.len() - 1,
        ids: ids[..ids.len() - 1].to_vec(),
        targets: ids[1..].to_vec(),
        positions: (0..ids.len() as i32 - 1).collect(),
        segments: vec![1; ids.len() - 1],
        learn: vec![true; ids.len() - 1],
        tokens: ids.len() - 1,
        learned: ids.len() - 1,
    };
    let run = |scheme| {
        let mut decoder = Decoder::load_quantized(base, &device, Dtype::F32, scheme).unwrap();
        let spec = LoraSpec::from(&LoraSection::default());
        decoder.attach_lora(&spec, 3).unwrap();
        for (seed, param) in decoder.trainable_mut().into_iter().enumerate() {
            // What B starts with gives A no gradient.
            let noise =
                slm_ops::noise::uniform_noise(0.02, seed as u64, [1, 1, param.len()], &device);
            let shape = param.tensor().dims();
            param.set(param.tensor().add(noise.reshape(shape)));
        }
        let mut gradients = Gradients::new();
        let options = LossOptions::mean_of(batch.learned);
        let sums = loss_and_gradients(&decoder, &batch, &options, &mut gradients);
        let all: Vec<f32> = gradients.values().flat_map(values).collect();
        (sums.read().loss, all)
    };
    let (want, got) = (run(None), run(Some(scheme)));
    let loss = (got.0 - want.0).abs() / want.0;
    [loss, relative_difference(&got.1, &want.1)]
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are to be read")]
fn integers_lead_little_further_than_codes() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/base/slm-base-2m");
    let stories = slm_testkit::shared("models/stories260k", 2);
    let bases = stories
        .map(|dir| (dir, STORY))
        .into_iter()
        .chain([(ours, REQUEST)]);
    for (base, ids) in bases {
        for backend in device::usable() {
            let of = |scheme| deviation(&base, &ids, &backend, scheme);
            let exact = of(QuantScheme::Int8);
            let integers = of(QuantScheme::Int8Products);
            println!(
                "{} on {backend}: {exact:?}, in integers {integers:?}",
                base.display()
            );
            assert!(integers[0] < 0.02 && integers[1] < 0.1, "{integers:?}");
            // A GPU multiplies in floats all the same.
            assert_eq!(exact == integers, !backend.ends_with("cpu"), "{backend}");
        }
    }
}
