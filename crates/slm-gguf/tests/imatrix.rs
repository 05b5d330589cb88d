//! Files of importance matrices: llama.cpp's layouts byte by byte, and what is wrong with one.

use std::error::Error;

use slm_gguf::{
    GgufError, ImportanceMatrix, Metadata, Reader, TensorSpec, TensorType, Value, Writer,
};

type TestResult = Result<(), Box<dyn Error>>;

fn matrix() -> ImportanceMatrix {
    let mut matrix = ImportanceMatrix::new("train.jsonl", 8);
    matrix
        .add("blk.0.ffn_down.weight", &[20.0, 40.0, 0.0], 20)
        .unwrap();
    matrix.add("blk.0.attn_q.weight", &[5.0, 10.0], 10).unwrap();
    matrix
}

#[test]
fn a_gguf_file_holds_raw_sums_and_counts() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("imatrix.gguf");
    matrix().write(&path)?;
    assert_eq!(ImportanceMatrix::read(&path)?, matrix());

    let reader = Reader::open(&path)?;
    let value = |key: &str| reader.metadata().value(key).cloned();
    assert_eq!(value("general.type"), Some(Value::String("imatrix".into())));
    assert_eq!(value("imatrix.chunk_count"), Some(Value::U32(2)));
    assert_eq!(value("imatrix.chunk_size"), Some(Value::U32(8)));
    let tensors = reader.tensors().iter();
    let tensors: Vec<_> = tensors.map(|info| (info.name(), info.dims())).collect();
    assert_eq!(
        tensors,
        [
            ("blk.0.attn_q.weight.in_sum2", &[2][..]),
            ("blk.0.attn_q.weight.counts", &[1]),
            ("blk.0.ffn_down.weight.in_sum2", &[3]),
            ("blk.0.ffn_down.weight.counts", &[1]),
        ]
    );
    assert_eq!(reader.dequantize("blk.0.ffn_down.weight.counts")?, [20.0]);
    Ok(())
}

/// A `.dat` file as llama.cpp lays it out.
fn dat(entries: &[(&str, i32, &[f32])], tail: &[u8]) -> Vec<u8> {
    let mut bytes = (entries.len() as i32).to_le_bytes().to_vec();
    for (name, n_chunks, sums) in entries {
        bytes.extend((name.len() as i32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(n_chunks.to_le_bytes());
        bytes.extend((sums.len() as i32).to_le_bytes());
        bytes.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
    }
    [&bytes, tail].concat()
}

#[test]
fn a_dat_file_holds_means_times_chunks() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("imatrix.dat");
    matrix().write_dat(&path)?;
    // 10 and 20 positions in chunks of 8 are 2 and 3 of them, rounded up; 2 whole ones were seen.
    let tail = [
        &2i32.to_le_bytes()[..],
        &11i32.to_le_bytes(),
        b"train.jsonl",
    ]
    .concat();
    let entries: [(&str, i32, &[f32]); 2] = [
        ("blk.0.attn_q.weight", 2, &[1.0, 2.0]),
        ("blk.0.ffn_down.weight", 3, &[3.0, 6.0, 0.0]),
    ];
    assert_eq!(std::fs::read(&path)?, dat(&entries, &tail));

    let read = ImportanceMatrix::read(&path)?;
    assert_eq!((read.chunk_size(), read.chunk_count()), (None, 3));
    assert_eq!(read.datasets(), ["train.jsonl"]);
    for (name, _, _) in entries {
        assert_eq!(read.weights(name), matrix().weights(name));
    }
    assert!(matches!(
        read.write(&path),
        Err(GgufError::ImportanceCounts)
    ));

    // Chunks and data set may be missing.
    std::fs::write(&path, dat(&entries, &[]))?;
    assert!(ImportanceMatrix::read(&path)?.datasets().is_empty());
    Ok(())
}

/// What is wrong with a file of these bytes.
fn found(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("imatrix");
    std::fs::write(&path, bytes).unwrap();
    let error = ImportanceMatrix::read(&path).unwrap_err();
    let source = error.source();
    source.map(ToString::to_string).unwrap_or_default()
}

#[test]
fn what_is_wrong_with_a_dat_file_is_named() {
    let entries: [(&str, i32, &[f32]); 1] = [("a", 1, &[1.0, 2.0])];
    let valid = dat(&entries, &[]);
    for len in 0..valid.len() {
        assert!(!found(&valid[..len]).is_empty(), "{len} bytes");
    }
    assert_eq!(
        found(b"<html>404"),
        "is not an importance matrix: 9 bytes cannot hold 1836345404 tensors"
    );
    assert_eq!(
        found(&[0xff; 40]),
        "is not an importance matrix: the number of tensors is -1"
    );
    let with = |at: usize, number: u32| {
        let mut bytes = valid.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        found(&bytes)
    };
    assert_eq!(
        with(13, i32::MAX as u32),
        "ends inside the sums: 8589934588 bytes needed at byte 17, 8 left"
    );
    assert_eq!(
        with(4, 1000),
        "ends inside a name: 1000 bytes needed at byte 8, 17 left"
    );
    assert_eq!(
        with(17, f32::NAN.to_bits()),
        "the importance of column 0 is NaN, needs a finite number from 0 up"
    );
    let twice = dat(&[entries[0], entries[0]], &[]);
    assert_eq!(found(&twice), "tensor `a` occurs twice");
}

#[test]
fn what_is_wrong_with_a_gguf_file_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("imatrix.gguf");
    let with = |tensors: &[(&str, &[f32])]| -> Result<String, Box<dyn Error>> {
        let specs = tensors
            .iter()
            .map(|(name, values)| TensorSpec::from_shape(*name, &[values.len()], TensorType::F32));
        let mut writer = Writer::create(&path, &Metadata::new(), specs.collect())?;
        for (name, values) in tensors {
            writer.write_f32(name, values)?;
        }
        writer.finish()?;
        Ok(found(&std::fs::read(&path)?))
    };
    assert_eq!(
        with(&[("token_embd.weight", &[1.0])])?,
        "is not an importance matrix: no tensor of it ends in `.in_sum2`"
    );
    assert_eq!(
        with(&[("a.in_sum2", &[1.0])])?,
        "there is no tensor `a.counts`"
    );
    assert_eq!(
        with(&[("a.counts", &[1.0])])?,
        "there is no tensor `a.in_sum2`"
    );
    assert_eq!(
        with(&[("a.in_sum2", &[1.0]), ("a.counts", &[1.0])])?,
        "metadata has no `imatrix.datasets`"
    );
    assert_eq!(
        with(&[("a.in_sum2", &[1.0, -1.0]), ("a.counts", &[1.0])])?,
        "the importance of column 1 is -1, needs a finite number from 0 up"
    );
    Ok(())
}
