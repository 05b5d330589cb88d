//! What a judge reads.

use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use slm_data::Prompt;
use slm_recipe::{JudgeMode, Rubric};
use slm_run::sha256_json;

use crate::{EndpointError, Request};

/// The template of a rubric, compiled.
#[derive(Debug)]
pub(crate) struct JudgingPrompt<'a> {
    rubric: &'a Rubric,
    environment: Environment<'a>,
    /// SHA-256 of all that decides how a judge is asked: template, system message, mode and scale.
    pub(crate) hash: String,
}

/// What the template is about.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Subject<'a> {
    /// What was asked.
    pub(crate) prompt: &'a str,
    /// The answer that was wanted.
    pub(crate) target: &'a str,
    /// The answers: one, or two in the order in which the judge sees them.
    pub(crate) answers: &'a [&'a str],
}

impl<'a> JudgingPrompt<'a> {
    /// Compiles the template; one that cannot tell the answers apart is refused.
    pub(crate) fn new(rubric: &'a Rubric) -> Result<Self, EndpointError> {
        let refuse = |reason: String| EndpointError::Rubric { reason };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let added = environment.add_template("prompt", &rubric.prompt);
        added.map_err(|error| refuse(format!("is no template: {error}")))?;
        let needed: &[&str] = match rubric.mode {
            JudgeMode::Pairwise => &["a", "b"],
            JudgeMode::Score => &["answer"],
        };
        let template = environment.get_template("prompt");
        let used = template
            .map_err(|error| refuse(error.to_string()))?
            .undeclared_variables(false);
        if let Some(name) = needed.iter().find(|name| !used.contains(**name)) {
            return Err(refuse(format!("does not show `{{{{ {name} }}}}`")));
        }
        let (endpoint, mode, scale) = (&rubric.endpoint, rubric.mode, &rubric.scale);
        Ok(Self {
            hash: sha256_json(&(&rubric.prompt, &endpoint.system, mode, scale)),
            rubric,
            environment,
        })
    }

    /// The requests that ask about one subject: as many as the rubric's `samples`.
    pub(crate) fn requests(
        &self,
        subject: Subject<'_>,
        seed: u64,
    ) -> Result<Vec<Request>, EndpointError> {
        let refuse = |reason: String| EndpointError::Rubric { reason };
        let (prompt, target) = (subject.prompt, subject.target);
        let values = match *subject.answers {
            [a, b] => context! { prompt, target, a, b },
            _ => context! { prompt, target, answer => subject.answers.concat() },
        };
        let template = self.environment.get_template("prompt");
        let text = template.and_then(|it| it.render(values));
        let text = text.map_err(|error| refuse(format!("cannot be rendered: {error}")))?;
        let prompt = Prompt::Text(text);
        let samples = 0..self.rubric.endpoint.samples;
        samples
            .map(|sample| {
                Request::new(&self.rubric.endpoint, &prompt, seed, sample).map_err(refuse)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rubric(prompt: &str) -> Rubric {
        Rubric {
            prompt: prompt.into(),
            ..Rubric::default()
        }
    }

    #[test]
    fn a_subject_is_rendered_into_each_request() {
        let rubric = rubric("{{ prompt }}|{{ a }}|{{ b }}|{{ target }}");
        let prompt = JudgingPrompt::new(&rubric).unwrap();
        let subject = Subject {
            prompt: "p",
            target: "t",
            answers: &["x", "y"],
        };
        let requests = prompt.requests(subject, 0).unwrap();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].body().contains(r#""content":"p|x|y|t""#));
    }

    #[test]
    fn a_template_that_hides_an_answer_is_refused() {
        let refused = |text: &str| JudgingPrompt::new(&rubric(text)).unwrap_err().to_string();
        assert_eq!(
            refused("{{ a }}"),
            "the prompt of the rubric does not show `{{ b }}`"
        );
        assert!(
            refused("{{ a ").starts_with("the prompt of the rubric is no template: syntax error")
        );
        let unknown = rubric("{{ a }}{{ b }}{{ row }}");
        let prompt = JudgingPrompt::new(&unknown).unwrap();
        let subject = Subject {
            prompt: "p",
            target: "t",
            answers: &["x", "y"],
        };
        let error = prompt.requests(subject, 0).unwrap_err().to_string();
        assert!(
            error.starts_with("the prompt of the rubric cannot be rendered: undefined value"),
            "{error}"
        );
    }

    #[test]
    fn the_hash_is_of_what_decides_the_question() {
        let hash = |rubric: &Rubric| JudgingPrompt::new(rubric).unwrap().hash;
        let first = rubric("{{ a }}{{ b }}");
        let mut other = first.clone();
        other.endpoint.requests_in_flight = 1;
        assert_eq!(hash(&first), hash(&other));
        other.endpoint.system = "Be strict.".into();
        assert_ne!(hash(&first), hash(&other));
    }
}
