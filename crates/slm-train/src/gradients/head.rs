//! The head and the loss of a micro-batch, by what it is learned for.

use burn::tensor::{Tensor, TensorData};
use slm_model::Decoder;
use slm_ops::{DeviceSums, TokenWeights, linear_cross_entropy, linear_kl, linear_nll, linear_uld};

use super::LossOptions;
use super::learned::{Learned, logprobs};
use crate::preference::{JudgedSums, Judging};
use crate::teaching::{Lesson, Said};

/// What a batch is learned for.
#[derive(Clone, Copy)]
pub(super) enum Aim<'a> {
    /// Its tokens.
    Tokens,
    /// The answers that were judged better.
    Judged(&'a Judging),
    /// Its tokens, and what a teacher says of them.
    Taught(&'a Lesson),
}

/// The loss of a micro-batch.
pub(super) struct BatchLoss {
    pub(super) sums: DeviceSums,
    /// What the backward pass starts from.
    pub(super) surrogate: Tensor<1>,
    /// Of judged answers.
    pub(super) judged: JudgedSums,
    /// The divergence from a teacher.
    pub(super) taught: DeviceSums,
    /// The distances from its layers.
    pub(super) layers: DeviceSums,
}

/// The head and loss on the learned positions of final states `[batch, time, hidden]`.
pub(super) fn head_loss(
    decoder: &Decoder,
    learned: &Learned,
    states: Tensor<3>,
    options: &LossOptions,
    aim: Aim<'_>,
) -> BatchLoss {
    let states = learned.of_states(states);
    let own = |weights: &TokenWeights| {
        linear_cross_entropy(
            states.clone(),
            decoder.head(),
            learned.targets.clone(),
            &weights.clone().scaled(options.loss_scale),
            &decoder.config().head,
            options.label_smoothing,
        )
    };
    let (found, judged) = match aim {
        Aim::Tokens => (own(&options.weights), JudgedSums::default()),
        Aim::Judged(judging) => {
            let logprobs = logprobs(decoder, states.clone(), learned.targets.clone());
            let (weights, judged) = judging.weigh(&logprobs);
            let n = weights.len();
            let device = states.device().inner();
            let weights = Tensor::from_data(TensorData::new(weights, [n]), &device);
            (own(&TokenWeights::Each(weights)), judged)
        }
        Aim::Taught(lesson) => return taught_loss(decoder, learned, states, options, lesson),
    };
    BatchLoss {
        sums: found.sums,
        surrogate: found.surrogate,
        judged,
        taught: DeviceSums::default(),
        layers: DeviceSums::default(),
    }
}

/// The cross entropy and the divergence from a teacher, each with its share, of final states `[n, hidden]`.
fn taught_loss(
    decoder: &Decoder,
    learned: &Learned,
    states: Tensor<2>,
    options: &LossOptions,
    lesson: &Lesson,
) -> BatchLoss {
    let (head, shape) = (decoder.head(), &decoder.config().head);
    let weights = options.weights.clone().scaled(options.loss_scale);
    let measure = &lesson.measure;
    let (temperature, share) = (measure.temperature, measure.share());
    let taught = match &lesson.said {
        Said::Same(teacher) => Some(linear_kl(
            states.clone(),
            teacher.seen_of(head.clone()),
            teacher,
            &weights.clone().scaled(share),
            shape,
            measure.divergence,
            temperature,
        )),
        Said::Foreign(said) => said.as_ref().map(|(teacher, places)| {
            let weights = weights.of(places).scaled(share);
            let states = states.clone().select(0, places.clone());
            linear_uld(states, head.clone(), teacher, &weights, shape, temperature)
        }),
    };
    let targets = learned.targets.clone();
    let own_share = lesson.own_share();
    let own = |weights: TokenWeights, smoothing| {
        linear_cross_entropy(
            states.clone(),
            head.clone(),
            targets.clone(),
            &weights,
            shape,
            smoothing,
        )
    };
    let (sums, surrogate) = match (&taught, own_share > 0.0) {
        (Some(taught), false) => {
            let sums = linear_nll(states, head, targets, shape);
            (sums, taught.surrogate.clone())
        }
        (taught, _) => {
            let own = own(weights.scaled(own_share), options.label_smoothing);
            let surrogate = match taught {
                Some(taught) => own.surrogate.add(taught.surrogate.clone()),
                None => own.surrogate,
            };
            (own.sums, surrogate)
        }
    };
    BatchLoss {
        sums,
        surrogate,
        judged: JudgedSums::default(),
        taught: taught.map(|it| it.sums).unwrap_or_default(),
        layers: DeviceSums::default(),
    }
}
