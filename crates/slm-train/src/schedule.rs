//! Learning rate by step.

use std::f64::consts::PI;

use slm_recipe::{Ramp, Scheduler, TrainSection};

/// A warm-up, then a decay, as transformers' `get_*_schedule*` functions compute them.
///
/// What does not depend on the step alone is left to [`crate::Plateau`]; here it is a constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    warmup_steps: usize,
    total_steps: usize,
    shape: Shape,
}

/// What follows the warm-up, as a share of the peak.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Constant,
    Linear,
    /// Waves, and the share that it ends at.
    Cosine {
        cycles: f64,
        end: f64,
    },
    Restarts {
        cycles: f64,
    },
    Polynomial {
        power: f64,
        end: f64,
    },
    InverseSqrt {
        timescale: f64,
    },
    WarmupStableDecay {
        warmup: Ramp,
        stable_steps: usize,
        decay: Ramp,
        decay_steps: usize,
        lowest: f64,
        cycles: f64,
    },
}

impl Schedule {
    /// `warmup_steps` wins over `warmup_ratio`, which counts up: `ceil(ratio · total)`.
    pub fn new(section: &TrainSection, total_steps: usize) -> Self {
        let kind = section.lr_scheduler_type;
        let from_ratio = (section.warmup_ratio * total_steps as f64).ceil() as usize;
        let warmup_steps = match section.warmup_steps {
            _ if !kind.warms_up() => 0,
            0 => from_ratio,
            steps => steps,
        };
        Self {
            peak: section.learning_rate,
            warmup_steps,
            total_steps,
            shape: Shape::new(section, warmup_steps, total_steps),
        }
    }

    /// The rate of a step, counted from 0.
    pub fn lr(&self, step: usize) -> f64 {
        let factor = if step < self.warmup_steps {
            self.shape
                .warmup(step as f64 / self.warmup_steps.max(1) as f64)
        } else {
            let left = self.total_steps.saturating_sub(self.warmup_steps).max(1);
            self.shape
                .after_warmup(step - self.warmup_steps, self.warmup_steps, left)
        };
        self.peak * factor.max(0.0)
    }
}

impl Shape {
    fn new(section: &TrainSection, warmup_steps: usize, total_steps: usize) -> Self {
        let kwargs = &section.lr_scheduler_kwargs;
        let cycles = kwargs.num_cycles.unwrap_or(0.5);
        let of_peak = |lr: f64| lr / section.learning_rate;
        match section.lr_scheduler_type {
            Scheduler::Constant | Scheduler::ConstantWithWarmup | Scheduler::ReduceLrOnPlateau => {
                Self::Constant
            }
            Scheduler::Linear => Self::Linear,
            Scheduler::Cosine => Self::Cosine { cycles, end: 0.0 },
            Scheduler::CosineWithMinLr => Self::Cosine {
                cycles,
                end: kwargs
                    .min_lr_rate
                    .or(kwargs.min_lr.map(of_peak))
                    .unwrap_or(0.0),
            },
            Scheduler::CosineWithRestarts => Self::Restarts {
                cycles: kwargs.num_cycles.unwrap_or(1.0),
            },
            Scheduler::Polynomial => Self::Polynomial {
                power: kwargs.power.unwrap_or(1.0),
                end: of_peak(kwargs.lr_end.unwrap_or(1e-7)),
            },
            Scheduler::InverseSqrt => {
                let default = if warmup_steps > 0 {
                    warmup_steps
                } else {
                    10_000
                };
                Self::InverseSqrt {
                    timescale: kwargs.timescale.unwrap_or(default) as f64,
                }
            }
            Scheduler::WarmupStableDecay => {
                let decay_steps = kwargs.num_decay_steps.unwrap_or(0);
                let left = total_steps.saturating_sub(warmup_steps + decay_steps);
                Self::WarmupStableDecay {
                    warmup: kwargs.warmup_type.unwrap_or(Ramp::Linear),
                    stable_steps: kwargs.num_stable_steps.unwrap_or(left),
                    decay: kwargs.decay_type.unwrap_or(Ramp::Cosine),
                    decay_steps,
                    lowest: kwargs.min_lr_ratio.unwrap_or(0.0),
                    cycles,
                }
            }
        }
    }

    /// `progress` runs from 0 to 1.
    fn warmup(&self, progress: f64) -> f64 {
        let Self::WarmupStableDecay { warmup, lowest, .. } = self else {
            return progress;
        };
        let risen = match warmup {
            Ramp::Linear => progress,
            Ramp::Cosine => 0.5 * (1.0 - (PI * progress).cos()),
            Ramp::OneMinusSqrt => 1.0 - (1.0 - progress).sqrt(),
        };
        risen * (1.0 - lowest) + lowest
    }

    /// The `step`-th step after `warmup_steps`, of `left`.
    fn after_warmup(&self, step: usize, warmup_steps: usize, left: usize) -> f64 {
        let progress = step as f64 / left as f64;
        match *self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - progress,
            Self::Cosine { cycles, end } => wave(cycles, progress) * (1.0 - end) + end,
            Self::Restarts { .. } if progress >= 1.0 => 0.0,
            Self::Restarts { cycles } => 0.5 * (1.0 + (PI * (cycles * progress % 1.0)).cos()),
            Self::Polynomial { end, .. } if step > left => end,
            Self::Polynomial { power, end } => (1.0 - end) * (1.0 - progress).powf(power) + end,
            Self::InverseSqrt { timescale } => {
                let shift = timescale - warmup_steps as f64;
                1.0 / (((step + warmup_steps) as f64 + shift) / timescale).sqrt()
            }
            Self::WarmupStableDecay { stable_steps, .. } if step < stable_steps => 1.0,
            Self::WarmupStableDecay {
                stable_steps,
                decay,
                decay_steps,
                lowest,
                cycles,
                ..
            } => {
                let step = step - stable_steps;
                if step >= decay_steps {
                    return lowest;
                }
                let progress = step as f64 / decay_steps as f64;
                let height = match decay {
                    Ramp::Linear => 1.0 - progress,
                    Ramp::Cosine => wave(cycles, progress),
                    Ramp::OneMinusSqrt => 1.0 - progress.sqrt(),
                };
                height * (1.0 - lowest) + lowest
            }
        }
    }
}

/// From 1 through `cycles` waves.
fn wave(cycles: f64, progress: f64) -> f64 {
    0.5 * (1.0 + (PI * cycles * 2.0 * progress).cos())
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
        assert_eq!(rates(Scheduler::Constant, 2, 3), [1.0, 1.0, 1.0]);
        assert_eq!(rates(Scheduler::ConstantWithWarmup, 2, 3), [0.0, 0.5, 1.0]);
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
