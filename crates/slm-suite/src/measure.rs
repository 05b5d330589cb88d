//! What can be measured of answers, by the names of lm-evaluation-harness, and what each measure observes on an item.

use slm_metrics::{BleuCounts, ChrfCounts, LabelFigure, Series};
use slm_recipe::OutputType;

use crate::exact::Exactness;
use crate::figure::{Answer, Likelihood};
use crate::filter::Pipeline;
use crate::item::{Gold, Item};

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) enum Measure {
    Acc,
    /// By log-likelihood per character.
    AccNorm,
    AccBytes,
    /// By what the prompt adds to the log-likelihood.
    AccMutualInfo,
    /// Of choices: whether the right one is what greedy generation writes.
    Greedy,
    ExactMatch(Exactness),
    Bleu,
    Chrf,
    F1,
    Mcc,
    BrierScore,
    Perplexity,
    WordPerplexity,
    BytePerplexity,
    BitsPerByte,
}

/// How the values of items become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    /// The measure's own.
    Own,
    Median,
}

/// A measure as a task asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) measure: Measure,
    pub(crate) aggregation: Aggregation,
    pub(crate) higher_is_better: bool,
}

impl Measure {
    /// The measure of this name for answers of this kind.
    pub(crate) fn of(name: &str, output_type: OutputType) -> Option<Self> {
        use OutputType::{GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};
        Some(match (output_type, name) {
            (MultipleChoice | Loglikelihood, "acc") => Self::Acc,
            (MultipleChoice, "acc_norm") => Self::AccNorm,
            (MultipleChoice, "acc_bytes") => Self::AccBytes,
            (MultipleChoice, "acc_mutual_info") => Self::AccMutualInfo,
            (MultipleChoice, "exact_match") => Self::Greedy,
            (MultipleChoice, "f1") => Self::F1,
            (MultipleChoice, "mcc") => Self::Mcc,
            (MultipleChoice, "brier_score") => Self::BrierScore,
            (GenerateUntil, "exact_match") => Self::ExactMatch(Exactness::default()),
            (GenerateUntil, "bleu") => Self::Bleu,
            (GenerateUntil, "chrf") => Self::Chrf,
            (Loglikelihood, "perplexity") => Self::Perplexity,
            (LoglikelihoodRolling, "word_perplexity") => Self::WordPerplexity,
            (LoglikelihoodRolling, "byte_perplexity") => Self::BytePerplexity,
            (LoglikelihoodRolling, "bits_per_byte") => Self::BitsPerByte,
            _ => return None,
        })
    }

    /// The names that answers of this kind can be measured by.
    pub(crate) fn names(output_type: OutputType) -> &'static [&'static str] {
        match output_type {
            OutputType::MultipleChoice => &[
                "acc",
                "acc_norm",
                "acc_bytes",
                "acc_mutual_info",
                "exact_match",
                "f1",
                "mcc",
                "brier_score",
            ],
            OutputType::GenerateUntil => &["exact_match", "bleu", "chrf"],
            OutputType::Loglikelihood => &["perplexity", "acc"],
            OutputType::LoglikelihoodRolling => {
                &["word_perplexity", "byte_perplexity", "bits_per_byte"]
            }
        }
    }

    /// What is measured where a file names nothing.
    pub(crate) fn defaults(output_type: OutputType) -> &'static [&'static str] {
        match output_type {
            OutputType::MultipleChoice => &["acc", "acc_norm"],
            OutputType::GenerateUntil => &["exact_match"],
            other => Self::names(other),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
            Self::AccMutualInfo => "acc_mutual_info",
            Self::Greedy | Self::ExactMatch(_) => "exact_match",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::F1 => "f1",
            Self::Mcc => "mcc",
            Self::BrierScore => "brier_score",
            Self::Perplexity => "perplexity",
            Self::WordPerplexity => "word_perplexity",
            Self::BytePerplexity => "byte_perplexity",
            Self::BitsPerByte => "bits_per_byte",
        }
    }

    pub(crate) fn higher_is_better(&self) -> bool {
        !matches!(
            self,
            Self::BrierScore
                | Self::Perplexity
                | Self::WordPerplexity
                | Self::BytePerplexity
                | Self::BitsPerByte
        )
    }
}

impl Measured {
    /// What is observed on each item.
    ///
    /// # Errors
    /// F1 of more than two choices.
    pub(crate) fn series(
        &self,
        pipeline: &Pipeline,
        items: &[Item],
        answers: &[Answer],
    ) -> Result<Series, String> {
        let series = self.measure.series(pipeline, items, answers)?;
        if self.aggregation == Aggregation::Own {
            return Ok(series);
        }
        Ok(match series {
            Series::Proportion(right) => {
                let values = right.iter().map(|right| f64::from(u8::from(*right)));
                Series::Median(values.collect())
            }
            Series::Ratio(pairs) | Series::ExpRatio(pairs) => {
                Series::Median(pairs.iter().map(|[a, b]| a / b).collect())
            }
            other => other,
        })
    }

    /// A measure with the harness's own aggregation and direction.
    pub(crate) fn plain(measure: Measure) -> Self {
        Self {
            higher_is_better: measure.higher_is_better(),
            aggregation: Aggregation::Own,
            measure,
        }
    }
}

impl Measure {
    fn series(
        &self,
        pipeline: &Pipeline,
        items: &[Item],
        answers: &[Answer],
    ) -> Result<Series, String> {
        let both = items.iter().zip(answers);
        Ok(match self {
            Self::F1 => labels(LabelFigure::BinaryF1, items, answers)?,
            Self::Mcc => labels(LabelFigure::Mcc, items, answers)?,
            Self::Bleu => Series::Bleu(
                both.map(|(item, answer)| {
                    let (text, right) = text_and_targets(pipeline, item, answer);
                    BleuCounts::of(&text, &right)
                })
                .collect(),
            ),
            Self::Chrf => Series::Chrf(
                both.map(|(item, answer)| {
                    let (text, right) = text_and_targets(pipeline, item, answer);
                    ChrfCounts::of(&text, &right)
                })
                .collect(),
            ),
            Self::BrierScore => Series::Ratio(
                both.map(|(item, answer)| [brier(item, answer), 1.0])
                    .collect(),
            ),
            Self::Perplexity => {
                Series::ExpRatio(both.map(|(_, answer)| [-total(answer), 1.0]).collect())
            }
            Self::WordPerplexity => Series::ExpRatio(
                both.map(|(item, answer)| [-total(answer), words(&item.target)])
                    .collect(),
            ),
            Self::BytePerplexity => Series::ExpRatio(
                both.map(|(item, answer)| [-total(answer), item.target.len() as f64])
                    .collect(),
            ),
            Self::BitsPerByte => Series::Ratio(
                both.map(|(item, answer)| {
                    [
                        -total(answer),
                        item.target.len() as f64 * std::f64::consts::LN_2,
                    ]
                })
                .collect(),
            ),
            _ => Series::Proportion(
                both.map(|(item, answer)| self.is_right(pipeline, item, answer))
                    .collect(),
            ),
        })
    }

    pub(crate) fn is_right(&self, pipeline: &Pipeline, item: &Item, answer: &Answer) -> bool {
        let likelihoods = match answer {
            Answer::Texts(texts) => {
                let exactness = match self {
                    Self::ExactMatch(exactness) => exactness,
                    _ => return false,
                };
                return matches(exactness, item, &pipeline.answer(texts));
            }
            Answer::Likelihoods(likelihoods) => likelihoods,
            Answer::Rolling(_) => return false,
        };
        if item.choices.is_empty() {
            return likelihoods[0].greedy;
        }
        let logprobs = logprobs(item, likelihoods);
        let per = |length: &dyn Fn(&str) -> usize| {
            let lengths = item.choices.iter().map(|choice| length(choice) as f64);
            let scaled: Vec<f64> = logprobs
                .iter()
                .zip(lengths)
                .map(|(sum, length)| sum / length)
                .collect();
            first_largest(&scaled)
        };
        let best = match self {
            Self::AccNorm => per(&|choice| choice.chars().count()),
            Self::AccBytes => per(&str::len),
            Self::AccMutualInfo => {
                let alone = &likelihoods[item.choices.len()..];
                let gained: Vec<f64> = logprobs
                    .iter()
                    .zip(alone)
                    .map(|(sum, alone)| sum - alone.logprob)
                    .collect();
                first_largest(&gained)
            }
            Self::Greedy => {
                return match &item.gold {
                    Gold::Choices { right, .. } => right.iter().any(|at| likelihoods[*at].greedy),
                    Gold::Texts { .. } => false,
                };
            }
            _ => first_largest(&logprobs),
        };
        item.accepts(best)
    }
}

pub(crate) fn matches(exactness: &Exactness, item: &Item, answer: &str) -> bool {
    match &item.gold {
        Gold::Texts { right, .. } => right.iter().any(|right| exactness.holds(answer, right)),
        Gold::Choices { .. } => false,
    }
}

/// Those of the choices after the prompt.
pub(crate) fn logprobs(item: &Item, likelihoods: &[Likelihood]) -> Vec<f64> {
    let after_prompt = likelihoods.iter().take(item.choices.len());
    after_prompt.map(|each| each.logprob).collect()
}

/// What one pipeline makes of an answer, and what is wanted.
fn text_and_targets<'a>(
    pipeline: &Pipeline,
    item: &'a Item,
    answer: &Answer,
) -> (String, Vec<&'a str>) {
    let text = match answer {
        Answer::Texts(texts) => pipeline.answer(texts),
        Answer::Likelihoods(_) | Answer::Rolling(_) => String::new(),
    };
    let right = match &item.gold {
        Gold::Texts { right, .. } => right.iter().map(String::as_str).collect(),
        Gold::Choices { .. } => Vec::new(),
    };
    (text, right)
}

/// The numbers of the right and of the likeliest choice.
fn labels(figure: LabelFigure, items: &[Item], answers: &[Answer]) -> Result<Series, String> {
    let pairs = items.iter().zip(answers);
    let pairs = pairs.map(|(item, answer)| gold_and_choice(item, answer).map(|it| it as u32));
    let (truth, predicted): (Vec<u32>, Vec<u32>) = pairs.map(|[a, b]| (a, b)).unzip();
    let most = truth.iter().chain(&predicted).max().copied().unwrap_or(0);
    if figure == LabelFigure::BinaryF1 && most > 1 {
        return Err("`f1` is of two choices, this task has more".into());
    }
    Ok(Series::Labels {
        figure,
        truth,
        predicted,
        n_labels: most as usize + 1,
    })
}

fn gold_and_choice(item: &Item, answer: &Answer) -> [usize; 2] {
    let Answer::Likelihoods(likelihoods) = answer else {
        return [0, 0];
    };
    let gold = match &item.gold {
        Gold::Choices { right, .. } => right.first().copied().unwrap_or(0),
        Gold::Texts { .. } => 0,
    };
    [gold, first_largest(&logprobs(item, likelihoods))]
}

fn total(answer: &Answer) -> f64 {
    match answer {
        Answer::Likelihoods(likelihoods) => likelihoods[0].logprob,
        Answer::Rolling(logprob) => *logprob,
        Answer::Texts(_) => f64::NAN,
    }
}

/// Squared distance of the choices' probabilities from the right one.
fn brier(item: &Item, answer: &Answer) -> f64 {
    let Answer::Likelihoods(likelihoods) = answer else {
        return f64::NAN;
    };
    let logprobs = logprobs(item, likelihoods);
    let top = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logprobs
        .iter()
        .map(|logprob| (logprob - top).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    let distance = weights.iter().enumerate().map(|(at, weight)| {
        let wanted = f64::from(u8::from(item.accepts(at)));
        (weight / sum - wanted).powi(2)
    });
    distance.sum()
}

/// Words as the harness counts them: the pieces between stretches of white space, empty ones at the ends included.
fn words(text: &str) -> f64 {
    let inner = text.split_whitespace().count();
    let leads = usize::from(text.starts_with(char::is_whitespace));
    let trails = usize::from(text.ends_with(char::is_whitespace));
    match inner {
        // Nothing is one empty piece; white space alone parts two.
        0 => 1.0 + leads as f64,
        _ => (inner + leads + trails) as f64,
    }
}

pub(crate) fn first_largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_a_split_by_white_space() {
        // len(re.split(r"\s+", text))
        for (text, n) in [
            ("", 1.0),
            (" ", 2.0),
            ("a", 1.0),
            ("a b", 2.0),
            (" a\n\nb ", 4.0),
        ] {
            assert_eq!(words(text), n, "{text:?}");
        }
    }

    #[test]
    fn of_equal_choices_the_first_is_taken() {
        assert_eq!(first_largest(&[-2.0, -1.0, -1.0]), 1);
        assert_eq!(first_largest(&[f64::NEG_INFINITY; 2]), 0);
    }
}
