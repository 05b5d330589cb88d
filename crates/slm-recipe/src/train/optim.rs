//! `train.optim`: the optimizers, by the names of Hugging Face's `TrainingArguments`.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// What makes a step of a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = with_aliases)]
pub enum Optim {
    /// Adam with decoupled weight decay: two states per weight, 8 bytes.
    #[default]
    #[serde(alias = "adamw_torch", alias = "adamw_torch_fused")]
    Adamw,
    /// The same with states of 8 bits in blocks of 256, as bitsandbytes keeps them: 2 bytes per weight.
    #[serde(rename = "adamw_8bit", alias = "adamw_bnb_8bit")]
    Adamw8bit,
    /// Second moments of rows and columns only: next to no state.
    Adafactor,
    /// The sign of a momentum: 4 bytes per weight. It wants a rate 3 to 10 times lower than AdamW's.
    #[serde(alias = "lion_32bit")]
    Lion,
    /// Plain gradient descent, with `momentum` 4 bytes per weight.
    Sgd,
}

/// The names that a recipe may use, those of other versions included.
const NAMES: [&str; 9] = [
    "adamw",
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_8bit",
    "adamw_bnb_8bit",
    "adafactor",
    "lion",
    "lion_32bit",
    "sgd",
];

fn with_aliases(schema: &mut Schema) {
    schema.remove("oneOf");
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), NAMES.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_an_optimizer_and_is_written_as_one() {
        for name in NAMES {
            let optim: Optim = serde_json::from_value(name.into()).unwrap();
            let written = serde_json::to_value(optim).unwrap();
            assert!(NAMES.contains(&written.as_str().unwrap()), "{written}");
            assert!(
                name.starts_with(written.as_str().unwrap()) || name == "adamw_bnb_8bit",
                "{name} became {written}"
            );
        }
    }
}
