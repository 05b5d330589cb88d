//! What rows can be stored as, where they are not whole blocks of what is wanted.

use crate::{TensorSpec, TensorType};

/// What a tensor is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What its rows can be stored as.
    pub tensor_type: TensorType,
    /// What the rules ask for. Another one where the rows are not whole blocks of it.
    pub wanted: TensorType,
}

impl Choice {
    /// Whether rows are not whole blocks of what the rules ask for.
    pub fn fell_back(self) -> bool {
        self.tensor_type != self.wanted
    }

    /// What it already is.
    pub(crate) fn kept(tensor: &TensorSpec) -> Self {
        Self {
            tensor_type: tensor.tensor_type,
            wanted: tensor.tensor_type,
        }
    }

    pub(crate) fn of(wanted: TensorType, row_len: u64) -> Self {
        Self {
            tensor_type: that_fits(wanted, row_len),
            wanted,
        }
    }
}

/// What rows of this length can be stored as.
fn that_fits(wanted: TensorType, row_len: u64) -> TensorType {
    let fits = |tensor_type: TensorType| row_len.is_multiple_of(tensor_type.block_len() as u64);
    if fits(wanted) {
        return wanted;
    }
    let smaller = match wanted {
        TensorType::IQ4_XS => TensorType::IQ4_NL,
        TensorType::Q2_K | TensorType::Q3_K => TensorType::Q4_0,
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        _ => wanted,
    };
    if fits(smaller) {
        smaller
    } else {
        TensorType::F16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_not_whole_blocks_fall_back() {
        assert_eq!(that_fits(TensorType::Q4_K, 512), TensorType::Q4_K);
        assert_eq!(that_fits(TensorType::Q4_K, 576), TensorType::Q5_0);
        assert_eq!(that_fits(TensorType::IQ4_XS, 96), TensorType::IQ4_NL);
        assert_eq!(that_fits(TensorType::Q6_K, 172), TensorType::F16);
        assert_eq!(that_fits(TensorType::Q8_0, 172), TensorType::F16);
        assert!(Choice::of(TensorType::Q2_K, 32).fell_back());
    }
}
