//! Blocks equal those of ggml, bit for bit, in both directions.
//!
//! Three sources, none of them ours: hashes of what ggml makes of numbers that can be generated anywhere (always run), those
//! bytes themselves, and rows of a model that llama.cpp quantized (both in `../shared`, skipped where it is missing).

use std::error::Error;
use std::path::{Path, PathBuf};

use slm_gguf::{TensorType, codec};

type TestResult = Result<(), Box<dyn Error>>;

/// What stands in `../shared`, next to the project's root; none where it is missing.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    path.exists().then_some(path)
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn skipped(n_checks: usize, path: &str) -> TestResult {
    eprintln!("skipped: {n_checks} checks need `../shared/{path}`");
    Ok(())
}

fn quantized(tensor_type: TensorType, values: &[f32]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = vec![0xee; tensor_type.size_bytes(values.len() as u64)? as usize];
    codec::quantize(tensor_type, values, &mut bytes)?;
    Ok(bytes)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

/// The first `len` numbers from -1 to 1 of mulberry32 with seed 1, as the generator of the reference blocks draws them.
fn uniform(len: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_add(0x6d2b_79f5);
        let mut bits = (state ^ (state >> 15)).wrapping_mul(state | 1);
        bits ^= bits.wrapping_add((bits ^ (bits >> 7)).wrapping_mul(bits | 61));
        bits ^ (bits >> 14)
    };
    (0..len)
        .map(|_| next() as f32 / 4_294_967_296.0 * 2.0 - 1.0)
        .collect()
}

/// FNV-1a with 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Type, how many numbers, and the hash of `ggml_quantize_chunk`'s bytes for them without an importance matrix: llama.cpp
/// c779f619, files `*_noim_expected.bin` under `tests/fixtures/ggml_quants` of robertelee78/hf2q 245d600b (MIT OR Apache-2.0),
/// made with NEON; the same bytes were seen from ggml on x86-64.
const BLOCKS: [(TensorType, usize, u64); 8] = [
    (TensorType::Q4_0, 128, 0xc0c1_a483_a1ce_1209),
    (TensorType::Q4_1, 128, 0xe578_3914_2732_4151),
    (TensorType::Q5_0, 128, 0x36a2_6ff2_2f90_dbc0),
    (TensorType::Q5_1, 128, 0x069b_9b22_e5a6_ec3f),
    (TensorType::Q8_0, 128, 0x0f8b_fa4c_e808_8665),
    (TensorType::Q4_K, 1024, 0x74f6_e349_bb04_61ea),
    (TensorType::Q5_K, 1024, 0x40f5_4c12_a72e_d0be),
    (TensorType::Q6_K, 1024, 0xcc91_75bc_5761_e2e6),
];

/// Type, and the hash of `quantize_row_*_ref`'s bytes for [`many`] numbers: ggml d99724f2, `ggml-quants.c` compiled by gcc 12.2
/// for x86-64 with `-O3` and no instructions beyond the baseline.
const MANY_BLOCKS: [(TensorType, u64); 8] = [
    (TensorType::Q4_0, 0xc994_6633_eacd_f55b),
    (TensorType::Q4_1, 0x5606_db78_77fa_ca3e),
    (TensorType::Q5_0, 0x2ff7_6140_5bb9_edaa),
    (TensorType::Q5_1, 0xeb07_29c1_6743_cb34),
    (TensorType::Q8_0, 0x38df_60b2_d2f0_ffd5),
    (TensorType::Q4_K, 0x7076_2dce_bfe6_b12f),
    (TensorType::Q5_K, 0x7274_e5d5_bf15_7d9b),
    (TensorType::Q6_K, 0xe0c8_606d_3f89_6f17),
];

/// 163,840 numbers of five kinds: even, most of them small, none below 0, multiples of 1/64, and half of them zeros of either sign.
fn many() -> Vec<f32> {
    let kinds: [fn(f32) -> f32; 5] = [
        |x| x,
        |x| x * x * x * 0.02,
        f32::abs,
        |x| (x * 64.0).trunc() / 64.0,
        |x| if x.abs() < 0.5 { 0.0 * x } else { x },
    ];
    kinds
        .iter()
        .flat_map(|kind| uniform(32_768).into_iter().map(kind))
        .collect()
}

#[test]
fn many_blocks_are_those_of_ggml() -> TestResult {
    for (tensor_type, expected) in MANY_BLOCKS {
        assert_eq!(
            hash(&quantized(tensor_type, &many())?),
            expected,
            "{tensor_type}"
        );
    }
    Ok(())
}

#[test]
fn blocks_are_those_of_ggml() -> TestResult {
    for (tensor_type, len, expected) in BLOCKS {
        assert_eq!(
            hash(&quantized(tensor_type, &uniform(len))?),
            expected,
            "{tensor_type}"
        );
    }
    Ok(())
}

#[test]
fn blocks_are_the_bytes_on_disk() -> TestResult {
    const FOLDER: &str = "gguf/blocks_hf2q/ggml_quants";
    let Some(folder) = shared(FOLDER) else {
        return skipped(BLOCKS.len(), FOLDER);
    };
    for (tensor_type, len, hash_of_expected) in BLOCKS {
        let name = format!("{}_{}_noim", tensor_type.name().to_lowercase(), len / 2);
        let input = floats(&std::fs::read(folder.join(format!("{name}_input.bin")))?);
        let expected = std::fs::read(folder.join(format!("{name}_expected.bin")))?;
        assert_eq!(input, uniform(len), "{name}");
        let found = quantized(tensor_type, &input)?;
        let differ = found
            .iter()
            .zip(&expected)
            .filter(|(found, expected)| found != expected)
            .count();
        assert_eq!((found.len(), differ), (expected.len(), 0), "{name}");
        assert_eq!(
            hash(&expected),
            hash_of_expected,
            "{name}: {:#018x}",
            hash(&expected)
        );
    }
    Ok(())
}

#[test]
fn rows_of_a_quantized_model_are_those_of_llama_cpp() -> TestResult {
    const FILE: &str = "fixtures/gguf_quants/gguf_quants.safetensors";
    const TYPES: [TensorType; 7] = [
        TensorType::F16,
        TensorType::BF16,
        TensorType::Q8_0,
        TensorType::Q5_0,
        TensorType::Q4_0,
        TensorType::Q4_K,
        TensorType::Q6_K,
    ];
    let Some(path) = shared(FILE) else {
        return skipped(2 * TYPES.len(), FILE);
    };
    let file = std::fs::read(path)?;
    let tensors = safetensors::SafeTensors::deserialize(&file)?;
    for tensor_type in TYPES {
        let raw = tensors.tensor(&format!("{tensor_type}.raw"))?;
        let expected = floats(tensors.tensor(&format!("{tensor_type}.dequant"))?.data());
        let original = floats(tensors.tensor(&format!("{tensor_type}.original"))?.data());

        let mut values = vec![0.0; expected.len()];
        codec::dequantize(tensor_type, raw.data(), &mut values)?;
        let differ = values
            .iter()
            .zip(&expected)
            .filter(|(found, expected)| found.to_bits() != expected.to_bits())
            .count();
        assert_eq!(differ, 0, "{tensor_type} to f32, of {}", values.len());

        let bytes = quantized(tensor_type, &original)?;
        let differ = bytes
            .iter()
            .zip(raw.data())
            .filter(|(found, expected)| found != expected)
            .count();
        assert_eq!(
            (bytes.len(), differ),
            (raw.data().len(), 0),
            "f32 to {tensor_type}"
        );
    }
    Ok(())
}
