//! The sides of a split, and something for each of them.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// A side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Learned from.
    Train,
    /// Held out to be looked at while a model learns: what chooses the best weights.
    Validation,
    /// Held out until a model has learned: what its tasks are measured on.
    Test,
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// As it is written in files, and the first part of the names of its shards.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The one of three that is this side's.
    pub(crate) fn of<T>(self, [train, validation, test]: [T; 3]) -> T {
        match self {
            Self::Train => train,
            Self::Validation => validation,
            Self::Test => test,
        }
    }

    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "held out",
            Self::Test => "test",
        }
    }
}

/// What there is of each side; of the test only where that is not empty.
pub(crate) fn told<'a, T: 'a>(
    of: impl Fn(Side) -> &'a T,
    is_empty: fn(&T) -> bool,
) -> impl Iterator<Item = (Side, &'a T)> {
    let all = Side::ALL.map(|side| (side, of(side)));
    let is_told = move |(side, it): &(Side, &T)| *side != Side::Test || !is_empty(it);
    all.into_iter().filter(is_told)
}

/// Something of each side.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sides<T>([T; 3]);

impl<T> Sides<T> {
    pub(crate) fn new(of: impl FnMut(Side) -> T) -> Self {
        Self(Side::ALL.map(of))
    }

    pub(crate) fn into_each(self) -> impl Iterator<Item = (Side, T)> {
        Side::ALL.into_iter().zip(self.0)
    }

    pub(crate) fn into_array(self) -> [T; 3] {
        self.0
    }
}

impl<T> Index<Side> for Sides<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        &self.0[side as usize]
    }
}

impl<T> IndexMut<Side> for Sides<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        &mut self.0[side as usize]
    }
}
