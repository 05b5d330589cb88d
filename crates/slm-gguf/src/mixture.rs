//! Which tensor is stored as what: the mixtures of llama.cpp's `llama-quantize`.
//!
//! The rules are those of `llama_tensor_get_type` in llama.cpp's `src/llama-quant.cpp` for dense models, as of ggml 0.25.3.

use crate::tensor_role::{Role, may_be_quantized};
use crate::{FileType, TensorSpec, TensorType, TypeRule};

/// What decides about a model's tensors, apart from their names and widths.
#[derive(Clone, Debug)]
pub struct Mixture<'a> {
    /// What the file is quantized to.
    pub file_type: FileType,
    /// The architecture, such as [`LLAMA`](crate::keys::architecture::LLAMA).
    pub architecture: &'a str,
    /// How many layers the model has.
    pub n_layers: usize,
    /// How many heads of queries.
    pub n_heads: usize,
    /// How many heads of keys and values.
    pub n_kv_heads: usize,
    /// Whether there is an importance matrix.
    pub has_importance: bool,
    /// What goes before the mixture's own rules, the first that meets a name. Not looked at where the file is not quantized.
    pub rules: &'a [TypeRule],
}

/// What a tensor is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What its rows can be stored as.
    pub tensor_type: TensorType,
    /// What the rules ask for. Another one where the rows are not whole blocks of it.
    pub wanted: TensorType,
}

impl Choice {
    /// Whether rows are not whole blocks of what the rules ask for.
    pub fn fell_back(self) -> bool {
        self.tensor_type != self.wanted
    }

    fn of(wanted: TensorType, row_len: u64) -> Self {
        Self {
            tensor_type: that_fits(wanted, row_len),
            wanted,
        }
    }
}

impl Mixture<'_> {
    /// What each tensor is stored as, in the order given.
    ///
    /// `tensors` are all those of the model, with the types that they have: vectors, norms and what else is never quantized
    /// keep them.
    pub fn choose(&self, tensors: &[TensorSpec]) -> Vec<Choice> {
        let is_value = |tensor: &&TensorSpec| Role::of(&tensor.name) == Role::Value;
        let mut walk = Walk {
            mixture: self,
            is_tied: !tensors.iter().any(|t| Role::of(&t.name) == Role::Output),
            n_values: tensors.iter().filter(is_value).count(),
            values_seen: 0,
            downs_seen: 0,
        };
        let mut places: Vec<usize> = (0..tensors.len()).collect();
        // Rules count the tensors that they have seen, in llama.cpp's order.
        places.sort_by_key(|&place| (layer(&tensors[place].name), &tensors[place].name));
        let mut choices: Vec<_> = tensors.iter().map(kept).collect();
        for place in places {
            if may_be_quantized(&tensors[place]) {
                choices[place] = walk.choose(&tensors[place]);
            }
        }
        choices
    }

    /// Queries that share a key and a value.
    fn queries_per_key(&self) -> usize {
        self.n_heads.checked_div(self.n_kv_heads).unwrap_or(0)
    }

    /// What llama.cpp takes for a 70B model, by nothing but its layers.
    fn is_70b(&self) -> bool {
        let heads_differ = self.n_heads != self.n_kv_heads;
        self.n_layers == 80
            && (self.architecture == "qwen2" || self.architecture == "llama" && heads_differ)
    }
}

fn kept(tensor: &TensorSpec) -> Choice {
    Choice {
        tensor_type: tensor.tensor_type,
        wanted: tensor.tensor_type,
    }
}

/// The layer in a name such as `blk.7.attn_q.weight`; what belongs to none comes first.
fn layer(name: &str) -> Option<u64> {
    let (number, _) = name.strip_prefix("blk.")?.split_once('.')?;
    number.parse().ok()
}

/// The mixture, on its way through the tensors.
struct Walk<'a> {
    mixture: &'a Mixture<'a>,
    is_tied: bool,
    n_values: usize,
    values_seen: usize,
    downs_seen: usize,
}

impl Walk<'_> {
    fn choose(&mut self, tensor: &TensorSpec) -> Choice {
        let most = self.mixture.file_type.most();
        let row_len = tensor.dims[0];
        if !most.is_quantized() {
            return Choice::of(most, row_len);
        }
        let rule = self
            .mixture
            .rules
            .iter()
            .find(|rule| rule.meets(&tensor.name));
        let wanted = match (rule, Role::of(&tensor.name)) {
            (Some(rule), _) => rule.tensor_type(),
            (None, Role::Output) => output(most, row_len),
            (None, Role::Embedding) if self.is_tied => output(most, row_len),
            (None, Role::Value) => self.value(most),
            (None, Role::Down) => self.down(most),
            (None, Role::AttentionOutput) => self.attention_output(most),
            (None, Role::Embedding | Role::Other) => most,
        };
        Choice::of(wanted, row_len)
    }

    fn value(&mut self, most: TensorType) -> TensorType {
        let (seen, mixture) = (self.values_seen, self.mixture);
        self.values_seen += 1;
        let few_keys = mixture.queries_per_key() >= 4;
        let wanted = match mixture.file_type {
            FileType::Q2_K if few_keys => TensorType::Q4_K,
            FileType::Q2_K => TensorType::Q3_K,
            FileType::Q3_K_M if seen < 2 => TensorType::Q5_K,
            FileType::Q3_K_M => TensorType::Q4_K,
            FileType::Q3_K_L => TensorType::Q5_K,
            FileType::IQ4_NL | FileType::IQ4_XS if few_keys => TensorType::Q5_K,
            FileType::Q4_K_M | FileType::Q5_K_M if matters(seen, self.n_values) => TensorType::Q6_K,
            FileType::Q4_K_S if seen < 4 => TensorType::Q5_K,
            _ => most,
        };
        match wanted {
            TensorType::Q3_K | TensorType::Q4_K if mixture.is_70b() => TensorType::Q5_K,
            _ => wanted,
        }
    }

    fn down(&mut self, most: TensorType) -> TensorType {
        let (layer, n_layers) = (self.downs_seen, self.mixture.n_layers);
        self.downs_seen += 1;
        let is_early = layer < n_layers / 8;
        let has_importance = self.mixture.has_importance;
        match self.mixture.file_type {
            FileType::Q2_K => TensorType::Q3_K,
            FileType::Q3_K_M if layer < n_layers / 16 => TensorType::Q5_K,
            FileType::Q3_K_M => TensorType::Q4_K,
            FileType::Q3_K_L => TensorType::Q5_K,
            FileType::Q4_K_M | FileType::Q5_K_M if matters(layer, n_layers) => TensorType::Q6_K,
            FileType::IQ4_NL | FileType::IQ4_XS if is_early && !has_importance => TensorType::Q5_K,
            FileType::Q4_K_S if is_early => TensorType::Q5_K,
            FileType::Q4_0 if is_early && has_importance => TensorType::Q4_1,
            FileType::Q5_0 if is_early && has_importance => TensorType::Q5_1,
            _ => most,
        }
    }

    fn attention_output(&self, most: TensorType) -> TensorType {
        match self.mixture.file_type {
            FileType::Q2_K => TensorType::Q3_K,
            FileType::Q3_K_M => TensorType::Q4_K,
            FileType::Q3_K_L => TensorType::Q5_K,
            _ => most,
        }
    }
}

/// The head, or the embedding that is the head as well.
fn output(most: TensorType, row_len: u64) -> TensorType {
    let is_whole = row_len.is_multiple_of(most.block_len() as u64);
    if is_whole && most != TensorType::Q8_0 {
        TensorType::Q6_K
    } else {
        TensorType::Q8_0
    }
}

/// The layers that a mixture spends more bits on: the first and last eighth, and every third between.
fn matters(layer: usize, n_layers: usize) -> bool {
    let first = n_layers / 8;
    layer < first || layer >= 7 * n_layers / 8 || (layer - first) % 3 == 2
}

/// What rows of this length can be stored as.
fn that_fits(wanted: TensorType, row_len: u64) -> TensorType {
    let fits = |tensor_type: TensorType| row_len.is_multiple_of(tensor_type.block_len() as u64);
    if fits(wanted) {
        return wanted;
    }
    let smaller = match wanted {
        TensorType::IQ4_XS => TensorType::IQ4_NL,
        TensorType::Q2_K | TensorType::Q3_K => TensorType::Q4_0,
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        _ => wanted,
    };
    if fits(smaller) {
        smaller
    } else {
        TensorType::F16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_layers_matter() {
        let of_16: Vec<_> = (0..16).filter(|&layer| matters(layer, 16)).collect();
        assert_eq!(of_16, [0, 1, 4, 7, 10, 13, 14, 15]);
        assert!(matters(0, 1));
    }

    #[test]
    fn rows_that_are_not_whole_blocks_fall_back() {
        assert_eq!(that_fits(TensorType::Q4_K, 512), TensorType::Q4_K);
        assert_eq!(that_fits(TensorType::Q4_K, 576), TensorType::Q5_0);
        assert_eq!(that_fits(TensorType::IQ4_XS, 96), TensorType::IQ4_NL);
        assert_eq!(that_fits(TensorType::Q6_K, 172), TensorType::F16);
        assert_eq!(that_fits(TensorType::Q8_0, 172), TensorType::F16);
        assert!(Choice::of(TensorType::Q2_K, 32).fell_back());
    }

    #[test]
    fn layers_are_numbers_and_come_in_their_order() {
        assert!(layer("blk.10.attn_v.weight") > layer("blk.9.attn_v.weight"));
        assert!(layer("token_embd.weight") < layer("blk.0.attn_v.weight"));
    }
}
