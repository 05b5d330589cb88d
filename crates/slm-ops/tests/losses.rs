//! The head and its loss against torch and transformers (`tests/goldens/data/losses.safetensors`).

#![cfg_attr(
    feature = "libtorch",
    expect(
        deprecated,
        reason = "burn-tch is the GPU backend for as long as burn has it"
    )
)]

use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use slm_ops::fused::{portable, taken};
use slm_ops::{HeadShape, TokenWeights, linear_cross_entropy, linear_nll, token_scores};
use slm_testkit::{Golden, assert_close};

const CASES: [&str; 5] = ["plain", "smoothed", "granite", "gemma2", "all"];

fn golden() -> Golden {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
    Golden::open(&data.join("losses.safetensors"))
}

fn matrix(golden: &Golden, name: &str, device: &Device) -> Tensor<2> {
    let (values, shape) = (golden.f32(name), golden.shape(name));
    let data = TensorData::new(values, [shape[0], shape[1]]);
    Tensor::from_data(data, (device, DType::F32))
}

fn targets(golden: &Golden, device: &Device) -> Tensor<1, Int> {
    let targets = golden.i64("targets");
    Tensor::from_data(TensorData::from(&targets[..]), device)
}

/// The shape and the label smoothing of a case.
fn case(golden: &Golden, name: &str) -> (HeadShape, f64) {
    let [scale, cap, smoothing] = golden.f64(&format!("{name}.case"))[..] else {
        panic!("`{name}.case` has three numbers");
    };
    let softcap = (cap > 0.0).then_some(cap);
    (HeadShape { scale, softcap }, smoothing)
}

fn devices() -> Vec<Device> {
    [
        Some(Device::flex()),
        #[cfg(feature = "libtorch")]
        Some(Device::libtorch()),
        #[cfg(feature = "libtorch")]
        tch::Cuda::is_available().then(|| Device::libtorch_cuda(0usize)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Does `check` fused, which takes place, and with the portable version, on each device.
fn in_both_versions(check: fn(&Device)) {
    for device in devices() {
        let before = taken();
        check(&device);
        assert!(taken() > before, "nothing was done fused");
        portable(|| check(&device));
    }
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

#[test]
fn losses_and_gradients_equal_those_of_transformers() {
    in_both_versions(check_losses);
}

fn check_losses(device: &Device) {
    let golden = golden();
    let weights = golden.f32("weights");
    let each = Tensor::<1>::from_floats(&weights[..], device);
    for name in CASES {
        let (shape, smoothing) = case(&golden, name);
        for (kind, weights, smoothing) in [
            ("mean", TokenWeights::Same(1.0 / 6.0), smoothing),
            ("weighted", TokenWeights::Each(each.clone()), 0.0),
        ] {
            let [hidden, head] = ["hidden", "head"].map(|name| {
                let leaf = matrix(&golden, name, device).autodiff();
                leaf.require_grad()
            });
            let found = linear_cross_entropy(
                hidden.clone(),
                head.clone(),
                targets(&golden, device),
                &weights,
                &shape,
                smoothing,
            );
            let gradients = found.surrogate.backward();
            if kind == "mean" {
                let mean = (found.sums.read().loss / 6.0) as f32;
                let want = golden.f32(&format!("{name}.loss"));
                assert_close(&format!("{name}: loss"), &[mean], &want, 1e-6);
            }
            for (what, leaf) in [("hidden", &hidden), ("head", &head)] {
                let got = leaf.grad(&gradients).unwrap().flatten::<1>(0, 1);
                let want = golden.f32(&format!("{name}.{kind}.{what}_grad"));
                assert_close(&format!("{name}: {kind} {what}"), &values(got), &want, 1e-6);
            }
        }
    }
}

#[test]
fn scores_and_entropies_equal_those_of_torch() {
    in_both_versions(check_scores);
}

fn check_scores(device: &Device) {
    let golden = golden();
    let (hidden, head) = (
        matrix(&golden, "hidden", device),
        matrix(&golden, "head", device),
    );
    for name in CASES {
        let (shape, _) = case(&golden, name);
        let scores = token_scores(
            hidden.clone(),
            head.clone(),
            targets(&golden, device),
            &shape,
        );
        let want = golden.f32(&format!("{name}.logprobs"));
        assert_close(name, &values(scores.logprobs), &want, 2e-6);
        let greedy: Vec<i64> = scores.greedy.int().into_data().iter().collect();
        assert_eq!(greedy, golden.i64(&format!("{name}.greedy")), "{name}");

        let sums = linear_nll(
            hidden.clone(),
            head.clone(),
            targets(&golden, device),
            &shape,
        )
        .read();
        let entropy: f32 = golden.f32(&format!("{name}.entropy")).iter().sum();
        assert_close(name, &[sums.entropy as f32], &[entropy], 1e-5);
        assert_eq!(sums.correct, greedy.iter().sum::<i64>() as f64, "{name}");
    }
}

/// Five tokens of a vocabulary so large that one or two fill the logits that are held at a time.
#[test]
fn what_does_not_fit_at_once_is_taken_in_parts() {
    in_both_versions(check_parts);
}

fn check_parts(device: &Device) {
    let vocab = slm_ops::loss::LOGITS_AT_ONCE / 5 * 4;
    let weights: Vec<f32> = (0..vocab)
        .map(|i| (i % 1000) as f32 / 500.0 - 1.0)
        .collect();
    let head = Tensor::<2>::from_data(TensorData::new(weights, [vocab, 1]), device);
    let states = [0.5f32, -1.0, 2.0, 0.0, 1.5];
    let ids = [7i32, 0, vocab as i32 - 1, 12_345, 999];
    let of = |range: std::ops::Range<usize>| {
        let n = range.len();
        let data = TensorData::new(states[range.clone()].to_vec(), [n, 1]);
        let hidden = Tensor::<2>::from_data(data, device)
            .autodiff()
            .require_grad();
        let targets = Tensor::<1, Int>::from_ints(&ids[range.clone()], device);
        let each = Tensor::<1>::from_floats(&[1.0f32, 2.0, 3.0, 4.0, 5.0][range], device);
        let weights = TokenWeights::Each(each);
        let shape = HeadShape::default();
        let found =
            linear_cross_entropy(hidden.clone(), head.clone(), targets, &weights, &shape, 0.0);
        let gradient = hidden.grad(&found.surrogate.backward()).unwrap();
        (found.sums.read(), values(gradient.flatten::<1>(0, 1)))
    };
    let (sums, gradient) = of(0..5);
    let alone: Vec<_> = (0..5).map(|i| of(i..i + 1)).collect();
    let one_by_one: Vec<f32> = alone
        .iter()
        .flat_map(|(_, gradient)| gradient.clone())
        .collect();
    // Of libtorch, BLAS adds these millions of products one after the other, in f32.
    let tolerance = match *device == Device::flex() {
        true => 1e-5,
        false => 2e-2,
    };
    assert_close("gradients", &gradient, &one_by_one, tolerance);
    let total: slm_ops::TokenSums = alone.iter().map(|(sums, _)| *sums).sum();
    assert!(
        (sums.loss - total.loss).abs() < 1e-3,
        "{sums:?} is not {total:?}"
    );
    assert_eq!(sums.correct, total.correct);
}
