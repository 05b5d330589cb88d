//! What answers cost: time and memory.

use serde::{Deserialize, Serialize};

/// What the answers to a task took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// How long one waits for a generated answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Latency>,
    /// Tokens generated per second, all answers together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens_per_s: Option<f64>,
    /// The most memory that the process had held when the task was done, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_memory_bytes: Option<u64>,
    /// The same of the device, where it has memory of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_device_bytes: Option<u64>,
}

/// Percentiles of the seconds from when a prompt is begun to be read, with those of its batch, to the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the answers took no longer.
    pub p50_s: f64,
    /// Nine of ten took no longer.
    pub p90_s: f64,
    /// 99 of 100 took no longer.
    pub p99_s: f64,
    /// Prompts that were answered together.
    pub batch_size: usize,
}

impl Latency {
    /// Of the seconds that each answer took; `None` without answers.
    pub(crate) fn of(mut seconds: Vec<f64>, batch_size: usize) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let last = seconds.len().checked_sub(1)?;
        // The nearest rank: a wait that was one.
        let at = |share: f64| {
            let rank = (share * seconds.len() as f64).ceil() as usize;
            seconds[rank.saturating_sub(1).min(last)]
        };
        Some(Self {
            p50_s: at(0.5),
            p90_s: at(0.9),
            p99_s: at(0.99),
            batch_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.percentile(range(1, 201), [50, 90, 99], method="inverted_cdf")`: 100, 180, 198.
    #[test]
    fn percentiles_are_waits_that_were() {
        let latency = Latency::of((1..=200).rev().map(f64::from).collect(), 8).unwrap();
        assert_eq!(
            (latency.p50_s, latency.p90_s, latency.p99_s),
            (100.0, 180.0, 198.0)
        );
        assert_eq!(Latency::of(vec![2.5], 1).unwrap().p99_s, 2.5);
        assert_eq!(Latency::of(Vec::new(), 1), None);
    }
}
