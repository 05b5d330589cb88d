//! Tasks with templates of their own, from a recipe or a TOML suite.

use std::path::PathBuf;

use slm_recipe::{EvalTask, FewshotSampler, FilterFunction, FilterStep, MetricName, OutputType};

use crate::bundled;
use crate::error::SuiteError;
use crate::exact::Exactness;
use crate::fewshot::Sampler;
use crate::field::Field;
use crate::filter::{DEFAULT_PATTERN, Extraction, FALLBACK, Pipeline, Step};
use crate::measure::{Measure, Measured};
use crate::pattern;
use crate::rows::{Given, given_file, read};
use crate::task::{Fewshot, FewshotWording, Generation, Task, Wording};

impl Task {
    /// The task of a recipe or suite that has a `prompt` or `target` ([`EvalTask::is_templated`]), with its rows.
    ///
    /// `labels` are the choices where the task has none of its own; `seed` is that of the examples.
    ///
    /// # Errors
    /// Rows that cannot be read, a template that does not compile, a column that is not there, keys that do not go together.
    pub fn declared(
        task: &EvalTask,
        labels: &[String],
        given: &[Given],
        seed: u64,
    ) -> Result<Self, SuiteError> {
        let declaration = Declaration { task, labels };
        let file = given_file(given, &task.name, "", true)
            .or_else(|| task.path.as_ref().map(PathBuf::from))
            .ok_or_else(|| declaration.refused("has no `path`".into()))?;
        let mut files = vec![file.clone()];
        let (rows, mut columns) = read(&files)?;
        let shown = match (&task.fewshot_path, task.num_fewshot) {
            (_, 0) => Vec::new(),
            (None, _) => rows.clone(),
            (Some(path), _) => {
                files.push(path.into());
                let (shown, more) = read(&files[1..])?;
                columns.extend(
                    more.into_iter()
                        .filter(|column| !columns.contains(column))
                        .collect::<Vec<_>>(),
                );
                shown
            }
        };
        let mut made = Self {
            name: task.name.clone(),
            output_type: task.output_type,
            generation: Generation {
                stop: task.stop.clone(),
                max_new_tokens: task.max_new_tokens,
                temperature: task.temperature,
                top_p: task.top_p,
            },
            constraint: task.constraint.clone(),
            labels: match task.choices.is_empty() {
                true => labels.to_vec(),
                false => task.choices.clone(),
            },
            repeats: task.repeats,
            batch_size: task.batch_size,
            files,
            notes: Vec::new(),
            rows,
            columns,
            wording: declaration.wording()?,
            description: match task.description.as_str() {
                "" => None,
                text => Some(declaration.field("description", text)?),
            },
            target_delimiter: task.target_delimiter.clone(),
            delimits_likelihood: true,
            fewshot: Fewshot {
                n: task.num_fewshot,
                rows: shown.into_iter().map(|row| row.fields).collect(),
                sampler: match task.fewshot_sampler {
                    FewshotSampler::Random => Sampler::Random,
                    FewshotSampler::FirstN => Sampler::FirstN,
                },
                seed: seed as u32,
                leaves_out: task.fewshot_path.is_none(),
                wording: FewshotWording::default(),
                target_delimiter: task.target_delimiter.clone(),
                delimiter: task.fewshot_delimiter.clone(),
            },
            chat: task.chat_template,
            filters: declaration.filters()?,
            measured: declaration.measured()?,
        };
        made.files.retain(|file| !bundled::is_bundled(file));
        made.spread(task.max_samples);
        Ok(made)
    }
}

struct Declaration<'a> {
    task: &'a EvalTask,
    labels: &'a [String],
}

impl Declaration<'_> {
    fn refused(&self, reason: String) -> SuiteError {
        SuiteError::Task {
            task: self.task.name.clone(),
            reason,
        }
    }

    fn field(&self, key: &'static str, text: &str) -> Result<Field, SuiteError> {
        Field::text(text).map_err(|reason| SuiteError::Template {
            task: self.task.name.clone(),
            key,
            reason,
        })
    }

    fn wording(&self) -> Result<Wording, SuiteError> {
        let task = self.task;
        let is_rolling = task.output_type == OutputType::LoglikelihoodRolling;
        let Some(target) = &task.target else {
            return Err(self.refused(
                "has a `prompt` and no `target`: no row says which answer is right".into(),
            ));
        };
        let prompt = match (&task.prompt, is_rolling) {
            (Some(_), true) => {
                return Err(self.refused(
                    "`loglikelihood_rolling` scores the whole `target`; it reads no `prompt`"
                        .into(),
                ));
            }
            (None, false) => return Err(self.refused("has a `target` and no `prompt`".into())),
            (Some(prompt), false) => prompt.as_str(),
            (None, true) => "",
        };
        let choices = match (&task.choices_from, task.choices.is_empty()) {
            (Some(_), false) => {
                return Err(self.refused(
                    "`choices` and `choices_from` both say what the choices are; needs one of them"
                        .into(),
                ));
            }
            (Some(from), true) => Some(self.field("choices_from", from)?),
            (None, false) => Some(Field::List(task.choices.clone())),
            (None, true) if task.output_type == OutputType::MultipleChoice => {
                if self.labels.is_empty() {
                    return Err(
                        self.refused("`multiple_choice` needs `choices` or `choices_from`".into())
                    );
                }
                Some(Field::List(self.labels.to_vec()))
            }
            (None, true) => None,
        };
        Ok(Wording {
            text: self.field("prompt", prompt)?,
            target: self.field("target", target)?,
            choices,
            prefix: None,
        })
    }

    fn measured(&self) -> Result<Vec<Measured>, SuiteError> {
        let task = self.task;
        let rules = &task.exact_match;
        let regexes = rules
            .regexes_to_ignore
            .iter()
            .map(|regex| pattern::compile(regex));
        let exactness = Exactness {
            ignore_case: rules.ignore_case,
            ignore_punctuation: rules.ignore_punctuation,
            ignore_numbers: rules.ignore_numbers,
            regexes_to_ignore: regexes
                .collect::<Result<_, _>>()
                .map_err(|reason| self.refused(reason))?,
        };
        let mut names = match (task.output_type, &task.metrics[..]) {
            (OutputType::MultipleChoice, []) => vec!["acc", "acc_norm", "acc_bytes"],
            (other, []) => Measure::defaults(other).to_vec(),
            (_, metrics) => metrics
                .iter()
                .map(|metric| self.harness_name(*metric))
                .collect::<Result<_, _>>()?,
        };
        if task.calibrate {
            names.push("acc_mutual_info");
        }
        let measures = names
            .into_iter()
            .filter_map(|name| Measure::of(name, task.output_type));
        Ok(measures
            .map(|measure| match measure {
                Measure::ExactMatch(_) => Measured::plain(Measure::ExactMatch(exactness.clone())),
                measure => Measured::plain(measure),
            })
            .collect())
    }

    /// What lm-evaluation-harness calls a metric.
    fn harness_name(&self, metric: MetricName) -> Result<&'static str, SuiteError> {
        let name = match metric {
            MetricName::Accuracy => "acc",
            MetricName::AccuracyNorm => "acc_norm",
            MetricName::Brier => "brier_score",
            other => other.key(),
        };
        match Measure::of(name, self.task.output_type) {
            Some(_) => Ok(name),
            None => Err(self.refused(format!(
                "`metrics` names `{}`, which a task with a `prompt` of its own is not measured by; it may name {}",
                metric.key(),
                Measure::names(self.task.output_type)
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    fn filters(&self) -> Result<Vec<Pipeline>, SuiteError> {
        if self.task.filter.is_empty() {
            return Ok(vec![Pipeline::none()]);
        }
        let pipelines = self.task.filter.iter().map(|filter| {
            let steps = filter.steps.iter().map(|step| self.step(step));
            let pipeline = Pipeline {
                name: filter.name.clone(),
                steps: steps.collect::<Result<_, _>>()?,
            };
            pipeline
                .check(self.task.repeats)
                .map_err(|reason| self.refused(reason))?;
            Ok(pipeline)
        });
        pipelines.collect()
    }

    fn step(&self, step: &FilterStep) -> Result<Step, SuiteError> {
        Ok(match step.function {
            FilterFunction::TakeFirst => Step::TakeFirst,
            FilterFunction::TakeFirstK => Step::TakeFirstK(
                step.k
                    .ok_or_else(|| self.refused("`take_first_k` needs `k`".into()))?,
            ),
            FilterFunction::MajorityVote => Step::MajorityVote,
            FilterFunction::RemoveWhitespace => Step::RemoveWhitespace,
            FilterFunction::Lowercase => Step::Lowercase,
            FilterFunction::Uppercase => Step::Uppercase,
            FilterFunction::Regex => Step::Regex(Extraction {
                regex: pattern::compile(step.regex_pattern.as_deref().unwrap_or(DEFAULT_PATTERN))
                    .map_err(|reason| self.refused(reason))?,
                select: step.group_select.unwrap_or(0),
                fallback: step.fallback.clone().unwrap_or_else(|| FALLBACK.into()),
            }),
        })
    }
}
