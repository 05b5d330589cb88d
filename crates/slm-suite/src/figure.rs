//! What a task's answers amount to, in the names and by the arithmetic of lm-evaluation-harness.

use serde::{Deserialize, Serialize};
use slm_metrics::Series;

use crate::filter::Pipeline;
use crate::item::Item;
use crate::measure::{Measure, Measured, first_largest, logprobs, matches};
use crate::task::Task;

/// What a model gave to the asks of one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One for each ask.
    Likelihoods(Vec<Likelihood>),
    /// Summed log-likelihood of the whole text, in nats.
    Rolling(f64),
    /// As many as the task repeats.
    Texts(Vec<String>),
}

/// How likely a continuation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// Summed log-likelihood, in nats.
    pub logprob: f64,
    /// Whether each token was the likeliest.
    pub greedy: bool,
}

/// What a task measures, by one pipeline and measure, on each of its items.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What was measured.
    pub name: FigureName,
    /// On each item.
    pub series: Series,
}

/// A figure's name in lm-evaluation-harness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FigureName {
    /// What is measured.
    pub metric: String,
    /// The pipeline whose answers are measured.
    pub filter: String,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
}

impl FigureName {
    /// As gates and baselines write it: the metric, and after a comma the filter where there is one.
    pub fn key(&self) -> String {
        match self.filter.as_str() {
            "none" => self.metric.clone(),
            filter => format!("{},{filter}", self.metric),
        }
    }
}

impl Task {
    /// The names of its figures.
    pub fn figure_names(&self) -> Vec<FigureName> {
        let of = |pipeline: &Pipeline| {
            let names = self.measured.iter().map(|it| it.name(pipeline));
            names.collect::<Vec<_>>()
        };
        self.filters.iter().flat_map(of).collect()
    }

    /// What is observed on answered items, one for each pipeline and measure.
    ///
    /// # Errors
    /// A measure that the items do not allow: F1 is of two classes.
    pub fn observe(&self, items: &[Item], answers: &[Answer]) -> Result<Vec<Observed>, String> {
        let mut observed = Vec::new();
        for pipeline in &self.filters {
            for measured in &self.measured {
                observed.push(Observed {
                    name: measured.name(pipeline),
                    series: measured.series(pipeline, items, answers)?,
                });
            }
        }
        Ok(observed)
    }

    /// The answer of one item as the first pipeline makes it.
    pub fn output(&self, item: &Item, answer: &Answer) -> String {
        match answer {
            Answer::Texts(texts) => self
                .filters
                .first()
                .map_or_else(String::new, |first| first.answer(texts)),
            Answer::Likelihoods(likelihoods) => match item.choices.is_empty() {
                true => item.target.clone(),
                false => item.choices[first_largest(&logprobs(item, likelihoods))].clone(),
            },
            Answer::Rolling(_) => item.target.clone(),
        }
    }

    /// Whether the answer is right, by the first pipeline and, of texts, the first exact match.
    pub fn is_right(&self, item: &Item, answer: &Answer) -> bool {
        let exactness = self
            .measured
            .iter()
            .find_map(|measured| match &measured.measure {
                Measure::ExactMatch(exactness) => Some(exactness.clone()),
                _ => None,
            });
        match answer {
            Answer::Texts(_) => matches(
                &exactness.unwrap_or_default(),
                item,
                &self.output(item, answer),
            ),
            Answer::Likelihoods(likelihoods) if item.choices.is_empty() => likelihoods[0].greedy,
            Answer::Likelihoods(likelihoods) => {
                item.accepts(first_largest(&logprobs(item, likelihoods)))
            }
            Answer::Rolling(_) => false,
        }
    }

    pub(crate) fn measures_mutual_information(&self) -> bool {
        let mut measures = self.measured.iter().map(|measured| &measured.measure);
        measures.any(|measure| matches!(measure, Measure::AccMutualInfo))
    }
}

impl Measured {
    fn name(&self, pipeline: &Pipeline) -> FigureName {
        FigureName {
            metric: self.measure.name().into(),
            filter: pipeline.name.clone(),
            higher_is_better: self.higher_is_better,
        }
    }
}
