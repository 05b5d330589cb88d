//! What a model says of rows that it does not learn from.

use slm_data::Batch;
use slm_model::Decoder;
use slm_ops::{TokenSums, linear_nll};

use super::learned::{Learned, tokens_of};

/// Means over the learned tokens of some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenMeans {
    /// Cross entropy in nats.
    pub loss: f64,
    /// Entropy of the predicted distributions, in nats.
    pub entropy: f64,
    /// Share of the targets that no other token was likelier than.
    pub token_accuracy: f64,
}

impl TokenMeans {
    /// Nothing was measured.
    pub(crate) const UNKNOWN: Self = Self {
        loss: f64::NAN,
        entropy: f64::NAN,
        token_accuracy: f64::NAN,
    };

    /// The means of `sums` over `n` tokens.
    pub fn new(sums: TokenSums, n: usize) -> Self {
        let n = n as f64;
        Self {
            loss: sums.loss / n,
            entropy: sums.entropy / n,
            token_accuracy: sums.correct / n,
        }
    }
}

/// The means over the learned tokens of all batches, without gradients; `None` when nothing is learned.
///
/// The loss is the plain cross entropy, whatever `label_smoothing_factor` training has, so that runs compare.
pub fn held_out_means(
    decoder: &Decoder,
    batches: impl IntoIterator<Item = Batch>,
) -> Option<TokenMeans> {
    let (sums, count) = held_out_sums(decoder, batches);
    (count > 0).then(|| TokenMeans::new(sums, count))
}

/// The sums, and the number of learned tokens that they are over.
pub(crate) fn held_out_sums(
    decoder: &Decoder,
    batches: impl IntoIterator<Item = Batch>,
) -> (TokenSums, usize) {
    let decoder = decoder.inference();
    let shape = decoder.config().head;
    let (mut sums, mut count) = (Vec::new(), 0);
    for batch in batches.into_iter().filter(|batch| batch.learned > 0) {
        let learned = Learned::of(&batch, &decoder);
        let states = decoder.hidden(&tokens_of(&decoder, &batch), None, None);
        let (states, targets) = (learned.of_states(states), learned.targets);
        sums.push(linear_nll(states, decoder.head(), targets, &shape).read());
        count += batch.learned;
    }
    (sums.into_iter().sum(), count)
}
