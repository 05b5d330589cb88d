//! The weights of a decoder, and which of them are trained.

use slm_ops::{QuantScheme, Weight};

use super::Decoder;
use crate::Param;
use crate::layer::Layer;
use crate::linear::Linear;
use crate::norm::Norm;

impl Decoder {
    /// Every base weight under its HF name, in the order of a forward pass; a tied head appears once.
    pub fn params(&self) -> Vec<&Param> {
        let layers = self.layers.iter().flat_map(Layer::params);
        std::iter::once(&self.embed)
            .chain(&self.positions)
            .chain(layers)
            .chain(self.norm.iter().flat_map(Norm::params))
            .chain(&self.head)
            .collect()
    }

    /// The adapter's weights under PEFT's names.
    pub fn lora_params(&self) -> Vec<&Param> {
        self.layers.iter().flat_map(Layer::lora_params).collect()
    }

    /// What training changes: the adapter where there is one, else the weights marked by [`Self::train_all`].
    pub fn trainable(&self) -> Vec<&Param> {
        self.params()
            .into_iter()
            .chain(self.lora_params())
            .filter(|p| p.trainable)
            .collect()
    }

    /// The same in the order in which a backward pass is done with them.
    pub fn trainable_from_the_top(&self) -> Vec<&Param> {
        let layers = self.layers.iter().rev().flat_map(Layer::trainable);
        layers.chain(self.trainable_around_layers()).collect()
    }

    /// The trained weights outside the layers: embedding, final norm, head.
    pub fn trainable_around_layers(&self) -> Vec<&Param> {
        std::iter::once(&self.embed)
            .chain(&self.positions)
            .chain(self.norm.iter().flat_map(Norm::params))
            .chain(&self.head)
            .filter(|p| p.trainable)
            .collect()
    }

    /// Whether gradients are needed all the way down.
    pub fn embedding_is_trained(&self) -> bool {
        self.embed.trainable || self.positions.as_ref().is_some_and(|p| p.trainable)
    }

    /// The lowest layer that a backward pass must reach; `None` when no layer is trained.
    pub fn lowest_trained(&self) -> Option<usize> {
        let is_trained = |layer: &Layer| layer.trainable().next().is_some();
        if self.embedding_is_trained() {
            Some(0)
        } else {
            self.layers.iter().position(is_trained)
        }
    }

    /// [`Self::trainable`], to be changed.
    pub fn trainable_mut(&mut self) -> Vec<&mut Param> {
        self.all_mut().into_iter().filter(|p| p.trainable).collect()
    }

    fn all_mut(&mut self) -> Vec<&mut Param> {
        let (mut base, adapters) = self.split_mut();
        base.extend(adapters);
        base
    }

    pub(crate) fn base_mut(&mut self) -> Vec<&mut Param> {
        self.split_mut().0
    }

    /// Base weights and adapter weights.
    fn split_mut(&mut self) -> (Vec<&mut Param>, Vec<&mut Param>) {
        let mut all = vec![&mut self.embed];
        all.extend(&mut self.positions);
        let mut adapters = Vec::new();
        for layer in &mut self.layers {
            let (base, lora) = layer.split_params_mut();
            all.extend(base);
            adapters.extend(lora);
        }
        all.extend(self.norm.iter_mut().flat_map(Norm::params_mut));
        all.extend(&mut self.head);
        (all, adapters)
    }

    /// Marks every base weight as trained (full fine-tuning).
    pub fn train_all(&mut self) {
        self.all_mut().into_iter().for_each(Param::train);
    }

    pub fn n_params(&self) -> usize {
        self.params().iter().map(|p| p.len()).sum()
    }

    /// How the layers' matrices are kept, where any is in codes.
    pub fn quant_scheme(&self) -> Option<QuantScheme> {
        let mut params = self.params().into_iter();
        params.find_map(|p| match &p.value {
            Weight::Quantized(codes) => Some(codes.scheme()),
            Weight::Float(_) | Weight::Blocks(_) => None,
        })
    }

    /// What the base weights take up.
    pub fn size_bytes(&self) -> usize {
        self.params().iter().map(|p| p.value.size_bytes()).sum()
    }

    pub fn n_trainable(&self) -> usize {
        self.trainable().iter().map(|p| p.len()).sum()
    }

    /// The linear layers of all layers, in the order of a forward pass.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers.iter().flat_map(Layer::linears)
    }

    /// The same, to be changed.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.layers.iter_mut().flat_map(Layer::linears_mut)
    }
}
