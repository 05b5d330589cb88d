//! What a forward pass keeps for the backward one, from the shapes alone.

use crate::config::{NormKind, QkNorm};
use crate::device::Place;
use crate::family::{FeedForwardNames, QkvNames};
use crate::{DecoderConfig, LoraSpec, TensorSpec};

impl DecoderConfig {
    /// Values that a layer keeps for each token, with the fused operations of `slm-ops`; `rank` is that of a pair.
    ///
    /// Norms keep what they read; the layers of attention and feed-forward their inputs, once for all that read the same, unless the half
    /// takes the norm before them again; and each pair what A made of it; attention its queries, keys, values and results; a gate both its sides, but not their product.
    /// A GPU does not take norms again.
    pub fn kept_per_token(&self, rank: usize, place: Place) -> usize {
        let names = &self.family.names;
        let (d, ff) = (self.hidden_size, self.intermediate_size);
        let q = self.num_attention_heads * self.head_dim;
        let kv = self.num_key_value_heads * self.head_dim;

        let in_norms = [names.attention_in_norm, names.ff_in_norm];
        let out_norms = [names.attention_out_norm, names.ff_out_norm];
        let norms = in_norms.iter().chain(&out_norms).flatten().count() * d;
        let of_heads = match self.qk_norm {
            Some(QkNorm::Head | QkNorm::Projection) => q + kv,
            None => 0,
        };
        let inputs = d * self.kept_inputs(place);
        let attention = 2 * q + 2 * kv;
        let (feed_forward, pairs) = match names.ff {
            FeedForwardNames::Gated { .. } => (2 * ff, 7),
            FeedForwardNames::GatedJoined { .. } => (2 * ff, 5),
            FeedForwardNames::Plain { .. } => (2 * ff, 6),
        };
        norms + of_heads + inputs + attention + feed_forward + pairs * rank
    }

    /// Halves of a layer whose layers' input is kept. The others are one operation, which takes the norm again.
    fn kept_inputs(&self, place: Place) -> usize {
        let names = &self.family.names;
        let is_rms = matches!(self.norm, NormKind::Rms(_)) && place != Place::Gpu;
        let attends_whole = matches!(names.qkv, QkvNames::Split(_)) && self.qk_norm.is_none();
        let again = [
            attends_whole && is_rms && names.attention_in_norm.is_some(),
            matches!(names.ff, FeedForwardNames::Gated { .. })
                && is_rms
                && names.ff_in_norm.is_some(),
        ];
        let kept = again.into_iter().filter(|again| !again).count();
        if self.parallel_residual {
            kept.min(1)
        } else {
            kept
        }
    }

    /// Statistics in f32 that it keeps beside them: a root for each norm, and a sum for each head.
    pub fn statistics_per_token(&self) -> usize {
        let names = &self.family.names;
        let norms = [
            names.attention_in_norm,
            names.ff_in_norm,
            names.attention_out_norm,
            names.ff_out_norm,
        ];
        norms.iter().flatten().count() + self.num_attention_heads
    }

    /// The widest that a layer's inner values are at a time: what flows back into a feed-forward half.
    pub fn flowing_per_token(&self) -> usize {
        3 * self.intermediate_size + 2 * self.hidden_size
    }
}

impl LoraSpec {
    /// How many values it trains of such a model: its pairs, their magnitudes, and copies of `modules_to_save`.
    pub fn n_params(&self, config: &DecoderConfig) -> usize {
        let trained = |tensor: TensorSpec| {
            let path = tensor.name.trim_end_matches(".weight");
            if self.keeps(path) {
                return tensor.shape.iter().product();
            }
            if !config.is_linear(&tensor) || !self.adapts(path) {
                return 0;
            }
            let magnitudes = if self.use_dora { tensor.out() } else { 0 };
            self.rank_of(path) * tensor.shape.iter().sum::<usize>() + magnitudes
        };
        config.tensors().into_iter().map(trained).sum()
    }
}
