//! What a task's answers amount to, in the names and by the arithmetic of lm-evaluation-harness.

use serde::{Deserialize, Serialize};
use slm_metrics::statistics::bootstrap;
use slm_metrics::{Method, Series};

use crate::correlation::{binary_f1, matthews};
use crate::filter::Pipeline;
use crate::item::Item;
use crate::measure::{
    Aggregation, Measure, Measured, first_largest, gold_and_choice, logprobs, matches,
};
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

/// One figure of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, in the harness's name.
    pub metric: String,
    /// The pipeline whose answers were measured.
    pub filter: String,
    /// The figure.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// How the interval was found.
    pub method: Method,
    /// Items behind it.
    pub n: usize,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
}

impl Task {
    /// The figures over answered items, one for each pipeline and measure. `seed` is that of the bootstrap.
    ///
    /// # Errors
    /// A measure that the items do not allow: F1 is of two classes.
    pub fn figures(
        &self,
        items: &[Item],
        answers: &[Answer],
        seed: u64,
    ) -> Result<Vec<Figure>, String> {
        let mut figures = Vec::new();
        for pipeline in &self.filters {
            for measured in &self.measured {
                figures.push(self.figure(pipeline, measured, items, answers, seed)?);
            }
        }
        Ok(figures)
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

    fn figure(
        &self,
        pipeline: &Pipeline,
        measured: &Measured,
        items: &[Item],
        answers: &[Answer],
        seed: u64,
    ) -> Result<Figure, String> {
        let both = || items.iter().zip(answers);
        let series = match &measured.measure {
            Measure::F1 | Measure::Mcc => {
                let pairs: Vec<[usize; 2]> = both()
                    .map(|(item, answer)| gold_and_choice(item, answer))
                    .collect();
                let is_f1 = matches!(measured.measure, Measure::F1);
                if is_f1 && pairs.iter().flatten().any(|class| *class > 1) {
                    return Err("`f1` is of two choices, this task has more".into());
                }
                let of = |draw: &[u32]| {
                    let drawn = draw.iter().map(|i| pairs[*i as usize]);
                    if is_f1 {
                        binary_f1(drawn)
                    } else {
                        matthews(drawn)
                    }
                };
                return Ok(measured.resampled(pipeline, items.len(), seed, of));
            }
            measure => measure.series(pipeline, items, answers),
        };
        if measured.aggregation == Aggregation::Median {
            let values: Vec<f64> = match &series {
                Series::Proportion(right) => right
                    .iter()
                    .map(|right| f64::from(u8::from(*right)))
                    .collect(),
                Series::Ratio(pairs) | Series::ExpRatio(pairs) => {
                    pairs.iter().map(|[a, b]| a / b).collect()
                }
                // No measure of a suite is one of these.
                Series::Labels { .. }
                | Series::Bleu(_)
                | Series::Chrf(_)
                | Series::Confidence(_) => Vec::new(),
            };
            let of = |draw: &[u32]| {
                let mut drawn: Vec<f64> = draw.iter().map(|i| values[*i as usize]).collect();
                drawn.sort_by(f64::total_cmp);
                drawn[drawn.len() / 2]
            };
            return Ok(measured.resampled(pipeline, items.len(), seed, of));
        }
        let (interval, method) = series.interval(seed);
        Ok(measured.figure(
            pipeline,
            series.value(),
            [interval.low, interval.high],
            method,
            items.len(),
        ))
    }
}

impl Measured {
    /// A figure that is a function of the drawn items, with its interval by the bootstrap over all of them.
    fn resampled(
        &self,
        pipeline: &Pipeline,
        n: usize,
        seed: u64,
        of: impl Fn(&[u32]) -> f64 + Sync,
    ) -> Figure {
        let all: Vec<u32> = (0..n as u32).collect();
        let interval = bootstrap(n, seed, &of);
        let ends = [interval.low, interval.high];
        self.figure(pipeline, of(&all), ends, Method::Bootstrap, n)
    }

    fn figure(
        &self,
        pipeline: &Pipeline,
        value: f64,
        [low, high]: [f64; 2],
        method: Method,
        n: usize,
    ) -> Figure {
        Figure {
            metric: self.measure.name().into(),
            filter: pipeline.name.clone(),
            value,
            low,
            high,
            method,
            n,
            higher_is_better: self.higher_is_better,
        }
    }
}
