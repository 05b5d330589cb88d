//! Which rows are held out, and what needs that some are.

use std::collections::BTreeSet;

use super::Combinations;
use crate::{Format, Pii, Source, language_code};

impl Combinations<'_> {
    pub(super) fn split(&mut self) {
        let data = &self.recipe.data;
        let (by_share, by_row, by_file) = (
            data.val_size > 0.0,
            data.val_every > 0,
            !data.validation.is_empty(),
        );
        if data.val_every == 1 {
            self.conflict(
                &["data.val_every"],
                "`data.val_every` is 1 and holds out every row; needs 0 or at least 2",
            );
        }
        for (both, keys) in [
            (by_row && by_share, ["data.val_every", "data.val_size"]),
            (by_row && by_file, ["data.val_every", "data.validation"]),
            (by_share && by_file, ["data.val_size", "data.validation"]),
            (
                data.test_size > 0.0 && !data.test.is_empty(),
                ["data.test_size", "data.test"],
            ),
        ] {
            if both {
                let [one, other] = keys;
                self.conflict(
                    &keys,
                    format!("`{one}` and `{other}` both say what is held out; needs one of them"),
                );
            }
        }
        self.test_share();
        let by_share = by_share || data.test_size > 0.0;
        if data.group_by.is_some() && !by_share {
            let reason = "`data.group_by` keeps rows together in a split by `data.val_size`, and there is none";
            self.conflict(&["data.group_by", "data.val_size"], reason);
        }
        for (key, is_set) in [
            ("data.keep_near_together", data.keep_near_together),
            ("data.stratify", data.stratify),
        ] {
            if is_set && !by_share {
                let reason =
                    format!("`{key}` is about the split by `data.val_size`, and there is none");
                self.conflict(&[key, "data.val_size"], reason);
            }
        }
        if data.packing && !data.shuffle {
            let reason = "`data.packing` fills rows longest first, and `data.shuffle = false` keeps the order of the files; needs one of them";
            self.conflict(&["data.shuffle", "data.packing"], reason);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = data.labels.iter().find(|label| !seen.insert(label.trim())) {
            self.conflict(
                &["data.labels"],
                format!("`data.labels` has `{}` twice", twice.trim()),
            );
        }
    }

    /// A share for the test beside what is held out.
    fn test_share(&mut self) {
        let data = &self.recipe.data;
        let (held_out, test) = (data.val_size, data.test_size);
        if test > 0.0 && data.val_every > 0 {
            let reason = "`data.test_size` goes by what a row says and `data.val_every` by its number, so that equal rows would be on two sides; needs `data.val_size`";
            self.conflict(&["data.test_size", "data.val_every"], reason);
        }
        if test > 0.0 && held_out + test >= 1.0 {
            let reason = format!(
                "`data.val_size` is {held_out} and `data.test_size` is {test}: nothing is left to learn from"
            );
            self.conflict(&["data.test_size", "data.val_size"], reason);
        }
    }

    pub(super) fn cleaning(&mut self) {
        let clean = &self.recipe.data.clean;
        if clean.max_chars > 0 && clean.min_chars > clean.max_chars {
            let reason = format!(
                "`data.clean.min_chars` is {} and `data.clean.max_chars` is {}: no row can have both",
                clean.min_chars, clean.max_chars
            );
            self.conflict(&["data.clean.min_chars", "data.clean.max_chars"], reason);
        }
        let ratio = clean.balance.max_ratio;
        if ratio > 0.0 && ratio < 1.0 {
            let key = "data.clean.balance.max_ratio";
            let reason = format!(
                "`{key}` is {ratio}, needs 0 or at least 1: the rarest label keeps its rows"
            );
            self.conflict(&[key], reason);
        }
        self.languages();
        self.personal();
    }

    fn languages(&mut self) {
        let languages = &self.recipe.data.clean.languages;
        let untold = languages.iter().find(|code| language_code(code).is_none());
        if let Some(code) = untold {
            let key = "data.clean.languages";
            let reason = format!(
                "`{key}` has `{code}`, needs codes of languages that can be told, as in `en` or `deu`"
            );
            self.conflict(&[key], reason);
        }
    }

    fn personal(&mut self) {
        let (pii, personal) = (self.recipe.data.clean.pii, &self.recipe.data.clean.personal);
        let keys = [
            "data.clean.personal.key_env",
            "data.clean.personal.key_file",
        ];
        match (pii, &personal.key_env, &personal.key_file) {
            (Pii::Pseudonymise, None, None) => self.missing(
                keys[0],
                "data.clean.pii",
                "a keyed hash makes pseudonyms; name the environment variable that holds the key, or its file with `key_file`",
            ),
            (_, Some(_), Some(_)) => {
                let reason = "`data.clean.personal.key_env` and `data.clean.personal.key_file` both name a key; needs one of them";
                self.conflict(&keys, reason);
            }
            _ => {}
        }
        for (key, is_set) in [
            ("data.clean.personal.names", !personal.names.is_empty()),
            (
                "data.clean.personal.addresses",
                !personal.addresses.is_empty(),
            ),
        ] {
            if pii == Pii::Off && is_set {
                let reason = format!(
                    "`{key}` has no meaning: `data.clean.pii` is `off` and looks for nothing"
                );
                self.conflict(&[key, "data.clean.pii"], reason);
            }
        }
    }

    pub(super) fn sources(&mut self) {
        let data = &self.recipe.data;
        let held_out = [
            ("data.validation", &data.validation),
            ("data.test", &data.test),
        ];
        for (key, sources) in [("data.train", &data.train)].into_iter().chain(held_out) {
            for (index, source) in sources.iter().enumerate() {
                self.source(&format!("{key}.{index}"), source);
            }
        }
        for (index, source) in data.train.iter().enumerate() {
            if data.packing && source.weight.fract() != 0.0 {
                let key = format!("data.train.{index}.weight");
                let reason = format!(
                    "`{key}` is {}, and `data.packing` needs the same rows in every epoch: a whole number, or `max_samples` instead",
                    source.weight
                );
                self.conflict(&[&key, "data.packing"], reason);
            }
        }
        for (key, sources) in held_out {
            for (index, source) in sources.iter().enumerate() {
                if source.weight != 1.0 {
                    let key = format!("{key}.{index}.weight");
                    let reason = format!(
                        "`{key}` has no meaning: held-out rows are read once in each evaluation"
                    );
                    self.conflict(&[&key], reason);
                }
            }
        }
    }

    fn source(&mut self, key: &str, source: &Source) {
        let (prompt, completion) = (format!("{key}.prompt"), format!("{key}.completion"));
        match (&source.prompt, &source.completion) {
            (Some(_), None) => self.missing(
                &completion,
                &prompt,
                "a template of the prompt needs one of the completion",
            ),
            (None, Some(_)) => self.missing(
                &prompt,
                &completion,
                "a template of the completion needs one of the prompt",
            ),
            (Some(_), Some(_))
                if !matches!(
                    self.recipe.data.format,
                    Format::Auto | Format::PromptCompletion
                ) =>
            {
                let reason = format!(
                    "`{prompt}` makes prompt and completion; it needs `data.format = \"prompt_completion\"`"
                );
                self.conflict(&[&prompt, "data.format"], reason);
            }
            _ => {}
        }
    }

    pub(super) fn held_out_rows(&mut self) {
        let train = &self.recipe.train;
        if self.recipe.data.holds_out() || train.task_metric().is_some() {
            return;
        }
        for (key, used) in [
            ("train.load_best_model_at_end", train.load_best_model_at_end),
            (
                "train.early_stopping_patience",
                train.early_stopping_patience > 0,
            ),
            ("train.eval_steps", train.eval_steps > 0),
        ] {
            if used {
                let reason = format!(
                    "`{key}` needs held-out rows: `data.val_size`, `data.val_every` or `[[data.validation]]`"
                );
                self.conflict(&[key, "data.val_size"], reason);
            }
        }
    }
}
