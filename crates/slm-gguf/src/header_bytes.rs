//! The bytes in front of the tensors.

use crate::header::{MAGIC, VERSION};
use crate::{Metadata, TensorSpec, value_bytes};

/// The header of a file with this metadata and these tensors, of which the data starts at the next multiple of `alignment`.
/// `offsets` are from there.
pub(crate) fn header_bytes(
    metadata: &Metadata,
    tensors: &[TensorSpec],
    offsets: &[u64],
    alignment: u64,
) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, entry) in metadata.iter() {
        value_bytes::write_string(&mut out, key);
        value_bytes::write(&mut out, entry);
    }
    for (tensor, offset) in tensors.iter().zip(offsets) {
        value_bytes::write_string(&mut out, &tensor.name);
        out.extend((tensor.dims.len() as u32).to_le_bytes());
        tensor
            .dims
            .iter()
            .for_each(|dim| out.extend(dim.to_le_bytes()));
        out.extend(tensor.tensor_type.id().to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(alignment as usize), 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Array, TensorType, Value};

    /// The bytes of the smallest useful header, field by field as gguf.md lists them.
    #[test]
    fn fields_stand_where_the_specification_says() {
        let mut metadata = Metadata::new();
        metadata.insert("a.b", Value::Bool(true));
        metadata.insert("c", Value::Array(Array::I16(vec![-2, 3])));
        let tensors = [TensorSpec::from_shape("t", &[2, 3], TensorType::F16)];
        let bytes = header_bytes(&metadata, &tensors, &[64], 32);
        let expected: [&[u8]; 20] = [
            b"GGUF",
            &[3, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0], // tensors
            &[2, 0, 0, 0, 0, 0, 0, 0], // metadata entries
            &[3, 0, 0, 0, 0, 0, 0, 0],
            b"a.b",
            &[7, 0, 0, 0], // bool
            &[1],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            b"c",
            &[9, 0, 0, 0],             // array
            &[3, 0, 0, 0],             // of int16
            &[2, 0, 0, 0, 0, 0, 0, 0], // two
            &[0xfe, 0xff, 3, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            b"t",
            &[2, 0, 0, 0],                                     // dimensions
            &[3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], // innermost first
            &[1, 0, 0, 0],                                     // F16
            &[64, 0, 0, 0, 0, 0, 0, 0],
        ];
        let expected = expected.concat();
        assert_eq!(bytes[..expected.len()], expected);
        assert_eq!(bytes.len(), 128);
        assert!(bytes[expected.len()..].iter().all(|&byte| byte == 0));
    }
}
