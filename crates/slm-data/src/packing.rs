use std::collections::BTreeMap;

/// Puts lengths into bins of `capacity` by best-fit decreasing and returns the places of each bin.
///
/// Each length goes into the fullest bin that it still fits, longest first (ties in the order given), so that the number of
/// bins depends on the lengths only. A length over `capacity` gets a bin of its own. Nothing is split, nothing is left out.
pub(crate) fn best_fit_decreasing(
    lengths: &[usize],
    order: &[usize],
    capacity: usize,
) -> Vec<Vec<usize>> {
    let mut longest_first = order.to_vec();
    longest_first.sort_by_key(|at| std::cmp::Reverse(lengths[*at]));
    let mut bins: Vec<Vec<usize>> = Vec::new();
    // Free space to the bins that have it.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in longest_first {
        let length = lengths[at];
        let (bin, free) = match open.range_mut(length..).next() {
            Some((&free, with_this)) => {
                let bin = with_this.pop().unwrap_or_default();
                if with_this.is_empty() {
                    open.remove(&free);
                }
                bins[bin].push(at);
                (bin, free - length)
            }
            None => {
                bins.push(vec![at]);
                (bins.len() - 1, capacity.saturating_sub(length))
            }
        };
        if free > 0 {
            open.entry(free).or_default().push(bin);
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fills_the_fullest_bin_that_fits() {
        // 6 | 5 | 4 into 5's bin is too much for 8, so: 6+2, 5+3, 4+1.
        let bins = best_fit_decreasing(&[4, 2, 6, 3, 5, 1], &[0, 1, 2, 3, 4, 5], 8);
        assert_eq!(bins, [vec![2, 1], vec![4, 3], vec![0, 5]]);
    }

    #[test]
    fn a_length_over_the_capacity_is_alone() {
        assert_eq!(best_fit_decreasing(&[9, 1], &[0, 1], 4), [vec![0], vec![1]]);
    }

    proptest! {
        #[test]
        fn everything_is_in_one_bin_and_no_bin_overflows(lengths in prop::collection::vec(1usize..=32, 0..200)) {
            let order: Vec<usize> = (0..lengths.len()).collect();
            let bins = best_fit_decreasing(&lengths, &order, 32);
            let mut all: Vec<usize> = bins.concat();
            all.sort_unstable();
            prop_assert_eq!(all, order);
            let total: usize = lengths.iter().sum();
            for bin in &bins {
                prop_assert!(bin.iter().map(|at| lengths[*at]).sum::<usize>() <= 32);
            }
            // At most one bin can be half empty: two of them would have been one.
            prop_assert!(bins.len() <= 2 * total.div_ceil(32).max(1));
        }
    }
}
