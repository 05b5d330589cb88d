//! A tensor's values as HF's files hold them, and as a GGUF file does.

use slm_gguf::keys::architecture::{GEMMA, GEMMA2, GEMMA3, GPT2, GPTNEOX, GRANITE, LLAMA, SMOLLM3};

/// What adding one to a norm's weight and taking it off again may lose: half of f32's step at 2.
pub(crate) const PLUS_ONE_LOSS: f64 = f32::EPSILON as f64;

/// How the values of a tensor in a GGUF file come from those in HF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Same,
    /// Rows of heads: row `j` of a head's first half and row `j` of its second become neighbours.
    ///
    /// llama.cpp rotates neighbouring channels in the architectures whose converters are Llama's, HF the two halves.
    Pairs,
    /// Rows of q, k and v head by head become all of q, then all of k, then all of v.
    Parts,
    /// `[in, out]` becomes `[out, in]`.
    Transposed,
    /// The weight of a norm that HF keeps as its distance from one.
    PlusOne,
}

impl Rows {
    /// Those of a tensor, named as by HF, in an architecture.
    pub(crate) fn of(architecture: &str, hf: &str) -> Self {
        let ends = |ends: &[&str]| ends.iter().any(|end| hf.ends_with(end));
        let of_heads = [
            "q_proj.weight",
            "q_proj.bias",
            "k_proj.weight",
            "k_proj.bias",
        ];
        let joined = ["query_key_value.weight", "query_key_value.bias"];
        match architecture {
            LLAMA | SMOLLM3 | GRANITE if ends(&of_heads) => Self::Pairs,
            GPTNEOX if ends(&joined) => Self::Parts,
            GPT2 if ends(&["c_attn.weight", "c_proj.weight", "c_fc.weight"]) => Self::Transposed,
            GEMMA | GEMMA2 | GEMMA3 if ends(&["norm.weight"]) => Self::PlusOne,
            _ => Self::Same,
        }
    }

    /// The shape in a GGUF file of a tensor with this shape in HF's.
    pub(crate) fn shape(self, hf: &[usize]) -> Vec<usize> {
        let mut shape = hf.to_vec();
        if self == Self::Transposed {
            shape.reverse();
        }
        shape
    }

    /// From HF's order to ggml's. `shape` is HF's, row-major; a vector is one column.
    pub(crate) fn to_ggml(self, values: Vec<f32>, shape: &[usize], head_dim: usize) -> Vec<f32> {
        match self {
            Self::Same => values,
            Self::PlusOne => values.into_iter().map(|value| value + 1.0).collect(),
            Self::Transposed => transposed(&values, shape),
            Self::Pairs | Self::Parts => {
                let columns = columns(shape);
                let n_rows = values.len() / columns;
                let mut moved = vec![0.0; values.len()];
                for (row, from) in values.chunks_exact(columns).enumerate() {
                    let to = self.place(row, n_rows, head_dim) * columns;
                    moved[to..to + columns].copy_from_slice(from);
                }
                moved
            }
        }
    }

    /// The reverse of [`Self::to_ggml`].
    pub(crate) fn to_hf(self, values: Vec<f32>, shape: &[usize], head_dim: usize) -> Vec<f32> {
        match self {
            Self::Same => values,
            Self::PlusOne => values.into_iter().map(|value| value - 1.0).collect(),
            Self::Transposed => transposed(&values, &self.shape(shape)),
            Self::Pairs | Self::Parts => {
                let columns = columns(shape);
                let n_rows = values.len() / columns;
                let mut moved = Vec::with_capacity(values.len());
                for row in 0..n_rows {
                    let from = self.place(row, n_rows, head_dim) * columns;
                    moved.extend_from_slice(&values[from..from + columns]);
                }
                moved
            }
        }
    }

    /// Where a row of HF's order stands in ggml's.
    pub(crate) fn place(self, row: usize, n_rows: usize, head_dim: usize) -> usize {
        let (block, channel) = (row / head_dim, row % head_dim);
        if self == Self::Pairs {
            let half = head_dim / 2;
            return block * head_dim + 2 * (channel % half) + channel / half;
        }
        // Blocks of a head's channels: q, k and v of the first head, then of the second.
        let (head, part) = (block / 3, block % 3);
        part * n_rows / 3 + head * head_dim + channel
    }
}

/// A vector, such as a bias, has a row for each element.
fn columns(shape: &[usize]) -> usize {
    shape.get(1).copied().unwrap_or(1)
}

fn transposed(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let columns = columns(shape);
    let columns = (0..columns).map(|column| values.iter().skip(column).step_by(columns));
    columns.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two columns; row r is [r, r + 0.5]. The first column after the move.
    fn moved(rows: Rows, n: usize, head_dim: usize) -> Vec<f32> {
        let values = (0..n).flat_map(|r| [r as f32, r as f32 + 0.5]).collect();
        let moved = rows.to_ggml(values, &[n, 2], head_dim);
        moved.into_iter().step_by(2).collect()
    }

    #[test]
    fn two_heads_of_four_rows_are_paired_one_by_one() {
        // The order is that of `LlamaModel.permute` with two heads.
        let found = moved(Rows::Pairs, 8, 4);
        assert_eq!(found, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }

    #[test]
    fn parts_of_two_heads_come_together() {
        // Two heads of two rows: q q k k v v, twice. The order is that of `GPTNeoXModel.modify_tensors`.
        let found = moved(Rows::Parts, 12, 2);
        let expected = [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11].map(|row| row as f32);
        assert_eq!(found, expected);
    }

    #[test]
    fn columns_become_rows() {
        let values: Vec<f32> = (0..6).map(|v| v as f32).collect();
        let found = Rows::Transposed.to_ggml(values, &[2, 3], 1);
        assert_eq!(found, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(Rows::Transposed.shape(&[2, 3]), [3, 2]);
    }

    #[test]
    fn the_way_back_leads_back() {
        for rows in [
            Rows::Same,
            Rows::Pairs,
            Rows::Parts,
            Rows::Transposed,
            Rows::PlusOne,
        ] {
            for shape in [&[36, 5][..], &[36][..]] {
                if rows == Rows::Transposed && shape.len() == 1 {
                    continue;
                }
                let values: Vec<f32> = (0..36 * columns(shape)).map(|v| v as f32).collect();
                let there = rows.to_ggml(values.clone(), shape, 6);
                assert_eq!(there == values, rows == Rows::Same);
                assert_eq!(rows.to_hf(there, shape, 6), values);
            }
        }
    }

    #[test]
    fn architectures_differ() {
        let q = "model.layers.0.self_attn.q_proj.weight";
        let k_bias = "model.layers.0.self_attn.k_proj.bias";
        let norm = "model.layers.0.self_attn.q_norm.weight";
        assert_eq!(Rows::of("llama", k_bias), Rows::Pairs);
        assert_eq!(Rows::of("granite", q), Rows::Pairs);
        assert_eq!(Rows::of("smollm3", q), Rows::Pairs);
        assert_eq!(Rows::of("qwen2", q), Rows::Same);
        assert_eq!(Rows::of("olmo2", q), Rows::Same);
        assert_eq!(Rows::of("gemma3", norm), Rows::PlusOne);
        assert_eq!(Rows::of("qwen3", norm), Rows::Same);
        assert_eq!(
            Rows::of("llama", "model.layers.0.self_attn.v_proj.weight"),
            Rows::Same
        );
    }
}
