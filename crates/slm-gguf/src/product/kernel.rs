//! The instruction sets, and which one this machine has.

use std::sync::OnceLock;

use super::scalar;
use super::vectors::{self, Group, Vectors};
#[cfg(target_arch = "x86_64")]
use super::wide;
use crate::TensorType;

/// What multiplies and adds bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// `vpdpbusd` of AVX-512, on 256 bits: what is not in the cache comes no faster for wider ones.
    Avx512,
    /// `vpdpbusd` on machines without AVX-512.
    AvxVnni,
    /// `vpmaddubsw`.
    Avx2,
    Scalar,
}

impl Kernel {
    /// From the fastest down.
    pub(super) const ALL: [Self; 4] = [Self::Avx512, Self::AvxVnni, Self::Avx2, Self::Scalar];

    pub(super) fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| {
            let best = Self::ALL.into_iter().find(|kernel| kernel.is_here());
            best.unwrap_or(Self::Scalar)
        })
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_here(self) -> bool {
        let has_avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        match self {
            Self::Avx512 => {
                has_avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vnni")
            }
            Self::AvxVnni => has_avx2 && is_x86_feature_detected!("avxvnni"),
            Self::Avx2 => has_avx2,
            Self::Scalar => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn is_here(self) -> bool {
        self == Self::Scalar
    }

    /// Each group of a vector: codes, step, and step times the sum of the codes.
    pub(super) fn quantize(
        self,
        values: &[f32],
        groups: &mut [Group],
        steps: &mut [f32],
        sums: &mut [f32],
    ) {
        #[cfg(target_arch = "x86_64")]
        if self != Self::Scalar {
            #[expect(unsafe_code, reason = "the machine was asked")]
            // SAFETY: every kernel but the scalar one is of a machine with AVX2.
            return unsafe { wide::quantize(values, groups, steps, sums) };
        }
        vectors::quantize_each(values, groups, steps, sums);
    }

    /// `y` is `[rows, vectors]`; `rows` are as many rows of `row_bytes`, of a type that has a kernel.
    pub(super) fn multiply(
        self,
        tensor_type: TensorType,
        rows: &[u8],
        row_bytes: usize,
        vectors: &Vectors,
        y: &mut [f32],
    ) {
        debug_assert!(self.is_here());
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "the machine was asked")]
        // SAFETY: the machine has what the functions are compiled for (`is_here`).
        unsafe {
            match self {
                Self::Avx512 => return wide::avx512(tensor_type, rows, row_bytes, vectors, y),
                Self::AvxVnni => return wide::avx_vnni(tensor_type, rows, row_bytes, vectors, y),
                Self::Avx2 => return wide::avx2(tensor_type, rows, row_bytes, vectors, y),
                Self::Scalar => {}
            }
        }
        scalar::multiply(tensor_type, rows, row_bytes, vectors, y);
    }
}
