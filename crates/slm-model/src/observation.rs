//! What each linear layer is multiplied with, on rows of token ids.

use burn::tensor::{DType, Tensor};
use slm_ops::Weight;

use crate::{Decoder, Pass, Tokens};

/// Rows on their way through a model, layer by layer, outside the graph.
///
/// It holds the stream of every row at one layer: `4 · hidden` bytes for each token.
pub struct Observation {
    decoder: Decoder,
    layer: usize,
    rows: Vec<Row>,
}

struct Row {
    tokens: Tokens,
    /// `[1, time, hidden]`, as it enters the layer.
    stream: Tensor<3>,
}

impl Observation {
    /// The rows before the first layer. Empty rows are left out.
    ///
    /// `decoder` computes in its own dtype; shares its weights.
    pub fn new(decoder: &Decoder, rows: &[Vec<u32>]) -> Self {
        let decoder = decoder.inference().in_floats();
        let row = |ids: &Vec<u32>| {
            let tokens = Tokens::of_row(ids, decoder.device());
            let stream = decoder.embed(&tokens);
            Row { tokens, stream }
        };
        let rows = rows.iter().filter(|ids| !ids.is_empty()).map(row).collect();
        Self {
            decoder,
            layer: 0,
            rows,
        }
    }

    /// Whether the rows are through the last layer.
    pub fn is_through(&self) -> bool {
        self.layer == self.decoder.layers().len()
    }

    /// The model, with the weights that were put into it.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Shows what the next layer's linear layers are multiplied with, and lets the rows stay before it: the path of each
    /// (`model.layers.3.self_attn.q_proj`) with `[time, in]`, row by row, in the order of a forward pass.
    pub fn look(&self, see: &mut dyn FnMut(&str, &Tensor<2>)) {
        for row in &self.rows {
            self.through(row, see);
        }
    }

    /// [`Self::look`], and the rows are behind the layer.
    pub fn advance(&mut self, see: &mut dyn FnMut(&str, &Tensor<2>)) {
        for at in 0..self.rows.len() {
            self.rows[at].stream = self.through(&self.rows[at], see);
        }
        self.layer += 1;
    }

    /// Replaces the weight of the linear layer at `path` with `weight`, `[out, in]`: what comes behind it sees its products.
    pub fn replace(&mut self, path: &str, weight: Tensor<2>) {
        let mut linears = self.decoder.linears_mut();
        if let Some(linear) = linears.find(|linear| linear.path() == path) {
            linear.weight.value = Weight::Float(weight.cast(DType::F32));
        }
    }

    fn through(&self, row: &Row, see: &mut dyn FnMut(&str, &Tensor<2>)) -> Tensor<3> {
        let pass: Pass = self.decoder.pass(&row.tokens, None);
        let layer = &self.decoder.layers()[self.layer];
        layer.observed(self.decoder.config(), row.stream.clone(), &pass, see)
    }
}
