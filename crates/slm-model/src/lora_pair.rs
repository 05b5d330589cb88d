//! An adapter as the low-rank pairs that it consists of, for formats other than PEFT's.

use burn::tensor::{DType, Device};

use crate::lora::Lora;
use crate::weights::matrix;
use crate::{Decoder, ModelError, Param};

/// The pair of one linear layer, as it counts: the layer's matrix is `weight + scale · b a`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraPair {
    /// HF's path of the layer, such as `model.layers.0.self_attn.q_proj`.
    pub module: String,
    /// `[rank, in]`, row-major
    pub a: Vec<f32>,
    /// `[out, rank]`, row-major
    pub b: Vec<f32>,
    pub rank: usize,
    pub scale: f64,
}

impl Decoder {
    /// What the adapter has besides pairs: DoRA's norms, or the trained copy of a weight; `None` where pairs say it all.
    pub fn beside_pairs(&self) -> Option<String> {
        let mut loras = self.linears().filter_map(|linear| linear.lora.as_ref());
        if loras.any(|lora| lora.magnitude.is_some()) {
            return Some("the norms of DoRA".into());
        }
        let params = self.params();
        let copy = params.iter().find(|param| param.is_copy())?;
        Some(format!("the trained copy of `{}`", copy.name))
    }

    /// The adapter's pairs, in the order of a forward pass.
    pub fn lora_pairs(&self) -> Vec<LoraPair> {
        let of = |lora: &Lora, module: &str| {
            let (a, b) = lora.detached().pair();
            let values = |value| Param::matrix(module, value).file_values();
            LoraPair {
                module: module.into(),
                rank: a.dims()[0],
                a: values(a),
                b: values(b),
                scale: lora.scale,
            }
        };
        let linears = self.linears();
        let pairs = linears.filter_map(|linear| Some(of(linear.lora.as_ref()?, linear.path())));
        pairs.collect()
    }

    /// The linear layers that may have a pair: path and `[out, in]`, in the order of a forward pass.
    pub fn linear_shapes(&self) -> Vec<(String, [usize; 2])> {
        let of =
            |linear: &crate::linear::Linear| (linear.path().into(), linear.weight.value.dims());
        self.linears().map(of).collect()
    }

    /// Puts pairs on the model, not trained. What they were made of is not known, so [`save_adapter`](crate::save_adapter) does
    /// not take them.
    ///
    /// # Errors
    /// [`ModelError::NoSuchModule`] for a pair of no layer.
    pub fn place_pairs(&mut self, pairs: Vec<LoraPair>) -> Result<(), ModelError> {
        let device: Device = self.device().clone();
        for pair in pairs {
            let shapes = self.linear_shapes();
            let mut linears = self.linears_mut();
            let Some(linear) = linears.find(|linear| linear.path() == pair.module) else {
                return Err(ModelError::NoSuchModule {
                    key: "target_modules",
                    name: pair.module,
                    known: shapes.into_iter().map(|(path, _)| path).collect(),
                });
            };
            let [out, input] = linear.weight.value.dims();
            let param = |part: &str, values, shape: [usize; 2]| {
                let name = format!("{}.{part}.weight", pair.module);
                Param::matrix(name, matrix(values, &shape, &device, DType::F32))
            };
            linear.lora = Some(Lora {
                a: param("lora_A", pair.a, [pair.rank, input]),
                b: param("lora_B", pair.b, [out, pair.rank]),
                scale: pair.scale,
                dropout: 0.0,
                magnitude: None,
                start: None,
            });
        }
        Ok(())
    }
}
