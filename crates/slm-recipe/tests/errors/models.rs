//! Keys of models that do not go together.

use super::{assert_problems, problems};

#[test]
fn contradictions_of_a_new_model() {
    let scratch = |config: &str, more: &str| {
        let text = format!(
            "train.method = \"full\"\n[[data.train]]\npath = \"rows\"\n[model]\ninit = \"scratch\"\n[model.config]\n\
             intermediate_size = 32\nnum_hidden_layers = 1\n{config}\n{more}"
        );
        problems(&text, &[])
    };
    let sizes = |hidden, heads, kv| {
        format!(
            "hidden_size = {hidden}\nnum_attention_heads = {heads}\nnum_key_value_heads = {kv}\n"
        )
    };
    let tokenizer = "[tokenizer]\nvocab_size = 300";
    assert!(scratch(&sizes(16, 4, 2), tokenizer).is_empty());
    assert_eq!(
        scratch(&sizes(18, 4, 2), tokenizer),
        [
            "r.toml:9:1 `model.config.hidden_size` is 18, needs a multiple of 8: every one of 4 heads has an even size",
        ]
    );
    assert_eq!(
        scratch(&sizes(12, 4, 2), tokenizer).len(),
        1,
        "heads of 3 cannot be rotated"
    );
    assert_eq!(
        scratch(&sizes(16, 4, 3), tokenizer),
        [
            "r.toml:11:1 `model.config.num_key_value_heads` is 3, needs a divisor of `model.config.num_attention_heads`, which is 4",
        ]
    );
    assert_eq!(
        scratch(
            &(sizes(16, 4, 4) + "max_position_embeddings = 512"),
            tokenizer
        ),
        [
            "r.toml:12:1 `model.max_length` is 1024, more than `model.config.max_position_embeddings`, which is 512",
        ]
    );
    assert_eq!(
        scratch(&sizes(16, 4, 4), ""),
        [
            "r.toml:5:1 `model.init = \"scratch\"` needs one tokenizer: a new one by `[tokenizer]`, or that of `model.base_model`",
        ]
    );
    assert_problems("[model]\ninit = \"scratch\"", &["r.toml:4:2 duplicate key"]);
    assert_eq!(
        problems(
            "[[data.train]]\npath = \"p\"\n[model]\nbase_model = \"b\"\ninit = \"scratch\"",
            &[]
        ),
        [
            "r.toml:5:1 missing key `model.config`: `model.init = \"scratch\"` needs the shape of the model",
            "r.toml:5:1 random weights are no base for an adapter: `model.init = \"scratch\"` needs `train.method = \"full\"`",
        ]
    );
}

#[test]
fn tf32_is_of_f32() {
    let of = |model: &str| {
        let text =
            format!("[[data.train]]\npath = \"rows\"\n[model]\nbase_model = \"base\"\n{model}");
        problems(&text, &[])
    };
    assert!(of("tf32 = true").is_empty());
    assert_eq!(
        of("tf32 = true\ndtype = \"bf16\""),
        ["r.toml:5:1 `model.tf32` is about products of f32: it needs `model.dtype = \"f32\"`"]
    );
}

#[test]
fn a_quantized_base_is_frozen_and_taken_whole() {
    let of = |model: &str, more: &str| {
        let text = format!(
            "[[data.train]]\npath = \"rows\"\n[model]\nbase_model = \"base\"\n{model}\n{more}"
        );
        problems(&text, &[])
    };
    for right in [
        "quantization = \"none\"",
        "quantization = \"int8\"",
        "quantization = \"int8\"\nint8_activations = false",
        "quantization = \"nf4\"",
        "quantization = \"nf4\"\ndouble_quant = false",
    ] {
        assert!(of(right, "").is_empty(), "{right}");
    }
    let nf4 = "quantization = \"nf4\"";
    assert_eq!(
        of("quantization = \"fp4\"", ""),
        ["r.toml:5:16 `model.quantization` is `fp4`, needs one of `none`, `int8`, `nf4`"]
    );
    assert_eq!(
        of(nf4, "[train]\nmethod = \"full\""),
        ["r.toml:5:1 `model.quantization` freezes the base: it needs `train.method = \"lora\"`"]
    );
    assert_eq!(
        of(nf4, "[lora]\ninit_lora_weights = \"pissa\""),
        [
            "r.toml:5:1 `lora.init_lora_weights = \"pissa\"` starts from parts of the base's weights: it needs `model.quantization = \"none\"`"
        ]
    );
    assert_eq!(
        of("quantization = \"int8\"\ndouble_quant = false", ""),
        ["r.toml:6:1 `model.double_quant` is about the scales of `model.quantization = \"nf4\"`"]
    );
    assert_eq!(
        of("quantization = \"nf4\"\nint8_activations = false", ""),
        [
            "r.toml:6:1 `model.int8_activations` is about products with `model.quantization = \"int8\"`"
        ]
    );
    assert_eq!(
        of("bnb_4bit_use_double_quant = true", ""),
        [
            "r.toml:5:1 unknown key `model.bnb_4bit_use_double_quant`; did you mean `model.double_quant`?"
        ]
    );
}
