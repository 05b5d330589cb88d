//! A teacher behind an endpoint, and which of its answers are kept.

use super::Combinations;
use crate::DistillMethod;

impl Combinations<'_> {
    pub(super) fn served_teacher(&mut self) {
        let Some(section) = &self.recipe.distill else {
            return;
        };
        let (endpoint, filters) = (&section.teacher.endpoint, &section.filters);
        if section.method != DistillMethod::Sequence {
            if !endpoint.is_unset() {
                let reason = "`distill.teacher` says how a served teacher is asked; needs `distill.method = \"sequence\"`";
                self.conflict(&["distill.method", "distill.teacher"], reason);
            }
            return;
        }
        if !section.teacher.path.is_empty() {
            let key = "distill.teacher.path";
            let reason = format!(
                "`{key}` is a teacher on this machine; `method = \"sequence\"` asks one by its `base_url`"
            );
            self.conflict(&[key], reason);
        }
        for (name, value) in [("base_url", &endpoint.base_url), ("model", &endpoint.model)] {
            if value.is_empty() {
                let reason = "the teacher that answers the prompts, behind an endpoint";
                self.missing(&format!("distill.teacher.{name}"), "distill", reason);
            }
        }
        if !endpoint.base_url.is_empty() {
            for (name, reason) in endpoint.contradictions() {
                let key = format!("distill.teacher.{name}");
                self.conflict(&[&key, "distill.teacher"], format!("`{key}` {reason}"));
            }
        }
        if filters.max_chars > 0 && filters.max_chars < filters.min_chars {
            let reason = "`distill.filters.max_chars` is less than `distill.filters.min_chars`";
            self.conflict(&["distill.filters.max_chars"], reason);
        }
        if filters.min_agreement > 0.0 && endpoint.samples < 2 {
            let reason = "`distill.filters.min_agreement` compares answers to one prompt; needs `distill.teacher.samples` of at least 2";
            self.conflict(&["distill.filters.min_agreement"], reason);
        }
    }
}
