//! Which key was meant: by what other tools call it, by its spelling, or because it belongs to another section.

use crate::schema::Schema;

/// What axolotl, LLaMA-Factory, torchtune, ms-swift, mlx-lm and litgpt call our keys.
/// Only names that mean the same: a value can be moved as it is.
const ELSEWHERE: [(&str, &str); 51] = [
    ("model_name_or_path", "model.base_model"),
    ("model_name", "model.base_model"),
    ("base", "model.base_model"),
    ("checkpoint_dir", "model.base_model"),
    ("sequence_len", "model.max_length"),
    ("cutoff_len", "model.max_length"),
    ("max_seq_len", "model.max_length"),
    ("max_seq_length", "model.max_length"),
    ("model_max_length", "model.max_length"),
    ("template", "model.chat_template"),
    ("torch_dtype", "model.dtype"),
    ("bnb_4bit_quant_type", "model.quantization"),
    ("bnb_4bit_use_double_quant", "model.double_quant"),
    ("backend", "model.device"),
    ("lora_r", "lora.r"),
    ("lora_rank", "lora.r"),
    ("rank", "lora.r"),
    ("alpha", "lora.lora_alpha"),
    ("dropout", "lora.lora_dropout"),
    ("lora_target", "lora.target_modules"),
    ("lora_target_modules", "lora.target_modules"),
    ("lora_attn_modules", "lora.target_modules"),
    ("micro_batch_size", "train.per_device_train_batch_size"),
    ("batch_size", "train.per_device_train_batch_size"),
    ("eval_batch_size", "train.per_device_eval_batch_size"),
    ("num_epochs", "train.num_train_epochs"),
    ("epochs", "train.num_train_epochs"),
    ("steps", "train.max_steps"),
    ("lr", "train.learning_rate"),
    ("lr_scheduler", "train.lr_scheduler_type"),
    ("scheduler", "train.lr_scheduler_type"),
    ("grad_accum_steps", "train.gradient_accumulation_steps"),
    (
        "enable_activation_checkpointing",
        "train.gradient_checkpointing",
    ),
    (
        "enable_gradient_checkpointing",
        "train.gradient_checkpointing",
    ),
    ("grad_checkpoint", "train.gradient_checkpointing"),
    ("clip_grad_norm", "train.max_grad_norm"),
    ("early_stopping_steps", "train.early_stopping_patience"),
    ("sample_packing", "data.packing"),
    ("packed", "data.packing"),
    ("excess_length_strategy", "data.overlong"),
    ("truncation_strategy", "data.overlong"),
    ("val_set_size", "data.val_size"),
    ("split_dataset_ratio", "data.val_size"),
    ("val_split", "data.val_size"),
    ("test_split", "data.test_size"),
    ("test_set_size", "data.test_size"),
    ("kd_alpha", "distill.alpha"),
    ("kd_ratio", "distill.alpha"),
    ("kd_temperature", "distill.temperature"),
    ("kd_beta", "distill.beta"),
    ("gkd_logits_topk", "distill.top_k"),
];

/// Spellings at least this close are taken for a slip of the pen (Jaro-Winkler, 1 = equal).
const CLOSE: f64 = 0.86;

/// The key that `section.name` was probably meant to be.
pub(crate) fn nearest_key(
    section: &str,
    name: &str,
    siblings: &[&str],
    root: Schema<'_>,
) -> Option<String> {
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == name) {
        return Some((*ours).into());
    }
    if let Some(sibling) = nearest(name, siblings.iter().copied()) {
        return Some(join(section, sibling));
    }
    let keys = root.keys();
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    if let Some(key) = keys.iter().find(|key| leaf(key) == name) {
        return Some(key.clone());
    }
    let leaves: Vec<_> = keys.iter().map(|key| leaf(key)).collect();
    let close = nearest(name, leaves.iter().map(String::as_str))?;
    keys.iter().find(|key| leaf(key) == close).cloned()
}

/// The name that is closest in spelling, if it is close.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names.map(|other| {
        (
            strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()),
            other,
        )
    });
    scored
        .filter(|(score, _)| *score >= CLOSE)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, other)| other)
}

/// `section.name`, or `name` at the top.
pub(crate) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.into()
    } else {
        format!("{section}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_foreign_name_leads_to_a_key_and_is_none_itself() {
        let json = crate::json_schema();
        let keys = Schema::new(&json).unwrap().keys();
        for (theirs, ours) in ELSEWHERE {
            assert!(
                keys.iter().any(|key| key == ours),
                "`{theirs}` leads to `{ours}`, which is no key"
            );
            let section = ours.split_once('.').unwrap().0;
            assert!(
                !keys.contains(&join(section, theirs)),
                "`{theirs}` is a key of `{section}` itself"
            );
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_close_and_another_word_is_not() {
        let names = ["learning_rate", "warmup_ratio", "warmup_steps"];
        assert_eq!(
            nearest("learning_rat", names.into_iter()),
            Some("learning_rate")
        );
        assert_eq!(
            nearest("Learning_Rate", names.into_iter()),
            Some("learning_rate")
        );
        assert_eq!(
            nearest("warmup_step", names.into_iter()),
            Some("warmup_steps")
        );
        assert_eq!(nearest("teacher", names.into_iter()), None);
    }
}
