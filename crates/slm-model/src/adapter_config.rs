//! `adapter_config.json`, as PEFT writes and reads it.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};
use slm_recipe::InitLora;

use crate::adapter::LoraSpec;
use crate::modules::Modules;

/// Kinds of adapters, and parts of LoRA, that change what the adapter computes and are not supported.
const REFUSED: &[&str] = &[
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "use_qalora",
    "alora_invocation_tokens",
    "arrow_config",
    "corda_config",
    "lora_ga_config",
    "use_bdlora",
];

/// Reads the keys that decide what the adapter computes; refuses what would make it another one.
pub(crate) fn read(config: &Value) -> Result<LoraSpec, String> {
    if config["peft_type"].as_str() != Some("LORA") {
        let found = &config["peft_type"];
        return Err(format!("`peft_type` is {found}, needed \"LORA\""));
    }
    if let Some(bias) = config["bias"].as_str().filter(|bias| *bias != "none") {
        return Err(format!("`bias` is \"{bias}\", needed \"none\""));
    }
    if let Some(key) = REFUSED.iter().find(|key| is_set(&config[**key])) {
        return Err(format!("`{key}` is set, which is not supported"));
    }
    let number = |key: &str| {
        config[key]
            .as_f64()
            .ok_or_else(|| format!("`{key}` is {}, needed a number", config[key]))
    };
    let (init, pissa_niter) = initial(&config["init_lora_weights"])?;
    let flag = |key: &str| config[key].as_bool() == Some(true);
    Ok(LoraSpec {
        r: number("r")? as usize,
        alpha: number("lora_alpha")?,
        dropout: config["lora_dropout"].as_f64().unwrap_or(0.0),
        targets: modules(config, "target_modules")?,
        exclude: match config["exclude_modules"].is_null() {
            true => Modules::none(),
            false => modules(config, "exclude_modules")?,
        },
        layers: layers(&config["layers_to_transform"])?,
        ranks: pattern(config, "rank_pattern", |v| v.as_u64().map(|r| r as usize))?,
        alphas: pattern(config, "alpha_pattern", Value::as_f64)?,
        use_rslora: flag("use_rslora"),
        use_dora: flag("use_dora"),
        modules_to_save: names(&config["modules_to_save"]),
        keep_tied: flag("ensure_weight_tying"),
        init,
        pissa_niter,
    })
}

/// How the adapter began. That matters afterwards where the base was changed with it.
fn initial(value: &Value) -> Result<(InitLora, usize), String> {
    let refused = || {
        format!(
            "`init_lora_weights` is {value}, which changes the base in a way that is not supported"
        )
    };
    let iterations = |text: &str| text.strip_prefix("pissa_niter_")?.parse().ok();
    match value {
        Value::Null | Value::Bool(_) => Ok((InitLora::Default, 0)),
        Value::String(text) => match text.as_str() {
            "gaussian" | "eva" | "orthogonal" => Ok((InitLora::Default, 0)),
            "pissa" => Ok((InitLora::Pissa, 0)),
            other => iterations(other)
                .map(|n| (InitLora::Pissa, n))
                .ok_or_else(refused),
        },
        _ => Err(refused()),
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

fn names(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(String::from).collect()
}

fn modules(config: &Value, key: &str) -> Result<Modules, String> {
    match &config[key] {
        list @ Value::Array(_) => Ok(Modules::Names(names(list))),
        Value::String(text) => Modules::parse(text).map_err(|what| format!("`{key}`: {what}")),
        other => Err(format!("`{key}` is {other}, needed a list of module names")),
    }
}

fn layers(value: &Value) -> Result<Vec<usize>, String> {
    let wrong = || format!("`layers_to_transform` is {value}, needed layer numbers");
    let number = |value: &Value| value.as_u64().map(|n| n as usize).ok_or_else(wrong);
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(number).collect(),
        one => Ok(vec![number(one)?]),
    }
}

fn pattern<T>(
    config: &Value,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<BTreeMap<String, T>, String> {
    let map = config[key].as_object().into_iter().flatten();
    map.map(|(pattern, value)| {
        if Regex::new(pattern).is_err() {
            return Err(format!("`{key}`: `{pattern}` is no regular expression"));
        }
        let value =
            read(value).ok_or_else(|| format!("`{key}.{pattern}` is {value}, needed a number"))?;
        Ok((pattern.clone(), value))
    })
    .collect()
}

/// The file for an adapter of `spec`. `transposed`: the base keeps its linear layers `[in, out]`.
///
/// An adapter that began from the base's principal parts (PiSSA) is written as the difference that it makes to the
/// untouched base, which is plain LoRA of twice the rank.
pub(crate) fn write(spec: &LoraSpec, base_model: &str, transposed: bool) -> Value {
    let doubled = if spec.init == InitLora::Pissa { 2 } else { 1 };
    let alpha_factor = match spec.use_rslora {
        true => (doubled as f64).sqrt(),
        false => doubled as f64,
    };
    let number = |value: f64| match value.fract() == 0.0 {
        true => json!(value as i64),
        false => json!(value),
    };
    let ranks: BTreeMap<&String, usize> =
        spec.ranks.iter().map(|(p, r)| (p, r * doubled)).collect();
    let alphas: BTreeMap<&String, Value> = (spec.alphas.iter())
        .map(|(p, alpha)| (p, number(alpha * alpha_factor)))
        .collect();
    let list = |names: &[String]| match names.is_empty() {
        true => Value::Null,
        false => json!(names),
    };
    let modules = |modules: &Modules| match modules {
        Modules::AllLinear => json!("all-linear"),
        Modules::Pattern(pattern) => {
            let text = pattern.as_str();
            json!(text.trim_start_matches("^(?:").trim_end_matches(")$"))
        }
        Modules::Names(names) => {
            let mut names = names.clone();
            names.sort();
            list(&names)
        }
    };
    json!({
        "auto_mapping": null,
        "base_model_name_or_path": base_model,
        "bias": "none",
        "ensure_weight_tying": spec.keep_tied,
        "exclude_modules": modules(&spec.exclude),
        "fan_in_fan_out": transposed,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": if spec.layers.is_empty() { Value::Null } else { json!(spec.layers) },
        "lora_alpha": number(spec.alpha * alpha_factor),
        "lora_dropout": spec.dropout,
        "modules_to_save": list(&spec.modules_to_save),
        "peft_type": "LORA",
        "r": spec.r * doubled,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "revision": null,
        "target_modules": modules(&spec.targets),
        "task_type": "CAUSAL_LM",
        "use_dora": spec.use_dora,
        "use_rslora": spec.use_rslora,
    })
}
