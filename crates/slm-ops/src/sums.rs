//! What is added up over tokens, and when it is read.

use burn::tensor::Tensor;

/// Sums over tokens that are still on the device: reading them waits for it, so read once, after the backward pass.
#[derive(Clone, Debug, Default)]
pub struct DeviceSums {
    /// `[3]` of each chunk, f32: loss, entropy, count of argmax.
    pub(crate) chunks: Vec<Tensor<1>>,
}

/// Sums over tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenSums {
    /// Cross entropies, label smoothing included, in nats. Unweighted.
    pub loss: f64,
    /// Entropies of the predicted distributions, in nats.
    pub entropy: f64,
    /// Targets that no other token was likelier than.
    pub correct: f64,
}

impl DeviceSums {
    /// Of scores `[n, 3]`: loss, entropy, and 1 for an argmax.
    pub(crate) fn of(scores: Tensor<2>) -> Self {
        Self {
            chunks: vec![scores.sum_dim(0).flatten(0, 1)],
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.chunks.extend(other.chunks);
        self
    }

    /// A scalar that is 0 where every loss is finite, and no number else; it is not waited for. None without a loss.
    pub fn check(&self) -> Option<Tensor<1>> {
        if self.chunks.is_empty() {
            return None;
        }
        let n = self.chunks.len();
        let chunks = Tensor::cat(self.chunks.clone(), 0).reshape([n, 3]);
        let losses: Tensor<1> = chunks.narrow(1, 0, 1).flatten(0, 1);
        Some(losses.clone().sub(losses).sum())
    }

    /// Waits for the device, once, and adds up in f64.
    pub fn read(self) -> TokenSums {
        Self::read_each(vec![self]).pop().unwrap_or_default()
    }

    /// [`Self::read`] of several at once.
    pub fn read_each(each: Vec<Self>) -> Vec<TokenSums> {
        let counts: Vec<usize> = each.iter().map(|sums| sums.chunks.len()).collect();
        let chunks: Vec<Tensor<1>> = each.into_iter().flat_map(|sums| sums.chunks).collect();
        let values: Vec<f64> = match chunks.is_empty() {
            true => Vec::new(),
            false => Tensor::cat(chunks, 0).into_data().iter().collect(),
        };
        let mut chunks = values.chunks(3);
        let of_chunk = |chunk: &[f64]| TokenSums {
            loss: chunk[0],
            entropy: chunk[1],
            correct: chunk[2],
        };
        counts
            .into_iter()
            .map(|n| chunks.by_ref().take(n).map(of_chunk).sum())
            .collect()
    }
}

impl std::iter::Sum for TokenSums {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |all, one| Self {
            loss: all.loss + one.loss,
            entropy: all.entropy + one.entropy,
            correct: all.correct + one.correct,
        })
    }
}
