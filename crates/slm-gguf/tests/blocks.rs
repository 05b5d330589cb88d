//! Blocks equal those of ggml, bit for bit, with and without an importance matrix: tests/goldens/gguf, and the blocks in
//! `../shared` where they are.

use std::error::Error;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use slm_gguf::TensorType::{
    IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0,
};
use slm_gguf::{TensorType, codec};

type TestResult = Result<(), Box<dyn Error>>;

const TYPES: [TensorType; 12] = [
    Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS,
];

fn at_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let floats = bytes.as_chunks().0.iter();
    floats.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn quantized(
    tensor_type: TensorType,
    values: &[f32],
    importance: Option<&[f32]>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = vec![0xee; tensor_type.size_bytes(values.len() as u64)? as usize];
    match importance {
        None => codec::quantize(tensor_type, values, &mut bytes)?,
        Some(importance) => {
            codec::quantize_weighted(tensor_type, values, importance, &mut bytes)?;
        }
    }
    Ok(bytes)
}

/// Names the first byte that differs, instead of printing all of them.
fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}

#[test]
fn every_block_is_that_of_ggml() -> TestResult {
    let file = std::fs::read(at_root("tests/goldens/gguf/data/blocks.safetensors"))?;
    let tensors = SafeTensors::deserialize(&file)?;
    let values = floats(tensors.tensor("values")?.data());
    let importance = floats(tensors.tensor("importance")?.data());
    for tensor_type in TYPES {
        for (name, importance) in [("plain", None), ("weighted", Some(&importance[..]))] {
            let name = format!("{tensor_type}.{name}");
            let found = quantized(tensor_type, &values, importance)?;
            assert_same(&found, tensors.tensor(&name)?.data(), &name);
        }
        let expected = tensors.tensor(&format!("{tensor_type}.numbers"))?;
        let mut numbers = vec![0.0; expected.data().len() / 4];
        let n_bytes = tensor_type.size_bytes(numbers.len() as u64)? as usize;
        let bytes = &tensors.tensor(&format!("{tensor_type}.weighted"))?.data()[..n_bytes];
        codec::dequantize(tensor_type, bytes, &mut numbers)?;
        let numbers: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_same(&numbers, expected.data(), &format!("{tensor_type}.numbers"));
    }
    Ok(())
}

/// Numbers of mulberry32, from -1 to 1, as the generator of the shared blocks draws them.
fn mulberry(mut state: u32, len: usize) -> Vec<f32> {
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

/// Llama.cpp c779f619 on another processor, through robertelee78/hf2q 245d600b: two rows of each type but IQ4_XS.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn shared_blocks_are_the_same() -> TestResult {
    let folder = at_root("../shared/gguf/blocks_hf2q/ggml_quants");
    let types = TYPES
        .into_iter()
        .filter(|&tensor_type| tensor_type != IQ4_XS);
    if !folder.exists() {
        eprintln!(
            "skipped: {} checks need {}",
            2 * types.count(),
            folder.display()
        );
        return Ok(());
    }
    for tensor_type in types {
        let n_columns = 2 * tensor_type.block_len().max(32);
        let weights = mulberry(2, n_columns).into_iter().map(|x| x.abs() + 1e-3);
        let weights: Vec<f32> = weights.collect();
        for (variant, importance) in [("noim", None), ("im", Some(&weights[..]))] {
            let name = format!("{tensor_type}_{n_columns}_{variant}").to_lowercase();
            let input = floats(&std::fs::read(folder.join(format!("{name}_input.bin")))?);
            let expected = std::fs::read(folder.join(format!("{name}_expected.bin")))?;
            let found = quantized(tensor_type, &input, importance)?;
            assert_same(&found, &expected, &name);
        }
    }
    Ok(())
}
