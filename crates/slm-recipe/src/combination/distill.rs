//! What a teacher does not go together with.

use super::Combinations;
use crate::{
    DistillLoss, DistillMethod, DistillSection, DivergenceKind, GenerationSection, Objective,
};

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
        self.generated_answers(section);
        self.other_vocabulary(section);
    }

    /// A teacher with another vocabulary.
    fn other_vocabulary(&mut self, section: &DistillSection) {
        if section.loss != DistillLoss::Uld {
            return;
        }
        let key = "distill.loss";
        if section.divergence != DivergenceKind::default() {
            let reason = "`distill.divergence` is not read with `distill.loss = \"uld\"`, which compares sorted probabilities";
            self.conflict(&["distill.divergence", key], reason);
        }
        if section.cache_dir.is_some() {
            let reason = "`distill.loss = \"uld\"` compares whole distributions, which a cache does not have; needs a teacher that is asked in every step, without `distill.cache_dir`";
            self.conflict(&[key, "distill.cache_dir"], reason);
        }
        if section.method == DistillMethod::Sequence {
            let reason = "`distill.loss = \"uld\"` is about a teacher on this machine; needs `distill.method = \"logits\"`";
            self.conflict(&[key, "distill.method"], reason);
        }
        if section.seq_kd {
            let reason = "`distill.seq_kd` has the teacher's tokens learned, and with `distill.loss = \"uld\"` they are not the student's";
            self.conflict(&["distill.seq_kd", key], reason);
        }
    }

    /// Answers that are generated while the student learns.
    fn generated_answers(&mut self, section: &DistillSection) {
        let key = match (section.lmbda > 0.0, section.seq_kd) {
            (true, _) => "distill.lmbda",
            (false, true) => "distill.seq_kd",
            (false, false) => {
                let key = "distill.generation";
                if section.generation != GenerationSection::default() {
                    let reason =
                        format!("`{key}` is read with `distill.lmbda` above 0 or `distill.seq_kd`");
                    self.conflict(&[key], reason);
                }
                return;
            }
        };
        if section.cache_dir.is_some() {
            let reason = format!(
                "`{key}` has answers generated anew, of which no cache knows anything; needs a teacher that is asked in every step, without `distill.cache_dir`"
            );
            self.conflict(&[key, "distill.cache_dir"], reason);
        }
        if section.method == DistillMethod::Sequence {
            let reason = format!(
                "`{key}` is about a teacher on this machine; needs `distill.method = \"logits\"`"
            );
            self.conflict(&[key, "distill.method"], reason);
        }
        if self.recipe.data.packing {
            let reason =
                format!("`{key}` answers the prompt of each row; needs `data.packing = false`");
            self.conflict(&[key, "data.packing"], reason);
        }
        if section.seq_kd && section.lmbda >= 1.0 {
            let reason = "with `distill.lmbda = 1` the student answers every prompt itself, and `distill.seq_kd` never comes up";
            self.conflict(&["distill.seq_kd", "distill.lmbda"], reason);
        }
    }
}
