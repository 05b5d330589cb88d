use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A worker's part of work that several share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerShare {
    /// Which part it is, from 0.
    pub nth: usize,
    /// How many there are.
    pub of: usize,
}

impl WorkerShare {
    /// All of it.
    pub const ALL: Self = Self { nth: 0, of: 1 };

    /// The stretch of `rows` that is this part.
    pub(crate) fn range(self, rows: usize) -> Range<usize> {
        let begin = |nth: usize| (nth as u128 * rows as u128 / self.of as u128) as usize;
        begin(self.nth)..begin(self.nth + 1)
    }

    /// All parts, in order.
    pub(crate) fn all(of: usize) -> impl Iterator<Item = Self> {
        (0..of).map(move |nth| Self { nth, of })
    }
}

/// As it is written on a command line: `3/8` for the third of eight.
impl fmt::Display for WorkerShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.nth + 1, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part() {
        for (rows, of) in [(10, 3), (2, 5), (0, 2), (7, 1)] {
            let parts: Vec<usize> = WorkerShare::all(of)
                .flat_map(|share| share.range(rows))
                .collect();
            assert_eq!(parts, (0..rows).collect::<Vec<_>>());
        }
    }
}
