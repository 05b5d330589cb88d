//! The rows of a task as what a model is asked, word for word as lm-evaluation-harness words it.

use slm_recipe::OutputType;
use slm_text::{ChatTokenizer, Message};

use crate::error::SuiteError;
use crate::fewshot::Draws;
use crate::field::{Field, Filled};
use crate::task::{Row, Task};
use crate::template::Fields;
use crate::turn::Turn;

/// One row: what is asked, and what is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Number of the row in its file, from 0.
    pub row: usize,
    /// Where it comes from, `file:line`.
    pub origin: String,
    /// The questions; for choices one each, without the prompt again behind them where that is measured.
    pub asks: Vec<Ask>,
    /// The answer that is wanted, as a text.
    pub target: String,
    /// The choices, as they are measured.
    pub choices: Vec<String>,
    /// Short columns of the row.
    pub slices: std::collections::BTreeMap<String, String>,
    pub(crate) gold: Gold,
}

/// A question to a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// How likely `continuation` is after `context`, which may be empty.
    Likelihood {
        /// What comes before.
        context: String,
        /// What is scored.
        continuation: String,
    },
    /// How likely a whole text is.
    Rolling(String),
    /// What comes after a text.
    Generate(String),
}

/// What is right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Gold {
    /// The numbers of the right choices; several where the target is a list.
    Choices { right: Vec<usize>, is_list: bool },
    /// The right texts; any of them where the target is a list.
    Texts { right: Vec<String>, is_list: bool },
}

impl Item {
    /// Whether a choice is a right one.
    pub fn accepts(&self, choice: usize) -> bool {
        matches!(&self.gold, Gold::Choices { right, .. } if right.contains(&choice))
    }
}

/// A prompt up to its answer: one, or one for each choice.
enum Context {
    One(String),
    PerChoice(Vec<String>),
}

impl Task {
    /// The items of all rows. `tokenizer` renders the conversations of a task that has them.
    ///
    /// # Errors
    /// A row that a template cannot be filled with, or whose target is none of its choices; too few rows to show; a chat template that
    /// refuses a prompt.
    pub fn items(&self, tokenizer: &ChatTokenizer) -> Result<Vec<Item>, SuiteError> {
        let fewshot = &self.fewshot;
        let mut draws = Draws::new(&fewshot.rows, fewshot.sampler, fewshot.seed);
        self.rows
            .iter()
            .map(|row| {
                let without = fewshot.leaves_out.then_some(&row.fields);
                let shown = draws
                    .next(fewshot.n, without)
                    .ok_or_else(|| SuiteError::Task {
                        task: self.name.clone(),
                        reason: format!(
                            "{} examples are to be shown, there are {} rows to choose from",
                            fewshot.n,
                            fewshot.rows.len()
                        ),
                    })?;
                self.item(row, &shown, tokenizer)
            })
            .collect()
    }

    fn item(
        &self,
        row: &Row,
        shown: &[&Fields],
        tokenizer: &ChatTokenizer,
    ) -> Result<Item, SuiteError> {
        let fields = &row.fields;
        let mut turns = Vec::new();
        if let Some(description) = &self.description {
            let text = self.text_of(description, row, "description")?;
            turns.extend((!text.is_empty()).then(|| Turn::system(text)));
        }
        for example in shown {
            turns.extend(self.example(row, example)?);
        }
        let text = self.fill(&self.wording.text, row, "prompt")?;
        let target = self
            .fill(&self.wording.target, row, "target")?
            .into_target();
        let choices = self.choices(row)?;
        let prefix = match &self.wording.prefix {
            None => None,
            Some(field) => Some(self.text_of(field, row, "gen_prefix")?),
        };
        let prefix = prefix.as_deref();
        let (context, gold) = match text {
            Filled::Number(number) if !choices.is_empty() => {
                let right = self.choice(row, "prompt", number, choices.len())?;
                let contexts = choices.iter().map(|choice| {
                    let mut turns = turns.clone();
                    turns.extend(Turn::question(choice, prefix, ""));
                    self.rendered(&turns, row, tokenizer)
                });
                let right = vec![right];
                let gold = Gold::Choices {
                    right,
                    is_list: false,
                };
                (
                    Context::PerChoice(contexts.collect::<Result<_, _>>()?),
                    gold,
                )
            }
            Filled::List(_) => {
                return Err(self.refused(row, "prompt", "is a list, needs a text".into()));
            }
            text => {
                let text = match text {
                    Filled::Number(number) => number.to_string(),
                    Filled::Text(text) => text,
                    Filled::List(_) => String::new(),
                };
                turns.extend(Turn::question(&text, prefix, &self.target_delimiter));
                let gold = self.gold(row, &target, &choices)?;
                (Context::One(self.rendered(&turns, row, tokenizer)?), gold)
            }
        };
        let written = written_target(&target, &gold, &choices);
        Ok(Item {
            row: row.number,
            origin: row.origin.clone(),
            asks: self.asks(row, context, &written, &target, &choices)?,
            target: written,
            choices,
            slices: slices(fields),
            gold,
        })
    }

    fn asks(
        &self,
        row: &Row,
        context: Context,
        written: &str,
        target: &Filled,
        choices: &[String],
    ) -> Result<Vec<Ask>, SuiteError> {
        let delimiter = self.delimiter();
        let likelihood = |context: &str, continuation: String| Ask::Likelihood {
            context: context.into(),
            continuation,
        };
        Ok(match (self.output_type, context) {
            (OutputType::MultipleChoice, context) => {
                if choices.len() < 2 {
                    let reason = format!(
                        "has {} choices, `multiple_choice` needs at least 2",
                        choices.len()
                    );
                    return Err(self.refused(row, "choices", reason));
                }
                let mut asks: Vec<Ask> = match &context {
                    Context::One(context) => choices
                        .iter()
                        .map(|choice| likelihood(context, format!("{delimiter}{choice}")))
                        .collect(),
                    Context::PerChoice(contexts) => {
                        let Filled::Text(answer) = target else {
                            let reason = "is no text, as it has to be where the prompt is the number of a choice";
                            return Err(self.refused(row, "target", reason.into()));
                        };
                        contexts
                            .iter()
                            .map(|context| likelihood(context, format!("{delimiter}{answer}")))
                            .collect()
                    }
                };
                if self.measures_mutual_information() {
                    asks.extend(
                        choices
                            .iter()
                            .map(|choice| likelihood("", format!("{delimiter}{choice}"))),
                    );
                }
                asks
            }
            (_, Context::PerChoice(_)) => {
                let reason = "is the number of a choice, which only `multiple_choice` reads";
                return Err(self.refused(row, "prompt", reason.into()));
            }
            (OutputType::Loglikelihood, Context::One(context)) => {
                let delimiter = if self.delimits_likelihood {
                    delimiter
                } else {
                    ""
                };
                vec![likelihood(&context, format!("{delimiter}{written}"))]
            }
            (OutputType::LoglikelihoodRolling, _) => vec![Ask::Rolling(written.into())],
            (OutputType::GenerateUntil, Context::One(context)) => vec![Ask::Generate(context)],
        })
    }

    /// What stands before an answer; a conversation separates it already.
    fn delimiter(&self) -> &str {
        let prefix_ends_open = self.wording.prefix.as_ref().is_some_and(|prefix| {
            let source = prefix.source();
            !source.is_empty() && !source.ends_with(char::is_whitespace)
        });
        match self.chat && !prefix_ends_open {
            true => "",
            false => &self.target_delimiter,
        }
    }

    /// An example with its answer.
    fn example(&self, row: &Row, example: &Fields) -> Result<Vec<Turn>, SuiteError> {
        let own = &self.fewshot.wording;
        let fewshot = |reason| {
            self.refused(
                row,
                "fewshot",
                format!("an example cannot be written: {reason}"),
            )
        };
        let choices_field = own.choices.as_ref().or(self.wording.choices.as_ref());
        let has_choices = choices_field.is_some();
        let text = own.text.as_ref().unwrap_or(&self.wording.text);
        let target = own.target.as_ref().unwrap_or(&self.wording.target);
        let text = text
            .fill(example, &self.columns, has_choices)
            .map_err(fewshot)?;
        let target = target
            .fill(example, &self.columns, has_choices)
            .map_err(fewshot)?
            .into_target();
        let choices = match choices_field {
            None => Vec::new(),
            Some(field) => field.texts(example, &self.columns).map_err(fewshot)?,
        };
        let text = match text {
            Filled::Text(text) => text,
            Filled::Number(number) => chosen(&choices, number).map_err(fewshot)?,
            Filled::List(_) => return Err(fewshot("its prompt is a list".into())),
        };
        let answer = match target {
            Filled::Text(text) => text,
            Filled::Number(number) if choices.is_empty() => number.to_string(),
            Filled::Number(number) => chosen(&choices, number).map_err(fewshot)?,
            Filled::List(items) => match items.first().and_then(|item| item.as_str()) {
                Some(text) => text.to_owned(),
                None => return Err(fewshot("its target is a list without a text".into())),
            },
        };
        let prefix = match own.prefix.as_ref().or(self.wording.prefix.as_ref()) {
            None => None,
            Some(field) => Some(field.as_text(example, &self.columns).map_err(fewshot)?),
        };
        Ok(Turn::answered(
            &text,
            &answer,
            prefix.as_deref(),
            &self.fewshot.target_delimiter,
            &self.fewshot.delimiter,
        ))
    }

    /// The turns as one text: one after the other, or through the chat template.
    fn rendered(
        &self,
        turns: &[Turn],
        row: &Row,
        tokenizer: &ChatTokenizer,
    ) -> Result<String, SuiteError> {
        if !self.chat {
            return Ok(turns.iter().map(Turn::text).collect());
        }
        let (turns, open) = match turns.split_last() {
            Some((last, before)) if last.role == "assistant" => (before, last.content.as_str()),
            _ => (turns, ""),
        };
        let messages: Vec<Message> = turns
            .iter()
            .map(|turn| Message::new(turn.role, &turn.content))
            .collect();
        let rendered = tokenizer
            .render(&messages, true)
            .map_err(|source| SuiteError::Chat {
                origin: row.origin.clone(),
                task: self.name.clone(),
                source,
            })?;
        Ok(rendered + open)
    }

    fn gold(&self, row: &Row, target: &Filled, choices: &[String]) -> Result<Gold, SuiteError> {
        let n = choices.len();
        let of_choices = self.output_type == OutputType::MultipleChoice;
        Ok(match target {
            Filled::Number(number) if of_choices => Gold::Choices {
                right: vec![self.choice(row, "target", *number, n)?],
                is_list: false,
            },
            Filled::Text(text) if of_choices => Gold::Choices {
                right: vec![self.choice_named(row, text, choices)?],
                is_list: false,
            },
            Filled::List(items) if of_choices => {
                let right = items
                    .iter()
                    .map(|item| match (item.as_i64(), item.as_str()) {
                        (Some(number), _) => self.choice(row, "target", number, n),
                        (None, Some(text)) => self.choice_named(row, text, choices),
                        (None, None) => {
                            Err(self.refused(row, "target", format!("{item} is no choice")))
                        }
                    });
                Gold::Choices {
                    right: right.collect::<Result<_, _>>()?,
                    is_list: true,
                }
            }
            Filled::Number(number) if n > 0 => Gold::Texts {
                right: vec![choices[self.choice(row, "target", *number, n)?].clone()],
                is_list: false,
            },
            Filled::Number(number) => Gold::Texts {
                right: vec![number.to_string()],
                is_list: false,
            },
            Filled::Text(text) => Gold::Texts {
                right: vec![text.clone()],
                is_list: false,
            },
            Filled::List(items) => {
                let right = items.iter().map(|item| match item.as_str() {
                    Some(text) => text.to_owned(),
                    None => item.to_string(),
                });
                Gold::Texts {
                    right: right.collect(),
                    is_list: true,
                }
            }
        })
    }

    pub(crate) fn choice(
        &self,
        row: &Row,
        key: &'static str,
        number: i64,
        n: usize,
    ) -> Result<usize, SuiteError> {
        let at = usize::try_from(number).ok().filter(|at| *at < n);
        at.ok_or_else(|| {
            self.refused(
                row,
                key,
                format!("choice {number} is none of the {n} choices, counted from 0"),
            )
        })
    }

    fn choice_named(&self, row: &Row, text: &str, choices: &[String]) -> Result<usize, SuiteError> {
        if let Some(at) = choices.iter().position(|choice| choice == text) {
            return Ok(at);
        }
        let nearest = choices
            .iter()
            .map(|choice| (strsim::jaro_winkler(choice, text), choice))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(alike, _)| *alike > 0.8);
        Err(SuiteError::Row {
            origin: row.origin.clone(),
            task: self.name.clone(),
            key: "target",
            reason: format!("`{text}` is none of the {} choices", choices.len()),
            nearest: nearest.map(|(_, choice)| choice.clone()),
        })
    }

    /// The choices of a row, none where its task has none.
    pub(crate) fn choices(&self, row: &Row) -> Result<Vec<String>, SuiteError> {
        let Some(field) = &self.wording.choices else {
            return Ok(Vec::new());
        };
        let choices = field.texts(&row.fields, &self.columns);
        choices.map_err(|reason| self.refused(row, "choices", reason))
    }

    /// The answer that is wanted, as a text.
    pub(crate) fn written_target(
        &self,
        row: &Row,
        target: &Filled,
        choices: &[String],
    ) -> Result<String, SuiteError> {
        let gold = self.gold(row, target, choices)?;
        Ok(written_target(target, &gold, choices))
    }

    pub(crate) fn fill(
        &self,
        field: &Field,
        row: &Row,
        key: &'static str,
    ) -> Result<Filled, SuiteError> {
        let filled = field.fill(&row.fields, &self.columns, self.wording.choices.is_some());
        filled.map_err(|reason| self.refused(row, key, reason))
    }

    fn text_of(&self, field: &Field, row: &Row, key: &'static str) -> Result<String, SuiteError> {
        let text = field.as_text(&row.fields, &self.columns);
        text.map_err(|reason| self.refused(row, key, reason))
    }

    pub(crate) fn refused(&self, row: &Row, key: &'static str, reason: String) -> SuiteError {
        SuiteError::Row {
            origin: row.origin.clone(),
            task: self.name.clone(),
            key,
            reason,
            nearest: None,
        }
    }
}

fn chosen(choices: &[String], number: i64) -> Result<String, String> {
    let at = usize::try_from(number).ok();
    let choice = at.and_then(|at| choices.get(at)).cloned();
    choice.ok_or_else(|| format!("{number} is none of its {} choices", choices.len()))
}

/// The wanted answer as a text.
fn written_target(target: &Filled, gold: &Gold, choices: &[String]) -> String {
    match (gold, target) {
        (Gold::Choices { right, .. }, Filled::Number(_) | Filled::List(_)) => {
            let right: Vec<&str> = right.iter().map(|at| choices[*at].as_str()).collect();
            right.join(" | ")
        }
        (_, Filled::Text(text)) => text.clone(),
        (Gold::Texts { right, .. }, _) => right.join(" | "),
    }
}

/// Short columns, to tell results apart by.
fn slices(fields: &Fields) -> std::collections::BTreeMap<String, String> {
    const LONGEST: usize = 40;
    let short = fields.iter().filter_map(|(key, value)| match value {
        serde_json::Value::String(text) if text.chars().count() <= LONGEST => {
            Some((key.clone(), text.clone()))
        }
        _ => None,
    });
    short.collect()
}
