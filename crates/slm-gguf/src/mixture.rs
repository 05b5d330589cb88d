//! Which tensor is stored as what: the mixtures of llama.cpp's `llama-quantize`.
//!
//! The rules are those of `llama_tensor_get_type` in llama.cpp's `src/llama-quant.cpp` for dense models, as of ggml 0.25.3.

use crate::tensor_role::{Role, may_be_quantized};
use crate::{Choice, FileType, GgufError, Metadata, TensorSpec, TensorType, TypeRule, keys};

/// What decides about a model's tensors, apart from their names and widths.
#[derive(Clone, Debug)]
pub struct Mixture<'a> {
    /// What the file is quantized to.
    pub file_type: FileType,
    /// The architecture, such as [`LLAMA`](crate::keys::architecture::LLAMA).
    pub architecture: String,
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

impl Mixture<'static> {
    /// That of the model with this metadata, without an importance matrix and rules.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] and [`GgufError::KeyType`] where the metadata does not say which architecture it is, and how many
    /// layers and heads there are.
    pub fn of(metadata: &Metadata, file_type: FileType) -> Result<Self, GgufError> {
        let architecture = metadata.require(&keys::general::ARCHITECTURE)?;
        let n_layers = metadata.require(&keys::llm::BLOCK_COUNT.of(&architecture))?;
        let n_heads = metadata.require(&keys::llm::HEAD_COUNT.of(&architecture))?;
        let n_kv_heads = metadata.get(&keys::llm::HEAD_COUNT_KV.of(&architecture))?;
        Ok(Self {
            file_type,
            architecture,
            n_layers: n_layers as usize,
            n_heads: n_heads as usize,
            n_kv_heads: n_kv_heads.unwrap_or(n_heads) as usize,
            has_importance: false,
            rules: &[],
        })
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
        let mut choices: Vec<_> = tensors.iter().map(Choice::kept).collect();
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
        let is_large = match self.architecture.as_str() {
            keys::architecture::LLAMA => heads_differ,
            keys::architecture::QWEN2 => true,
            _ => false,
        };
        self.n_layers == 80 && is_large
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
    fn layers_are_numbers_and_come_in_their_order() {
        assert!(layer("blk.10.attn_v.weight") > layer("blk.9.attn_v.weight"));
        assert!(layer("token_embd.weight") < layer("blk.0.attn_v.weight"));
    }
}
