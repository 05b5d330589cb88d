//! Whether ids mean the same to two models.

use crate::ChatTokenizer;

/// Examples that are kept of each kind.
const EXAMPLES: usize = 5;

/// What two vocabularies share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VocabularyProof {
    /// Ids from 0 up to this are in both.
    pub shared: usize,
    /// How many of them are other tokens.
    pub different: usize,
    /// The first of those: the id, and what it is to one and to the other.
    pub counterexamples: Vec<(u32, String, String)>,
    /// How many ids the first has beyond the shared ones, and the other.
    pub beyond: [usize; 2],
    /// The first tokens of each beyond the shared ones.
    pub tokens_beyond: [Vec<String>; 2],
}

impl VocabularyProof {
    /// Compares token by token. How text is cut into tokens is not compared: ids are given.
    pub fn of(one: &ChatTokenizer, other: &ChatTokenizer) -> Self {
        let sizes = [one, other].map(ChatTokenizer::vocab_size);
        let shared = sizes[0].min(sizes[1]);
        let mut proof = Self {
            shared,
            beyond: sizes.map(|size| size - shared),
            ..Self::default()
        };
        for id in 0..shared as u32 {
            let tokens = [one, other].map(|it| it.raw_token(id));
            if tokens[0] != tokens[1] {
                proof.different += 1;
                if proof.counterexamples.len() < EXAMPLES {
                    let [a, b] = [one, other].map(|it| it.token(id));
                    proof.counterexamples.push((id, a, b));
                }
            }
        }
        proof.tokens_beyond = [(one, sizes[0]), (other, sizes[1])].map(|(it, size)| {
            let ids = shared as u32..size as u32;
            ids.take(EXAMPLES).map(|id| it.token(id)).collect()
        });
        proof
    }

    /// Whether every shared id is the same token.
    pub fn holds(&self) -> bool {
        self.different == 0
    }
}
