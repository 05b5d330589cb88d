//! Logits in a buffer of torch.

use tch::{Kind, Tensor};

use crate::HeadShape;
use crate::torch::{linear, linear_into};

impl HeadShape {
    /// [`Self::logits`] into `logits`, `[n, vocab]` in f32. Returns the slope of the cap there, if there is one and it is wanted.
    pub(crate) fn logits_into(
        &self,
        logits: &Tensor,
        states: &Tensor,
        head: &Tensor,
        wants_slope: bool,
    ) -> Option<Tensor> {
        let mut logits = logits.shallow_clone();
        match head.kind() {
            Kind::Float => linear_into(&logits, states, head),
            _ => logits.copy_(&linear(states, head, None)),
        }
        if self.scale != 1.0 {
            logits = logits.g_mul_scalar_(self.scale);
        }
        let cap = self.softcap?;
        let mut tanh = logits.g_div_scalar_(cap).tanh_();
        let slope = wants_slope.then(|| tanh.square().g_mul_scalar_(-1.0) + 1.0);
        let _ = tanh.g_mul_scalar_(cap);
        slope
    }
}
