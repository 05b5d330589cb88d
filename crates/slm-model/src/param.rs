//! One named weight.

use burn::tensor::Tensor;

/// A weight under its name in the files of its format, in HF layout.
#[derive(Clone, Debug)]
pub struct Param {
    /// HF name, such as `model.layers.0.self_attn.q_proj.weight`; for adapters the name that PEFT's file uses.
    pub name: String,
    /// `[out, in]`; vectors are `[1, n]`.
    pub value: Tensor<2>,
    /// Whether the files hold it with one dimension.
    pub is_vector: bool,
    pub trainable: bool,
}

impl Param {
    /// A frozen matrix.
    pub fn matrix(name: impl Into<String>, value: Tensor<2>) -> Self {
        Self {
            name: name.into(),
            value,
            is_vector: false,
            trainable: false,
        }
    }

    /// Its shape in the files.
    pub fn file_shape(&self) -> Vec<usize> {
        let [rows, columns] = self.value.dims();
        if self.is_vector {
            vec![columns]
        } else {
            vec![rows, columns]
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.value.dims().iter().product()
    }

    /// Whether it holds no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value for this pass: tracked when it is trained, constant otherwise.
    pub fn tensor(&self) -> Tensor<2> {
        self.value.clone()
    }

    /// Marks it as trained: its value becomes a leaf of the graph.
    pub fn train(&mut self) {
        self.trainable = true;
        self.set(self.value.clone());
    }

    /// Replaces the value after an optimizer step; a trained one becomes a fresh leaf.
    pub fn set(&mut self, value: Tensor<2>) {
        let value = value.inner();
        self.value = if self.trainable {
            value.autodiff().require_grad()
        } else {
            value
        };
    }

    /// The same weight outside the graph, sharing its memory.
    pub fn detached(&self) -> Self {
        Self {
            value: self.value.clone().inner(),
            trainable: false,
            ..self.clone()
        }
    }
}
