//! What makes a step of the gradients.

mod adafactor;
mod adamw;
mod blocks;
mod host;
mod lion;
mod sgd;
mod slot;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use burn::tensor::Tensor;
use slm_model::Param;
use slm_ops::adamw_each;
use slm_recipe::{Optim, TrainSection};

use crate::{Gradients, TrainError};
use blocks::Codebooks;
use slot::Update;
pub(crate) use slot::{Part, Slot};

/// An optimizer and what it remembers of every trained weight, by name.
#[derive(Clone, Debug)]
pub struct Optimizer {
    figures: Figures,
    loraplus_lr_ratio: f64,
    /// Steps taken; biases of moments are corrected by it.
    steps: usize,
    slots: BTreeMap<String, Slot>,
}

/// What gradients are multiplied by.
#[derive(Clone, Debug)]
pub enum Clip {
    Known(f64),
    /// A scalar in f32 that nobody waits for; where it is no finite number, nothing changes. For AdamW.
    OnDevice(Box<Tensor<1>>),
}

impl From<f64> for Clip {
    fn from(clip: f64) -> Self {
        Self::Known(clip)
    }
}

/// The optimizer's keys in the recipe.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    optim: Optim,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    momentum: f64,
    weight_decay: f64,
}

/// What holds for one weight in one step.
pub(crate) struct Step<'a> {
    figures: &'a Figures,
    /// Counted from 1.
    number: usize,
    lr: f64,
    weight_decay: f64,
    /// What gradients are multiplied by: see [`crate::clip`].
    clip: f64,
    /// Made when the first weight needs them.
    codebooks: &'a OnceCell<Codebooks>,
}

impl Optimizer {
    /// Nothing remembered yet. `loraplus_lr_ratio` is the learning rate of an adapter's B as a multiple of A's (LoRA+,
    /// Hayou et al. 2024); 1 is plain LoRA.
    pub fn new(section: &TrainSection, loraplus_lr_ratio: f64) -> Self {
        Self {
            figures: Figures {
                optim: section.optim,
                beta1: section.adam_beta1,
                beta2: section.adam_beta2,
                epsilon: section.adam_epsilon,
                momentum: section.momentum,
                weight_decay: section.weight_decay,
            },
            loraplus_lr_ratio,
            steps: 0,
            slots: BTreeMap::new(),
        }
    }

    /// Updates every weight that has a gradient; gradients are multiplied by `clip` first ([`crate::clip_factor`]).
    pub fn step(
        &mut self,
        params: Vec<&mut Param>,
        mut gradients: Gradients,
        lr: f64,
        clip: impl Into<Clip>,
    ) {
        self.steps += 1;
        let (clip, on_device) = match clip.into() {
            Clip::Known(clip) => (clip, None),
            Clip::OnDevice(clip) => (1.0, Some(clip)),
        };
        debug_assert!(
            on_device.is_none() || self.figures.optim == Optim::Adamw,
            "the other optimizers clip as the host says"
        );
        let codebooks = OnceCell::new();
        // Taken together: a GPU is asked once.
        let (mut taken, mut weights) = (Vec::new(), Vec::new());
        for param in params {
            let Some(gradient) = gradients.remove(&param.name) else {
                continue;
            };
            let step = Step {
                figures: &self.figures,
                number: self.steps,
                lr: lr * self.lr_ratio(param),
                weight_decay: self.weight_decay(param),
                clip,
                codebooks: &codebooks,
            };
            let slot = self.slots.remove(&param.name);
            let slot = slot.unwrap_or_else(|| Slot::new(&self.figures, param));
            match slot.update(&step, param.take(), gradient) {
                Update::Taken(slot, value) => {
                    self.slots.insert(param.name.clone(), slot);
                    param.set(value);
                }
                Update::Together(weight) => {
                    weights.push(weight);
                    taken.push(param);
                }
            }
        }
        let stepped = adamw_each(weights, on_device.as_deref());
        for (param, (value, moments)) in taken.into_iter().zip(stepped) {
            self.slots.insert(param.name.clone(), Slot::AdamW(moments));
            param.set(value);
        }
    }

    /// As peft's `create_loraplus_optimizer` groups weights: B, and with it everything of one dimension.
    fn lr_ratio(&self, param: &Param) -> f64 {
        match param.name.contains("lora_B") || param.is_vector() {
            true => self.loraplus_lr_ratio,
            false => 1.0,
        }
    }

    /// Norms and biases do not decay, as in HF's Trainer; the magnitudes of DoRA do.
    fn weight_decay(&self, param: &Param) -> f64 {
        match param.decays() {
            true => self.figures.weight_decay,
            false => 0.0,
        }
    }

    /// What it remembers, by the names of a checkpoint.
    pub(crate) fn parts(&mut self) -> impl Iterator<Item = (String, Part<'_>)> {
        self.slots.iter_mut().flat_map(|(name, slot)| {
            let named = move |(kind, part)| (format!("{kind}.{name}"), part);
            slot.parts().into_iter().map(named)
        })
    }

    /// Takes up what a checkpoint of `steps` steps remembers of `params`; `read` fills a part by its name there, and says
    /// whether it was there. A weight that has never had a gradient is not.
    pub(crate) fn restore(
        &mut self,
        steps: usize,
        params: &[&Param],
        mut read: impl FnMut(&str, Part<'_>) -> Result<bool, TrainError>,
    ) -> Result<(), TrainError> {
        self.steps = steps;
        self.slots.clear();
        for param in params {
            let mut slot = Slot::new(&self.figures, param);
            let mut found = true;
            for (kind, part) in slot.parts() {
                found &= read(&format!("{kind}.{}", param.name), part)?;
            }
            if found {
                self.slots.insert(param.name.clone(), slot);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{DType, Device, Tensor, TensorData};
    use slm_model::device;
    use slm_testkit::{Golden, relative_difference};

    use super::*;
    use crate::optimizer::blocks::Blocks;

    fn goldens() -> Golden {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
        Golden::open(&data.join("optimizers.safetensors"))
    }

    fn tensor(golden: &Golden, name: &str, device: &Device) -> Tensor<2> {
        let values = golden.f32(name);
        let columns = golden.shape(name)[golden.shape(name).len() - 1];
        let shape = [values.len() / columns, columns];
        Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
    }

    /// A weight of the goldens; one whose name says so has one dimension, as norms have.
    fn param(golden: &Golden, name: &str, device: &Device) -> Param {
        let value = tensor(golden, &format!("{name}.before"), device);
        match golden.shape(&format!("{name}.before")).len() {
            1 => Param::vector(name, value),
            _ => Param::matrix(name, value),
        }
    }

    fn values(tensor: &Tensor<2>) -> Vec<f32> {
        tensor.clone().inner().into_data().try_into_vec().unwrap()
    }

    fn on_each_processor(check: impl Fn(&Device, &str)) {
        let backends = device::available().into_iter();
        for backend in backends.filter(|b| b.usable && b.spec.ends_with("cpu")) {
            check(&device::open(&backend.spec).unwrap(), &backend.spec);
        }
    }

    #[test]
    fn six_steps_equal_those_of_torch_transformers_and_bitsandbytes() {
        let golden = goldens();
        let plain = TrainSection {
            weight_decay: 0.1,
            adam_beta2: 0.98,
            ..TrainSection::default()
        };
        let cases = [
            ("adamw", Optim::Adamw, 0.0, 1e-6),
            ("adamw_8bit", Optim::Adamw8bit, 0.0, 1e-6),
            ("adafactor", Optim::Adafactor, 0.0, 1e-6),
            ("lion", Optim::Lion, 0.0, 1e-6),
            ("sgd", Optim::Sgd, 0.0, 1e-6),
            ("sgd_momentum", Optim::Sgd, 0.9, 1e-6),
        ];
        on_each_processor(|device, spec| {
            for (name, optim, momentum, tolerance) in cases {
                let section = TrainSection {
                    optim,
                    momentum,
                    ..plain.clone()
                };
                let mut optimizer = Optimizer::new(&section, 1.0);
                let mut params =
                    ["matrix", "vector", "large"].map(|name| param(&golden, name, device));
                let factors = golden.f32("factors");
                for (factors, lr) in factors.chunks(2).zip(golden.f64("lr")) {
                    let gradient = |name: &str| {
                        let part = |i: usize| {
                            let part = tensor(&golden, &format!("{name}.gradient{i}"), device);
                            part.mul_scalar(factors[i])
                        };
                        (name.to_owned(), part(0).add(part(1)))
                    };
                    let gradients = ["matrix", "vector", "large"].map(gradient).into();
                    optimizer.step(params.iter_mut().collect(), gradients, lr, 1.0);
                }
                if let Some(Slot::AdamW8bit(states)) = optimizer.slots.get("large") {
                    assert_states(&golden, states, device);
                }
                for param in &params {
                    let want = golden.f32(&format!("{name}.{}.after", param.name));
                    let difference = relative_difference(&values(&param.tensor()), &want);
                    assert!(
                        difference < tolerance,
                        "{name} on {spec}: `{}` is {difference:e} off",
                        param.name
                    );
                }
            }
        });
    }

    /// A value that lies on the border of two codes may fall on either side.
    fn assert_states(golden: &Golden, [first, second]: &[Blocks; 2], device: &Device) {
        let Codebooks { signed, unsigned } = Codebooks::new(device);
        for (i, state, codebook) in [(1, first, signed), (2, second, unsigned)] {
            let want = golden.f32(&format!("adamw_8bit.large.state{i}"));
            let got = values(&state.clone().read(&codebook, [66, 63]));
            let off = |(a, b): &(&f32, &f32)| (*a - *b).abs() > 1e-6 * b.abs();
            let others = got.iter().zip(&want).filter(off).count();
            assert!(others <= 2, "state {i} has {others} other values");
        }
    }

    #[test]
    fn the_processor_and_the_portable_operations_agree_on_8_bits() {
        let (golden, section) = (goldens(), TrainSection::default());
        on_each_processor(|device, spec| {
            let figures = Optimizer::new(&section, 1.0).figures;
            let value = tensor(&golden, "large.before", device);
            let zeros = || Blocks::zeros(66 * 63, device);
            let (mut host, mut portable) = (
                ([zeros(), zeros()], value.clone()),
                ([zeros(), zeros()], value),
            );
            let codebooks = OnceCell::new();
            for number in 1..=5 {
                let step = Step {
                    figures: &figures,
                    number,
                    lr: 0.01,
                    weight_decay: 0.1,
                    clip: 1.0,
                    codebooks: &codebooks,
                };
                let gradient = tensor(&golden, &format!("large.gradient{}", number % 2), device);
                host = host::update_8bit(&step, host.0, host.1, gradient.clone());
                portable = adamw::update_8bit(&step, portable.0, portable.1, gradient);
                let codes = |blocks: &Blocks| -> Vec<u8> {
                    let packed = blocks.codes.clone().into_data();
                    packed.iter::<i64>().flat_map(i64::to_le_bytes).collect()
                };
                for (a, b) in host.0.iter().zip(&portable.0) {
                    let others = codes(a).into_iter().zip(codes(b)).filter(|(a, b)| a != b);
                    assert!(others.count() <= 1, "{spec}, step {number}: codes");
                    let off = relative_difference(&values(&a.scales), &values(&b.scales));
                    assert!(off < 1e-6, "{spec}, step {number}: scales are {off:e} off");
                }
                let off = relative_difference(&values(&host.1), &values(&portable.1));
                assert!(off < 1e-6, "{spec}, step {number}: weights are {off:e} off");
            }
        });
    }

    #[test]
    fn lora_plus_speeds_b_up_as_peft_does() {
        let golden = goldens();
        let section = TrainSection {
            weight_decay: 0.1,
            adam_beta2: 0.98,
            ..TrainSection::default()
        };
        on_each_processor(|device, spec| {
            let mut optimizer = Optimizer::new(&section, 16.0);
            let names = ["loraplus.lora_A", "loraplus.lora_B"];
            let mut params = names.map(|name| param(&golden, name, device));
            let gradient = |name: &str| {
                let gradient = tensor(&golden, &format!("{name}.gradient"), device);
                (name.to_owned(), gradient)
            };
            let gradients: Gradients = names.map(gradient).into();
            for _ in 0..3 {
                optimizer.step(params.iter_mut().collect(), gradients.clone(), 0.01, 1.0);
            }
            for param in &params {
                let want = golden.f32(&format!("{}.after", param.name));
                let difference = relative_difference(&values(&param.tensor()), &want);
                assert!(
                    difference < 1e-6,
                    "{spec}: `{}` is {difference:e} off",
                    param.name
                );
            }
        });
    }

    #[test]
    fn magnitudes_decay_and_norms_do_not() {
        let section = TrainSection {
            weight_decay: 0.1,
            ..TrainSection::default()
        };
        let optimizer = Optimizer::new(&section, 1.0);
        let of = |name: &str, is_vector: bool| {
            let value = Tensor::<2>::zeros([1, 4], &Device::flex());
            let param = if is_vector {
                Param::vector(name, value)
            } else {
                Param::matrix(name, value)
            };
            optimizer.weight_decay(&param)
        };
        assert_eq!(of("model.norm.weight", true), 0.0);
        assert_eq!(of("q_proj.lora_magnitude_vector", true), 0.1);
        assert_eq!(of("q_proj.lora_A.weight", false), 0.1);
    }
}
