//! Divergences of heads against TRL and torch (`tests/goldens/data/distillation.safetensors`, `../shared/fixtures/distill`).

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
use slm_ops::{
    Divergence, HeadShape, Rest, Teacher, TokenSums, TokenWeights, TopTokens, linear_cross_entropy,
    linear_kl, linear_kl_sums,
};
use slm_testkit::{Golden, assert_close, shared};

const KINDS: [(&str, Divergence); 6] = [
    ("forward_kl", Divergence::ForwardKl),
    ("reverse_kl", Divergence::ReverseKl),
    ("jsd_0.1", Divergence::JensenShannon { beta: 0.1 }),
    ("jsd_0.5", Divergence::JensenShannon { beta: 0.5 }),
    ("jsd_0.9", Divergence::JensenShannon { beta: 0.9 }),
    ("total_variation", Divergence::TotalVariation),
];

fn matrix(golden: &Golden, name: &str, device: &Device) -> Tensor<2> {
    let (values, shape) = (golden.f32(name), golden.shape(name));
    let columns = shape[shape.len() - 1];
    let data = TensorData::new(values, [shape.iter().product::<usize>() / columns, columns]);
    Tensor::from_data(data, (device, DType::F32))
}

fn ids(golden: &Golden, name: &str, device: &Device) -> Tensor<2, Int> {
    let shape = [golden.shape(name)[0], golden.shape(name)[1]];
    Tensor::from_data(TensorData::new(golden.i64(name), shape), device)
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
fn in_both_versions(check: impl Fn(&Device)) {
    for device in devices() {
        let before = taken();
        check(&device);
        assert!(taken() > before, "nothing was done fused");
        let before = taken();
        portable(|| check(&device));
        assert_eq!(taken(), before, "the portable version is not fused");
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.cast(DType::F32).into_data();
    data.try_into_vec().unwrap()
}

/// As [`assert_close`], of values that may all be next to nothing: their scale is `floor` at least.
fn assert_within(what: &str, got: &[f32], want: &[f32], (tolerance, floor): (f32, f32)) {
    let largest = want.iter().fold(floor, |max, x| max.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let is_close = (g - w).abs() <= tolerance * largest;
        assert!(is_close, "{what}[{i}]: {g} is not {w} (largest {largest})");
    }
}

/// What a loss says, and what flows back from it.
struct Traced {
    sums: TokenSums,
    gradients: [Vec<f32>; 2],
}

/// The student's `[hidden, head]` against a teacher.
fn traced(
    student: [Tensor<2>; 2],
    teacher: &Teacher,
    weights: &TokenWeights,
    shape: &HeadShape,
    (divergence, temperature): (Divergence, f64),
) -> Traced {
    let leaves = student.map(|x| x.autodiff().require_grad());
    let [hidden, head] = leaves.clone();
    let found = linear_kl(
        hidden.clone(),
        head.clone(),
        teacher,
        weights,
        shape,
        divergence,
        temperature,
    );
    let sums = found.sums.read();
    let alone = linear_kl_sums(hidden, head, teacher, shape, divergence, temperature);
    assert_eq!(alone.read(), sums, "with and without gradients");
    let gradients = found.surrogate.backward();
    Traced {
        sums,
        gradients: leaves.map(|leaf| values(leaf.grad(&gradients).unwrap())),
    }
}

#[test]
fn divergences_equal_those_of_trl() {
    in_both_versions(|device| {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
        let golden = Golden::open(&data.join("distillation.safetensors"));
        for case in ["plain", "tempered", "shaped", "sharp"] {
            check_case(&golden, case, device);
        }
    });
}

fn check_case(golden: &Golden, case: &str, device: &Device) {
    let [temperature, scale, cap, teacher_scale, teacher_cap] =
        golden.f64(&format!("{case}.case"))[..]
    else {
        panic!("`{case}.case` has five numbers");
    };
    let shape = |scale, cap| HeadShape {
        scale,
        softcap: (cap > 0.0).then_some(cap),
    };
    let student = ["hidden", "head"].map(|name| matrix(golden, name, device));
    let shape_of_teacher = shape(teacher_scale, teacher_cap);
    let live = Teacher::Live {
        hidden: matrix(golden, "teacher_hidden", device),
        head: matrix(golden, "teacher_head", device),
        shape: shape_of_teacher,
    };
    let cached = |rest| {
        Teacher::Cached(TopTokens {
            ids: ids(golden, &format!("{case}.ids"), device),
            logprobs: matrix(golden, &format!("{case}.logprobs"), device),
            rest,
        })
    };
    let rest = golden.f32(&format!("{case}.rest"));
    let rest = Rest::Bucket(Tensor::from_floats(&rest[..], device));
    let mut checks = vec![("dropped.".to_string(), cached(Rest::Dropped), &KINDS[..1])];
    checks.push((String::new(), live, &KINDS));
    checks.push(("bucket.".into(), cached(rest), &KINDS));
    checks.push(("renormalised.".into(), cached(Rest::Renormalised), &KINDS));

    let weights = Tensor::from_floats(&golden.f32("weights")[..], device);
    let weights = TokenWeights::Each(weights);
    // Where logits are hundreds, they are rounded to 1e-5, and gradients are their differences.
    let (tolerance, floor) = if case == "sharp" {
        (1e-3, 1e-2)
    } else {
        (1e-5, 0.0)
    };
    for (of, teacher, kinds) in &checks {
        for (kind, divergence) in *kinds {
            let what = format!("{case}.{of}{kind}");
            let measure = (*divergence, temperature);
            let found = traced(
                student.clone(),
                teacher,
                &weights,
                &shape(scale, cap),
                measure,
            );
            let want = golden.f64(&format!("{what}.value"))[0];
            let entropy = golden.f64(&format!("{case}.entropy"))[0];
            let agreeing = golden.i64(&format!("{case}.agreeing"))[0];
            assert!(
                (found.sums.entropy - entropy).abs() < 1e-5,
                "{what}: entropy"
            );
            assert_eq!(found.sums.correct, agreeing as f64, "{what}: agreement");
            let off = (found.sums.loss - want).abs() / want;
            assert!(off < 2e-6, "{what}: {} is not {want}", found.sums.loss);
            for (name, got) in ["hidden_grad", "head_grad"].iter().zip(&found.gradients) {
                let want = golden.f32(&format!("{what}.{name}"));
                assert_within(&format!("{what}: {name}"), got, &want, (tolerance, floor));
            }
        }
    }
}

/// Identity, as a head: logits are states.
fn identity(n: usize, device: &Device) -> Tensor<2> {
    Tensor::eye(n, device)
}

#[test]
fn divergences_equal_the_shared_ones() {
    let Some(folder) = shared("fixtures/distill", 24) else {
        return;
    };
    let golden = Golden::open(&folder.join("distill.safetensors"));
    in_both_versions(|device| {
        check_shared(&golden, device);
        check_trl_values(&golden, device);
    });
}

/// The positions that are learned.
fn learned(golden: &Golden) -> Vec<i64> {
    let labels = golden.i64("labels");
    let places = labels.iter().enumerate();
    let places = places.filter(|(_, label)| **label != -100);
    places.map(|(i, _)| i as i64).collect()
}

/// Student's and teacher's logits at the positions that are learned.
fn learned_logits(golden: &Golden, device: &Device) -> [Tensor<2>; 2] {
    let places = Tensor::<1, Int>::from_ints(&learned(golden)[..], device);
    ["student_logits", "teacher_logits"]
        .map(|name| matrix(golden, name, device).select(0, places.clone()))
}

fn live(logits: Tensor<2>) -> Teacher {
    let [_, vocab] = logits.dims();
    Teacher::Live {
        head: identity(vocab, &logits.device()),
        hidden: logits,
        shape: HeadShape::default(),
    }
}

fn top8(logits: Tensor<2>, rest: &str) -> Teacher {
    let logprobs = burn::tensor::activation::log_softmax(logits, 1);
    let (top, ids) = logprobs.topk_with_indices(8, 1);
    let rest = match rest {
        "topk8_kl" => Rest::Dropped,
        "topk8_kl_renorm" => Rest::Renormalised,
        _ => {
            let mass = top.clone().exp().sum_dim(1).neg();
            Rest::Bucket(mass.log1p().flatten(0, 1))
        }
    };
    Teacher::Cached(TopTokens {
        ids,
        logprobs: top,
        rest,
    })
}

fn check_shared(golden: &Golden, device: &Device) {
    let [student, teacher] = learned_logits(golden, device);
    let [n, vocab] = student.dims();
    let forward = Divergence::ForwardKl;
    let mut checks = vec![
        ("forward_kl_T2", live(teacher.clone()), (forward, 2.0), 1.0),
        (
            "reverse_kl_T2",
            live(teacher.clone()),
            (Divergence::ReverseKl, 2.0),
            1.0,
        ),
        ("kd_T2", live(teacher.clone()), (forward, 2.0), 4.0),
    ];
    for (name, divergence) in &KINDS[..5] {
        checks.push((name, live(teacher.clone()), (*divergence, 1.0), 1.0));
    }
    for name in ["topk8_kl", "topk8_kl_renorm", "topk8_kl_tail"] {
        checks.push((name, top8(teacher.clone(), name), (forward, 1.0), 1.0));
    }
    for (name, teacher, measure, factor) in checks {
        let weights = TokenWeights::Same(factor / n as f64);
        let student = [student.clone(), identity(vocab, device)];
        let found = traced(student, &teacher, &weights, &HeadShape::default(), measure);
        let (loss, want) = (
            factor * found.sums.loss / n as f64,
            golden.f64(&format!("{name}.value"))[0],
        );
        assert!(
            (loss - want).abs() < 2e-6 * want,
            "{name}: {loss} is not {want}"
        );
        check_gradient(golden, name, &found.gradients[0]);
    }

    // A share of the labels' cross entropy is a matter of weights, and of adding up.
    let leaf = student.autodiff().require_grad();
    let (head, shape) = (identity(vocab, device), HeadShape::default());
    let labels: Vec<i64> = golden
        .i64("labels")
        .into_iter()
        .filter(|l| *l != -100)
        .collect();
    let labels = Tensor::<1, Int>::from_ints(&labels[..], device);
    let weights = TokenWeights::Same(0.5 / n as f64);
    let task = linear_cross_entropy(leaf.clone(), head.clone(), labels, &weights, &shape, 0.0);
    let weights = TokenWeights::Same(0.5 * 4.0 / n as f64);
    let kd = linear_kl(
        leaf.clone(),
        head,
        &live(teacher),
        &weights,
        &shape,
        forward,
        2.0,
    );
    let loss = (0.5 * task.sums.read().loss + 0.5 * 4.0 * kd.sums.read().loss) / n as f64;
    let want = golden.f64("kd_T2_half_ce.value")[0];
    assert!(
        (loss - want).abs() < 2e-6 * want,
        "kd_T2_half_ce: {loss} is not {want}"
    );
    let gradients = task.surrogate.add(kd.surrogate).backward();
    check_gradient(
        golden,
        "kd_T2_half_ce",
        &values(leaf.grad(&gradients).unwrap()),
    );
}

/// Of the learned positions; at the others the golden is 0.
fn check_gradient(golden: &Golden, name: &str, got: &[f32]) {
    let want = golden.f32(&format!("{name}.grad"));
    let vocab = got.len() / learned(golden).len();
    let rows = learned(golden).into_iter().map(|i| i as usize * vocab);
    let want: Vec<f32> = rows.flat_map(|i| want[i..][..vocab].to_vec()).collect();
    assert_close(name, got, &want, 3e-6);
}

/// TRL's own function, whose ends are forward and reverse KL.
fn check_trl_values(golden: &Golden, device: &Device) {
    let [student, teacher] = learned_logits(golden, device);
    let [n, vocab] = student.dims();
    for beta in [0.0, 0.1, 0.5, 0.9, 1.0] {
        for temperature in [1.0, 2.0] {
            let sums = linear_kl_sums(
                student.clone(),
                identity(vocab, device),
                &live(teacher.clone()),
                &HeadShape::default(),
                Divergence::JensenShannon { beta },
                temperature,
            );
            let got = sums.read().loss / n as f64;
            let name = format!("trl_gkd.beta{beta:?}.T{temperature:?}.value");
            let want = golden.f64(&name)[0];
            assert!(
                (got - want).abs() < 2e-6 * want,
                "{name}: {got} is not {want}"
            );
        }
    }
}

/// Values from -1 to 1, those of `seed`.
fn noise(shape: [usize; 2], seed: u64, (device, dtype): (&Device, DType)) -> Tensor<2> {
    let word = |i: u64| slm_ops::noise::mix(i ^ slm_ops::noise::mix(seed));
    let values: Vec<f32> = (0..(shape[0] * shape[1]) as u64)
        .map(|i| (word(i) >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        .collect();
    Tensor::<2>::from_data(TensorData::new(values, shape), device).cast(dtype)
}

/// A student and its live teacher.
fn pair(n: usize, vocab: usize, place: (&Device, DType)) -> ([Tensor<2>; 2], Teacher) {
    let student = [
        noise([n, 24], 1, place).mul_scalar(2.0),
        noise([vocab, 24], 2, place),
    ];
    let shape = HeadShape {
        scale: 1.3,
        softcap: Some(9.0),
    };
    let teacher = Teacher::Live {
        hidden: noise([n, 40], 3, place).mul_scalar(2.0),
        head: noise([vocab, 40], 4, place),
        shape,
    };
    (student, teacher)
}

/// A cache of everything that the teacher of [`pair`] says.
fn cache(teacher: &Teacher, temperature: f64, vocab: usize, rest: Rest) -> Teacher {
    let Teacher::Live {
        hidden,
        head,
        shape,
    } = teacher
    else {
        panic!("the teacher is live");
    };
    let logits = shape.logits(hidden.clone(), head.clone());
    let logprobs = burn::tensor::activation::log_softmax(logits.div_scalar(temperature), 1);
    let (logprobs, ids) = logprobs.topk_with_indices(vocab, 1);
    Teacher::Cached(TopTokens {
        ids,
        logprobs,
        rest,
    })
}

fn weights(n: usize, device: &Device) -> TokenWeights {
    let weights = noise([1, n], 5, (device, DType::F32));
    TokenWeights::Each(weights.flatten(0, 1))
}

#[test]
fn fused_equals_portable() {
    let mut places = vec![(Device::flex(), DType::F32, 1e-5)];
    if cfg!(feature = "libtorch") {
        let libtorch = devices().pop().unwrap();
        places.push((libtorch.clone(), DType::F32, 1e-5));
        // Gradients of logits are rounded to bf16 before or after weights.
        places.push((libtorch, DType::BF16, 2e-2));
    }
    for (device, dtype, tolerance) in &places {
        for [n, vocab] in [[1, 3], [5, 37], [70, 301]] {
            let (student, live) = pair(n, vocab, (device, *dtype));
            let k = vocab.min(9) - 1;
            let teachers = [
                cache(&live, 1.7, k, Rest::Renormalised),
                cache(&live, 1.7, k, Rest::Bucket(Tensor::full([n], -3.0, device))),
                live,
            ];
            for (teacher, (kind, divergence)) in teachers
                .iter()
                .flat_map(|teacher| KINDS.map(|kind| (teacher, kind)))
            {
                let run = || {
                    let shape = HeadShape {
                        scale: 0.7,
                        softcap: Some(7.0),
                    };
                    let weights = weights(n, device);
                    traced(
                        student.clone(),
                        teacher,
                        &weights,
                        &shape,
                        (divergence, 1.7),
                    )
                };
                let before = taken();
                let fused = run();
                // The loss, and the sums without gradients.
                assert_eq!(taken() - before, 2, "fused operations");
                let plain = portable(run);
                let off = (fused.sums.loss - plain.sums.loss).abs();
                assert!(
                    (fused.sums.entropy - plain.sums.entropy).abs() < 1e-3,
                    "{kind}"
                );
                assert_eq!(fused.sums.correct, plain.sums.correct, "{kind}");
                assert!(off <= 1e-5 * plain.sums.loss.abs() + 1e-6, "{kind}: {off}");
                for (fused, plain) in fused.gradients.iter().zip(&plain.gradients) {
                    assert_within(kind, fused, plain, (*tolerance, 1e-2));
                }
            }
        }
    }
}

/// Its logits are not rounded, on a processor in Rust, and a student in f32 beside it is compared by loops.
#[test]
fn a_teacher_in_16_bits_is_multiplied_in_f32_on_flex() {
    let device = Device::flex();
    let (student, live) = pair(9, 40, (&device, DType::F32));
    let Teacher::Live {
        hidden,
        head,
        shape,
    } = live
    else {
        panic!("the teacher is live");
    };
    let run = |dtypes: [DType; 2]| {
        let rounded = |it: &Tensor<2>| {
            let it = it.clone().cast(dtypes[0]);
            it.cast(dtypes[1])
        };
        let teacher = Teacher::Live {
            hidden: rounded(&hidden),
            head: rounded(&head),
            shape,
        };
        let (weights, own) = (weights(9, &device), HeadShape::default());
        let before = taken();
        let found = traced(
            student.clone(),
            &teacher,
            &weights,
            &own,
            (Divergence::ForwardKl, 1.5),
        );
        assert_eq!(taken() - before, 2, "fused operations");
        found
    };
    let (kept, exact) = (
        run([DType::BF16, DType::BF16]),
        run([DType::BF16, DType::F32]),
    );
    assert_eq!(kept.sums, exact.sums);
    assert_eq!(kept.gradients, exact.gradients);
    assert_ne!(kept.sums, run([DType::F32, DType::F32]).sums);
}

/// A cache of the whole vocabulary is the teacher.
#[test]
fn a_full_cache_equals_the_live_teacher() {
    in_both_versions(|device| {
        let (student, live) = pair(6, 50, (device, DType::F32));
        let weights = weights(6, device);
        let nothing = Tensor::full([6], f64::NEG_INFINITY, device);
        for rest in [Rest::Renormalised, Rest::Bucket(nothing)] {
            let cached = cache(&live, 2.0, 50, rest);
            for (kind, divergence) in KINDS {
                let [live, cached] = [&live, &cached].map(|teacher| {
                    let shape = HeadShape::default();
                    traced(
                        student.clone(),
                        teacher,
                        &weights,
                        &shape,
                        (divergence, 2.0),
                    )
                });
                assert!((live.sums.loss - cached.sums.loss).abs() < 1e-5, "{kind}");
                for (got, want) in cached.gradients.iter().zip(&live.gradients) {
                    assert_close(kind, got, want, 1e-5);
                }
            }
        }
    });
}

/// Five tokens of a vocabulary so large that two fill the logits that are held at a time.
#[test]
fn what_does_not_fit_at_once_is_taken_in_parts() {
    in_both_versions(check_parts);
}

fn check_parts(device: &Device) {
    let vocab = slm_ops::loss::LOGITS_AT_ONCE / 5 * 2;
    let place = (device, DType::F32);
    let heads = [2, 1].map(|d| noise([vocab, d], d as u64, place));
    let states = [2, 1].map(|d| noise([5, d], 7 + d as u64, place).mul_scalar(3.0));
    let of = |start: usize, n: usize| {
        let [hidden, of_teacher] = states.clone().map(|x| x.narrow(0, start, n));
        let teacher = Teacher::Live {
            hidden: of_teacher,
            head: heads[1].clone(),
            shape: HeadShape::default(),
        };
        let leaf = hidden.autodiff().require_grad();
        let found = linear_kl(
            leaf.clone(),
            heads[0].clone(),
            &teacher,
            &TokenWeights::Same(1.0),
            &HeadShape::default(),
            Divergence::ReverseKl,
            1.0,
        );
        let gradients = found.surrogate.backward();
        (found.sums.read(), values(leaf.grad(&gradients).unwrap()))
    };
    let (sums, gradient) = of(0, 5);
    let alone: Vec<_> = (0..5).map(|i| of(i, 1)).collect();
    let one_by_one: Vec<f32> = alone.iter().flat_map(|(_, g)| g.clone()).collect();
    // Millions of terms that nearly cancel are added in f32.
    assert_close("gradients", &gradient, &one_by_one, 1e-2);
    let total: slm_ops::TokenSums = alone.iter().map(|(sums, _)| *sums).sum();
    assert!(
        (sums.loss - total.loss).abs() < 1e-4 * total.loss,
        "{sums:?} is not {total:?}"
    );
}
