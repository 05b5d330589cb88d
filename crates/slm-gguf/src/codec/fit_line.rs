//! Searches for a line, a scale and an offset, that loses least: ggml's `make_qkx2_quants` and `make_qkx3_quants`.
//!
//! Like those of `fit.rs`: greedy, in ggml's order of additions, several groups side by side.

use super::extremes;
use super::fit::{Lanes, nearest};

/// What [`from_smallest`] tries: starts that have `first`, `first + step`, ... levels more than there are.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// The highest level.
    pub(super) top: u8,
    /// The first start.
    pub(super) first: f32,
    /// From one start to the next.
    pub(super) step: f32,
    /// How many starts follow the first.
    pub(super) n_steps: u8,
    /// What is made small.
    pub(super) difference: Difference,
}

/// What an element's error is, before its weight.
#[derive(Clone, Copy)]
pub(super) enum Difference {
    Absolute,
    Squared,
}

impl Search {
    /// What ggml tries where the weights come from an importance matrix.
    pub(super) const fn weighted(top: u8) -> Self {
        Self {
            top,
            first: -0.9,
            step: 0.05,
            n_steps: 36,
            difference: Difference::Squared,
        }
    }
}

/// What is found for `G` groups of `N`: element = `scale * level - offset`.
pub(super) struct Lines<const N: usize, const G: usize> {
    pub(super) scales: [f32; G],
    pub(super) offsets: [f32; G],
    pub(super) levels: Lanes<u8, N, G>,
}

/// A scale, an offset of at least 0, and levels for each group such that elements come near `scale * level - offset`.
///
/// Errors count by what the search says of them, times the element's weight.
pub(super) fn from_smallest<const N: usize, const G: usize>(
    values: &Lanes<f32, N, G>,
    weights: &Lanes<f32, N, G>,
    search: Search,
) -> Lines<N, G> {
    let extremes: [_; G] = std::array::from_fn(|g| extremes(&values.map(|lane| lane[g])));
    let largest = extremes.map(|(_, largest)| largest);
    let first = extremes.map(|(smallest, _)| if smallest > 0.0 { 0.0 } else { smallest });
    let weighted = Weighted::new(values, weights, search);
    let top = f32::from(search.top);

    let inverse = std::array::from_fn(|g| top / (largest[g] - first[g]));
    // Where the best levels come from: they are `nearest(inverse * (value - base))`.
    let mut start = (inverse, first);
    let (mut scale, mut smallest) = (inverse.map(|inverse| 1.0 / inverse), first);
    let mut least = weighted.errors(scale, smallest, &weighted.levels(start));
    for step in 0..=search.n_steps {
        // From the best line so far, not from the first: as ggml does it.
        let reach = search.first + search.step * f32::from(step) + top;
        let inverse: [f32; G] = std::array::from_fn(|g| reach / (largest[g] - smallest[g]));
        let base = smallest;
        let levels = weighted.levels((inverse, base));
        let (is_line, new_scale, new_smallest) = weighted.lines_through(&levels);
        let errors = weighted.errors(new_scale, new_smallest, &levels);
        for g in 0..G {
            if is_line[g] && errors[g] < least[g] {
                (start.0[g], start.1[g]) = (inverse[g], base[g]);
                (scale[g], smallest[g], least[g]) = (new_scale[g], new_smallest[g], errors[g]);
            }
        }
    }
    let mut levels = weighted
        .levels(start)
        .map(|lane| lane.map(|level| level as u8));
    // A group of one number is a line without a scale, whatever came of dividing by nothing.
    for g in (0..G).filter(|&g| largest[g] == first[g]) {
        (scale[g], smallest[g]) = (0.0, first[g]);
        levels.iter_mut().for_each(|lane| lane[g] = 0);
    }
    Lines {
        scales: scale,
        offsets: smallest.map(|smallest| -smallest),
        levels,
    }
}

/// The same for one group.
pub(super) fn one_from_smallest<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    search: Search,
) -> (f32, f32, [u8; N]) {
    let alone = |values: &[f32; N]| values.map(|value| [value]);
    let found = from_smallest(&alone(values), &alone(weights), search);
    let levels = found.levels.map(|[level]| level);
    (found.scales[0], found.offsets[0], levels)
}

/// Elements of which each counts by its weight.
struct Weighted<'a, const N: usize, const G: usize> {
    values: &'a Lanes<f32, N, G>,
    weights: &'a Lanes<f32, N, G>,
    search: Search,
    sum_w: [f32; G],
    sum_x: [f32; G],
}

impl<'a, const N: usize, const G: usize> Weighted<'a, N, G> {
    fn new(values: &'a Lanes<f32, N, G>, weights: &'a Lanes<f32, N, G>, search: Search) -> Self {
        let (mut sum_w, mut sum_x) = ([0f32; G], [0f32; G]);
        for (values, weights) in values.iter().zip(weights) {
            for g in 0..G {
                sum_w[g] += weights[g];
                sum_x[g] += weights[g] * values[g];
            }
        }
        Self {
            values,
            weights,
            search,
            sum_w,
            sum_x,
        }
    }

    fn levels(&self, (inverse, base): ([f32; G], [f32; G])) -> Lanes<i32, N, G> {
        let top = self.search.top.into();
        self.values.map(|lane| {
            std::array::from_fn(|g| nearest(inverse[g] * (lane[g] - base[g])).clamp(0, top))
        })
    }

    fn errors(&self, scale: [f32; G], smallest: [f32; G], levels: &Lanes<i32, N, G>) -> [f32; G] {
        let mut errors = [0f32; G];
        for ((values, weights), levels) in self.values.iter().zip(self.weights).zip(levels) {
            for g in 0..G {
                let off = scale[g] * levels[g] as f32 + smallest[g] - values[g];
                errors[g] += weights[g]
                    * match self.search.difference {
                        Difference::Absolute => off.abs(),
                        Difference::Squared => off * off,
                    };
            }
        }
        errors
    }

    /// The lines of least squares, among those that do not start above 0, as scale and smallest; none where all levels are
    /// one.
    fn lines_through(&self, levels: &Lanes<i32, N, G>) -> ([bool; G], [f32; G], [f32; G]) {
        let (mut sum_l, mut sum_l2, mut sum_xl) = ([0f32; G], [0f32; G], [0f32; G]);
        for ((values, weights), levels) in self.values.iter().zip(self.weights).zip(levels) {
            for g in 0..G {
                let level = levels[g] as f32;
                let weighted = weights[g] * level;
                sum_l[g] += weighted;
                sum_l2[g] += weighted * level;
                sum_xl[g] += weighted * values[g];
            }
        }
        let (mut is_line, mut scale, mut smallest) = ([false; G], [0f32; G], [0f32; G]);
        for g in 0..G {
            let (sum_w, sum_x) = (self.sum_w[g], self.sum_x[g]);
            let (sum_l, sum_l2, sum_xl) = (sum_l[g], sum_l2[g], sum_xl[g]);
            let determinant = sum_w * sum_l2 - sum_l * sum_l;
            is_line[g] = determinant > 0.0;
            scale[g] = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            smallest[g] = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if smallest[g] > 0.0 {
                (scale[g], smallest[g]) = (sum_xl / sum_l2, 0.0);
            }
        }
        (is_line, scale, smallest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_fits_is_found() {
        let search = Search {
            top: 15,
            first: -1.0,
            step: 0.1,
            n_steps: 20,
            difference: Difference::Squared,
        };
        let values: [f32; 16] = std::array::from_fn(|i| i as f32 * 0.5 - 3.0);
        assert_eq!(
            one_from_smallest(&values, &[1.0; 16], search),
            (0.5, 3.0, std::array::from_fn(|i| i as u8))
        );
        // The offset is never negative: a constant above 0 is the top level of a scale of its own.
        let (scale, offset, levels) = one_from_smallest(&[3.0; 16], &[1.0; 16], search);
        assert_eq!((offset, levels), (0.0, [15; 16]));
        assert!((scale * 15.0 - 3.0).abs() < 1e-6);
        assert_eq!(one_from_smallest(&[-3.0; 16], &[1.0; 16], search).1, 3.0);
        assert_eq!(
            one_from_smallest(&[0.0; 16], &[1.0; 16], search),
            (0.0, 0.0, [0; 16])
        );
    }
}
