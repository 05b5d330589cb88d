//! Whole files: what was written is what is read, and a file appears only when it is complete.

use std::error::Error;

use slm_gguf::{Array, GgufError, Metadata, Reader, TensorSpec, TensorType, Value, Writer, keys};

type TestResult = Result<(), Box<dyn Error>>;

/// One value of every type, and arrays of every type.
fn every_type() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.set(&keys::general::ARCHITECTURE, "llama".to_string());
    metadata.set(
        &keys::general::QUANTIZATION_VERSION,
        keys::general::QUANTIZATION_VERSION_NOW,
    );
    let values = [
        Value::U8(u8::MAX),
        Value::I8(i8::MIN),
        Value::U16(u16::MAX),
        Value::I16(i16::MIN),
        Value::U32(u32::MAX),
        Value::I32(i32::MIN),
        Value::F32(-0.1),
        Value::Bool(true),
        Value::String("ein Wört".to_string()),
        Value::U64(u64::MAX),
        Value::I64(i64::MIN),
        Value::F64(1e300),
        Value::Array(Array::U8(vec![1, 2])),
        Value::Array(Array::I8(vec![-1])),
        Value::Array(Array::U16(vec![])),
        Value::Array(Array::I16(vec![-300, 300])),
        Value::Array(Array::U32(vec![70_000])),
        Value::Array(Array::I32(vec![-70_000; 3])),
        Value::Array(Array::F32(vec![0.5, f32::INFINITY])),
        Value::Array(Array::Bool(vec![true, false, true])),
        Value::Array(Array::String(vec![
            String::new(),
            "<s>".to_string(),
            "Ġthe".to_string(),
        ])),
        Value::Array(Array::U64(vec![1 << 40])),
        Value::Array(Array::I64(vec![-(1 << 40)])),
        Value::Array(Array::F64(vec![1e-300])),
        Value::Array(Array::Array(vec![
            Array::U8(vec![1]),
            Array::String(vec!["nested".to_string()]),
        ])),
    ];
    for (place, value) in values.into_iter().enumerate() {
        metadata.insert(format!("test.value_{place}"), value);
    }
    metadata
}

fn wave(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37).sin()).collect()
}

#[test]
fn what_was_written_is_read() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    let metadata = every_type();
    let tensors = vec![
        TensorSpec::from_shape("output_norm.weight", &[5], TensorType::F32),
        TensorSpec::from_shape("blk.0.attn_q.weight", &[3, 64], TensorType::Q8_0),
        TensorSpec::from_shape("blk.0.attn_k.weight", &[2, 3], TensorType::F16),
        TensorSpec::from_shape("blk.0.attn_v.weight", &[2, 3, 4], TensorType::BF16),
    ];
    let mut writer = Writer::create(&path, &metadata, tensors)?;
    writer.write_f32("output_norm.weight", &[1.0, 2.0, 3.0, 4.0, 5.0])?;
    let values = wave(3 * 64);
    writer.write_f32("blk.0.attn_q.weight", &values[..64])?;
    writer.write_f32("blk.0.attn_q.weight", &values[64..])?;
    writer.write_bytes("blk.0.attn_k.weight", &[0; 12])?;
    writer.write_f32("blk.0.attn_v.weight", &[0.5; 24])?;
    let size_bytes = writer.finish()?;
    assert_eq!(std::fs::metadata(&path)?.len(), size_bytes);
    assert_eq!(size_bytes % 32, 0);

    let reader = Reader::open(&path)?;
    assert_eq!(reader.header().version(), 3);
    assert_eq!(reader.metadata(), &metadata);
    let names: Vec<_> = reader.tensors().iter().map(|info| info.name()).collect();
    assert_eq!(
        names,
        [
            "output_norm.weight",
            "blk.0.attn_q.weight",
            "blk.0.attn_k.weight",
            "blk.0.attn_v.weight"
        ]
    );
    assert!(
        reader
            .tensors()
            .iter()
            .all(|info| info.bytes().start % 32 == 0)
    );

    let query = reader.tensor("blk.0.attn_q.weight")?;
    assert_eq!((query.dims(), query.shape()), (&[64, 3][..], vec![3, 64]));
    assert_eq!(
        (query.row_len(), query.n_rows(), query.size_bytes()),
        (64, 3, 204)
    );
    let whole = reader.dequantize("blk.0.attn_q.weight")?;
    assert!(
        whole
            .iter()
            .zip(&values)
            .all(|(found, value)| (found - value).abs() < 1.0 / 127.0)
    );
    assert_eq!(reader.rows("blk.0.attn_q.weight", 1..3)?, whole[64..]);
    assert_eq!(reader.rows("blk.0.attn_q.weight", 3..3)?, [0.0; 0]);
    assert_eq!(
        reader.dequantize("output_norm.weight")?,
        [1.0, 2.0, 3.0, 4.0, 5.0]
    );
    assert_eq!(reader.dequantize("blk.0.attn_v.weight")?, [0.5; 24]);
    Ok(())
}

#[test]
fn the_alignment_is_the_one_in_the_metadata() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    let mut metadata = Metadata::new();
    metadata.set(&keys::general::ALIGNMENT, 128);
    let tensors = ["a", "b"].map(|name| TensorSpec::from_shape(name, &[1], TensorType::F32));
    let mut writer = Writer::create(&path, &metadata, tensors.to_vec())?;
    writer.write_f32("a", &[1.0])?;
    writer.write_f32("b", &[2.0])?;
    assert_eq!(writer.finish()? % 128, 0);
    let reader = Reader::open(&path)?;
    assert_eq!(
        reader.tensor("b")?.bytes().start - reader.tensor("a")?.bytes().start,
        128
    );
    assert_eq!(reader.dequantize("b")?, [2.0]);
    Ok(())
}

#[test]
fn an_unfinished_file_leaves_nothing_and_changes_nothing() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, "what was there")?;
    let tensors = ["a", "b"].map(|name| TensorSpec::from_shape(name, &[2], TensorType::F32));

    let mut writer = Writer::create(&path, &Metadata::new(), tensors.to_vec())?;
    writer.write_f32("a", &[1.0])?;
    let error = writer.finish().unwrap_err();
    assert!(matches!(
        error,
        GgufError::Unfinished {
            written: 4,
            needed: 8,
            missing: 1,
            ..
        }
    ));

    let mut writer = Writer::create(&path, &Metadata::new(), tensors.to_vec())?;
    let error = writer.write_f32("b", &[1.0]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `b` was written, `a` comes next");
    let error = writer.write_f32("a", &[1.0; 3]).unwrap_err();
    assert!(matches!(
        error,
        GgufError::TooManyBytes {
            found: 12,
            needed: 8,
            ..
        }
    ));
    drop(writer);

    let left: Vec<_> = std::fs::read_dir(folder.path())?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(std::fs::read_to_string(&path)?, "what was there");
    Ok(())
}

#[test]
fn what_the_format_does_not_allow_is_not_begun() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    let begin = |metadata: &Metadata, tensors: Vec<TensorSpec>| {
        Writer::create(&path, metadata, tensors).unwrap_err()
    };
    let none = Metadata::new();

    let tensor = |name: &str, shape: &[usize], tensor_type| {
        vec![TensorSpec::from_shape(name, shape, tensor_type)]
    };
    let error = begin(&none, tensor("a", &[2, 64], TensorType::Q8_0));
    assert!(matches!(error, GgufError::QuantizationVersion { .. }));
    assert!(error.hint().is_some());
    let error = begin(&every_type(), tensor("a", &[64, 2], TensorType::Q8_0));
    assert!(matches!(&error, GgufError::TensorSize { .. }));
    assert_eq!(
        error.hint().unwrap(),
        "the innermost dimension must be a multiple of 32, or the tensor be stored as F16"
    );
    assert!(matches!(
        begin(&none, tensor("a", &[0], TensorType::F32)),
        GgufError::EmptyTensor { .. }
    ));
    assert!(matches!(
        begin(&none, tensor("a", &[1; 5], TensorType::F32)),
        GgufError::Dimensions { .. }
    ));
    assert!(matches!(
        begin(&none, tensor(&"a".repeat(64), &[1], TensorType::F32)),
        GgufError::NameTooLong { .. }
    ));
    let twice = [
        tensor("a", &[1], TensorType::F32),
        tensor("a", &[1], TensorType::F32),
    ]
    .concat();
    assert!(matches!(
        begin(&none, twice),
        GgufError::DuplicateTensor { .. }
    ));
    for key in ["", "a..b", "A", "a b", "ä"] {
        let mut metadata = Metadata::new();
        metadata.insert(key, Value::U8(0));
        assert!(
            matches!(begin(&metadata, vec![]), GgufError::KeyCharacters { .. }),
            "{key}"
        );
    }
    assert!(!path.exists());

    let missing = Writer::create(folder.path().join("no/folder.gguf"), &none, vec![]).unwrap_err();
    assert!(matches!(missing, GgufError::Write { .. }));
    Ok(())
}

#[test]
fn what_is_not_there_is_an_error() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.gguf");
    assert!(matches!(Reader::open(&path), Err(GgufError::Open { .. })));
    assert!(Reader::open(folder.path()).is_err());
    std::fs::write(&path, "")?;
    let error = Reader::open(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("failed to read `{}`", path.display())
    );
    assert_eq!(
        error.source().map(ToString::to_string).as_deref(),
        Some("ends inside the first four bytes: 4 bytes needed at byte 0, 0 left")
    );

    let mut writer = Writer::create(
        &path,
        &every_type(),
        vec![TensorSpec::from_shape("a", &[1], TensorType::I32)],
    )?;
    writer.write_bytes("a", &[0; 4])?;
    writer.finish()?;
    let reader = Reader::open(&path)?;
    assert!(matches!(
        reader.bytes("b"),
        Err(GgufError::UnknownTensor { .. })
    ));
    assert!(matches!(
        reader.dequantize("a"),
        Err(GgufError::NoCodec { .. })
    ));
    assert!(matches!(
        reader.rows("a", 0..2),
        Err(GgufError::RowsOutside { n_rows: 1, .. })
    ));
    Ok(())
}

#[test]
fn a_number_that_is_none_is_found_in_its_tensor() -> TestResult {
    let folder = tempfile::tempdir()?;
    let tensors = vec![TensorSpec::from_shape("a", &[3, 65_536], TensorType::Q8_0)];
    let mut writer = Writer::create(folder.path().join("model.gguf"), &every_type(), tensors)?;
    let mut values = vec![0.0; 3 * 65_536];
    values[131_073] = f32::NEG_INFINITY;
    let error = writer.write_f32("a", &values).unwrap_err();
    assert_eq!(error.to_string(), "failed to encode tensor `a`");
    let source = error.source().map(ToString::to_string);
    let expected = "element 131073 is -inf, Q8_0 stores finite numbers only";
    assert_eq!(source.as_deref(), Some(expected));
    Ok(())
}
