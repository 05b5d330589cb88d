//! A batch as conversations, which is how kernels of a GPU read it.

use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor};

use crate::upload::ints_of_32_bits;

/// A batch as conversations one after the other, whose queries see everything before themselves in their own.
#[derive(Debug)]
pub(super) struct Conversations {
    /// Where each begins in the batch's positions laid end to end, and where the last ends.
    starts: Vec<i32>,
    pub(super) longest: usize,
    /// Keys that a query sees at most, its own included.
    pub(super) window: Option<usize>,
    on_device: OnceLock<Tensor<1, Int>>,
}

impl Conversations {
    /// Of rows of `time` queries that see the keys from `first` on; `None` where they see anything else.
    pub(super) fn of(first: &[usize], time: usize) -> Option<Self> {
        let (mut starts, mut window, mut widest) = (Vec::new(), None, 0);
        for (i, &seen) in first.iter().enumerate() {
            let seen = i - i % time + seen;
            if seen == i {
                starts.push(i);
            }
            let begin = *starts.last()?;
            if seen > begin && *window.get_or_insert(i + 1 - seen) != i + 1 - seen {
                return None;
            }
            if seen < begin {
                return None;
            }
            widest = widest.max(i + 1 - seen);
        }
        starts.push(first.len());
        let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
        let is_alike = window.is_none_or(|keys| widest <= keys);
        is_alike.then(|| Self {
            longest: longest.unwrap_or(0),
            starts: starts.into_iter().map(|start| start as i32).collect(),
            window,
            on_device: OnceLock::new(),
        })
    }

    /// Whether each of the batch's rows is one.
    pub(super) fn are_rows(&self, batch: usize) -> bool {
        self.starts.len() == batch + 1
    }

    /// Where each begins, and where the last ends, `[n + 1]` in i32. Made once for the device that asks first.
    pub(super) fn starts(&self, device: &Device) -> Tensor<1, Int> {
        let new = || ints_of_32_bits(self.starts.clone(), [self.starts.len()], device);
        let held = self.on_device.get_or_init(new);
        match held.device() == *device {
            true => held.clone(),
            false => new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Sight;

    #[test]
    fn conversations_are_found_with_their_window() {
        let of = |sight: &Sight| {
            let found = sight.conversations()?;
            Some((found.starts.clone(), found.longest, found.window))
        };
        let plain = Sight::new([2, 3, 3], |_, _| 0);
        assert_eq!(of(&plain), Some((vec![0, 3, 6], 3, None)));
        let packed = Sight::of_segments(&[1, 1, 2, 2, 2, 0, 1, 1, 1, 1, 2, 2], [2, 6]);
        assert_eq!(of(&packed), Some((vec![0, 2, 5, 6, 10, 12], 4, None)));
        assert_eq!(
            of(&packed.within(2)),
            Some((vec![0, 2, 5, 6, 10, 12], 4, Some(2)))
        );
        // Wider than what is there: no window at all.
        assert_eq!(of(&packed.within(4)), of(&packed));
        let ragged = Sight::new([1, 4, 4], |_, query| [0, 0, 0, 2][query]);
        assert_eq!(of(&ragged), None);
        assert_eq!(of(&Sight::new([1, 1, 4], |_, _| 0)), None);
    }
}
