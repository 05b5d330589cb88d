//! Bytes that nobody should have written never make the reader panic, and what it accepts can be relied on.

use proptest::prelude::*;
use slm_gguf::{
    Array, GgufError, Header, Metadata, Reader, TensorSpec, TensorType, Value, Writer, codec,
};

/// A small file with something of everything.
fn valid_file() -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.insert("general.architecture", Value::String("llama".into()));
    metadata.insert("general.quantization_version", Value::U32(2));
    metadata.insert("general.alignment", Value::U32(32));
    metadata.insert("a.bool", Value::Bool(true));
    metadata.insert("a.numbers", Value::Array(Array::F64(vec![1.0, 2.0])));
    metadata.insert(
        "a.strings",
        Value::Array(Array::String(vec!["one".into(), "two".into()])),
    );
    metadata.insert(
        "a.nested",
        Value::Array(Array::Array(vec![
            Array::Bool(vec![false]),
            Array::U8(vec![1]),
        ])),
    );
    let tensors = vec![
        TensorSpec::from_shape("a", &[2, 32], TensorType::Q8_0),
        TensorSpec::from_shape("b", &[3], TensorType::F32),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("valid.gguf");
    let mut writer = Writer::create(&path, &metadata, tensors).unwrap();
    writer.write_f32("a", &[0.5; 64]).unwrap();
    writer.write_f32("b", &[1.0, 2.0, 3.0]).unwrap();
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// Either an error, or tensors that lie in the file and can be read.
fn check(bytes: &[u8]) -> Result<(), GgufError> {
    let header = Header::parse(bytes)?;
    for info in header.tensors() {
        let range = info.bytes();
        let raw = &bytes[range.start as usize..range.end as usize];
        assert_eq!(raw.len() as u64, info.size_bytes());
        assert_eq!(range.start % header.alignment(), 0);
        assert_eq!(info.n_elements(), info.row_len() * info.n_rows());
        let mut values = vec![0.0; info.n_elements() as usize];
        match codec::dequantize(info.tensor_type(), raw, &mut values) {
            Ok(()) | Err(GgufError::NoCodec { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    Ok(())
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = valid_file();
    check(&bytes).unwrap();
    // The padding after the last tensor is all that may be missing.
    let needed = bytes.len() - 20;
    for len in 0..needed {
        assert!(
            check(&bytes[..len]).is_err(),
            "{len} of {} bytes",
            bytes.len()
        );
    }
    check(&bytes[..needed]).unwrap();
}

/// Every single byte set to values that are likely to matter.
#[test]
fn one_wrong_byte_is_an_error_or_a_file_that_holds() {
    let bytes = valid_file();
    for place in 0..bytes.len() {
        for wrong in [0x00, 0x01, 0x09, 0x20, 0x7f, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[place] = wrong;
            let _ = check(&bytes);
        }
    }
}

/// A header with these fields and nothing behind them.
fn header(fields: &[&[u8]]) -> Vec<u8> {
    [&[b"GGUF".as_slice(), &3u32.to_le_bytes()], fields]
        .concat()
        .concat()
}

fn found(bytes: &[u8]) -> String {
    Header::parse(bytes).unwrap_err().to_string()
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let (zero, one) = (0u64.to_le_bytes(), 1u64.to_le_bytes());
    let key: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 0, b'k'];
    let entry = |fields: &[&[u8]]| header(&[&[zero.as_slice(), &one, key], fields].concat());
    let tensor = |fields: &[&[u8]]| header(&[&[one.as_slice(), &zero, key], fields].concat());

    assert_eq!(
        found(b"GGML\x03\0\0\0"),
        "starts with [47, 47, 4d, 4c], a GGUF file starts with `GGUF`"
    );
    assert_eq!(
        found(b"GGUF\x01\0\0\0"),
        "has GGUF version 1, versions 2 and 3 can be read"
    );
    assert_eq!(
        found(b"GGUF\0\0\0\x03"),
        "is a big-endian GGUF file, only little-endian ones can be read"
    );
    assert_eq!(
        found(&header(&[&u64::MAX.to_le_bytes(), &zero])),
        "ends inside the table of tensors: 18446744073709551615 bytes needed at byte 16, 8 left"
    );
    assert_eq!(
        found(&entry(&[&[13, 0, 0, 0], &[0; 8]])),
        "value at byte 33 has type 13, known types are 0 to 12"
    );
    assert_eq!(
        found(&entry(&[&[7, 0, 0, 0], &[2]])),
        "bool at byte 37 is 2, needs 0 or 1"
    );
    let nested: Vec<u8> = [9u32.to_le_bytes().as_slice(), &one].concat().repeat(9);
    assert_eq!(
        found(&entry(&[&[9, 0, 0, 0], &nested, &[0; 40]])),
        "arrays at byte 133 are nested more than 8 deep"
    );
    let twice = header(&[
        &zero,
        &2u64.to_le_bytes(),
        key,
        &[0, 0, 0, 0, 7],
        key,
        &[0, 0, 0, 0, 7],
    ]);
    assert_eq!(
        found(&twice),
        "metadata key `k` occurs twice, the second time at byte 38"
    );

    let (f32_type, no_offset) = (0u32.to_le_bytes(), zero);
    assert_eq!(
        found(&tensor(&[&5u32.to_le_bytes(), &[0; 60]])),
        "tensor `k` has 5 dimensions, at most 4 are allowed"
    );
    assert_eq!(
        found(&tensor(&[
            &1u32.to_le_bytes(),
            &one,
            &4u32.to_le_bytes(),
            &no_offset
        ])),
        "tensor `k` has type 4, which is not known"
    );
    assert_eq!(
        found(&tensor(&[
            &1u32.to_le_bytes(),
            &zero,
            &f32_type,
            &no_offset
        ])),
        "tensor `k` has dimensions [0], none may be 0"
    );
    assert_eq!(
        found(&tensor(&[
            &1u32.to_le_bytes(),
            &one,
            &f32_type,
            &8u64.to_le_bytes()
        ])),
        "tensor `k` starts 8 bytes into the data, needs a multiple of 32"
    );
    assert_eq!(
        found(&tensor(&[&1u32.to_le_bytes(), &one, &f32_type, &no_offset])),
        "tensor `k` needs bytes 64 to 68, the file has 57"
    );
    let huge = (1u64 << 40).to_le_bytes();
    let error = Header::parse(&tensor(&[
        &2u32.to_le_bytes(),
        &huge,
        &huge,
        &f32_type,
        &no_offset,
    ]))
    .unwrap_err();
    assert!(matches!(error, GgufError::TensorSize { .. }), "{error}");
    let far = (u64::MAX - 31).to_le_bytes();
    let error = Header::parse(&tensor(&[&1u32.to_le_bytes(), &one, &f32_type, &far])).unwrap_err();
    assert!(matches!(error, GgufError::OutsideFile { .. }), "{error}");
}

#[test]
fn tensors_share_neither_names_nor_bytes() {
    let two = |names: [u8; 2], offsets: [u64; 2]| {
        let mut bytes = header(&[&2u64.to_le_bytes(), &0u64.to_le_bytes()]);
        for (name, offset) in names.into_iter().zip(offsets) {
            bytes.extend(1u64.to_le_bytes());
            bytes.push(name);
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(16u64.to_le_bytes());
            bytes.extend(0u32.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        bytes.resize(256, 0);
        Header::parse(&bytes).map(|header| header.tensors().len())
    };
    assert_eq!(two([b'a', b'b'], [0, 64]).unwrap(), 2);
    assert_eq!(two([b'a', b'b'], [64, 0]).unwrap(), 2); // in any order
    assert!(matches!(
        two([b'a', b'a'], [0, 64]),
        Err(GgufError::DuplicateTensor { .. })
    ));
    assert!(matches!(
        two([b'a', b'b'], [0, 32]),
        Err(GgufError::Overlap { at: 128, .. })
    ));
}

fn array() -> impl Strategy<Value = Array> {
    let leaf = prop_oneof![
        prop::collection::vec(any::<i8>(), 0..9).prop_map(Array::I8),
        prop::collection::vec(any::<u64>(), 0..9).prop_map(Array::U64),
        prop::collection::vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        prop::collection::vec(-1e30f32..1e30, 0..9).prop_map(Array::F32),
        prop::collection::vec(".{0,9}", 0..9).prop_map(Array::String),
    ];
    leaf.prop_recursive(4, 32, 4, |element| {
        prop::collection::vec(element, 0..4).prop_map(Array::Array)
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<bool>().prop_map(Value::Bool),
        (-1e300f64..1e300).prop_map(Value::F64),
        ".{0,40}".prop_map(Value::String),
        array().prop_map(Value::Array),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn any_bytes_behind_the_magic(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&header(&[&rest]));
    }

    #[test]
    fn a_file_with_a_few_wrong_bytes(wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = valid_file();
        for (place, byte) in wrong {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = check(&bytes);
    }

    #[test]
    fn a_file_with_a_wrong_number(place in any::<prop::sample::Index>(), number in any::<u64>(), shift in 0u32..64) {
        let mut bytes = valid_file();
        let place = place.index(bytes.len() - 8);
        bytes[place..place + 8].copy_from_slice(&(number >> shift).to_le_bytes());
        let _ = check(&bytes);
    }

    #[test]
    fn any_metadata_and_tensors_lead_back(
        entries in prop::collection::btree_map("[a-z]{1,8}(\\.[a-z_0-9]{1,8}){0,3}", value(), 0..8),
        shapes in prop::collection::vec((1usize..5, 1usize..5), 0..6),
        seed in any::<u64>(),
    ) {
        let mut metadata = Metadata::new();
        entries.into_iter().for_each(|(key, value)| metadata.insert(key, value));
        metadata.insert("general.quantization_version", Value::U32(2));
        let types = [TensorType::F32, TensorType::Q8_0, TensorType::BF16, TensorType::Q5_1];
        let specs: Vec<_> = shapes.iter().enumerate().map(|(i, &(rows, blocks))| {
            TensorSpec::from_shape(format!("blk.{i}.weight"), &[rows, 32 * blocks], types[(seed as usize + i) % 4])
        }).collect();

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any.gguf");
        let mut writer = Writer::create(&path, &metadata, specs.clone()).unwrap();
        let mut contents = Vec::new();
        for spec in &specs {
            let size = spec.tensor_type.size_bytes(spec.dims.iter().product()).unwrap() as usize;
            let bytes: Vec<u8> = (0..size).map(|i| (i as u64 ^ seed) as u8).collect();
            let (first, second) = bytes.split_at(size / 3);
            writer.write_bytes(&spec.name, first).unwrap();
            writer.write_bytes(&spec.name, second).unwrap();
            contents.push(bytes);
        }
        writer.finish().unwrap();

        let reader = Reader::open(&path).unwrap();
        prop_assert_eq!(reader.metadata(), &metadata);
        for (spec, bytes) in specs.iter().zip(&contents) {
            prop_assert_eq!(&spec.dims, reader.tensor(&spec.name).unwrap().dims());
            prop_assert_eq!(reader.bytes(&spec.name).unwrap(), bytes.as_slice());
        }
    }

    /// No bytes are not a block, and no finite numbers cannot be one.
    #[test]
    fn any_block_is_numbers_and_any_numbers_are_a_block(
        bytes in prop::collection::vec(any::<u8>(), 292),
        bits in prop::collection::vec(any::<u32>(), 256),
    ) {
        let numbers: Vec<f32> = bits.into_iter().map(f32::from_bits).map(|x| if x.is_finite() { x } else { 0.0 }).collect();
        for &tensor_type in TensorType::ALL {
            let (len, size) = (tensor_type.block_len(), tensor_type.block_bytes());
            let mut values = vec![0.0; len];
            let _ = codec::dequantize(tensor_type, &bytes[..size], &mut values);
            let _ = codec::quantize(tensor_type, &numbers[..len], &mut vec![0; size]);
        }
    }

    /// What a block gives back is near what went in: half a step of its scale, and a little for the scale's own rounding.
    #[test]
    fn numbers_come_back_near(numbers in prop::collection::vec(-4.0f32..4.0, 256)) {
        use TensorType::*;
        for (tensor_type, steps) in [(Q4_0, 7.0), (Q4_1, 15.0), (Q5_0, 15.0), (Q5_1, 31.0), (Q8_0, 127.0), (Q4_K, 7.0), (Q5_K, 15.0), (Q6_K, 31.0), (Q3_K, 3.0), (Q2_K, 1.5), (IQ4_NL, 5.0), (IQ4_XS, 5.0)] {
            let mut bytes = vec![0; tensor_type.size_bytes(256).unwrap() as usize];
            codec::quantize(tensor_type, &numbers, &mut bytes).unwrap();
            let mut back = vec![0.0; 256];
            codec::dequantize(tensor_type, &bytes, &mut back).unwrap();
            for (number, back) in numbers.iter().zip(back) {
                prop_assert!((number - back).abs() < 8.0 / steps, "{tensor_type}: {number} came back as {back}");
            }
        }
    }
}
