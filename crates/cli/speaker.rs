//! A model that answers: a run's tuned model, a GGUF file, or any model in a folder.

use std::{io::Write, path::Path};

use anyhow::{Context, Result};
use slm_export::{open_gguf, read_gguf_tokenizer};
use slm_grammar::{Constraint, Grammar, Vocabulary};
use slm_model::{
    Decoder, Generated, QuantScheme, Sampling, device, generate, generate_within, locate,
    quant_scheme,
};
use slm_recipe::{Dtype, Recipe};
use slm_text::{ChatTokenizer, Message};

use crate::{
    args::SamplingArguments, commands::verify::run_of, failure::refuse, mask, walk::recipe_of,
};

/// A decoder with its tokenizer, and how a text is put to it.
pub(crate) struct Speaker {
    pub(crate) tokenizer: ChatTokenizer,
    decoder: Decoder,
    manner: Manner,
    sampling: Sampling,
    /// The system message that the run was trained with.
    system: Option<String>,
    /// Longest prompt and answer together, in tokens.
    max_length: usize,
    /// What every answer is held to.
    constraint: Option<Constraint>,
}

/// How a text becomes a prompt.
#[derive(Debug, Clone, PartialEq)]
enum Manner {
    /// As messages of the chat template.
    Chat,
    /// As the one column of the prompt template that the run was trained with.
    Filled(String),
    /// As it is.
    Plain,
}

impl Speaker {
    /// Loads the model of a run, or of a folder in Hugging Face format.
    pub(crate) fn open(path: &Path, arguments: &SamplingArguments, offline: bool) -> Result<Self> {
        if path.join("run.json").exists() {
            return Self::of_run(path, arguments, offline);
        }
        if is_gguf(path) {
            return Self::of_file(path, arguments);
        }
        if !path.join("config.json").exists() {
            let what = if path.exists() {
                "is neither a run nor a model"
            } else {
                "does not exist"
            };
            return Err(refuse(
                format!("`{}` {what}", path.display()),
                "give a run directory (`slm-tune runs ls`), a GGUF file, or a folder with `config.json`, `tokenizer.json` and `model.safetensors`",
            ));
        }
        let tokenizer = ChatTokenizer::load(path, "auto")?;
        let decoder = load(path, arguments, None)?;
        let manner = if tokenizer.has_template() {
            Manner::Chat
        } else {
            Manner::Plain
        };
        Ok(Self::new(tokenizer, decoder, manner, arguments))
    }

    /// The model of a run, a GGUF file or a folder, and its tokenizer.
    pub(crate) fn model(
        path: &Path,
        device: &str,
        offline: bool,
    ) -> Result<(Decoder, ChatTokenizer)> {
        let arguments = SamplingArguments {
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            max_new_tokens: 1,
            device: device.into(),
        };
        let speaker = Self::open(path, &arguments, offline)?;
        Ok((speaker.decoder, speaker.tokenizer))
    }

    /// A GGUF file by itself, asked as the run that it lies in asks.
    fn of_file(path: &Path, arguments: &SamplingArguments) -> Result<Self> {
        let tokenizer = read_gguf_tokenizer(path)?;
        let decoder = open_gguf(path, &device::open(&arguments.device)?)?;
        let recipe = run_of(path).map(|run| recipe_of(&run, &[])).transpose()?;
        let manner = match &recipe {
            Some(recipe) => manner_of(recipe, &tokenizer),
            None if tokenizer.has_template() => Manner::Chat,
            None => Manner::Plain,
        };
        let source = recipe.and_then(|recipe| recipe.data.train.into_iter().next());
        let system = source.and_then(|source| source.system);
        let speaker = Self::new(tokenizer, decoder, manner, arguments);
        Ok(Self { system, ..speaker })
    }

    fn of_run(run: &Path, arguments: &SamplingArguments, offline: bool) -> Result<Self> {
        let recipe = recipe_of(run, &[])?;
        let (merged, adapter) = (run.join("export/merged"), run.join("export/adapter"));
        let (folder, adapter) = if merged.exists() {
            (merged, None)
        } else if adapter.exists() {
            let revision = recipe.model.revision.as_deref();
            (
                locate(&recipe.model.base_model, revision, offline)?,
                Some(adapter),
            )
        } else {
            return Err(refuse(
                format!("the run in `{}` has exported nothing yet", run.display()),
                format!(
                    "finish it with `slm-tune resume {0}`, or write its files with `slm-tune export {0}`",
                    run.display()
                ),
            ));
        };
        let template = match adapter {
            Some(_) => recipe.model.chat_template.as_str(),
            None => "auto",
        };
        let tokenizer = ChatTokenizer::load(&folder, template)?;
        mask::check_run(run, &tokenizer)?;
        // An adapter answers over the base that it was trained on, in its codes.
        let scheme = quant_scheme(&recipe.model).filter(|_| adapter.is_some());
        let mut decoder = load(&folder, arguments, scheme)?;
        if let Some(adapter) = adapter {
            decoder.load_adapter(&adapter)?;
        }
        let manner = manner_of(&recipe, &tokenizer);
        let system = recipe
            .data
            .train
            .first()
            .and_then(|source| source.system.clone());
        let speaker = Self::new(tokenizer, decoder, manner, arguments);
        Ok(Self { system, ..speaker })
    }

    fn new(
        tokenizer: ChatTokenizer,
        decoder: Decoder,
        manner: Manner,
        arguments: &SamplingArguments,
    ) -> Self {
        let sampling = Sampling {
            max_new_tokens: arguments.max_new_tokens,
            temperature: arguments.temperature,
            top_p: arguments.top_p,
            seed: arguments.seed,
            stop_ids: tokenizer.stop_ids(),
        };
        let max_length = decoder.config().max_position_embeddings;
        Self {
            tokenizer,
            decoder,
            manner,
            sampling,
            system: None,
            max_length,
            constraint: None,
        }
    }

    /// Holds every answer to a grammar from here on.
    pub(crate) fn within(mut self, grammar: &Grammar) -> Result<Self> {
        let vocabulary = Vocabulary::new(self.tokenizer.token_bytes()?)?;
        self.constraint = Some(grammar.over(&vocabulary)?);
        Ok(self)
    }

    /// What a conversation begins with: the system message that is given, else that of the run.
    pub(crate) fn opening(&self, given: Option<String>) -> Vec<Message> {
        let system = given.or_else(|| self.system.clone());
        system
            .map(|text| Message::new("system", text))
            .into_iter()
            .collect()
    }

    /// Whether earlier messages are part of the next prompt.
    pub(crate) fn remembers(&self) -> bool {
        self.manner == Manner::Chat
    }

    /// Takes prompts as they are from here on.
    pub(crate) fn plainly(mut self) -> Self {
        self.manner = Manner::Plain;
        self
    }

    /// The ids of the prompt for the last of `messages`.
    pub(crate) fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let last = messages
            .last()
            .map_or("", |message| message.content.as_str());
        Ok(match &self.manner {
            Manner::Chat => self.tokenizer.render_prompt_ids(messages)?,
            Manner::Filled(template) => {
                let text = fill(template, last);
                self.tokenizer.encode_pair(&text, "", false)?.ids
            }
            Manner::Plain => self.tokenizer.encode_pair(last, "", false)?.ids,
        })
    }

    /// Answers a prompt, writing the text as it comes.
    pub(crate) fn answer(
        &self,
        prompt: Vec<u32>,
        out: &mut dyn Write,
    ) -> Result<(String, Generated)> {
        let room = self.max_length.saturating_sub(prompt.len());
        if room == 0 || prompt.is_empty() {
            return Err(refuse(
                format!(
                    "the prompt has {} tokens, the model reads 1 to {}",
                    prompt.len(),
                    self.max_length - 1
                ),
                "shorten it; in a chat, `/reset` forgets what was said",
            ));
        }
        let mut sampling = self.sampling.clone();
        sampling.max_new_tokens = sampling.max_new_tokens.min(room);
        let (mut text, mut failed) = (String::new(), None);
        let mut stream = self.tokenizer.stream(true);
        let mut say = |piece: String| -> Result<()> {
            let piece = if text.is_empty() {
                piece.trim_start()
            } else {
                &piece
            };
            text += piece;
            write!(out, "{piece}")?;
            Ok(out.flush()?)
        };
        let mut on_token = |_, id| {
            let said = stream.push(id).map_err(Into::into).and_then(&mut say);
            failed = said.err();
            failed.is_none()
        };
        let prompts = [prompt];
        let mut constraint = self.constraint.clone();
        let answers = match constraint.as_mut().map(std::slice::from_mut) {
            None => generate(&self.decoder, &prompts, &sampling, &mut on_token),
            Some(it) => generate_within(&self.decoder, &prompts, &sampling, it, &mut on_token)?,
        };
        say(stream.finish()?)?;
        match failed {
            Some(error) => Err(error),
            None => Ok((text, answers.into_iter().next().unwrap_or_default())),
        }
    }
}

/// Whether a path is that of a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
        && path.is_file()
}

fn load(
    folder: &Path,
    arguments: &SamplingArguments,
    scheme: Option<QuantScheme>,
) -> Result<Decoder> {
    let device = device::open(&arguments.device)?;
    Decoder::load_quantized(folder, &device, Dtype::F32, scheme)
        .with_context(|| format!("failed to load `{}`", folder.display()))
}

/// A run that was trained with a prompt template of one column is asked through it.
fn manner_of(recipe: &Recipe, tokenizer: &ChatTokenizer) -> Manner {
    let source = recipe.data.train.first();
    match source.and_then(|source| source.prompt.as_ref()) {
        Some(template) if column(template).is_some() => Manner::Filled(template.clone()),
        Some(_) => Manner::Plain,
        None if tokenizer.has_template() => Manner::Chat,
        None => Manner::Plain,
    }
}

/// The one `{column}` of a template; none where there are several, or escaped braces.
fn column(template: &str) -> Option<std::ops::Range<usize>> {
    let (start, end) = (template.find('{')?, template.find('}')?);
    let only = template.matches(['{', '}']).count() == 2 && start < end;
    only.then_some(start..end + 1)
}

fn fill(template: &str, text: &str) -> String {
    let mut filled = template.to_owned();
    if let Some(column) = column(template) {
        filled.replace_range(column, text);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_of_one_column_is_filled() {
        assert_eq!(
            fill("Query: {text}\nIntent:", "hi {there}"),
            "Query: hi {there}\nIntent:"
        );
        assert_eq!(column("{a} {b}"), None);
        assert_eq!(column("{{a}}"), None);
        assert_eq!(column("no column"), None);
    }
}
