//! The passes over a chunk of logits on a GPU, in one kernel: loss, entropy, and the gradient in the logits' place.

use tch::{Kind, Tensor};

use super::{LOGITS_AT_ONCE_ON_GPU, Wants};
use crate::HeadShape;
use crate::cuda::{Gpu, Launch, gpu_of, type_name, width};
use crate::head::libtorch::Found;
use crate::torch::{handle, linear};

/// What [`super::fused::HeadLoss`] gives; `None` where there are no kernels, or the logits have a cap.
pub(super) fn head_loss(
    [hidden, head, weights]: [&Tensor; 3],
    targets: &Tensor,
    shape: &HeadShape,
    smoothing: f64,
    wants: Wants,
) -> Option<Found> {
    let gpu = gpu_of(head)?;
    if shape.softcap.is_some() {
        return None;
    }
    let (kind, device) = (head.kind(), head.device());
    let [n, d, vocab] = [hidden.size()[0], hidden.size()[1], head.size()[0]];
    let scores = Tensor::empty([n, 3], (Kind::Float, device));
    let d_states = Tensor::empty([if wants.states { n } else { 0 }, d], (kind, device));
    let mut d_head = Tensor::zeros([if wants.head { vocab } else { 0 }, d], (kind, device));
    let weights = weights.unsqueeze(1) * shape.scale; // [n, 1]
    let step = super::rows_of_at_most(LOGITS_AT_ONCE_ON_GPU, n as usize, vocab as usize);
    for start in (0..n).step_by(step) {
        let part = |x: &Tensor| x.narrow(0, start, (step as i64).min(n - start));
        let states = part(hidden);
        let logits = linear(&states, head, None);
        let pass = Pass {
            gpu,
            shape,
            smoothing,
            wants_gradient: wants.any(),
        };
        pass.score(&logits, &part(&scores), &part(targets))?;
        if wants.states {
            let pull = linear(&logits, &head.tr(), None);
            part(&d_states).copy_(&(pull * part(&weights)));
        }
        if wants.head {
            let weighted = (states * part(&weights)).to_kind(kind);
            let _ = d_head.addmm_(&logits.tr(), &weighted);
        }
    }
    Some((handle(scores), handle(d_states), handle(d_head)))
}

struct Pass<'a> {
    gpu: &'a Gpu,
    shape: &'a HeadShape,
    smoothing: f64,
    wants_gradient: bool,
}

impl Pass<'_> {
    /// Scores of `logits`, `[rows, vocab]`, which their gradient replaces if it is wanted.
    fn score(&self, logits: &Tensor, scores: &Tensor, targets: &Tensor) -> Option<()> {
        let [rows, vocab] = [logits.size()[0], logits.size()[1]];
        let width = width(vocab, &[logits]);
        let name = format!("cross_entropy<{}, {width}>", type_name(logits.kind())?);
        let arguments = [
            logits.into(),
            scores.into(),
            targets.into(),
            (vocab as i32).into(),
            self.shape.scale.into(),
            self.smoothing.into(),
            i32::from(self.wants_gradient).into(),
        ];
        Launch::block_per_row(rows, vocab, width).run(self.gpu, &name, arguments);
        Some(())
    }
}
