//! One named weight.

use burn::tensor::{DType, Device, Tensor};
use slm_ops::Weight;

use crate::weights::matrix;

/// A weight under its name in the files of its format, in HF layout.
#[derive(Clone, Debug)]
pub struct Param {
    /// HF name, such as `model.layers.0.self_attn.q_proj.weight`; for adapters the name that PEFT's file uses.
    pub name: String,
    /// `[out, in]`; vectors are `[1, n]`. A frozen matrix may be in codes or blocks.
    pub value: Weight,
    /// How the files hold it.
    pub layout: Layout,
    pub trainable: bool,
    /// What the base has here, where the adapter keeps a trained copy (`modules_to_save`).
    pub(crate) original: Option<Weight>,
}

/// How a file holds a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[out, in]`
    Matrix,
    /// One dimension.
    Vector,
    /// `[in, out]`, as `Conv1D` of GPT-2 does.
    Transposed,
}

impl Param {
    /// A frozen matrix.
    pub fn matrix(name: impl Into<String>, value: Tensor<2>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            layout: Layout::Matrix,
            trainable: false,
            original: None,
        }
    }

    /// A frozen vector, `[1, n]`.
    pub fn vector(name: impl Into<String>, value: Tensor<2>) -> Self {
        Self {
            layout: Layout::Vector,
            ..Self::matrix(name, value)
        }
    }

    /// The path of the module that it belongs to, such as `model.layers.0.self_attn.q_proj`.
    pub fn module(&self) -> &str {
        self.name
            .rsplit_once('.')
            .map_or(&self.name, |(module, _)| module)
    }

    /// Its shape in the files.
    pub fn file_shape(&self) -> Vec<usize> {
        let [rows, columns] = self.value.dims();
        match self.layout {
            Layout::Matrix => vec![rows, columns],
            Layout::Vector => vec![columns],
            Layout::Transposed => vec![columns, rows],
        }
    }

    /// Whether it is a vector: a norm's weight or a bias.
    pub fn is_vector(&self) -> bool {
        self.layout == Layout::Vector
    }

    /// A value of this shape, from values in the order of its file.
    pub(crate) fn value_of(&self, values: Vec<f32>, device: &Device, dtype: DType) -> Tensor<2> {
        let value = matrix(values, &self.file_shape(), device, dtype);
        match self.layout {
            Layout::Transposed => value.transpose(),
            Layout::Matrix | Layout::Vector => value,
        }
    }

    /// Whether weight decay pulls it: not norms and biases, as in HF's Trainer.
    pub fn decays(&self) -> bool {
        !self.is_vector() || self.name.ends_with("lora_magnitude_vector")
    }

    /// Its values in f32, as a file holds them.
    pub fn file_values(&self) -> Vec<f32> {
        let value = match self.layout {
            Layout::Transposed => self.value.f32().transpose(),
            Layout::Matrix | Layout::Vector => self.value.f32(),
        };
        value.into_data().try_into_vec::<f32>().unwrap_or_default()
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.value.dims().iter().product()
    }

    /// Whether it holds no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value for this pass: tracked when it is trained, constant otherwise. Codes become a matrix of their own.
    pub fn tensor(&self) -> Tensor<2> {
        self.value.tensor()
    }

    /// Marks it as trained: its value becomes a leaf of the graph. Codes become floats.
    pub fn train(&mut self) {
        self.trainable = true;
        self.set(self.tensor());
    }

    /// Gives the value away, outside the graph: nobody reads the weight before it is [`Self::set`] again.
    pub fn take(&mut self) -> Tensor<2> {
        let device = self.value.device().inner();
        let nothing = Weight::Float(Tensor::empty([0, 0], &device));
        match std::mem::replace(&mut self.value, nothing) {
            Weight::Float(value) => value.inner(),
            codes @ (Weight::Quantized(_) | Weight::Blocks(_)) => codes.tensor(),
        }
    }

    /// Replaces the value after an optimizer step; a trained one becomes a fresh leaf.
    pub fn set(&mut self, value: Tensor<2>) {
        let value = value.inner();
        self.value = Weight::Float(match self.trainable {
            true => value.autodiff().require_grad(),
            false => value,
        });
    }

    /// The same weight outside the graph, sharing its memory.
    pub fn detached(&self) -> Self {
        Self {
            value: self.value.inner(),
            trainable: false,
            ..self.clone()
        }
    }

    /// The base's own value outside the graph, sharing its memory.
    pub(crate) fn base(&self) -> Self {
        let mut base = self.detached();
        if let Some(original) = base.original.take() {
            base.value = original;
        }
        base
    }

    /// Makes it the adapter's own copy of a base weight.
    pub(crate) fn keep_copy(&mut self) {
        if self.original.is_none() {
            self.original = Some(self.value.inner());
        }
    }

    /// Whether it is the adapter's own copy of a base weight.
    pub(crate) fn is_copy(&self) -> bool {
        self.original.is_some()
    }

    /// Forgets what the base had here.
    pub(crate) fn own(&mut self) {
        self.original = None;
    }
}
