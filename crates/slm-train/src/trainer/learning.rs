//! Whether a step is learned from, and learning from it; the loss scale follows.

use slm_model::Decoder;
use slm_run::{Emit, Event};

use super::Trainer;
use crate::gradients::Gradients;
use crate::optimizer::Clip;
use crate::{Fault, clip_factor, watchdog};

impl Trainer<'_> {
    /// What the gradients of the next step are multiplied by.
    pub(super) fn loss_scale(&self) -> f64 {
        self.state.loss_scale.map_or(1.0, |scale| scale.factor)
    }

    /// What stops the run before a step. Gradients that overflow at a loss scale are passed over, and told.
    pub(super) fn fault(&mut self, loss: f64, grad_norm: f64, emit: Emit<'_>) -> Option<Fault> {
        let spike_factor = self.options.section.loss_spike_factor;
        let fault = watchdog::watch(loss, &self.state.recent_losses, spike_factor);
        if fault.is_some() || grad_norm.is_finite() {
            return fault;
        }
        let scale = self.state.loss_scale.as_mut();
        let Some(scale) = scale.and_then(|scale| scale.give_way().then_some(*scale)) else {
            return Some(Fault::GradNorm(grad_norm));
        };
        let (step, factor) = (self.state.step + 1, scale.factor);
        let text = format!(
            "step {step} was passed over: its gradients overflow f16; the loss is scaled by {factor} from now on"
        );
        emit(Event::Note { text });
        None
    }

    /// Changes the weights by gradients whose norm is `grad_norm` without the loss scale.
    pub(super) fn learn(
        &mut self,
        decoder: &mut Decoder,
        gradients: Gradients,
        grad_norm: f64,
        lr: f64,
    ) {
        let clip = clip_factor(grad_norm, self.options.section.max_grad_norm);
        let factor = clip / self.loss_scale();
        let trained = self.options.trained_mut(decoder);
        let clip = Clip::Known(factor);
        self.optimizer.step(trained, gradients, lr, clip);
        if let Some(scale) = &mut self.state.loss_scale {
            scale.keep();
        }
    }
}
