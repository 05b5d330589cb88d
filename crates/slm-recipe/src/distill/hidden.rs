//! `[distill.hidden]`: layers of the student that are held against layers of its teacher.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the student's layers learn from the teacher's, at the learned tokens, beside what is learned from its distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HiddenSection {
    /// What the mean over the mapped layers is multiplied by before it joins the loss; 0 is off.
    #[schemars(extend("minimum" = 0))]
    pub weight: f64,
    /// How far two states are from each other.
    pub loss: HiddenLoss,
    /// Which layers are mapped: `uniform`, or pairs `[student, teacher]`, counted from 0 as in the names of their weights.
    pub layers: LayerMap,
}

impl HiddenSection {
    /// Whether anything is learned from the teacher's layers.
    pub fn is_on(&self) -> bool {
        self.weight > 0.0
    }
}

impl Default for HiddenSection {
    fn default() -> Self {
        Self {
            weight: 0.0,
            loss: HiddenLoss::Mse,
            layers: LayerMap::Uniform,
        }
    }
}

/// How far a state of the student is from its teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HiddenLoss {
    /// The mean of squared differences, as TinyBERT (Jiao et al. 2020).
    #[default]
    Mse,
    /// One less the cosine, as DistilBERT (Sanh et al. 2019): the length of a state does not count.
    Cosine,
}

/// Which layer of the student follows which of its teacher's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub enum LayerMap {
    /// Every layer of the student, evenly over the teacher's: the last one follows the last one.
    Uniform,
    /// These pairs alone.
    Pairs(Vec<[usize; 2]>),
}

impl LayerMap {
    /// Pairs of layers of a student of `n` layers and a teacher of `m`, by the student's layers.
    ///
    /// `uniform` ends the (i + 1)-th of n parts of the student where the same part of the teacher ends, at its layer
    /// `round((i + 1) m / n)`, counted from 1. Where m is a multiple of n, this is the uniform mapping of TinyBERT, which did
    /// better there than the first or the last layers alone; a stride would leave the teacher's last layers out where m is not.
    pub fn pairs(&self, n: usize, m: usize) -> Vec<[usize; 2]> {
        match self {
            Self::Uniform => {
                let ends_at = |i: usize| (2 * (i + 1) * m + n) / (2 * n);
                (0..n).map(|i| [i, ends_at(i).max(1) - 1]).collect()
            }
            Self::Pairs(pairs) => {
                let mut pairs = pairs.clone();
                pairs.sort_unstable();
                pairs
            }
        }
    }
}

/// [`LayerMap`] as the recipe writes it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(Word),
    #[schemars(extend("minItems" = 1))]
    Pairs(Vec<[usize; 2]>),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Uniform,
}

impl From<Written> for LayerMap {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Uniform) => Self::Uniform,
            Written::Pairs(pairs) => Self::Pairs(pairs),
        }
    }
}

impl From<LayerMap> for Written {
    fn from(map: LayerMap) -> Self {
        match map {
            LayerMap::Uniform => Self::Word(Word::Uniform),
            LayerMap::Pairs(pairs) => Self::Pairs(pairs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teachers(n: usize, m: usize) -> Vec<usize> {
        let pairs = LayerMap::Uniform.pairs(n, m);
        assert!(pairs.iter().enumerate().all(|(i, pair)| pair[0] == i));
        pairs.into_iter().map(|pair| pair[1]).collect()
    }

    #[test]
    fn uniform_ends_parts_where_the_teacher_does() {
        // TinyBERT's 4 and 6 layers of 12.
        assert_eq!(teachers(4, 12), [2, 5, 8, 11]);
        assert_eq!(teachers(6, 12), [1, 3, 5, 7, 9, 11]);
        assert_eq!(teachers(3, 3), [0, 1, 2]);
        // 5/3 and 10/3 of five layers, and all of them.
        assert_eq!(teachers(3, 5), [1, 2, 4]);
        // A student that is deeper begins with the first layer several times.
        assert_eq!(teachers(5, 2), [0, 0, 0, 1, 1]);
        assert_eq!(teachers(1, 7), [6]);
    }

    #[test]
    fn pairs_come_by_the_students_layers() {
        let map = LayerMap::Pairs(vec![[3, 7], [1, 2]]);
        assert_eq!(map.pairs(4, 8), [[1, 2], [3, 7]]);
    }
}
