//! What judged answers do not go together with.

use super::Combinations;
use crate::{BatchSize, Format, LossType, Objective};

impl Combinations<'_> {
    pub(super) fn preference(&mut self) {
        let (data, train, lora) = (&self.recipe.data, &self.recipe.train, &self.recipe.lora);
        let name = train.objective.name();
        if train.objective == Objective::Sft {
            if matches!(data.format, Format::Preference | Format::UnpairedPreference) {
                let reason = "`data.format` reads judged answers; needs `train.objective = \"dpo\"`, `\"orpo\"` or `\"kto\"`";
                self.conflict(&["data.format", "train.objective"], reason);
            }
            return;
        }
        for (key, used) in [
            ("data.packing", data.packing),
            (
                "train.label_smoothing_factor",
                train.label_smoothing_factor > 0.0,
            ),
        ] {
            if used {
                let reason =
                    format!("`{key}` has no place in `{name}`, which compares whole answers");
                self.conflict(&[key, "train.objective"], reason);
            }
        }
        for (key, used) in [
            ("lora.lora_dropout", lora.lora_dropout > 0.0),
            ("train.neftune_noise_alpha", train.neftune_noise_alpha > 0.0),
        ] {
            if used {
                let reason = format!(
                    "`{key}` is noise, and `{name}` compares log-probabilities with those of a model without any"
                );
                self.conflict(&[key, "train.objective"], reason);
            }
        }
        if train.objective == Objective::Kto
            && train.per_device_train_batch_size == BatchSize::Rows(1)
        {
            let key = "train.per_device_train_batch_size";
            let reason = format!(
                "`{key}` is 1; `kto` puts the answers of a batch to each other's prompts and needs at least 2"
            );
            self.conflict(&[key, "train.objective"], reason);
        }
        let section = &self.recipe.preference;
        if section.label_smoothing > 0.0 && section.loss_type != LossType::Robust {
            let reason =
                "`preference.label_smoothing` is read with `preference.loss_type = \"robust\"`";
            self.conflict(
                &["preference.label_smoothing", "preference.loss_type"],
                reason,
            );
        }
    }
}
