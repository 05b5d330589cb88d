//! NEFTune (Jain et al. 2023): noise on the embeddings while training.

use burn::tensor::Tensor;
use slm_model::{Decoder, Tokens};
use slm_ops::noise::{mix, uniform_noise};

/// The embeddings of a micro-batch, `[batch, time, hidden]`, with uniform noise in ±`alpha / √(time · hidden)` on what the
/// table holds, as transformers does; `alpha` 0 adds none.
pub(crate) fn embed(decoder: &Decoder, tokens: &Tokens, alpha: f64, seed: u64) -> Tensor<3> {
    let x = decoder.embed(tokens);
    if alpha == 0.0 {
        return x;
    }
    let [batch, time, hidden] = x.dims();
    let bound = alpha / ((time * hidden) as f64).sqrt() * decoder.config().embedding_scale;
    let seed = mix(seed ^ u64::from_be_bytes(*b"neftune "));
    let noise = uniform_noise(bound, seed, [batch, time, hidden], &x.device().inner());
    let dtype = x.dtype();
    x.add(noise.cast(dtype))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use slm_model::{DecoderConfig, device};

    use super::*;

    #[test]
    fn noise_is_bounded_follows_its_seed_and_may_be_none() {
        let config = json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "hidden_act": "silu", "tie_word_embeddings": true,
        });
        let config = DecoderConfig::from_json(config, Path::new("config.json")).unwrap();
        let decoder = Decoder::init(config, 1, &device::open("cpu").unwrap());
        let tokens = Tokens::new(&[1, 2], &[0, 1], &[1, 1], [1, 2], decoder.device());
        let of = |alpha, seed| -> Vec<f32> {
            let x = embed(&decoder, &tokens, alpha, seed);
            x.into_data().try_into_vec().unwrap()
        };
        let plain = of(0.0, 7);
        assert_eq!(plain, of(0.0, 8));
        let noisy = of(5.0, 7);
        assert_eq!(noisy, of(5.0, 7));
        assert_ne!(noisy, of(5.0, 8));
        // 5 / √(2 · 8)
        let largest = (plain.iter().zip(&noisy)).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(largest <= 1.25 && largest > 0.6, "{largest}");
    }
}
