//! What llama.cpp's graphs compute where no key of a file says it.
//!
//! Source: `load_arch_hparams` and the graphs in `src/models/` of llama.cpp.

use slm_gguf::keys::architecture::{GEMMA, GEMMA2, GEMMA3, GPT2, GPTNEOX};
use slm_model::{Activation, DecoderConfig};

/// In SmolLM3 every layer but each fourth has a rotary encoding (`n_no_rope_layer_step`).
pub(crate) const NO_ROPE_INTERVAL: usize = 4;

/// Yarn's bounds, which llama.cpp reads from no file of these architectures.
pub(crate) const YARN_BETAS: (f64, f64) = (32.0, 1.0);

/// llama.cpp computes both kinds of GELU by tanh; GPT-NeoX's is by the normal distribution, which is 5e-4 away at most.
pub(crate) fn built_in_activation(architecture: &str) -> Activation {
    match architecture {
        GEMMA | GEMMA2 | GEMMA3 | GPT2 => Activation::GeluTanh,
        GPTNEOX => Activation::Gelu,
        _ => Activation::Silu,
    }
}

/// What scores are multiplied by where no key says it.
pub(crate) fn built_in_scale(architecture: &str, config: &DecoderConfig) -> f64 {
    let scalar = scale_scalar(
        architecture,
        config.num_hidden_layers,
        [config.hidden_size, config.num_attention_heads],
        config.head_dim,
    );
    (scalar as f64).powf(-0.5)
}

/// `query_pre_attn_scalar`: a head's channels, but in the largest Gemmas, which llama.cpp knows by their layers.
///
/// `[width, heads]`
pub(crate) fn scale_scalar(
    architecture: &str,
    n_layers: usize,
    [hidden_size, n_heads]: [usize; 2],
    head_dim: usize,
) -> usize {
    match (architecture, n_layers) {
        (GEMMA2, 46) | (GEMMA3, 62) => hidden_size / n_heads,
        _ => head_dim,
    }
}

/// Whether each layer sees the window only where no key says it: every other of Gemma 2, five of six of Gemma 3.
pub(crate) fn built_in_windows(architecture: &str, n_layers: usize) -> Vec<bool> {
    let period = match architecture {
        GEMMA2 => 2,
        GEMMA3 => 6,
        _ => return vec![false; n_layers],
    };
    (0..n_layers)
        .map(|layer| layer % period < period - 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use slm_gguf::keys::architecture::QWEN3;

    use super::*;

    #[test]
    fn windows_are_those_of_set_swa_pattern() {
        let found = built_in_windows(GEMMA3, 7);
        assert_eq!(found, [true, true, true, true, true, false, true]);
        assert_eq!(built_in_windows(GEMMA2, 3), [true, false, true]);
        assert_eq!(built_in_windows(QWEN3, 2), [false, false]);
    }
}
