//! The adapter alone as a GGUF file.

use std::collections::BTreeMap;

use serde_json::json;
use slm_export::read_gguf_adapter;
use slm_gguf::{Reader, keys};
use slm_model::Decoder;
use slm_recipe::{InitLora, LoraSection};

use crate::bench::{Bench, config, left_over, random, with_lora};
use crate::families::families;

const FILE: &str = "tiny-lora-F32.gguf";

fn section() -> LoraSection {
    LoraSection {
        r: 4,
        lora_alpha: 6.0,
        lora_dropout: 0.0,
        ..LoraSection::default()
    }
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.gguf_adapter = true;
    bench
}

#[test]
fn the_adapter_of_every_family_answers_as_the_trained_model() {
    let bench = bench();
    for (architecture, changes) in families() {
        let decoder = with_lora(random(config(300, changes.clone()), 3), &section());
        let (exported, _) = bench.export(&decoder, &[]);
        let comparisons = exported.unwrap().comparisons;
        let comparison = comparisons.iter().find(|c| c.file == FILE).unwrap();
        assert!(comparison.ok, "{changes}: {comparison:?}");
        let reader = Reader::open(bench.out().join(FILE)).unwrap();
        let text = |key: &keys::Key<String>| reader.metadata().require(key).unwrap();
        assert_eq!(text(&keys::general::ARCHITECTURE), architecture);
        assert_eq!(text(&keys::general::TYPE), "adapter");
        assert_eq!(text(&keys::adapter::TYPE), "lora");
        let alpha = reader.metadata().require(&keys::adapter::LORA_ALPHA);
        assert_eq!(alpha.unwrap(), 6.0);
    }
}

#[test]
fn layers_may_differ_in_rank_and_scale() {
    let bench = bench();
    let ranks = BTreeMap::from([("q_proj".to_string(), 2), ("down_proj".to_string(), 8)]);
    let alphas = BTreeMap::from([("k_proj".to_string(), 3.0)]);
    for (use_rslora, init) in [
        (false, InitLora::Default),
        (true, InitLora::Default),
        (false, InitLora::Pissa),
    ] {
        let section = LoraSection {
            rank_pattern: ranks.clone(),
            alpha_pattern: alphas.clone(),
            use_rslora,
            init_lora_weights: init,
            ..section()
        };
        let decoder = with_lora(random(config(300, json!({})), 3), &section);
        let (exported, _) = bench.export(&decoder, &[]);
        let comparisons = exported.unwrap().comparisons;
        let comparison = comparisons.iter().find(|c| c.file == FILE).unwrap();
        assert!(comparison.ok, "{use_rslora} {init:?}: {comparison:?}");
    }
}

/// `convert_lora_to_gguf.py` leaves `lora_a` as it is, and permutes the rows of `lora_b` of q and k in Llama.
#[test]
fn only_rows_of_heads_are_moved() {
    let bench = bench();
    let decoder = with_lora(random(config(300, json!({})), 3), &section());
    bench.export(&decoder, &[]).0.unwrap();
    let reader = Reader::open(bench.out().join(FILE)).unwrap();
    let pair = |module: &str| {
        let module = format!("model.layers.0.{module}");
        let mut pairs = decoder.lora_pairs().into_iter();
        pairs.find(|pair| pair.module == module).unwrap()
    };
    let read = |name: &str| reader.dequantize(&format!("blk.0.{name}")).unwrap();
    assert_eq!(read("attn_q.weight.lora_a"), pair("self_attn.q_proj").a);
    assert_eq!(read("attn_v.weight.lora_b"), pair("self_attn.v_proj").b);
    let (found, b) = (read("attn_q.weight.lora_b"), pair("self_attn.q_proj").b);
    // Heads of 16 rows of rank 4: the second row of the file is the first of the second half.
    assert_eq!(found[..4], b[..4]);
    assert_eq!(found[4..8], b[8 * 4..9 * 4]);
}

#[test]
fn what_is_no_pair_is_refused() {
    let bench = bench();
    let refusal = |section: &LoraSection| {
        let decoder = with_lora(random(config(300, json!({})), 3), section);
        let error = bench.export(&decoder, &[]).0.unwrap_err();
        assert!(error.hint().unwrap().contains("`adapter/`"));
        assert_eq!(left_over(&bench.out()), Vec::<String>::new());
        error.to_string()
    };
    let dora = LoraSection {
        use_dora: true,
        ..section()
    };
    let expected = "a GGUF adapter has no place for the norms of DoRA";
    assert_eq!(refusal(&dora), expected);
    let copies = LoraSection {
        modules_to_save: vec!["embed_tokens".into()],
        ..section()
    };
    assert_eq!(
        refusal(&copies),
        "a GGUF adapter has no place for the trained copy of `model.embed_tokens.weight`"
    );
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let bench = bench();
    let decoder = with_lora(random(config(300, json!({})), 3), &section());
    bench.export(&decoder, &[]).0.unwrap();
    let refusal = |base: &Decoder| {
        let read = read_gguf_adapter(&bench.out().join(FILE), base);
        read.unwrap_err().to_string()
    };
    let wide = random(config(300, json!({"intermediate_size": 112})), 3);
    assert!(refusal(&wide).contains("`blk.0.ffn_gate.weight` has the shapes"));
    let short = random(config(300, json!({"num_hidden_layers": 1})), 3);
    assert!(refusal(&short).contains("it holds 28 tensors, the base has places for 14"));
    let qwen = random(config(300, json!({"model_type": "qwen2"})), 3);
    assert!(refusal(&qwen).contains("`general.architecture` is `llama`, needed `qwen2`"));
}
