//! The instruction sets, and which one this machine has.

use super::panels::{PANEL, Slice};
use super::scalar;
use super::tokens::TokenTile;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// Codes that one lane of an instruction multiplies and adds.
pub(super) const QUAD: usize = 4;

/// Rows of a tile: with the four vectors of a panel, 24 of the 32 registers of AVX-512 hold sums.
pub(super) const TILE: usize = 6;

/// Sums of a tile's rows with the columns of a panel.
pub(super) type Sums = [[i32; PANEL]; TILE];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// `vpdpbusd` on 512 bits.
    Avx512,
    /// `vpdpbusd` on 256 bits.
    AvxVnni,
    /// `vpmaddubsw` on magnitudes, which its 16 bits hold.
    Avx2,
    Scalar,
}

impl Kernel {
    /// From the fastest down.
    pub(super) const ALL: [Self; 4] = [Self::Avx512, Self::AvxVnni, Self::Avx2, Self::Scalar];

    pub(super) fn best() -> Self {
        let best = Self::ALL.into_iter().find(|kernel| kernel.is_here());
        best.unwrap_or(Self::Scalar)
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_here(self) -> bool {
        match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
            }
            Self::AvxVnni => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Scalar => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn is_here(self) -> bool {
        self == Self::Scalar
    }

    /// Writes the sums of each row with each column.
    #[inline]
    pub(super) fn tile(self, rows: &TokenTile<'_>, panel: &[Slice], sums: &mut Sums) {
        debug_assert!(self.is_here());
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "the machine was asked")]
        // SAFETY: the machine has what the functions are compiled for (`is_here`).
        unsafe {
            match self {
                Self::Avx512 => return avx512::tile(rows, panel, sums),
                Self::AvxVnni => return avx2::tile_vnni(rows, panel, sums),
                Self::Avx2 => return avx2::tile(rows, panel, sums),
                Self::Scalar => {}
            }
        }
        scalar::tile(rows, panel, sums);
    }
}
