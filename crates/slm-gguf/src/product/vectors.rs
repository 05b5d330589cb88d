//! Vectors as blocks are multiplied with them.

use super::GROUP;
use super::kernel::Kernel;

/// Codes of 32 values, and what a kernel adds up beside them; a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Group {
    pub(super) codes: [i8; GROUP],
    /// Sums of four codes each, with the other sign: what a code's zero takes away, lane by lane.
    pub(super) lanes: [i32; GROUP / 4],
}

const NOTHING: Group = Group {
    codes: [0; GROUP],
    lanes: [0; GROUP / 4],
};

/// Vectors of one length in 8 bits with a step for 32 values, and as they are.
///
/// Its memory is used again by [`set`](Self::set).
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    values: Vec<f32>,
    len: usize,
    count: usize,
    /// Groups of a vector.
    n_groups: usize,
    groups: Vec<Group>,
    /// One for each group: value ≈ step · code.
    steps: Vec<f32>,
    /// One for each group: step · sum of its codes.
    sums: Vec<f32>,
}

impl Vectors {
    /// Vectors of length `len`, one after the other.
    pub fn new(values: &[f32], len: usize) -> Self {
        let mut vectors = Self::default();
        vectors.set(values, len);
        vectors
    }

    /// Replaces what is held, by vectors for products with floats: without codes.
    pub fn set_values(&mut self, values: &[f32], len: usize) {
        self.len = len;
        self.count = values.len() / len.max(1);
        self.n_groups = 0;
        self.values.clear();
        self.values.extend_from_slice(values);
    }

    /// Replaces what is held.
    pub fn set(&mut self, values: &[f32], len: usize) {
        self.set_values(values, len);
        self.n_groups = len.div_ceil(GROUP);
        let n = self.count * self.n_groups;
        self.groups.resize(n, NOTHING);
        self.steps.resize(n, 0.0);
        self.sums.resize(n, 0.0);
        for (i, vector) in values.chunks_exact(len.max(1)).enumerate() {
            let own = i * self.n_groups..(i + 1) * self.n_groups;
            let groups = &mut self.groups[own.clone()];
            let (steps, sums) = (&mut self.steps[own.clone()], &mut self.sums[own]);
            Kernel::best().quantize(vector, groups, steps, sums);
        }
    }

    /// How long a vector is.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in them.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Vector `i` as it was given.
    pub fn values(&self, i: usize) -> &[f32] {
        &self.values[i * self.len..][..self.len]
    }

    pub(super) fn groups(&self, i: usize) -> &[Group] {
        &self.groups[i * self.n_groups..][..self.n_groups]
    }

    pub(super) fn steps(&self, i: usize) -> &[f32] {
        &self.steps[i * self.n_groups..][..self.n_groups]
    }

    pub(super) fn sums(&self, i: usize) -> &[f32] {
        &self.sums[i * self.n_groups..][..self.n_groups]
    }

    /// What the codes of vector `i` stand for.
    #[cfg(test)]
    pub(super) fn rounded(&self, i: usize) -> Vec<f32> {
        let groups = self.groups(i).iter().zip(self.steps(i));
        let values = groups.flat_map(|(group, step)| group.codes.map(|q| f32::from(q) * step));
        values.collect()
    }
}

/// Each group's codes, step, and step times the sum of the codes.
#[inline(always)]
pub(super) fn quantize_each(
    values: &[f32],
    groups: &mut [Group],
    steps: &mut [f32],
    sums: &mut [f32],
) {
    let of = groups.iter_mut().zip(steps).zip(sums);
    for (values, ((group, step), sum)) in values.chunks(GROUP).zip(of) {
        (*group, *step, *sum) = quantize(values);
    }
}

/// Codes, step, and step times the sum of the codes. Halves round to even; values that are no numbers give no useful code.
#[inline(always)]
fn quantize(values: &[f32]) -> (Group, f32, f32) {
    /// Adding it rounds to an integer, which the low bits of the sum then hold.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    let mut padded = [0.0; GROUP];
    padded[..values.len()].copy_from_slice(values);
    let mut lanes = [0.0f32; 8];
    for values in padded.as_chunks::<8>().0 {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = if value.abs() > *lane {
                value.abs()
            } else {
                *lane
            };
        }
    }
    let largest = lanes.iter().fold(0.0f32, |most, lane| most.max(*lane));
    let inverse = if largest < 1e-30 {
        0.0
    } else {
        127.0 / largest
    };
    let mut group = NOTHING;
    for (code, value) in group.codes.iter_mut().zip(padded) {
        *code = (value * inverse + ROUND).to_bits() as i8;
    }
    let mut sum = 0;
    for (lane, quad) in group.lanes.iter_mut().zip(group.codes.as_chunks::<4>().0) {
        *lane = -quad.iter().map(|q| i32::from(*q)).sum::<i32>();
        sum -= *lane;
    }
    let step = largest / 127.0;
    (group, step, step * sum as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_by_hand() {
        let mut values = [0.0; 40];
        (values[0], values[1], values[5], values[33]) = (-254.0, 3.0, 6.0, 0.5);
        let vectors = Vectors::new(&values, 40);
        let group = &vectors.groups(0)[0];
        assert_eq!(group.codes[..6], [-127, 2, 0, 0, 0, 3]); // 1.5 to even
        assert_eq!(group.lanes[..3], [125, -3, 0]);
        assert_eq!((vectors.steps(0)[0], vectors.sums(0)[0]), (2.0, -244.0));
        assert_eq!(vectors.groups(0)[1].codes[..3], [0, 127, 0]);
        assert_eq!(vectors.rounded(0)[..2], [-254.0, 4.0]);
    }
}
