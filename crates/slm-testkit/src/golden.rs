//! Reference values in a safetensors file.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

/// A file of goldens. Every reader panics when the tensor is missing or of another dtype: a golden that cannot be read
/// is a broken test.
pub struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    /// Reads the whole file.
    pub fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { bytes }
    }

    fn view<T>(&self, name: &str, dtype: Dtype, parse: impl Fn(&[u8]) -> T) -> Vec<T> {
        let file = SafeTensors::deserialize(&self.bytes).expect("goldens are valid safetensors");
        let view = file
            .tensor(name)
            .unwrap_or_else(|_| panic!("no golden `{name}`"));
        assert_eq!(view.dtype(), dtype, "golden `{name}`");
        view.data()
            .chunks_exact(dtype.bitsize() / 8)
            .map(parse)
            .collect()
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        let file = SafeTensors::deserialize(&self.bytes).expect("goldens are valid safetensors");
        file.tensor(name).is_ok()
    }

    /// The names of all tensors.
    pub fn names(&self) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).expect("goldens are valid safetensors");
        file.names().into_iter().map(str::to_string).collect()
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.bytes).expect("goldens are valid safetensors");
        file.tensor(name)
            .unwrap_or_else(|_| panic!("no golden `{name}`"))
            .shape()
            .to_vec()
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.view(name, Dtype::F32, |b| {
            f32::from_le_bytes(b.try_into().expect("four bytes"))
        })
    }

    pub fn f64(&self, name: &str) -> Vec<f64> {
        self.view(name, Dtype::F64, |b| {
            f64::from_le_bytes(b.try_into().expect("eight bytes"))
        })
    }

    pub fn u8(&self, name: &str) -> Vec<u8> {
        self.view(name, Dtype::U8, |b| b[0])
    }

    pub fn i8(&self, name: &str) -> Vec<i8> {
        self.view(name, Dtype::I8, |b| i8::from_le_bytes([b[0]]))
    }

    pub fn i32(&self, name: &str) -> Vec<i32> {
        self.view(name, Dtype::I32, |b| {
            i32::from_le_bytes(b.try_into().expect("four bytes"))
        })
    }

    pub fn i64(&self, name: &str) -> Vec<i64> {
        self.view(name, Dtype::I64, |b| {
            i64::from_le_bytes(b.try_into().expect("eight bytes"))
        })
    }
}
