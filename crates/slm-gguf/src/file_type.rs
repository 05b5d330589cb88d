//! What a whole file is quantized to.

use crate::{GgufError, TensorType};

macro_rules! file_types {
    ($($variant:ident = $id:literal, $name:literal, $most:ident;)*) => {
        /// What a file is quantized to, by the names of llama.cpp's `llama-quantize`: most of its tensors, at least.
        ///
        /// [`Mixture`](crate::Mixture) says which tensor gets which type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(non_camel_case_types, reason = "llama.cpp's spelling, which users know")]
        pub enum FileType {
            $(#[doc = concat!("`", $name, "`: mostly ", stringify!($most), ".")] $variant = $id,)*
        }

        impl FileType {
            /// Every file type, from the largest files to the smallest.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name by which llama.cpp's tools know it, such as `Q4_K_M`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What a tensor is stored as where the mixture has no rule for it.
            pub fn most(self) -> TensorType {
                match self {
                    $(Self::$variant => TensorType::$most,)*
                }
            }
        }
    };
}

// Numbers are those of `llama_ftype` in llama.h.
file_types! {
    F32 = 0, "F32", F32;
    BF16 = 32, "BF16", BF16;
    F16 = 1, "F16", F16;
    Q8_0 = 7, "Q8_0", Q8_0;
    Q6_K = 18, "Q6_K", Q6_K;
    Q5_1 = 9, "Q5_1", Q5_1;
    Q5_K_M = 17, "Q5_K_M", Q5_K;
    Q5_K_S = 16, "Q5_K_S", Q5_K;
    Q5_0 = 8, "Q5_0", Q5_0;
    Q4_1 = 3, "Q4_1", Q4_1;
    Q4_K_M = 15, "Q4_K_M", Q4_K;
    Q4_K_S = 14, "Q4_K_S", Q4_K;
    Q4_0 = 2, "Q4_0", Q4_0;
    IQ4_NL = 25, "IQ4_NL", IQ4_NL;
    IQ4_XS = 30, "IQ4_XS", IQ4_XS;
    Q3_K_L = 13, "Q3_K_L", Q3_K;
    Q3_K_M = 12, "Q3_K_M", Q3_K;
    Q3_K_S = 11, "Q3_K_S", Q3_K;
    Q2_K = 10, "Q2_K", Q2_K;
}

impl FileType {
    /// The number that [`FILE_TYPE`](crate::keys::general::FILE_TYPE) holds.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// The reverse of [`Self::id`]; `None` for a type that is not written here.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.id() == id)
    }
}

impl std::fmt::Display for FileType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for FileType {
    type Err = GgufError;

    /// By name, in upper or lower case.
    fn from_str(name: &str) -> Result<Self, GgufError> {
        let same = |file_type: &&Self| file_type.name().eq_ignore_ascii_case(name);
        let found = Self::ALL.iter().find(same).copied();
        found.ok_or_else(|| GgufError::UnknownFileType { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for &file_type in FileType::ALL {
            assert_eq!(file_type.name().parse::<FileType>().unwrap(), file_type);
            let lower = file_type.name().to_lowercase();
            assert_eq!(lower.parse::<FileType>().unwrap(), file_type);
        }
        let error = "Q4".parse::<FileType>().unwrap_err();
        assert_eq!(error.to_string(), "there is no file type `Q4`");
    }
}
