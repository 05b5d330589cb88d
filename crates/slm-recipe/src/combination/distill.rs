//! What a teacher does not go together with.

use super::Combinations;
use crate::{DistillMethod, DistillSection, DivergenceKind, Objective};

impl Combinations<'_> {
    pub(super) fn distill(&mut self) {
        let Some(section) = &self.recipe.distill else {
            return;
        };
        let train = &self.recipe.train;
        let needs_path = match section.method {
            DistillMethod::Logits => section.teacher.path.is_empty(),
            DistillMethod::Sequence => false,
        };
        if needs_path {
            let reason =
                "the teacher: a run directory, a folder in Hugging Face format, or a hub name";
            self.missing("distill.teacher.path", "distill", reason);
        }
        if train.objective != Objective::Sft {
            let name = train.objective.name();
            let reason = format!(
                "`distill` learns rows from a teacher, and `{name}` judged answers; needs one of them"
            );
            self.conflict(&["train.objective", "distill"], reason);
        }
        if section.alpha >= 1.0 && train.label_smoothing_factor > 0.0 {
            let key = "train.label_smoothing_factor";
            let reason = format!(
                "`{key}` is about the rows' own tokens, and with `distill.alpha = 1` they are not learned"
            );
            self.conflict(&[key, "distill.alpha"], reason);
        }
        let is_default = section.beta == DistillSection::default().beta;
        if section.divergence != DivergenceKind::Jsd && !is_default {
            let reason = "`distill.beta` is read with `distill.divergence = \"jsd\"`";
            self.conflict(&["distill.beta", "distill.divergence"], reason);
        }
    }
}
