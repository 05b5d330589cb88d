//! What a teacher does not go together with.

use super::Combinations;
use crate::{
    DistillLoss, DistillMethod, DistillSection, DivergenceKind, GenerationSection, HiddenSection,
    LayerMap, Objective,
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
        self.layers(section);
    }

    /// Layers that are held against the teacher's.
    fn layers(&mut self, section: &DistillSection) {
        let (hidden, key) = (&section.hidden, "distill.hidden.weight");
        if !hidden.is_on() {
            if *hidden != HiddenSection::default() {
                let reason = "`distill.hidden` is read with `distill.hidden.weight` above 0";
                self.conflict(&["distill.hidden"], reason);
            }
            return;
        }
        if section.cache_dir.is_some() {
            let reason = format!(
                "`{key}` compares layers, of which a cache has nothing; needs a teacher that is asked in every step, without `distill.cache_dir`"
            );
            self.conflict(&[key, "distill.cache_dir"], reason);
        }
        if section.method == DistillMethod::Sequence {
            let reason = format!(
                "`{key}` is about a teacher on this machine; needs `distill.method = \"logits\"`"
            );
            self.conflict(&[key, "distill.method"], reason);
        }
        if section.loss == DistillLoss::Uld {
            let reason = format!(
                "`{key}` compares the states of one token, and with `distill.loss = \"uld\"` the teacher has tokens of its own; needs `distill.loss = \"divergence\"`"
            );
            self.conflict(&[key, "distill.loss"], reason);
        }
        if let LayerMap::Pairs(_) = hidden.layers {
            // By the student's layers, so that equal ones are neighbours; how many there are is not looked at.
            let pairs = hidden.layers.pairs(0, 0);
            let again = pairs.windows(2).find(|pair| pair[0][0] == pair[1][0]);
            if let Some([[layer, _], _]) = again {
                let reason = format!(
                    "`distill.hidden.layers` has the student's layer {layer} follow two layers; needs one"
                );
                self.conflict(&["distill.hidden.layers"], reason);
            }
        }
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
