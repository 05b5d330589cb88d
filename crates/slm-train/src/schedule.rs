//! Learning rate by step.

use slm_recipe::{Scheduler, TrainSection};

/// Warm-up, then the decay of `lr_scheduler_type`, as transformers' `get_*_schedule_with_warmup` computes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    kind: Scheduler,
    peak: f64,
    warmup_steps: usize,
    total_steps: usize,
}

impl Schedule {
    /// `warmup_steps` wins over `warmup_ratio`, which counts up: `ceil(ratio · total)`.
    pub fn new(section: &TrainSection, total_steps: usize) -> Self {
        let from_ratio = (section.warmup_ratio * total_steps as f64).ceil() as usize;
        let warmup_steps = if section.warmup_steps > 0 {
            section.warmup_steps
        } else {
            from_ratio
        };
        Self {
            kind: section.lr_scheduler_type,
            peak: section.learning_rate,
            warmup_steps,
            total_steps,
        }
    }

    /// The rate of a step, counted from 0; the first step of a warm-up has rate 0.
    pub fn lr(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps.max(1) as f64;
        }
        let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = (step - self.warmup_steps) as f64 / decay_steps as f64;
        let factor = match self.kind {
            Scheduler::Constant => 1.0,
            Scheduler::Linear => 1.0 - progress,
            Scheduler::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.peak * factor.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: Scheduler, warmup_steps: usize, total: usize) -> Vec<f64> {
        let section = TrainSection {
            lr_scheduler_type: kind,
            learning_rate: 1.0,
            warmup_steps,
            warmup_ratio: 0.0,
            ..TrainSection::default()
        };
        let schedule = Schedule::new(&section, total);
        (0..total)
            .map(|step| (schedule.lr(step) * 1e4).round() / 1e4)
            .collect()
    }

    #[test]
    fn hand_computed_tables() {
        assert_eq!(
            rates(Scheduler::Linear, 2, 6),
            [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
        );
        assert_eq!(
            rates(Scheduler::Cosine, 2, 6),
            [0.0, 0.5, 1.0, 0.8536, 0.5, 0.1464]
        );
        assert_eq!(rates(Scheduler::Constant, 0, 3), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_ratio_counts_up() {
        let section = TrainSection {
            warmup_ratio: 0.03,
            learning_rate: 1.0,
            ..TrainSection::default()
        };
        let schedule = Schedule::new(&section, 846); // 25.38 steps
        assert_eq!(schedule.lr(26), 1.0);
        assert!(schedule.lr(25) < 1.0);
    }
}
