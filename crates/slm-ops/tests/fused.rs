//! Fused operations and portable ones: the same values and the same gradients.

#![cfg_attr(
    feature = "libtorch",
    expect(
        deprecated,
        reason = "burn-tch is the GPU backend for as long as burn has it"
    )
)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use slm_ops::fused::{portable, taken};
use slm_ops::{
    Activation, Adapter, Dropout, HeadsShape, Linear, NormBefore, QuantScheme, Quantizer,
    RmsWeight, RotaryTable, Scores, Sight, Weight, attention, feed_forward, gated, gated_linear,
    lora_linear, rms_norm, rotary, self_attention,
};

/// Values from -1 to 1, those of `seed`.
fn values(n: usize, seed: u64) -> Vec<f32> {
    let word = |i: u64| slm_ops::noise::mix(i ^ slm_ops::noise::mix(seed));
    (0..n as u64)
        .map(|i| (word(i) >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        .collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let data = TensorData::new(values(shape.iter().product(), seed), shape);
    Tensor::from_data(data, &Device::flex())
}

/// A device, a dtype, and how far apart values may be there, as a share of the largest.
type Place = (Device, DType, f32);

/// Where there are fused versions: a GPU is one where there is one.
fn places() -> Vec<Place> {
    let flex = (Device::flex(), DType::F32, 3e-6);
    std::iter::once(flex).chain(places_of_torch()).collect()
}

#[cfg(not(feature = "libtorch"))]
fn places_of_torch() -> Vec<Place> {
    Vec::new()
}

/// In 16 bits, gradients are rounded more often by the portable version.
#[cfg(feature = "libtorch")]
fn places_of_torch() -> Vec<Place> {
    let mut places = vec![
        (Device::libtorch(), DType::F32, 3e-6),
        (Device::libtorch(), DType::BF16, 1.5e-2),
    ];
    if tch::Cuda::is_available() {
        let tolerances = [
            (DType::F32, 1e-5),
            (DType::BF16, 1.5e-2),
            (DType::F16, 2e-3),
        ];
        let gpu = |(dtype, tolerance)| (Device::libtorch_cuda(0usize), dtype, tolerance);
        places.extend(tolerances.map(gpu));
    }
    places
}

/// [`places`] for operations of many: they round as often as those together.
fn places_of_halves() -> Vec<Place> {
    let wider = |(device, dtype, tolerance)| match dtype {
        DType::F32 => (device, dtype, tolerance),
        _ => (device, dtype, 2.0 * tolerance),
    };
    places().into_iter().map(wider).collect()
}

fn is_gpu(device: &Device) -> bool {
    format!("{device:?}").contains("Cuda")
}

/// The result of `f` and the gradients of its inputs, which are flat here.
fn traced(inputs: &[Tensor<1>], f: &dyn Fn(&[Tensor<1>]) -> Tensor<2>) -> Vec<Vec<f32>> {
    let leaves: Vec<Tensor<1>> = inputs
        .iter()
        .map(|input| input.clone().autodiff().require_grad())
        .collect();
    let y = f(&leaves);
    let pull = tensor(y.dims(), 99).to_device(&inputs[0].device());
    let pull = pull.cast(y.dtype());
    let grads = y.clone().mul(pull.autodiff()).sum().backward();
    let mut all = vec![flat(y.inner())];
    all.extend(leaves.iter().map(|leaf| flat(leaf.grad(&grads).unwrap())));
    all
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.cast(DType::F32).into_data();
    data.try_into_vec().unwrap()
}

/// Asks that `f` is done in `operations` fused operations, and does the same as in portable ones, with and without a graph.
fn assert_same(inputs: &[Tensor<1>], operations: usize, f: &dyn Fn(&[Tensor<1>]) -> Tensor<2>) {
    for place in &places() {
        assert_same_at(place, inputs, operations, f);
    }
}

fn assert_same_at(
    (device, dtype, tolerance): &Place,
    inputs: &[Tensor<1>],
    operations: usize,
    f: &dyn Fn(&[Tensor<1>]) -> Tensor<2>,
) {
    let inputs: Vec<Tensor<1>> = inputs
        .iter()
        .map(|input| input.clone().to_device(device).cast(*dtype))
        .collect();
    let inputs = &inputs;
    let before = taken();
    let fused = traced(inputs, f);
    assert_eq!(
        taken() - before,
        operations,
        "fused operations on {device:?} in {dtype:?}"
    );
    let plain = portable(|| traced(inputs, f));
    assert_eq!(taken() - before, operations, "none in the portable version");
    for (i, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
        let scale = plain.iter().fold(1.0f32, |max, x| max.max(x.abs()));
        assert_eq!(fused.len(), plain.len());
        for (j, (a, b)) in fused.iter().zip(plain).enumerate() {
            let off = (a - b).abs() / scale;
            let where_ = || format!("{device:?} in {dtype:?}, value {j} of {i}");
            assert!(off < *tolerance, "{}: {a} is not {b}", where_());
        }
    }
    if operations > 0 {
        let untracked = flat(f(inputs));
        assert_eq!(untracked, fused[0], "with and without a graph");
    }
}

#[test]
fn norms() {
    // The last is more than one task.
    for [rows, n] in [[1, 1], [3, 5], [7, 16], [5, 37], [300, 160]] {
        for kind in [
            RmsWeight::Rounded,
            RmsWeight::Exact,
            RmsWeight::ExactPlusOne,
        ] {
            let inputs = [tensor([rows * n], 1), tensor([n], 2)];
            assert_same(&inputs, 1, &|inputs| {
                let x = inputs[0].clone().reshape([rows, n]);
                rms_norm(x, inputs[1].clone().reshape([1, n]), kind, 1e-5)
            });
        }
    }
}

#[test]
fn gates() {
    for [rows, n] in [[1, 1], [3, 5], [7, 16], [300, 175]] {
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let inputs = [tensor([rows * n], 1), tensor([rows * n], 2)].map(|x| x.mul_scalar(6.0));
            assert_same(&inputs, 1, &|inputs| {
                let [gate, up] = [0, 1].map(|i| inputs[i].clone().reshape([rows, n]));
                gated(gate, up, activation)
            });
            // Both in one matrix.
            let joined = [tensor([rows * 2 * n], 1)];
            assert_same(&joined, 1, &|inputs| {
                let y = inputs[0].clone().reshape([rows, 2 * n]);
                let (gate, up) = (y.clone().narrow(1, 0, n), y.narrow(1, n, n));
                gated(gate, up, activation)
            });
        }
    }
}

/// Heads that lie position by position, as a projection leaves them.
fn heads(flat: &Tensor<1>, [batch, heads, time, dim]: [usize; 4]) -> Tensor<4> {
    let flat = flat.clone();
    flat.reshape([batch, time, heads, dim]).swap_dims(1, 2)
}

fn attended(
    inputs: &[Tensor<1>],
    [batch, n_heads, kv_heads, dim]: [usize; 4],
    sight: &Sight,
    softcap: Option<f64>,
) -> Tensor<2> {
    let [_, time, seen] = sight.dims();
    let q = heads(&inputs[0], [batch, n_heads, time, dim]);
    let [k, v] = [1, 2].map(|i| heads(&inputs[i], [batch, kv_heads, seen, dim]));
    let scale = 1.0 / (dim as f64).sqrt();
    let y = attention(q, k, v, sight, Scores { scale, softcap });
    y.swap_dims(1, 2).reshape([batch * time, n_heads * dim])
}

/// Queries each of which goes on from one of those before it, or from the cache.
fn forest([batch, time, seen]: [usize; 3]) -> Sight {
    let parent = |i: usize| (i % time).checked_sub(1 + i * 7 % 5);
    let parents = (0..batch * time).map(parent).collect();
    Sight::of_forest([batch, time, seen], parents, |row| 2 * row)
}

#[test]
fn attentions() {
    let packed = |row: usize, query: usize| [0, 3, 70][(query + row).min(99) / 40];
    let segments: Vec<i32> = (0..200).map(|i| 1 + i % 100 / 43).collect();
    let sights = [
        Sight::new([2, 5, 5], |_, _| 0),
        // A length that cuDNN is given on a GPU.
        Sight::new([2, 128, 128], |_, _| 0),
        Sight::new([1, 1, 9], |_, _| 0),
        Sight::new([1, 1, 9], |_, _| 2),
        Sight::new([2, 7, 12], |row, _| 4 * row),
        // More than a block, conversations one after the other, and a window.
        Sight::new([2, 100, 100], packed),
        Sight::of_segments(&segments, [2, 100]),
        Sight::new([1, 130, 130], |_, _| 0).within(20),
        Sight::of_segments(&segments, [2, 100]).within(8),
        // Branches after what is cached, more than a block of them, and with a window.
        forest([2, 90, 101]),
        forest([1, 9, 12]).within(3),
    ];
    let is_ragged = |sight: &Sight| sight.range(0, sight.dims()[1] - 1).start == 70;
    for (place, sight) in places()
        .iter()
        .flat_map(|place| sights.iter().map(move |sight| (place, sight)))
    {
        let [batch, time, seen] = sight.dims();
        // One of its own for each place.
        let sight = &sight.within(seen);
        for [n_heads, kv_heads, dim] in [[1, 1, 1], [4, 2, 6], [6, 2, 16], [3, 3, 8]] {
            for softcap in [None, Some(1.5)] {
                let inputs = [(n_heads, time), (kv_heads, seen), (kv_heads, seen)];
                let inputs = inputs.map(|(heads, time)| {
                    tensor([batch * heads * time * dim], (heads + time) as u64).mul_scalar(2.0)
                });
                let shape = [batch, n_heads, kv_heads, dim];
                let is_fused = match is_gpu(&place.0) {
                    false => softcap.is_none() || place.0 == Device::flex(),
                    // In f32 a triangle; in 16 bits whatever ends with the keys, or conversations.
                    true => {
                        let is_square = time == seen;
                        let is_seen = match place.1 {
                            DType::F32 => is_square && sight.is_causal(),
                            _ => sight.is_causal() || is_square && !is_ragged(sight),
                        };
                        is_seen && dim % 8 == 0 && softcap.is_none()
                    }
                };
                assert_same_at(place, &inputs, usize::from(is_fused), &|inputs| {
                    attended(inputs, shape, sight, softcap)
                });
            }
        }
    }
}

fn on<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(work)
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let inputs = [tensor([700 * 160], 1), tensor([160], 2)];
    let work = || {
        traced(&inputs, &|inputs| {
            let x = inputs[0].clone().reshape([700, 160]);
            let y = rms_norm(
                x.clone(),
                inputs[1].clone().reshape([1, 160]),
                RmsWeight::Rounded,
                1e-5,
            );
            gated(y, x, Activation::Silu)
        })
    };
    assert_eq!(on(1, work), on(3, work));
    let sight = Sight::new([2, 100, 100], |_, query| query / 30 * 30);
    let inputs = [6, 2, 2].map(|heads| tensor([2 * heads * 100 * 16], heads as u64));
    let work = || {
        traced(&inputs, &|inputs| {
            attended(inputs, [2, 6, 2, 16], &sight, None)
        })
    };
    assert_eq!(on(1, work), on(3, work));
}

#[test]
fn gates_of_large_values_stay_finite() {
    let x = Tensor::<2>::from_floats([[-1e4, -100.0, 100.0, 1e4]], &Device::flex());
    for activation in [Activation::Silu, Activation::GeluTanh] {
        let y = flat(gated(x.clone(), x.clone().ones_like(), activation));
        for (got, want) in y.iter().zip([0.0, 0.0, 100.0, 1e4]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }
}

#[test]
fn rotations() {
    // All channels, or some of them; the last is more than one task.
    for ([batch, heads, time, head_dim], half) in [
        ([1, 1, 1, 2], 1),
        ([2, 3, 5, 8], 4),
        ([2, 3, 5, 10], 3),
        ([3, 5, 70, 34], 17),
    ] {
        let positions: Vec<i32> = (0..batch * time).map(|i| (i * 7 % 31) as i32).collect();
        let frequencies: Vec<f32> = (0..half).map(|i| 0.7f32.powi(i)).collect();
        let table = |like: &Tensor<1>| {
            let device = like.device().inner();
            RotaryTable::new(&positions, [batch, time], &frequencies, 1.1, &device)
        };
        let n = batch * heads * time * head_dim;
        assert_same(&[tensor([n], 1)], 1, &|inputs| {
            let x = inputs[0].clone().reshape([batch, time, heads, head_dim]);
            let y = rotary(x.swap_dims(1, 2), &table(&inputs[0]));
            y.swap_dims(1, 2).reshape([batch * time, heads * head_dim])
        });
        assert_same(&[tensor([n], 1)], 1, &|inputs| {
            let x = inputs[0].clone().reshape([batch, heads, time, head_dim]);
            rotary(x, &table(&inputs[0])).reshape([batch * time, heads * head_dim])
        });
    }
}

const DROPOUT: Dropout = Dropout { p: 0.3, seed: 17 };

#[test]
fn adapted_layers() {
    let r = 4;
    // The last is more than one task.
    for [rows, columns, out] in [[1, 3, 5], [7, 16, 9], [130, 48, 80], [900, 48, 8]] {
        for (with_bias, in_integers, drops) in [
            (false, false, false),
            (true, false, true),
            (false, true, true),
            (true, true, false),
        ] {
            let inputs = [
                tensor([rows * columns], 1),
                tensor([r * columns], 2),
                tensor([out * r], 3),
                tensor([rows * columns], 6),
            ];
            let layer = |inputs: &[Tensor<1>]| {
                let (device, dtype) = (inputs[0].device().inner(), inputs[0].dtype());
                let frozen = |shape, seed| tensor::<2>(shape, seed).to_device(&device).cast(dtype);
                let adapter = Adapter {
                    a: inputs[1].clone().reshape([r, columns]).cast(DType::F32),
                    b: inputs[2].clone().reshape([out, r]).cast(DType::F32),
                    scale: 1.7,
                    dropout: drops.then_some(DROPOUT),
                    magnitude: None,
                };
                let quantizer = Quantizer::new(QuantScheme::Int8Products, &device, dtype);
                let codes = quantizer.quantize(&values(out * columns, 4), [out, columns]);
                let weight = match in_integers {
                    true => Weight::Quantized(codes),
                    false => frozen([out, columns], 4).into(),
                };
                let bias = with_bias.then(|| frozen([1, out], 5));
                let x = inputs[0].clone().reshape([rows, columns]);
                match inputs.get(3) {
                    None => lora_linear(x, &weight, bias, Some(adapter)),
                    Some(up) => {
                        let up = up.clone().reshape([rows, columns]);
                        gated_linear(x, up, Activation::Silu, &weight, bias, Some(adapter))
                    }
                }
            };
            assert_same(&inputs[..3], 1, &layer);
            // With a gate before it still one operation, but where tokens are cast for products in integers.
            for place in &places() {
                let is_cast = in_integers && place.1 != DType::F32 && !is_gpu(&place.0);
                let operations = 1 + usize::from(is_cast);
                assert_same_at(place, &inputs, operations, &layer);
            }
        }
    }
}

/// A layer of `shape`, `[out, in]`, whose adapter is `a` and `b`; frozen are its weight and, of some, a bias. With `drops`, layers of
/// each width drop other values.
fn layer<'a>(
    weight: &'a Weight,
    [with_bias, drops]: [bool; 2],
    [a, b]: [&Tensor<1>; 2],
) -> Linear<'a> {
    let ([out, columns], device) = (weight.dims(), weight.device());
    let r = a.dims()[0] / columns;
    let bias = || {
        tensor::<2>([1, out], 5)
            .to_device(&device)
            .cast(weight.dtype())
    };
    let dropout = || Dropout {
        seed: out as u64,
        ..DROPOUT
    };
    Linear {
        weight,
        bias: with_bias.then(bias),
        adapter: Some(Adapter {
            a: a.clone().reshape([r, columns]).cast(DType::F32),
            b: b.clone().reshape([out, r]).cast(DType::F32),
            scale: 1.7,
            dropout: drops.then(dropout),
            magnitude: None,
        }),
    }
}

/// Weights of these shapes where `like` lies, in its dtype.
fn weights<const N: usize>(like: &Tensor<1>, shapes: [[usize; 2]; N]) -> [Weight; N] {
    let (device, dtype) = (like.device().inner(), like.dtype());
    shapes.map(|[out, columns]| {
        let weight = tensor::<2>([out, columns], out as u64).to_device(&device);
        let spread = 1.0 / (columns as f32).sqrt();
        weight.mul_scalar(spread).cast(dtype).into()
    })
}

/// A norm before layers that come back to as many columns as `weight` has rows.
fn norm(weight: &Weight) -> NormBefore {
    let frozen = tensor::<2>([1, weight.dims()[0]], 7).to_device(&weight.device());
    NormBefore {
        weight: frozen.add_scalar(2.0).cast(weight.dtype()),
        kind: RmsWeight::Rounded,
        eps: 1e-5,
    }
}

/// `x`, and A and B of each layer.
fn with_pairs(rows: usize, shapes: &[[usize; 2]], r: usize) -> Vec<Tensor<1>> {
    let pair = |&[out, columns]: &[usize; 2]| {
        let scaled = |n, seed| tensor::<1>([n], seed).mul_scalar(0.2);
        [scaled(r * columns, 2), scaled(out * r, 3)]
    };
    let x = tensor([rows * shapes[0][1]], 1);
    std::iter::once(x)
        .chain(shapes.iter().flat_map(pair))
        .collect()
}

#[test]
fn feed_forward_halves() {
    // The last has an adapter that a GPU takes as a part of its layers.
    for ([rows, d, inner], r) in [([3, 6, 10], 3), ([70, 16, 24], 4), ([100, 16, 64], 8)] {
        let shapes = [[inner, d], [inner, d], [d, inner]];
        for of_layers in [[false, false], [true, false], [true, true]] {
            let half = |inputs: &[Tensor<1>]| {
                let weights = weights(&inputs[0], shapes);
                let linears = [0, 1, 2].map(|i| {
                    layer(
                        &weights[i],
                        of_layers,
                        [&inputs[1 + 2 * i], &inputs[2 + 2 * i]],
                    )
                });
                let x = inputs[0].clone().reshape([rows, d]);
                feed_forward(x, Some(norm(&weights[2])), linears, Activation::Silu)
            };
            for place in &places_of_halves() {
                assert_same_at(place, &with_pairs(rows, &shapes, r), 1, &half);
            }
        }
    }
}

#[test]
fn attention_halves() {
    let (d, heads, kv_heads, head_dim, r) = (24, 4, 2, 8, 8);
    let (q, kv) = (heads * head_dim, kv_heads * head_dim);
    let shapes = [[q, d], [kv, d], [kv, d], [d, q]];
    let packed: Vec<i32> = (0..60).map(|i| 1 + i % 30 / 11).collect();
    for (sight, [batch, time]) in [
        (Sight::new([2, 128, 128], |_, _| 0), [2, 128]),
        (Sight::of_segments(&packed, [2, 30]), [2, 30]),
    ] {
        let both = places_of_halves().into_iter();
        for (place, drops) in both.flat_map(|place| [(place.clone(), false), (place, true)]) {
            // In f32 a GPU attends to triangles alone.
            let is_fused = !is_gpu(&place.0) || place.1 != DType::F32 || sight.is_causal();
            let (rows, sight) = (batch * time, sight.within(time));
            let operations = if is_fused { 1 } else { 7 };
            assert_same_at(
                &place,
                &with_pairs(rows, &shapes, r),
                operations,
                &|inputs| {
                    let weights = weights(&inputs[0], shapes);
                    let linears = || {
                        [0, 1, 2, 3].map(|i| {
                            let pair = [&inputs[1 + 2 * i], &inputs[2 + 2 * i]];
                            layer(&weights[i], [i < 3, drops], pair)
                        })
                    };
                    let device = inputs[0].device().inner();
                    let positions: Vec<i32> = (0..rows).map(|i| (i % time) as i32).collect();
                    let frequencies = [1.0, 0.3, 0.1, 0.03];
                    let table =
                        RotaryTable::new(&positions, [batch, time], &frequencies, 1.0, &device);
                    let scores = Scores {
                        scale: 0.35,
                        softcap: None,
                    };
                    let x = inputs[0].clone().reshape([rows, d]);
                    let shape = HeadsShape {
                        batch,
                        time,
                        head_dim,
                    };
                    self_attention(
                        &x,
                        Some(norm(&weights[3])),
                        linears(),
                        &table,
                        &sight,
                        scores,
                        shape,
                    )
                    .unwrap_or_else(|| {
                        let NormBefore { weight, kind, eps } = norm(&weights[3]);
                        let x = rms_norm(x, weight, kind, eps);
                        let [q, k, v, o] = linears();
                        let by_head = |y: Tensor<2>| {
                            let n = y.dims()[1] / head_dim;
                            y.reshape([batch, time, n, head_dim]).swap_dims(1, 2)
                        };
                        let apply = |it: Linear<'_>, x: Tensor<2>| {
                            lora_linear(x, it.weight, it.bias, it.adapter)
                        };
                        let [q, k, v] = [q, k, v].map(|it| by_head(apply(it, x.clone())));
                        let (q, k) = (rotary(q, &table), rotary(k, &table));
                        let y = attention(q, k, v, &sight, scores);
                        apply(o, y.swap_dims(1, 2).reshape([rows, heads * head_dim]))
                    })
                },
            );
        }
    }
}
