//! Codes, scales and values of bitsandbytes, and products with what is quantized.

use std::path::Path;

use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use slm_ops::quantized::{Absmax, Int8, Nf4};
use slm_ops::{QuantScheme, Quantizer, dynamic_map};
use slm_testkit::{Golden, assert_close};

/// Those that are multiplied with as floats.
const ALL: [QuantScheme; 3] = [QuantScheme::Int8, QuantScheme::Nf4, QuantScheme::Nf4Double];

fn golden() -> Golden {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/data");
    Golden::open(&Path::new(data).join("quantized.safetensors"))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The values that the codes of `tensor` stand for.
fn dense(golden: &Golden, tensor: &str, quantization: QuantScheme) -> Vec<f32> {
    let quantizer = Quantizer::new(quantization, &Device::flex(), DType::F32);
    let shape = golden.shape(tensor).try_into().unwrap();
    let quantized = quantizer.quantize(&golden.f32(tensor), shape);
    values(quantized.dense(DType::F32))
}

#[test]
fn int8_is_that_of_bitsandbytes_bit_for_bit() {
    let golden = golden();
    let int8 = Int8::of(&golden.f32("weight"), 128);
    assert_eq!(int8.codes, golden.i8("int8.codes"));
    assert_eq!(int8.absmax, golden.f32("int8.absmax"));
    let values = dense(&golden, "weight", QuantScheme::Int8);
    assert_eq!(values, golden.f32("int8.dequantized"));
}

#[test]
fn nf4_is_that_of_bitsandbytes_bit_for_bit() {
    let golden = golden();
    for (tensor, name) in [("weight", "nf4"), ("ragged", "nf4_ragged")] {
        let nf4 = Nf4::of(&golden.f32(tensor), false);
        assert_eq!(nf4.packed, golden.u8(&format!("{name}.packed")), "{name}");
        let absmax = Absmax::Plain(golden.f32(&format!("{name}.absmax")));
        assert_eq!(nf4.absmax, absmax, "{name}");
        let values = dense(&golden, tensor, QuantScheme::Nf4);
        assert_eq!(values, golden.f32(&format!("{name}.dequantized")), "{name}");
    }
}

#[test]
fn double_quantization_is_that_of_bitsandbytes_bit_for_bit() {
    let golden = golden();
    let nf4 = Nf4::of(&golden.f32("weight"), true);
    assert_eq!(nf4.packed, golden.u8("nf4_double.packed"));
    let absmax = Absmax::Double {
        codes: golden.u8("nf4_double.absmax"),
        absmax: golden.f32("nf4_double.nested_absmax"),
        offset: golden.f32("nf4_double.offset")[0],
    };
    assert_eq!(nf4.absmax, absmax);
    let values = dense(&golden, "weight", QuantScheme::Nf4Double);
    assert_eq!(values, golden.f32("nf4_double.dequantized"));
}

#[test]
fn the_maps_are_those_of_bitsandbytes() {
    let golden = golden();
    assert_eq!(dynamic_map(true), golden.f32("nf4_double.nested_map"));
    // The 16 values by the codes of two blocks that hold them.
    let map = golden.f32("nf4.map");
    let held: Vec<f32> = map.iter().cycle().take(128).copied().collect();
    let codes = Nf4::of(&held, false).packed;
    let wanted: Vec<u8> = (0..64)
        .map(|i| ((2 * i % 16) << 4) | ((2 * i + 1) % 16))
        .collect();
    assert_eq!(codes, wanted);
    let quantizer = Quantizer::new(QuantScheme::Nf4, &Device::flex(), DType::F32);
    let read = quantizer.quantize(&held, [2, 64]).dense(DType::F32);
    assert_eq!(values(read), held);
}

#[test]
fn the_unsigned_map_is_that_of_bitsandbytes() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/data");
    let golden = Golden::open(&Path::new(data).join("optimizers.safetensors"));
    assert_eq!(dynamic_map(true), golden.f32("adamw_8bit.map1"));
    assert_eq!(dynamic_map(false), golden.f32("adamw_8bit.map2"));
}

/// Sizes that end within a block, a byte and a group.
#[test]
fn products_and_their_gradients_are_those_of_the_dequantized_matrix() {
    let device = Device::flex();
    for shape @ [out, columns] in [[5, 3], [48, 128], [300, 130], [257, 64]] {
        let draw = |seed, shape: [usize; 2]| {
            let values = slm_ops::noise::uniform_values(0.2, seed, shape[0] * shape[1]);
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let (weight, x, dy) = (draw(1, shape), draw(2, [7, columns]), draw(3, [7, out]));
        for quantization in ALL {
            let what = format!("{quantization:?} {shape:?}");
            let quantizer = Quantizer::new(quantization, &device, DType::F32);
            let quantized = quantizer.quantize(&values(weight.clone()), shape);
            let dense = quantized.dense(DType::F32);
            let off = values(dense.clone().sub(weight.clone()).abs().max())[0];
            // Half of the widest gap between NF4's values, 0.304, of a block whose largest is 0.2; and what its scale is rounded by.
            assert!(off < 0.0304 + 0.002, "{what}: off by {off}");

            let leaf = x.clone().autodiff().require_grad();
            let y = quantized.product(leaf.clone());
            let grads = y.clone().mul(dy.clone().autodiff()).sum().backward();
            let wanted = x.clone().matmul(dense.clone().transpose());
            assert_eq!(values(y.inner()), values(wanted), "{what}");
            let dx = values(leaf.grad(&grads).unwrap());
            assert_eq!(dx, values(dy.clone().matmul(dense)), "{what}");

            let untracked = values(quantized.product(x.clone()));
            let constant = quantized.product(x.clone().autodiff());
            assert!(!constant.is_tracked());
            assert_eq!(untracked, values(constant.inner()), "{what}");
        }
    }
}

#[test]
fn half_precision_rounds_the_same_values() {
    let golden = golden();
    let quantizer = Quantizer::new(QuantScheme::Nf4Double, &Device::flex(), DType::BF16);
    let weight = golden.f32("weight");
    let quantized = quantizer.quantize(&weight, [48, 128]);
    assert_eq!(quantized.dtype(), DType::BF16);
    let dense = quantized.dense(DType::BF16);
    assert_eq!(dense.dtype(), DType::BF16);
    let wide = golden.f32("nf4_double.dequantized");
    assert_close("bf16", &values(dense.cast(DType::F32)), &wide, 1.0 / 256.0);
    assert_eq!(values(quantized.dense(DType::F32)), wide);
}

#[test]
fn sizes_are_those_of_codes_and_scales() {
    let shape = [1024, 4096];
    let n = (1024 * 4096) as f64;
    let bits = ALL.map(|quantization| quantization.size_bytes(shape) as f64 * 8.0 / n);
    assert_eq!(bits[0], 8.0 + 32.0 / 4096.0);
    assert_eq!(bits[1], 4.5);
    assert!((bits[2] - (4.0 + 8.0 / 64.0 + 32.0 / (64.0 * 256.0))).abs() < 1e-4);
}

/// `round(127 v / absmax)` of each row, and what a code stands for.
fn tokens(values: &[f32], columns: usize) -> Vec<f64> {
    let row = |row: &[f32]| {
        let absmax = row.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let scale = 1.0 / absmax.max(1e-30) * 127.0;
        let step = f64::from(absmax) / 127.0;
        let code = |v: &f32| f64::from((v * scale).round_ties_even());
        row.iter().map(|v| code(v) * step).collect::<Vec<f64>>()
    };
    values.chunks(columns).flat_map(row).collect()
}

/// `a bᵀ` of `[m, k]` and `[n, k]`.
fn products(a: &[f64], b: &[f64], k: usize) -> Vec<f32> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() as f32;
    a.chunks(k)
        .flat_map(|a| b.chunks(k).map(move |b| dot(a, b)))
        .collect()
}

/// Sizes that end within quads, tiles and panels; a row of zeros.
#[test]
fn products_in_integers_are_those_of_quantized_tokens() {
    let device = Device::flex();
    for shape @ [out, columns] in [[5, 3], [48, 128], [300, 130], [257, 64]] {
        let draw = |rows: usize, columns: usize| {
            Tensor::<2>::random([rows, columns], Distribution::Normal(0.0, 0.1), &device)
        };
        let (weight, x, dy) = (
            values(draw(out, columns)),
            draw(101, columns),
            draw(101, out),
        );
        let x = x.mul(Tensor::ones([101, 1], &device).slice_fill(7..8, 0.0));
        let quantizer = Quantizer::new(QuantScheme::Int8Products, &device, DType::F32);
        let quantized = quantizer.quantize(&weight, shape);
        let int8 = Int8::of(&weight, columns);
        let of_x = tokens(&values(x.clone()), columns);
        let step = |row: usize| int8.absmax[row] * 7.874_016e-3;
        let of_w: Vec<f64> = int8
            .codes
            .iter()
            .enumerate()
            .map(|(i, code)| f64::from(*code) * f64::from(step(i / columns)))
            .collect();
        let want_y = products(&of_x, &of_w, columns);
        // The scale of a row goes with what it multiplies.
        let scaled: Vec<f32> = values(dy.clone())
            .iter()
            .enumerate()
            .map(|(i, v)| v * step(i % out))
            .collect();
        let columns_of: Vec<f64> = (0..out * columns)
            .map(|i| f64::from(int8.codes[i % out * columns + i / out]))
            .collect();
        let want_dx = products(&tokens(&scaled, out), &columns_of, out);

        let run = || {
            let leaf = x.clone().autodiff().require_grad();
            let y = quantized.product(leaf.clone());
            let grads = y.clone().mul(dy.clone().autodiff()).sum().backward();
            [values(y.inner()), values(leaf.grad(&grads).unwrap())]
        };
        let before = slm_ops::fused::taken();
        let fused = run();
        assert_eq!(slm_ops::fused::taken(), before + 1);
        for [y, dx] in [&fused, &slm_ops::fused::portable(run)] {
            assert_close("y", y, &want_y, 1e-5);
            assert_close("dx", dx, &want_dx, 1e-5);
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            assert_eq!(pool.install(run), fused, "{threads} threads");
        }
    }
}
