//! A file of floats becomes one of blocks; tests/peers/llama_quantize.py compares whole files with llama.cpp's.

use std::path::{Path, PathBuf};

use slm_gguf::{
    GgufError, ImportanceMatrix, Metadata, Quantizer, Reader, TensorSpec, TensorType, Writer,
    codec, keys,
};

const WIDTH: u64 = 64;
const DOWN: &str = "blk.0.ffn_down.weight";

/// A file of one layer: two matrices and a norm.
fn source(folder: &Path) -> PathBuf {
    let path = folder.join("tiny-F32.gguf");
    let mut metadata = Metadata::new();
    metadata.set(&keys::general::ARCHITECTURE, "llama".to_string());
    metadata.set(&keys::llm::BLOCK_COUNT.of("llama"), 1);
    metadata.set(&keys::llm::HEAD_COUNT.of("llama"), 4);
    metadata.set(&keys::general::NAME, "tiny".to_string());
    let spec = |name: &str, shape: &[usize]| TensorSpec::from_shape(name, shape, TensorType::F32);
    let specs = vec![
        spec("token_embd.weight", &[40, 64]),
        spec("blk.0.attn_norm.weight", &[64]),
        spec(DOWN, &[33, 64]),
    ];
    let mut writer = Writer::create(&path, &metadata, specs).unwrap();
    for (name, n) in [
        ("token_embd.weight", 40 * 64),
        ("blk.0.attn_norm.weight", 64),
        (DOWN, 33 * 64),
    ] {
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
        writer.write_f32(name, &values).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn quantizer(file_type: &str) -> Quantizer {
    Quantizer {
        file_type: file_type.parse().unwrap(),
        importance: None,
        rules: Vec::new(),
        n_threads: 1,
        forgotten: Vec::new(),
    }
}

#[test]
fn blocks_are_those_of_the_codec_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let source = Reader::open(source(folder.path())).unwrap();
    let values = source.dequantize(DOWN).unwrap();
    let mut needed = vec![0; TensorType::Q8_0.size_bytes(values.len() as u64).unwrap() as usize];
    codec::quantize(TensorType::Q8_0, &values, &mut needed).unwrap();
    for n_threads in [1, 2, 5, 64] {
        let target = folder.path().join(format!("{n_threads}.gguf"));
        let mut told = Vec::new();
        let quantizer = Quantizer {
            n_threads,
            ..quantizer("Q8_0")
        };
        let quantized = quantizer
            .write(&source, &target, &mut |done, total| {
                told.push((done, total))
            })
            .unwrap();
        let read = Reader::open(&target).unwrap();
        assert_eq!(read.bytes(DOWN).unwrap(), needed, "{n_threads} threads");
        assert_eq!(
            read.tensor("blk.0.attn_norm.weight").unwrap().tensor_type(),
            TensorType::F32
        );
        assert_eq!(
            read.metadata()
                .get(&keys::general::NAME)
                .unwrap()
                .as_deref(),
            Some("tiny")
        );
        assert_eq!(
            quantized.size_bytes,
            std::fs::metadata(&target).unwrap().len()
        );
        assert_eq!(told.last().map(|(done, total)| done == total), Some(true));
    }
}

#[test]
fn what_was_asked_for_and_did_not_happen_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = Reader::open(source(folder.path())).unwrap();
    let mut matrix = ImportanceMatrix::new("rows", 4);
    matrix
        .add("blk.7.ffn_down.weight", &[1.0; WIDTH as usize], 1)
        .unwrap();
    let quantizer = Quantizer {
        importance: Some((matrix, "rows.gguf".into())),
        rules: vec!["ffn_up=Q8_0".parse().unwrap()],
        ..quantizer("Q4_K_M")
    };
    let target = folder.path().join("out.gguf");
    let quantized = quantizer.write(&source, &target, &mut |_, _| {}).unwrap();
    // Rows of 64 are no whole blocks of 256.
    assert!(
        quantized.fallen_back.iter().any(|(name, _)| name == DOWN),
        "{quantized:?}"
    );
    assert_eq!(quantized.unweighted, [DOWN]);
    assert_eq!(quantized.unmet, ["ffn_up=Q8_0"]);
    let read = Reader::open(&target).unwrap();
    let file = read.metadata().get(&keys::quantize::IMATRIX_FILE).unwrap();
    assert_eq!(file.as_deref(), Some("rows.gguf"));
}

#[test]
fn what_is_said_of_the_source_alone_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let source = Reader::open(source(folder.path())).unwrap();
    let quantizer = Quantizer {
        forgotten: vec!["general.name".into()],
        ..quantizer("Q8_0")
    };
    let target = folder.path().join("out.gguf");
    quantizer.write(&source, &target, &mut |_, _| {}).unwrap();
    let read = Reader::open(&target).unwrap();
    assert_eq!(read.metadata().get(&keys::general::NAME).unwrap(), None);
    assert_eq!(
        read.metadata()
            .require(&keys::general::ARCHITECTURE)
            .unwrap(),
        "llama"
    );
}

#[test]
fn blocks_are_not_rounded_again_and_other_models_matrices_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let floats = Reader::open(source(folder.path())).unwrap();
    let (blocks, again) = (
        folder.path().join("blocks.gguf"),
        folder.path().join("again.gguf"),
    );
    quantizer("Q8_0")
        .write(&floats, &blocks, &mut |_, _| {})
        .unwrap();
    let source = Reader::open(&blocks).unwrap();
    let error = quantizer("Q4_0")
        .write(&source, &again, &mut |_, _| {})
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor `token_embd.weight` is Q8_0 already"
    );
    let mut matrix = ImportanceMatrix::new("rows", 4);
    matrix.add(DOWN, &[1.0; 32], 1).unwrap();
    let other = Quantizer {
        importance: Some((matrix, "other.gguf".into())),
        ..quantizer("Q4_0")
    };
    let error = other.write(&floats, &again, &mut |_, _| {}).unwrap_err();
    assert!(
        matches!(
            error,
            GgufError::ImportanceSize {
                found: 32,
                needed: 64,
                ..
            }
        ),
        "{error}"
    );
    assert!(!again.exists());
}
