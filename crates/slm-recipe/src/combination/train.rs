//! How long, how fast, and what training is judged by.

use super::Combinations;
use super::eval::no_metric;
use crate::{BatchSize, Scheduler};

impl Combinations<'_> {
    pub(super) fn length(&mut self) {
        let train = &self.recipe.train;
        if train.max_steps == 0 && train.num_train_epochs == 0.0 {
            let reason =
                "`train.num_train_epochs` and `train.max_steps` are both 0; needs one of them";
            self.conflict(&["train.num_train_epochs", "train.max_steps"], reason);
        }
        if train.max_steps > 0 && train.warmup_steps > train.max_steps {
            let reason = format!(
                "`train.warmup_steps` is {}, more than `train.max_steps`, which is {}",
                train.warmup_steps, train.max_steps
            );
            self.conflict(&["train.warmup_steps", "train.max_steps"], reason);
        }
    }

    /// What follows from the memory is not said as well.
    pub(super) fn batch_size(&mut self) {
        let train = &self.recipe.train;
        if train.per_device_train_batch_size == BatchSize::Auto
            && train.gradient_accumulation_steps != 1
        {
            let reason = format!(
                "`train.gradient_accumulation_steps` follows from `train.per_device_train_batch_size = \"auto\"`, whose \
                 step has {} rows; for another step write both as numbers",
                BatchSize::ROWS_OF_A_STEP
            );
            self.conflict(
                &[
                    "train.gradient_accumulation_steps",
                    "train.per_device_train_batch_size",
                ],
                reason,
            );
        }
    }

    pub(super) fn schedule(&mut self) {
        let train = &self.recipe.train;
        let (kind, kwargs) = (train.lr_scheduler_type, &train.lr_scheduler_kwargs);
        let name = name_of(kind);
        let written = serde_json::to_value(kwargs).unwrap_or_default();
        let written = written.as_object().into_iter().flatten();
        let unread = written.map(|(key, _)| key.clone());
        let unread: Vec<String> = unread
            .filter(|key| !kind.kwargs().contains(&key.as_str()))
            .collect();
        for key in unread {
            let key = format!("train.lr_scheduler_kwargs.{key}");
            let reason = match kind.kwargs() {
                [] => format!("`{name}` reads no `lr_scheduler_kwargs`"),
                read => format!("`{name}` reads `{}` only", read.join("`, `")),
            };
            self.conflict(&[&key, "train.lr_scheduler_type"], reason);
        }
        if !kind.warms_up() && (train.warmup_ratio > 0.0 || train.warmup_steps > 0) {
            let reason = match kind {
                Scheduler::Constant => {
                    "`constant` does not warm up; `constant_with_warmup` does".into()
                }
                _ => format!("`{name}` does not warm up"),
            };
            let keys = [
                "train.warmup_steps",
                "train.warmup_ratio",
                "train.lr_scheduler_type",
            ];
            self.conflict(&keys, reason);
        }
        self.ends_of_the_schedule();
    }

    /// Where a schedule has to go, for those that cannot do without.
    fn ends_of_the_schedule(&mut self) {
        let train = &self.recipe.train;
        let kwargs = &train.lr_scheduler_kwargs;
        let kind = "train.lr_scheduler_type";
        match train.lr_scheduler_type {
            Scheduler::CosineWithMinLr
                if kwargs.min_lr.is_some() == kwargs.min_lr_rate.is_some() =>
            {
                let reason = "`cosine_with_min_lr` needs one of `min_lr` and `min_lr_rate`";
                let keys = [
                    "train.lr_scheduler_kwargs.min_lr",
                    "train.lr_scheduler_kwargs.min_lr_rate",
                    kind,
                ];
                self.conflict(&keys, reason);
            }
            Scheduler::WarmupStableDecay if kwargs.num_decay_steps.is_none() => {
                let reason = "`warmup_stable_decay` needs to know how many steps it falls";
                self.missing("train.lr_scheduler_kwargs.num_decay_steps", kind, reason);
            }
            Scheduler::Polynomial if kwargs.lr_end.unwrap_or(1e-7) >= train.learning_rate => {
                let reason = format!(
                    "`polynomial` ends at {:e}, which is not below `train.learning_rate`, {:e}",
                    kwargs.lr_end.unwrap_or(1e-7),
                    train.learning_rate
                );
                let keys = [
                    "train.lr_scheduler_kwargs.lr_end",
                    "train.learning_rate",
                    kind,
                ];
                self.conflict(&keys, reason);
            }
            Scheduler::CosineWithMinLr | Scheduler::ReduceLrOnPlateau
                if kwargs
                    .min_lr
                    .is_some_and(|lowest| lowest > train.learning_rate) =>
            {
                let reason = "`min_lr` is above `train.learning_rate`";
                let keys = [
                    "train.lr_scheduler_kwargs.min_lr",
                    "train.learning_rate",
                    kind,
                ];
                self.conflict(&keys, reason);
            }
            Scheduler::ReduceLrOnPlateau
                if train.task_metric().is_none() && !self.recipe.data.holds_out() =>
            {
                let reason =
                    "`reduce_lr_on_plateau` goes by the held-out loss, and no rows are held out";
                self.conflict(&[kind, "data.val_size"], reason);
            }
            _ => {}
        }
    }

    pub(super) fn best_metric(&mut self) {
        let train = &self.recipe.train;
        let key = "train.metric_for_best_model";
        let Some((task, metric)) = train.task_metric() else {
            if train.metric_for_best_model != "loss" {
                let reason = format!(
                    "`{key}` is `{}`, needs `loss`, or a task and its metric, `TASK/METRIC`",
                    train.metric_for_best_model
                );
                self.conflict(&[key], reason);
            }
            return;
        };
        let tasks = &self.recipe.eval.task;
        let Some(found) = tasks.iter().find(|it| it.name == task) else {
            let reason = match tasks.is_empty() {
                true => format!(
                    "`{key}` needs an `[[eval.task]]` of the name `{task}`, and there is none"
                ),
                false => {
                    let names: Vec<_> = tasks.iter().map(|it| format!("`{}`", it.name)).collect();
                    format!(
                        "`{key}` needs an `[[eval.task]]` of the name `{task}`; there is {}",
                        names.join(", ")
                    )
                }
            };
            self.conflict(&[key, "eval.task"], reason);
            return;
        };
        if found.output_type.metric(metric).is_none() {
            let reason = no_metric(found, metric);
            self.conflict(&[key, "eval.task"], reason);
        }
        let data = &self.recipe.data;
        if found.path.is_none() && data.holds_test() && !data.holds_out() {
            let reason = format!(
                "`{key}` chooses weights by the task `{task}`, whose rows are those of the test, by which nothing may be chosen; needs rows of `data.val_size`"
            );
            self.conflict(&[key, "data.val_size"], reason);
        }
    }

    pub(super) fn watchdog(&mut self) {
        let factor = self.recipe.train.loss_spike_factor;
        if factor > 0.0 && factor <= 1.0 {
            let reason = format!(
                "`train.loss_spike_factor` is {factor}, needs 0 (off) or more than 1: a loss below the median is no spike"
            );
            self.conflict(&["train.loss_spike_factor"], reason);
        }
    }
}

/// The name that a recipe uses.
fn name_of(kind: Scheduler) -> String {
    let name = serde_json::to_value(kind).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}
