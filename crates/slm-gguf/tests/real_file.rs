//! A file that another program wrote: 12 tensors in F16, a vocabulary of 32,000 tokens.

use std::error::Error;
use std::path::{Path, PathBuf};

use slm_gguf::{Header, Reader, TensorSpec, TensorType, Writer, keys};

type TestResult = Result<(), Box<dyn Error>>;

const FILE: &str = "models/llama2_tiny_random_gguf/llama-2-tiny-random.gguf";

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn real_file() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(FILE);
    if !path.exists() {
        eprintln!("skipped: 1 test needs `../shared/{FILE}`");
        return None;
    }
    Some(path)
}

#[test]
fn its_metadata_and_tensors_are_read() -> TestResult {
    let Some(path) = real_file() else {
        return Ok(());
    };
    let reader = Reader::open(path)?;
    let metadata = reader.metadata();
    assert_eq!(metadata.require(&keys::general::ARCHITECTURE)?, "llama");
    assert_eq!(metadata.require(&keys::llm::BLOCK_COUNT.of("llama"))?, 1);
    assert_eq!(
        metadata.require(&keys::llm::EMBEDDING_LENGTH.of("llama"))?,
        8
    );
    assert_eq!(metadata.require(&keys::tokenizer::MODEL)?, "llama");
    let tokens = metadata.require(&keys::tokenizer::TOKENS)?;
    assert_eq!(
        (tokens.len(), tokens[1].as_str(), tokens[13].as_str()),
        (32_000, "<s>", "<0x0A>")
    );
    assert_eq!(metadata.require(&keys::tokenizer::SCORES)?.len(), 32_000);
    assert_eq!(
        metadata.require(&keys::tokenizer::TOKEN_TYPE)?[13],
        keys::token_type::BYTE
    );

    assert_eq!(reader.tensors().len(), 12);
    let embedding = reader.tensor("token_embd.weight")?;
    assert_eq!(
        (embedding.shape(), embedding.tensor_type()),
        (vec![32_000, 8], TensorType::F16)
    );
    let norm = reader.dequantize("output_norm.weight")?;
    assert!(norm.len() == 8 && norm.iter().all(|value| value.is_finite()));
    Ok(())
}

#[test]
fn a_copy_of_it_reads_the_same() -> TestResult {
    let Some(path) = real_file() else {
        return Ok(());
    };
    let original = Reader::open(path)?;
    let specs = original.tensors().iter().map(|info| TensorSpec {
        name: info.name().to_string(),
        dims: info.dims().to_vec(),
        tensor_type: info.tensor_type(),
    });
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("copy.gguf");
    let mut writer = Writer::create(&path, original.metadata(), specs.collect())?;
    for info in original.tensors() {
        writer.write_bytes(info.name(), original.bytes(info.name())?)?;
    }
    writer.finish()?;

    let copy = Reader::open(&path)?;
    assert_eq!(copy.metadata(), original.metadata());
    for (copied, info) in copy.tensors().iter().zip(original.tensors()) {
        assert_eq!((copied.name(), copied.dims()), (info.name(), info.dims()));
        assert_eq!(copy.bytes(info.name())?, original.bytes(info.name())?);
    }
    Ok(())
}

#[test]
fn half_of_it_is_an_error() -> TestResult {
    let Some(path) = real_file() else {
        return Ok(());
    };
    let bytes = std::fs::read(path)?;
    for len in (0..bytes.len()).step_by(10_007) {
        assert!(Header::parse(&bytes[..len]).is_err(), "{len} bytes");
    }
    Ok(())
}
