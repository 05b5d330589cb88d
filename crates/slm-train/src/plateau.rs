//! A learning rate that falls when the metric no longer improves.

use serde::{Deserialize, Serialize};
use slm_recipe::{Scheduler, ThresholdMode, TrainSection};

/// Where `reduce_lr_on_plateau` stands, as torch's `ReduceLROnPlateau` keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The rate now.
    #[serde(with = "crate::exact")]
    pub lr: f64,
    #[serde(with = "crate::exact::option")]
    best: Option<f64>,
    evals_without_gain: usize,
    cooldown_left: usize,
}

impl Plateau {
    /// At the peak; `None` with another schedule.
    pub fn new(section: &TrainSection) -> Option<Self> {
        let is_one = section.lr_scheduler_type == Scheduler::ReduceLrOnPlateau;
        is_one.then_some(Self {
            lr: section.learning_rate,
            best: None,
            evals_without_gain: 0,
            cooldown_left: 0,
        })
    }

    /// Takes the metric of an evaluation in. Unlike HF's Trainer, which minimises whatever the metric, it goes by
    /// `greater_is_better`.
    pub fn observe(&mut self, section: &TrainSection, metric: f64) {
        let kwargs = &section.lr_scheduler_kwargs;
        if self.is_gain(section, metric) {
            self.best = Some(metric);
            self.evals_without_gain = 0;
        } else {
            self.evals_without_gain += 1;
        }
        if self.cooldown_left > 0 {
            self.cooldown_left -= 1;
            self.evals_without_gain = 0;
        }
        if self.evals_without_gain > kwargs.patience.unwrap_or(10) {
            let lowest = kwargs.min_lr.unwrap_or(0.0);
            let next = (self.lr * kwargs.factor.unwrap_or(0.1)).max(lowest);
            // A smaller change is none: torch's default `eps`.
            if self.lr - next > 1e-8 {
                self.lr = next;
            }
            self.cooldown_left = kwargs.cooldown.unwrap_or(0);
            self.evals_without_gain = 0;
        }
    }

    fn is_gain(&self, section: &TrainSection, metric: f64) -> bool {
        let Some(best) = self.best else {
            return !metric.is_nan();
        };
        let kwargs = &section.lr_scheduler_kwargs;
        let threshold = kwargs.threshold.unwrap_or(1e-4);
        let up = section.greater_is_better();
        match kwargs.threshold_mode.unwrap_or(ThresholdMode::Rel) {
            ThresholdMode::Rel if up => metric > best * (1.0 + threshold),
            ThresholdMode::Rel => metric < best * (1.0 - threshold),
            ThresholdMode::Abs if up => metric > best + threshold,
            ThresholdMode::Abs => metric < best - threshold,
        }
    }
}
