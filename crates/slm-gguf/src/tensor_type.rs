//! What a tensor's elements are stored as.

use crate::GgufError;

macro_rules! tensor_types {
    ($($variant:ident = $id:literal, $name:literal, $block_len:literal, $block_bytes:literal;)*) => {
        /// What a tensor's elements are stored as: `ggml_type`, of which the number is what stands in the file.
        ///
        /// Elements are stored in blocks of [`block_len`](Self::block_len) consecutive elements of one row, each block taking
        /// [`block_bytes`](Self::block_bytes) bytes. A row is always whole blocks.
        ///
        /// Any of these can be read and written as bytes; [`codec`](crate::codec) turns some of them into f32 and back.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(non_camel_case_types, reason = "ggml's spelling, which files and tools use")]
        pub enum TensorType {
            $(#[doc = concat!("`", $name, "`: ", $block_len, " elements in ", $block_bytes, " bytes.")] $variant = $id,)*
        }

        impl TensorType {
            /// Every type, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The type with this number in `ggml_type`; none for numbers that were removed or came later.
            pub fn from_id(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name by which ggml's tools know it, such as `Q8_0`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// How many elements a block holds.
            pub fn block_len(self) -> usize {
                match self {
                    $(Self::$variant => $block_len,)*
                }
            }

            /// How many bytes a block takes.
            pub fn block_bytes(self) -> usize {
                match self {
                    $(Self::$variant => $block_bytes,)*
                }
            }
        }
    };
}

// Numbers from gguf.md; block layouts from ggml-common.h. What is missing was removed from the format.
tensor_types! {
    F32 = 0, "F32", 1, 4;
    F16 = 1, "F16", 1, 2;
    Q4_0 = 2, "Q4_0", 32, 18;
    Q4_1 = 3, "Q4_1", 32, 20;
    Q5_0 = 6, "Q5_0", 32, 22;
    Q5_1 = 7, "Q5_1", 32, 24;
    Q8_0 = 8, "Q8_0", 32, 34;
    Q8_1 = 9, "Q8_1", 32, 36;
    Q2_K = 10, "Q2_K", 256, 84;
    Q3_K = 11, "Q3_K", 256, 110;
    Q4_K = 12, "Q4_K", 256, 144;
    Q5_K = 13, "Q5_K", 256, 176;
    Q6_K = 14, "Q6_K", 256, 210;
    Q8_K = 15, "Q8_K", 256, 292;
    IQ2_XXS = 16, "IQ2_XXS", 256, 66;
    IQ2_XS = 17, "IQ2_XS", 256, 74;
    IQ3_XXS = 18, "IQ3_XXS", 256, 98;
    IQ1_S = 19, "IQ1_S", 256, 50;
    IQ4_NL = 20, "IQ4_NL", 32, 18;
    IQ3_S = 21, "IQ3_S", 256, 110;
    IQ2_S = 22, "IQ2_S", 256, 82;
    IQ4_XS = 23, "IQ4_XS", 256, 136;
    I8 = 24, "I8", 1, 1;
    I16 = 25, "I16", 1, 2;
    I32 = 26, "I32", 1, 4;
    I64 = 27, "I64", 1, 8;
    F64 = 28, "F64", 1, 8;
    IQ1_M = 29, "IQ1_M", 256, 56;
    BF16 = 30, "BF16", 1, 2;
    TQ1_0 = 34, "TQ1_0", 256, 54;
    TQ2_0 = 35, "TQ2_0", 256, 66;
    MXFP4 = 39, "MXFP4", 32, 17;
}

impl TensorType {
    /// The number in `ggml_type`, as it stands in the file.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Whether several elements share a scale; then a file needs
    /// [`QUANTIZATION_VERSION`](crate::keys::general::QUANTIZATION_VERSION).
    pub fn is_quantized(self) -> bool {
        self.block_len() > 1
    }

    /// How many bytes `n_elements` of whole blocks take.
    ///
    /// # Errors
    /// [`GgufError::PartialBlock`] where they are not whole blocks, [`GgufError::TooLarge`] where the bytes cannot be counted.
    pub fn size_bytes(self, n_elements: u64) -> Result<u64, GgufError> {
        let block_len = self.block_len() as u64;
        if !n_elements.is_multiple_of(block_len) {
            return Err(GgufError::PartialBlock {
                tensor_type: self,
                n_elements,
            });
        }
        (n_elements / block_len)
            .checked_mul(self.block_bytes() as u64)
            .ok_or(GgufError::TooLarge { n_elements })
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_lead_back() {
        for &tensor_type in TensorType::ALL {
            assert_eq!(TensorType::from_id(tensor_type.id()), Some(tensor_type));
        }
        assert_eq!(TensorType::from_id(4), None); // Q4_2, removed
        assert_eq!(TensorType::from_id(u32::MAX), None);
    }

    #[test]
    fn sizes_are_whole_blocks() {
        assert_eq!(TensorType::F32.size_bytes(576).unwrap(), 2304);
        assert_eq!(TensorType::Q8_0.size_bytes(576).unwrap(), 18 * 34);
        assert_eq!(TensorType::Q4_K.size_bytes(1536).unwrap(), 6 * 144);
        assert!(matches!(
            TensorType::Q8_0.size_bytes(33),
            Err(GgufError::PartialBlock {
                tensor_type: TensorType::Q8_0,
                n_elements: 33
            })
        ));
        assert!(matches!(
            TensorType::F64.size_bytes(u64::MAX),
            Err(GgufError::TooLarge { .. })
        ));
    }
}
