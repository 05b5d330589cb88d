use std::ops::Range;

/// One encoded row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// As in [`crate::Example::row`].
    pub row: usize,
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether the token at the same place is learned, that is: predicted from those before it.
    pub learn: Vec<bool>,
    /// Places after 0 at which another conversation begins, ascending; none in a row of one conversation. Nothing is
    /// predicted across them, and attention stops at them.
    pub breaks: Vec<u32>,
}

impl Sample {
    /// A row of one conversation.
    pub fn new(row: usize, ids: Vec<u32>, learn: Vec<bool>) -> Self {
        Self {
            row,
            ids,
            learn,
            breaks: Vec::new(),
        }
    }

    /// The places of each conversation, in order.
    pub fn conversations(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.breaks.iter().map(|at| *at as usize));
        let ends = self.breaks.iter().map(|at| *at as usize);
        starts
            .zip(ends.chain([self.ids.len()]))
            .map(|(start, end)| start..end)
    }

    /// Tokens that a model is asked to predict: learned ones, but for the first of a conversation, which nothing precedes.
    pub fn learned(&self) -> usize {
        self.conversations()
            .map(|places| {
                let learn = self.learn[places].iter().skip(1);
                learn.filter(|learn| **learn).count()
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_of_each_conversation_is_not_predicted() {
        let mut sample = Sample::new(0, vec![5, 6, 7, 8, 9], vec![true; 5]);
        assert_eq!(sample.learned(), 4);
        sample.breaks = vec![2, 3];
        let places: Vec<_> = sample.conversations().collect();
        assert_eq!(places, [0..2, 2..3, 3..5]);
        assert_eq!(sample.learned(), 2);
    }
}
