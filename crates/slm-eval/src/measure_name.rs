//! What a figure is called, and how it reads: the product's metrics and those of suites.

use serde::{Deserialize, Serialize};
use slm_recipe::MetricName;
use slm_suite::FigureName;

/// The name of what is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MeasureName {
    /// One of the product's metrics.
    Metric(MetricName),
    /// What a suite's task calls it.
    Suite(FigureName),
}

impl MeasureName {
    /// The name as gates and baselines write it.
    pub fn key(&self) -> String {
        match self {
            Self::Metric(name) => name.key().into(),
            Self::Suite(name) => name.key(),
        }
    }

    /// The name for people.
    pub fn label(&self) -> String {
        match self {
            Self::Metric(name) => name.label().into(),
            Self::Suite(name) => match name.filter.as_str() {
                "none" => name.metric.clone(),
                filter => format!("{}, {filter}", name.metric),
            },
        }
    }

    /// Whether a larger value is better.
    pub fn higher_is_better(&self) -> bool {
        match self {
            Self::Metric(name) => name.higher_is_better(),
            Self::Suite(name) => name.higher_is_better,
        }
    }

    /// Whether the value is a share of 1 that is shown in per cent; figures of suites are shown as lm-evaluation-harness prints them.
    pub fn is_share(&self) -> bool {
        match self {
            Self::Metric(name) => name.is_share(),
            Self::Suite(_) => false,
        }
    }
}

impl From<MetricName> for MeasureName {
    fn from(name: MetricName) -> Self {
        Self::Metric(name)
    }
}

impl PartialEq<MetricName> for MeasureName {
    fn eq(&self, other: &MetricName) -> bool {
        matches!(self, Self::Metric(name) if name == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let suite = MeasureName::Suite(FigureName {
            metric: "exact_match".into(),
            filter: "strict-match".into(),
            higher_is_better: true,
        });
        assert_eq!(suite.key(), "exact_match,strict-match");
        for name in [suite, MetricName::Loss.into()] {
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<MeasureName>(&text).unwrap(), name);
        }
    }
}
