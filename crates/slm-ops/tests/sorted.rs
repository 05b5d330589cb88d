//! Sorted probabilities against PyTorch and TRL (`tests/goldens/data/uld.safetensors`), in both versions on every device.

#![cfg_attr(
    feature = "libtorch",
    expect(
        deprecated,
        reason = "burn-tch is the GPU backend for as long as burn has it"
    )
)]

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use slm_ops::fused::portable;
use slm_ops::{ForeignTeacher, HeadShape, TokenSums, TokenWeights, linear_uld};
use slm_testkit::{Golden, assert_close};

fn devices() -> Vec<Device> {
    [
        Some(Device::flex()),
        #[cfg(feature = "libtorch")]
        Some(Device::libtorch()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn matrix(golden: &Golden, name: &str, device: &Device) -> Tensor<2> {
    let (values, shape) = (golden.f32(name), golden.shape(name));
    let data = TensorData::new(values, [shape[0], shape[1]]);
    Tensor::from_data(data, (device, DType::F32))
}

fn shape(scale: f64, cap: f64) -> HeadShape {
    HeadShape {
        scale,
        softcap: (cap > 0.0).then_some(cap),
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Sums, and the gradients of states and head.
fn traced(
    [hidden, head]: [Tensor<2>; 2],
    teacher: &ForeignTeacher,
    weights: &TokenWeights,
    shape: &HeadShape,
    temperature: f64,
) -> (TokenSums, [Vec<f32>; 2]) {
    let leaves = [hidden, head].map(|it| it.autodiff().require_grad());
    let [hidden, head] = leaves.clone();
    let found = linear_uld(hidden, head, teacher, weights, shape, temperature);
    let gradients = found.surrogate.backward();
    let gradients = leaves.map(|leaf| values(leaf.grad(&gradients).unwrap()));
    (found.sums.read(), gradients)
}

fn check(golden: &Golden, case: &str, device: &Device) {
    let numbers = golden.f64(&format!("{case}.case"));
    let [temperature, scale, cap, teacher_scale, teacher_cap] = numbers[..] else {
        panic!("{numbers:?}");
    };
    let take = |name: &str| matrix(golden, &format!("{case}.{name}"), device);
    let teacher = ForeignTeacher {
        hidden: take("teacher_hidden"),
        head: take("teacher_head"),
        shape: shape(teacher_scale, teacher_cap),
    };
    let weights = golden.f32(&format!("{case}.weights"));
    let weights = TokenWeights::Each(Tensor::from_floats(&weights[..], device));
    let student = [take("hidden"), take("head")];
    let (sums, gradients) = traced(student, &teacher, &weights, &shape(scale, cap), temperature);
    for (name, found) in [("value", sums.loss), ("entropy", sums.entropy)] {
        let want = golden.f64(&format!("{case}.{name}"))[0];
        assert!(
            (found - want).abs() < 5e-6 * want,
            "{case}: {name} {found} is not {want}"
        );
    }
    assert!(sums.correct.is_nan(), "{case}");
    for (name, got) in ["hidden_grad", "head_grad"].iter().zip(&gradients) {
        let want = golden.f32(&format!("{case}.{name}"));
        assert_close(&format!("{case}: {name}"), got, &want, 1e-5);
    }
}

#[test]
fn distances_and_gradients_equal_pytorchs() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data/uld.safetensors");
    let golden = Golden::open(&path);
    for device in devices() {
        for case in ["larger", "smaller", "tempered", "shaped"] {
            check(&golden, case, &device);
            portable(|| check(&golden, case, &device));
        }
    }
}

/// Five positions of vocabularies of which the teacher's is so large that one fills the logits that are held at a time.
#[test]
fn what_does_not_fit_at_once_is_taken_in_parts() {
    let device = Device::flex();
    let vocab = slm_ops::loss::LOGITS_AT_ONCE / 5 * 4;
    let noise = |rows: usize, width: usize, seed: u64| {
        let value = |i: u64| {
            let word = slm_ops::noise::mix(i ^ slm_ops::noise::mix(seed));
            (word >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let values: Vec<f32> = (0..(rows * width) as u64).map(value).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), &device)
    };
    let (student, head) = (noise(5, 2, 1), noise(40, 2, 2));
    let (of_teacher, teacher_head) = (noise(5, 1, 3).mul_scalar(3.0), noise(vocab, 1, 4));
    let of = |start: usize, n: usize| {
        let teacher = ForeignTeacher {
            hidden: of_teacher.clone().narrow(0, start, n),
            head: teacher_head.clone(),
            shape: HeadShape::default(),
        };
        let states = [student.clone().narrow(0, start, n), head.clone()];
        let weights = TokenWeights::Same(1.0);
        traced(states, &teacher, &weights, &HeadShape::default(), 1.0)
    };
    let (sums, [gradient, _]) = of(0, 5);
    let alone: Vec<_> = (0..5).map(|i| of(i, 1)).collect();
    let one_by_one: Vec<f32> = alone.iter().flat_map(|(_, [g, _])| g.clone()).collect();
    assert_close("gradients", &gradient, &one_by_one, 1e-6);
    let total: f64 = alone.iter().map(|(sums, _)| sums.loss).sum();
    assert!((sums.loss - total).abs() < 1e-6 * total);
}
