//! A matrix of codes in the order in which kernels read it.

use std::cell::RefCell;

use rayon::prelude::*;

use super::kernel::QUAD;
use crate::vector::vectorised;

/// Columns of a result that are computed together: four vectors of AVX-512.
pub(super) const PANEL: usize = 64;

/// A quad's codes, for each column of a panel, plus 128: instructions multiply signed bytes with unsigned ones.
pub(super) type Slice = [[u8; QUAD]; PANEL];

/// What 0 is.
const ZERO: Slice = [[128; QUAD]; PANEL];

/// Columns of a result in panels; a panel is a slice after the other, along what is summed.
#[derive(Default)]
pub(super) struct Panels {
    slices: Vec<Slice>,
    /// Slices per panel.
    depth: usize,
}

thread_local! {
    /// Kept, since fresh memory costs more than what is done with it.
    static SCRATCH: RefCell<Panels> = RefCell::default();
}

impl Panels {
    /// `work` with panels whose memory is used again.
    pub(super) fn scratch<R>(work: impl FnOnce(&mut Self) -> R) -> R {
        let mut panels = SCRATCH.take();
        let result = work(&mut panels);
        SCRATCH.replace(panels);
        result
    }

    pub(super) fn panel(&self, i: usize) -> &[Slice] {
        &self.slices[i * self.depth..][..self.depth]
    }

    /// Of `codes`, `[out, columns]`: sums go along a row, and a row is a column of the result.
    pub(super) fn pack_rows(&mut self, codes: &[i8], columns: usize) {
        self.resize(codes.len() / columns, columns);
        self.slices
            .par_chunks_mut(self.depth)
            .zip(codes.par_chunks(PANEL * columns))
            .for_each(|(panel, codes)| pack_rows(codes, columns, panel));
    }

    /// Of `codes`, `[out, columns]`: sums go along a column.
    pub(super) fn pack_columns(&mut self, codes: &[i8], columns: usize) {
        self.resize(columns, codes.len() / columns);
        self.slices
            .par_chunks_mut(self.depth)
            .enumerate()
            .for_each(|(i, panel)| pack_columns(codes, columns, i * PANEL, panel));
    }

    fn resize(&mut self, n: usize, terms: usize) {
        self.depth = terms.div_ceil(QUAD);
        self.slices.resize(n.div_ceil(PANEL) * self.depth, ZERO);
    }
}

fn pack_rows(codes: &[i8], columns: usize, panel: &mut [Slice]) {
    let rows = codes.len() / columns;
    if rows < PANEL || !columns.is_multiple_of(QUAD) {
        panel.fill(ZERO);
    }
    for (j, row) in codes.chunks_exact(columns).enumerate() {
        let (quads, rest) = row.as_chunks::<QUAD>();
        for (slice, quad) in panel.iter_mut().zip(quads) {
            slice[j] = quad.map(unsigned);
        }
        if let Some(slice) = panel.get_mut(quads.len()) {
            for (to, code) in slice[j].iter_mut().zip(rest) {
                *to = unsigned(*code);
            }
        }
    }
}

vectorised! {
    fn pack_columns(codes: &[i8], columns: usize, first: usize, panel: &mut [Slice]) {
        let n = PANEL.min(columns - first);
        let last = codes.len() / columns - 1;
        for (i, slice) in panel.iter_mut().enumerate() {
            if n == PANEL && QUAD * (i + 1) <= last + 1 {
                let row = |j: usize| &codes[(QUAD * i + j) * columns + first..][..PANEL];
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                for k in 0..PANEL {
                    slice[k] = [a[k], b[k], c[k], d[k]].map(unsigned);
                }
                continue;
            }
            *slice = ZERO;
            for j in QUAD * i..=last.min(QUAD * i + QUAD - 1) {
                for (to, code) in slice.iter_mut().zip(&codes[j * columns + first..][..n]) {
                    to[j % QUAD] = unsigned(*code);
                }
            }
        }
    }
}

#[inline(always)]
fn unsigned(code: i8) -> u8 {
    code as u8 ^ 0x80
}
