//! The loss of a base in f16, scaled: the gradients of activations would fall below what f16 can tell from zero.

use burn::tensor::DType;
use serde::{Deserialize, Serialize};
use slm_model::Decoder;

/// Good steps after which a scale is doubled.
const GROWTH_INTERVAL: usize = 2000;

/// A scale that follows the gradients, with the figures of `torch.amp.GradScaler`: the loss is multiplied by it, and the gradients
/// of what is trained, which are in f32, divided. What overflows is not learned from, and halves it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// A power of two.
    pub factor: f64,
    /// Since it last changed.
    pub good_steps: usize,
    /// Steps that were not taken; the optimizer does not count them.
    pub skipped: usize,
}

impl Default for LossScale {
    fn default() -> Self {
        Self {
            factor: 65536.0,
            good_steps: 0,
            skipped: 0,
        }
    }
}

impl LossScale {
    /// Where the frozen base computes in f16; no other needs one.
    pub(crate) fn of(decoder: &Decoder) -> Option<Self> {
        let params = decoder.params().into_iter();
        let mut dtypes = params.filter(|p| !p.trainable).map(|p| p.value.dtype());
        dtypes.any(|dtype| dtype == DType::F16).then(Self::default)
    }

    /// A step was taken.
    pub(crate) fn keep(&mut self) {
        self.good_steps += 1;
        if self.good_steps == GROWTH_INTERVAL {
            self.factor *= 2.0;
            self.good_steps = 0;
        }
    }

    /// The gradients of a step overflowed; whether a smaller scale may help.
    pub(crate) fn give_way(&mut self) -> bool {
        if self.factor <= 1.0 {
            return false;
        }
        self.factor /= 2.0;
        self.good_steps = 0;
        self.skipped += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_after_good_steps_and_halves_at_once() {
        let mut scale = LossScale::default();
        for _ in 1..GROWTH_INTERVAL {
            scale.keep();
        }
        assert_eq!((scale.factor, scale.good_steps), (65536.0, 1999));
        scale.keep();
        assert_eq!((scale.factor, scale.good_steps), (131_072.0, 0));
        scale.keep();
        assert!(scale.give_way());
        assert_eq!(
            (scale.factor, scale.good_steps, scale.skipped),
            (65536.0, 0, 1)
        );
    }

    #[test]
    fn below_one_it_is_not_the_scale() {
        let mut scale = LossScale::default();
        let halved = (0..100).take_while(|_| scale.give_way()).count();
        assert_eq!((halved, scale.factor, scale.skipped), (16, 1.0, 16));
    }
}
