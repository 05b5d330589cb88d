//! DPO, ORPO and KTO against TRL's own trainers (`tests/goldens/data/preference`), on every processor backend that is built.

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use serde_json::Value;
use slm_data::{Answer, BatchOptions, Pairing, PreferenceBatch, Sample, preference_batches};
use slm_model::{Decoder, device};
use slm_recipe::{Dtype, LossType, Objective, PreferenceSection, TrainSection};
use slm_testkit::{Golden, relative_difference};
use slm_train::{
    Gradients, JudgedSums, LossOptions, Optimizer, Preference, answer_logprobs, clip_factor,
    divergence, grad_norm, judged_loss_and_gradients,
};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data")
}

/// The name of a golden, and what it was made with.
fn cases() -> [(&'static str, Preference); 4] {
    let case = |name, objective, section| (name, Preference { objective, section });
    let section = PreferenceSection {
        beta: 0.3,
        ..PreferenceSection::default()
    };
    [
        case("dpo", Objective::Dpo, section.clone()),
        case(
            "dpo_robust",
            Objective::Dpo,
            PreferenceSection {
                loss_type: LossType::Robust,
                label_smoothing: 0.2,
                ..section.clone()
            },
        ),
        case(
            "orpo",
            Objective::Orpo,
            PreferenceSection {
                beta: 0.5,
                ..section.clone()
            },
        ),
        case(
            "kto",
            Objective::Kto,
            PreferenceSection {
                desirable_weight: 1.5,
                undesirable_weight: 0.8,
                ..section
            },
        ),
    ]
}

fn samples(objective: Objective) -> Vec<Sample> {
    let (name, keys) = match objective {
        Objective::Kto => ("rated", vec!["completion_ids"]),
        _ => ("pairs", vec!["chosen_ids", "rejected_ids"]),
    };
    let path = data().join("preference").join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids = |row: &Value, key: &str| -> Vec<u32> {
        let list = row[key].as_array().unwrap().iter();
        list.map(|id| id.as_u64().unwrap() as u32).collect()
    };
    rows.enumerate()
        .flat_map(|(at, row)| {
            let prompt = ids(&row, "prompt_ids");
            let sample = |key: &&str| {
                let whole = [prompt.clone(), ids(&row, key)].concat();
                let learn = (0..whole.len()).map(|i| i >= prompt.len()).collect();
                let is_chosen = row["label"].as_bool().unwrap_or(*key == "chosen_ids");
                Sample {
                    answer: match is_chosen {
                        true => Answer::Chosen,
                        false => Answer::Rejected,
                    },
                    ..Sample::new(at, whole, learn)
                }
            };
            keys.iter().map(sample).collect::<Vec<_>>()
        })
        .collect()
}

fn batches(samples: &[Sample], objective: Objective, batch_size: usize) -> Vec<PreferenceBatch> {
    let pairing = match objective {
        Objective::Kto => Pairing::Singles,
        _ => Pairing::Pairs,
    };
    let options = BatchOptions {
        batch_size,
        max_length: 64,
        packing: false,
        shuffle: false,
        group_by_length: false,
        shares: Vec::new(),
        seed: 1,
        epoch: 0,
    };
    preference_batches(samples, pairing, &options)
        .iter()
        .collect()
}

fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().inner().into_data().try_into_vec().unwrap()
}

/// The judgement of one batch, a step of its own, and its gradients.
fn judge(
    decoder: &Decoder,
    preference: &Preference,
    it: &PreferenceBatch,
    reference: &[f64],
    gradient_checkpointing: bool,
) -> (JudgedSums, Gradients) {
    let kl = match &it.mismatched {
        Some(mismatched) => divergence(decoder, &decoder.base(), mismatched),
        None => 0.0,
    };
    let judging = preference.judging(it, reference, kl, preference.counts(it));
    let options = LossOptions {
        gradient_checkpointing,
        ..LossOptions::mean_of(1)
    };
    let mut gradients = Gradients::new();
    let scored = preference.scored(it);
    let (_, sums) = judged_loss_and_gradients(decoder, &scored, &judging, &options, &mut gradients);
    (sums, gradients)
}

fn assert_near(what: &str, got: f64, want: f64, tolerance: f64) {
    // Differences of log-probabilities of twenty nats, in f32.
    let close = (got - want).abs() <= tolerance * want.abs().max(0.05);
    assert!(close, "{what}: {got} is not {want}");
}

fn assert_rewards(what: &str, sums: &JudgedSums, want: impl Fn(&str) -> Option<f64>) {
    // Before the first step all rewards are 0 but for rounding, which decides who is ahead.
    let is_tie = want("rewards/margins").is_some_and(|margin| margin.abs() < 1e-5);
    for (name, got) in sums.rewards().named() {
        if is_tie && name == "rewards/accuracies" {
            continue;
        }
        match want(name).filter(|want| want.is_finite()) {
            Some(want) => assert_near(&format!("{what}: {name}"), got, want, 1e-4),
            // TRL gives no accuracies of single answers, and margins where both kinds are there.
            None => assert!(!got.is_finite() || name == "kl", "{what}: {name} is {got}"),
        }
    }
}

fn each_case(check: impl Fn(Decoder, &str, &Preference, &Golden, &str)) {
    for backend in device::usable() {
        let device = device::open(&backend).unwrap();
        let base = Decoder::load(&data().join("llama/model"), &device, Dtype::F32).unwrap();
        for (name, preference) in cases() {
            let path = data()
                .join("preference")
                .join(format!("{name}.safetensors"));
            let what = format!("{name} on {}", backend);
            check(base.clone(), name, &preference, &Golden::open(&path), &what);
        }
    }
}

#[test]
fn a_batch_has_trls_loss_rewards_and_gradients() {
    each_case(|mut decoder, name, preference, golden, what| {
        decoder.load_adapter(&data().join("llama/lora")).unwrap();
        decoder.train_adapter();
        if name == "kto" {
            for param in decoder.trainable_mut() {
                if param.name.contains("lora_B") {
                    let value = param.tensor().inner().neg();
                    param.set(value);
                }
            }
        }
        let samples = samples(preference.objective);
        let it = &batches(&samples, preference.objective, 4)[0];
        let reference = answer_logprobs(&decoder.base(), &samples, 3, &mut |_| {});
        for (key, first) in [("chosen", 0), ("rejected", 4), ("answers", 0)] {
            if golden.has(&format!("ref.{key}")) {
                for (i, want) in golden.f64(&format!("ref.{key}")).into_iter().enumerate() {
                    let got = reference[it.samples[first + i]];
                    assert_near(&format!("{what}: reference {key} {i}"), got, want, 1e-5);
                }
            }
        }
        let (sums, gradients) = judge(&decoder, preference, it, &reference, false);
        let want = |key: &str| golden.has(key).then(|| golden.f64(key)[0]);
        assert_near(what, sums.loss, want("loss").unwrap(), 1e-5);
        assert_rewards(what, &sums, want);
        let (_, again) = judge(&decoder, preference, it, &reference, true);
        let mut compared = 0;
        for param in decoder.trainable() {
            let found = values(&gradients[&param.name]);
            let off = relative_difference(&found, &golden.f32(&format!("grad.{}", param.name)));
            assert!(
                off < 1e-3,
                "{what}: the gradient of {} is {off} off",
                param.name
            );
            let off = relative_difference(&values(&again[&param.name]), &found);
            assert!(
                off < 1e-5,
                "{what}: checkpointing changes {} by {off}",
                param.name
            );
            compared += 1;
        }
        let held = golden
            .names()
            .into_iter()
            .filter(|it| it.starts_with("grad."));
        assert_eq!(compared, held.count(), "{what}");
    });
}

#[test]
fn steps_have_trls_losses_norms_and_rewards() {
    each_case(|mut decoder, _, preference, golden, what| {
        decoder
            .load_adapter(&data().join("preference/adapter"))
            .unwrap();
        decoder.train_adapter();
        let section = TrainSection {
            max_grad_norm: 1.0,
            ..TrainSection::default()
        };
        let mut optimizer = Optimizer::new(&section, 1.0);
        let samples = samples(preference.objective);
        let reference = answer_logprobs(&decoder, &samples, 8, &mut |_| {});
        let batches = batches(&samples, preference.objective, 2);
        assert_eq!(batches.len(), golden.f64("train.loss").len());
        for (step, it) in batches.iter().enumerate() {
            let what = format!("{what}, step {step}");
            let (sums, gradients) = judge(&decoder, preference, it, &reference, false);
            let norm = f64::from(grad_norm(&gradients).unwrap().into_scalar::<f32>());
            let clip = clip_factor(norm, section.max_grad_norm);
            optimizer.step(decoder.trainable_mut(), gradients, 1e-2, clip);
            let want = |key: &str| Some(golden.f64(&format!("train.{key}"))[step]);
            assert_near(&what, sums.loss, want("loss").unwrap(), 1e-4);
            assert_near(
                &format!("{what}: norm"),
                norm,
                want("grad_norm").unwrap(),
                1e-3,
            );
            assert_rewards(&what, &sums, want);
        }
    });
}
