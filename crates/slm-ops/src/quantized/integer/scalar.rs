//! The sums in plain Rust: what the other kernels are held to.

use super::kernel::Sums;
use super::panels::{PANEL, Slice};
use super::tokens::TokenTile;

pub(super) fn tile(rows: &TokenTile<'_>, panel: &[Slice], sums: &mut Sums) {
    for (row, sums) in rows.codes.iter().zip(sums) {
        let mut all = [0; PANEL];
        for (x, slice) in row.iter().zip(panel) {
            let x = x.map(i32::from);
            for (sum, w) in all.iter_mut().zip(slice) {
                let w = w.map(|w| i32::from(w) - 128);
                *sum += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
            }
        }
        *sums = all;
    }
}
