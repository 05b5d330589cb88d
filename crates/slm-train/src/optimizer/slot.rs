//! What an optimizer remembers of one weight.

use burn::tensor::{DType, Int, Tensor};
use slm_model::{Param, device};
use slm_ops::Weighted;
use slm_recipe::Optim;

use super::blocks::Blocks;
use super::{Figures, Step, adafactor, adamw, host, lion, sgd};

/// Weights of fewer values keep moments in f32: bitsandbytes' `min_8bit_size`.
const MIN_8BIT_SIZE: usize = 4096;

/// The states of one weight, in f32 and its shape where nothing else is said.
#[expect(
    clippy::large_enum_variant,
    reason = "a kilobyte for each weight of thousands of values"
)]
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// First and second moment.
    AdamW([Tensor<2>; 2]),
    AdamW8bit([Blocks; 2]),
    /// Second moments of the rows, `[rows, 1]`, and of the columns, `[1, columns]`.
    Factored([Tensor<2>; 2]),
    /// Second moment of a vector, which Adafactor does not factor.
    Unfactored(Tensor<2>),
    /// Momentum.
    Lion(Tensor<2>),
    Sgd(Option<Tensor<2>>),
}

/// A tensor of a slot, to be written or filled.
pub(crate) enum Part<'a> {
    Float(&'a mut Tensor<2>),
    Codes(&'a mut Tensor<2, Int>),
}

/// What a step makes of a slot.
#[expect(clippy::large_enum_variant, reason = "one exists at a time")]
pub(crate) enum Update {
    /// The states after it, and the weight's new value.
    Taken(Slot, Tensor<2>),
    /// It is taken with those of other weights.
    Together(Weighted),
}

impl Slot {
    /// All zero.
    pub(crate) fn new(figures: &Figures, param: &Param) -> Self {
        let [rows, columns] = param.value.dims();
        let zeros = |shape: [usize; 2]| {
            Tensor::<2>::zeros(shape, (&param.value.device().inner(), DType::F32))
        };
        let whole = || zeros([rows, columns]);
        match figures.optim {
            Optim::Adamw => Self::AdamW([whole(), whole()]),
            Optim::Adamw8bit if rows * columns < MIN_8BIT_SIZE || is_embedding(&param.name) => {
                Self::AdamW([whole(), whole()])
            }
            Optim::Adamw8bit => {
                let zeros = || Blocks::zeros(rows * columns, &param.value.device().inner());
                Self::AdamW8bit([zeros(), zeros()])
            }
            Optim::Adafactor if param.is_vector() => Self::Unfactored(whole()),
            Optim::Adafactor => Self::Factored([zeros([rows, 1]), zeros([1, columns])]),
            Optim::Lion => Self::Lion(whole()),
            Optim::Sgd => Self::Sgd((figures.momentum > 0.0).then(whole)),
        }
    }

    /// A step on the weight's `value`. By value, so that the old states' memory is used again.
    pub(crate) fn update(self, step: &Step<'_>, value: Tensor<2>, gradient: Tensor<2>) -> Update {
        let gradient = gradient.cast(DType::F32);
        let clips_itself = matches!(self, Self::AdamW(_) | Self::AdamW8bit(_));
        let gradient = match step.clip {
            clip if clip != 1.0 && !clips_itself => gradient.mul_scalar(clip),
            _ => gradient,
        };
        let (slot, value) = match self {
            Self::AdamW(moments) => {
                return Update::Together(Weighted {
                    value,
                    gradient,
                    moments,
                    step: adamw::figures(step),
                });
            }
            Self::AdamW8bit(blocks) => {
                let update = match device::is_gpu(&value.device()) {
                    false => host::update_8bit,
                    true => adamw::update_8bit,
                };
                let (blocks, value) = update(step, blocks, value, gradient);
                (Self::AdamW8bit(blocks), value)
            }
            Self::Factored(seconds) => {
                let (seconds, value) = adafactor::update_matrix(step, seconds, value, gradient);
                (Self::Factored(seconds), value)
            }
            Self::Unfactored(second) => {
                let (second, value) = adafactor::update_vector(step, second, value, gradient);
                (Self::Unfactored(second), value)
            }
            Self::Lion(momentum) => {
                let (momentum, value) = lion::update(step, momentum, value, gradient);
                (Self::Lion(momentum), value)
            }
            Self::Sgd(momentum) => {
                let (momentum, value) = sgd::update(step, momentum, value, gradient);
                (Self::Sgd(momentum), value)
            }
        };
        Update::Taken(slot, value)
    }

    /// Its tensors under the names of a checkpoint.
    pub(crate) fn parts(&mut self) -> Vec<(&'static str, Part<'_>)> {
        use Part::{Codes, Float};
        match self {
            Self::AdamW([first, second]) => {
                vec![("first", Float(first)), ("second", Float(second))]
            }
            Self::AdamW8bit([first, second]) => vec![
                ("first_codes", Codes(&mut first.codes)),
                ("first_scales", Float(&mut first.scales)),
                ("second_codes", Codes(&mut second.codes)),
                ("second_scales", Float(&mut second.scales)),
            ],
            Self::Factored([rows, columns]) => {
                vec![("rows", Float(rows)), ("columns", Float(columns))]
            }
            Self::Unfactored(second) => vec![("second", Float(second))],
            Self::Lion(momentum) | Self::Sgd(Some(momentum)) => vec![("momentum", Float(momentum))],
            Self::Sgd(None) => Vec::new(),
        }
    }
}

/// HF's Trainer keeps the 8-bit optimizer's states of embeddings in 32 bits, as bitsandbytes advises.
fn is_embedding(name: &str) -> bool {
    let tables = ["embed_tokens", "embed_in", "wte", "wpe"];
    name.split('.').any(|part| tables.contains(&part))
}
