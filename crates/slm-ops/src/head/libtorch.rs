//! A head's loop over chunks in ATen's operations, with the logits in a buffer.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::{Kind, Tensor};

use crate::HeadShape;
use crate::loss::{Wants, rows_at_once};
use crate::torch::{handle, linear};

/// Scores, `[n, 3]`, and the gradients of states and head that are wanted.
pub(crate) type Found = (
    FloatTensor<LibTorch>,
    FloatTensor<LibTorch>,
    FloatTensor<LibTorch>,
);

/// `compare(start, [logits, free..])` chunk by chunk gives scores, and leaves the gradient of the capped logits in the last
/// buffer; then the products of those.
///
/// Weights of tokens, `[n]`, times `factor`, are left to the gradients of the states, which are smaller than those of the logits.
pub(crate) fn in_chunks<const N: usize>(
    [hidden, head, weights]: [&Tensor; 3],
    shape: &HeadShape,
    factor: f64,
    wants: Wants,
    mut compare: impl FnMut(i64, &[Tensor; N]) -> Tensor,
) -> Found {
    let weights = weights.unsqueeze(1) * factor; // [n, 1]
    let [n, d, vocab] = [hidden.size()[0], hidden.size()[1], head.size()[0]];
    let step = rows_at_once(n as usize, vocab as usize) as i64;
    let (kind, device) = (head.kind(), head.device());
    let buffers = [(); N].map(|()| Tensor::empty([step, vocab], (Kind::Float, device)));
    let scores = Tensor::empty([n, 3], (Kind::Float, device));
    let d_states = Tensor::empty([if wants.states { n } else { 0 }, d], (kind, device));
    let mut d_head = Tensor::zeros([if wants.head { vocab } else { 0 }, d], (kind, device));
    for start in (0..n).step_by(step as usize) {
        let rows = step.min(n - start);
        let part = |x: &Tensor| x.narrow(0, start, rows);
        let buffers = buffers.each_ref().map(|x| x.narrow(0, 0, rows));
        let states = part(hidden);
        let slope = shape.logits_into(&buffers[0], &states, head, wants.any());
        part(&scores).copy_(&compare(start, &buffers));
        if !wants.any() {
            continue;
        }
        let mut gradient = buffers[N - 1].shallow_clone();
        if let Some(slope) = slope {
            gradient = gradient.g_mul_(&slope);
        }
        let gradient = gradient.to_kind(kind);
        if wants.states {
            let pull = linear(&gradient, &head.tr(), None);
            part(&d_states).copy_(&(pull * part(&weights)));
        }
        if wants.head {
            let weighted = (states * part(&weights)).to_kind(kind);
            let _ = d_head.addmm_(&gradient.tr(), &weighted);
        }
    }
    (handle(scores), handle(d_states), handle(d_head))
}

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
            Kind::Float => drop(states.mm_out(&logits, &head.tr())),
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
