//! Gradients and training trajectories against PEFT's (`../shared/fixtures`), on every device that is there.

use std::path::Path;

use burn::tensor::Tensor;
use slm_data::Batch;
use slm_model::{Decoder, LoraSpec, Param, device};
use slm_recipe::{Dtype, LoraSection, TargetModules, TrainSection};
use slm_testkit::{
    Golden, golden_adapters, golden_models, golden_name, relative_difference, shared,
};
use slm_train::{
    Gradients, LossOptions, Optimizer, Schedule, clip_factor, grad_norm, loss_and_gradients,
};

const SHARED_MODELS: usize = 15;

/// Every adapter of every model, trained from where PEFT's began.
fn each_adapter(check: impl Fn(Decoder, &Path, &str)) {
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        for model in golden_models(SHARED_MODELS) {
            let base = Decoder::load(&model.join("model"), &device, Dtype::F32).unwrap();
            for adapter in golden_adapters(&model) {
                let mut decoder = base.clone();
                decoder.load_adapter(&adapter).unwrap();
                decoder.train_adapter();
                check(
                    decoder,
                    &adapter,
                    &format!("{} on {backend}", golden_name(&adapter)),
                );
            }
        }
    }
}

/// A batch from HF's arrays: labels of -100 are not learned, and position i predicts label i + 1.
fn batch(golden: &Golden, prefix: &str) -> Batch {
    let shape = golden.shape(&format!("{prefix}.input_ids"));
    let [rows, cols] = [shape[0], shape[1]];
    let ints = |name: &str| -> Vec<i32> {
        golden
            .i64(&format!("{prefix}.{name}"))
            .into_iter()
            .map(|v| v as i32)
            .collect()
    };
    let labels = ints("labels");
    let has = |name: &str| golden.has(&format!("{prefix}.{name}"));
    let next = |i: usize| {
        if (i + 1).is_multiple_of(cols) {
            -100
        } else {
            labels[i + 1]
        }
    };
    let positions = if has("position_ids") {
        ints("position_ids")
    } else {
        (0..rows).flat_map(|_| 0..cols as i32).collect()
    };
    let mut segments = if has("attention_mask") {
        ints("attention_mask")
    } else {
        vec![1; rows * cols]
    };
    if has("position_ids") {
        let mut segment = 0;
        for (place, position) in segments.iter_mut().zip(&positions) {
            segment += i32::from(*position == 0);
            *place = segment;
        }
    }
    let learn: Vec<bool> = (0..rows * cols).map(|i| next(i) != -100).collect();
    Batch {
        rows,
        cols,
        ids: ints("input_ids"),
        positions,
        targets: (0..rows * cols).map(|i| next(i).max(0)).collect(),
        tokens: segments.iter().filter(|s| **s != 0).count(),
        learned: learn.iter().filter(|l| **l).count(),
        segments,
        learn,
    }
}

/// A parameter's name in a file of references: PEFT's own, with or without `.weight` after a magnitude.
fn reference_name(reference: &Golden, prefix: &str, param: &Param) -> Option<String> {
    let names = [
        format!("{prefix}.{}", param.name),
        format!("{prefix}.{}.weight", param.name),
        format!("{prefix}.base_model.model.{}", param.name),
    ];
    names.into_iter().find(|name| reference.has(name))
}

fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().inner().into_data().try_into_vec().unwrap()
}

/// The mean loss of a batch over its learned tokens, and its gradients.
fn mean_loss(
    decoder: &Decoder,
    batch: &Batch,
    gradient_checkpointing: bool,
    gradients: &mut Gradients,
) -> f64 {
    let options = LossOptions {
        gradient_checkpointing,
        ..LossOptions::mean_of(batch.learned)
    };
    let sums = loss_and_gradients(decoder, batch, &options, gradients);
    sums.read().loss / batch.learned as f64
}

/// Compares the loss of a case and its gradients, with and without checkpointing. Returns how many gradients there were.
fn compare_gradients(
    decoder: &Decoder,
    inputs: &Golden,
    reference: &Golden,
    case: &str,
    what: &str,
) -> usize {
    let batch = batch(inputs, case);
    let run = |checkpointing| {
        let mut gradients = Gradients::new();
        let loss = mean_loss(decoder, &batch, checkpointing, &mut gradients);
        (loss, gradients)
    };
    let ((loss, plain), (loss_again, again)) = (run(false), run(true));
    let name = format!("{case}.loss");
    let held = [reference, inputs].into_iter().find(|g| g.has(&name));
    let want = f64::from(held.unwrap().f32(&name)[0]);
    let off = (loss - want).abs() / want;
    assert!(off < 1e-5, "{what}, {case}: loss {loss} is not {want}");
    let off = (loss - loss_again).abs() / loss;
    assert!(off < 1e-6, "{what}, {case}: checkpointing changes the loss");
    let mut compared = 0;
    for param in decoder.trainable() {
        let found = values(&plain[&param.name]);
        if let Some(name) = reference_name(reference, &format!("{case}.grad"), param) {
            let difference = relative_difference(&found, &reference.f32(&name));
            assert!(difference < 1e-3, "{what}: {name} differs by {difference}");
            compared += 1;
        }
        let difference = relative_difference(&values(&again[&param.name]), &found);
        assert!(
            difference < 1e-5,
            "{what}: checkpointing changes {} by {difference}",
            param.name
        );
    }
    compared
}

#[test]
fn gradients_equal_pefts_with_and_without_checkpointing() {
    each_adapter(|decoder, dir, what| {
        let inputs = Golden::open(&dir.join("../base_ref.safetensors"));
        let reference = Golden::open(&dir.join("ref.safetensors"));
        let of = |name: &str| {
            reference
                .names()
                .iter()
                .filter(|n| n.starts_with(name))
                .count()
        };
        for case in ["plain", "packed", "rightpad"] {
            if reference.has(&format!("{case}.loss")) {
                let compared = compare_gradients(&decoder, &inputs, &reference, case, what);
                let held = of(&format!("{case}.grad."));
                assert_eq!(
                    compared, held,
                    "{what}, {case}: every gradient has its parameter"
                );
            }
        }
    });
}

/// Ten steps of AdamW with warm-up, cosine and clipping; the losses, norms and rates of each.
fn compare_steps(
    decoder: &mut Decoder,
    reference: &Golden,
    batches: &Golden,
    weight_decay: f64,
    what: &str,
) {
    let wanted = |name: &str| reference.f64(&format!("train.{name}"));
    let rates = wanted("lr");
    let section = TrainSection {
        // The schedule is at its peak after the warm-up.
        learning_rate: rates[2],
        weight_decay,
        warmup_steps: 2,
        max_grad_norm: 1.0,
        ..TrainSection::default()
    };
    let schedule = Schedule::new(&section, 10);
    let mut optimizer = Optimizer::new(&section, 1.0);
    let expected = wanted("loss")
        .into_iter()
        .zip(wanted("grad_norm"))
        .zip(rates);
    for (step, ((want_loss, want_norm), want_lr)) in expected.enumerate() {
        let batch = batch(batches, &format!("step{step}"));
        let mut gradients = Gradients::new();
        let loss = mean_loss(decoder, &batch, false, &mut gradients);
        let norm = f64::from(grad_norm(&gradients).unwrap().into_scalar::<f32>());
        let clip = clip_factor(norm, section.max_grad_norm);
        let lr = schedule.lr(step);
        optimizer.step(decoder.trainable_mut(), gradients, lr, clip);
        for (name, got, want, tolerance) in [
            ("loss", loss, want_loss, 1e-4),
            ("norm", norm, want_norm, 1e-3),
            ("lr", lr, want_lr, 1e-9),
        ] {
            let close = (got - want).abs() <= tolerance * want.abs();
            assert!(close, "{what}, step {step}: {name} {got} is not {want}");
        }
    }
}

#[test]
fn ten_steps_have_pefts_losses_norms_and_weights() {
    each_adapter(|mut decoder, dir, what| {
        let reference = Golden::open(&dir.join("ref.safetensors"));
        if !reference.has("train.loss") {
            return;
        }
        let folder = dir.parent().and_then(Path::parent).unwrap();
        let batches = Golden::open(&folder.join("train_batches.safetensors"));
        compare_steps(&mut decoder, &reference, &batches, 0.01, what);
        for param in decoder.lora_params() {
            if let Some(name) = reference_name(&reference, "train.after10", param) {
                let difference =
                    relative_difference(&values(&param.tensor()), &reference.f32(&name));
                assert!(difference < 1e-3, "{what}: {name} is {difference} off");
            }
        }
    });
}

#[test]
fn full_fine_tuning_has_the_gradients_and_steps_of_torch() {
    let models = golden_models(SHARED_MODELS);
    let full: Vec<_> = models
        .iter()
        .filter(|model| model.join("full_ref.safetensors").is_file())
        .collect();
    assert_eq!(full.len(), 3, "llama, gemma2 and gpt2");
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        for model in &full {
            let what = format!("{} in full on {backend}", golden_name(model));
            let mut decoder = Decoder::load(&model.join("model"), &device, Dtype::F32).unwrap();
            decoder.train_all();
            let inputs = Golden::open(&model.join("base_ref.safetensors"));
            let reference = Golden::open(&model.join("full_ref.safetensors"));
            let compared = compare_gradients(&decoder, &inputs, &reference, "plain", &what);
            let names = reference.names();
            let held = names
                .iter()
                .filter(|n| n.starts_with("plain.grad."))
                .count();
            assert_eq!(compared, held, "{what}");
            let batches = Golden::open(&model.parent().unwrap().join("train_batches.safetensors"));
            compare_steps(&mut decoder, &reference, &batches, 0.0, &what);
        }
    }
}

#[test]
fn a_fresh_adapter_changes_nothing_and_follows_its_seed() {
    let Some(fixtures) = shared("fixtures", 1) else {
        return;
    };
    let device = device::open("cpu").unwrap();
    let spec = LoraSpec::from(&LoraSection {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout: 0.0,
        target_modules: TargetModules::Names(vec!["q_proj".into(), "down_proj".into()]),
        ..LoraSection::default()
    });
    let adapted = |seed| {
        let mut decoder =
            Decoder::load(&fixtures.join("llama_tied/model"), &device, Dtype::F32).unwrap();
        decoder.attach_lora(&spec, seed).unwrap();
        decoder
    };
    let values = |decoder: &Decoder| -> Vec<Vec<f32>> {
        decoder
            .lora_params()
            .iter()
            .map(|p| p.tensor().inner().into_data().try_into_vec().unwrap())
            .collect()
    };
    assert_eq!(values(&adapted(1)), values(&adapted(1)));
    assert_ne!(values(&adapted(1)), values(&adapted(2)));
    assert!(
        values(&adapted(1))
            .iter()
            .skip(1)
            .step_by(2)
            .flatten()
            .all(|b| *b == 0.0),
        "B starts at zero"
    );
    assert_eq!(
        adapted(1).n_trainable(),
        2 * (4 * 64 + 64 * 4 + 4 * 96 + 64 * 4)
    );
}
