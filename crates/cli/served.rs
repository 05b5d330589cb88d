//! A teacher behind an endpoint: its answers are the rows to learn from, and what it says of their tokens is learned with them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use slm_data::{CacheFolder, CacheKey, Sample, Side, TaughtRow, TeacherCache, held_out_rows};
use slm_endpoint::{Alignment, Answer, Journal, Spelling, Taught, Terms, teach, write_held_out};
use slm_model::Decoder;
use slm_recipe::{
    DataSection, DistillMethod, DistillSection, Format, JudgeMode, Recipe, Rubric, Source,
};
use slm_run::{Event, sha256_bytes, sha256_json};
use slm_train::{Measure, Teaching, Tutor};

use crate::{base::Base, failure::refuse, guarded::guarded, interrupt, reporter::Reporter};

/// Rows that are held out while the student learns, beside the teacher's answers.
const HELD_OUT: &str = "held_out.jsonl";
/// Rows that are held out for the tasks.
const TEST: &str = "test.jsonl";

/// A served teacher of a recipe, and where its answers are.
pub(crate) struct ServedTeacher {
    pub(crate) section: DistillSection,
    folder: PathBuf,
}

/// Where the answer of a row is in the journal.
#[derive(Deserialize)]
struct Line {
    teacher: Asked,
}

#[derive(Deserialize, serde::Serialize)]
struct Asked {
    request: String,
    sample: usize,
}

impl ServedTeacher {
    /// The teacher of a recipe that has one behind an endpoint. Its answers lie in `runs/NAME.rows`: not in the run directory, which
    /// belongs to the training of one recipe.
    pub(crate) fn of(recipe: &Recipe) -> Option<Self> {
        let section = recipe.distill.clone();
        let section = section.filter(|it| it.method == DistillMethod::Sequence)?;
        let folder = format!("{}.rows", recipe.output_dir.trim_end_matches('/'));
        Some(Self {
            section,
            folder: folder.into(),
        })
    }

    /// Where its answers are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same with another folder.
    pub(crate) fn into_folder(mut self, folder: Option<PathBuf>) -> Self {
        self.folder = folder.unwrap_or(self.folder);
        self
    }

    /// Has it answer what the journal has no answer to, and writes the rows: those to learn from, and those that are held out.
    pub(crate) fn ask(
        &self,
        recipe: &Recipe,
        offline: bool,
        reporter: &mut Reporter,
    ) -> Result<Taught> {
        let section = &self.section;
        let rubric = section.filters.rubric.as_deref().map(scoring).transpose()?;
        let rows = slm_data::training_rows(&recipe.data, &guarded(recipe)?, recipe.seed)?;
        let held_out = |side| held_out_rows(&recipe.data, side, recipe.seed);
        let held_out = [
            (HELD_OUT, held_out(Side::Validation)?),
            (TEST, held_out(Side::Test)?),
        ];
        fs_err::create_dir_all(&self.folder)?;
        let taught = interrupt::heeded(|stop| {
            let terms = Terms {
                seed: recipe.seed,
                offline,
                stop,
            };
            let mut emit = |event: Event| reporter.show(event);
            let (labels, rubric) = (&recipe.data.labels, rubric.as_ref());
            teach(
                section,
                labels,
                rubric,
                &rows,
                terms,
                &self.folder,
                &mut emit,
            )
        })??;
        for (name, rows) in held_out {
            let left_out = write_held_out(&rows, &self.folder.join(name))?;
            if left_out > 0 {
                let text = format!(
                    "{left_out} of {} rows that are held out have no answer, and nothing is measured on them",
                    rows.len()
                );
                reporter.show(Event::Warning { text });
            }
        }
        Ok(taught)
    }

    /// Puts its answers in the place of a recipe's rows.
    pub(crate) fn adopt(recipe: &mut Recipe, path: &Path) -> Result<()> {
        let Some(served) = Self::of(recipe) else {
            return Ok(());
        };
        if !served.has_answered() {
            return Err(refuse(
                "the recipe has a served teacher, which has not answered yet: its answers are the rows to learn from",
                format!(
                    "`slm-tune distill {}` asks it, and learns then",
                    path.display()
                ),
            ));
        }
        let (k, temperature) = (
            served.section.teacher.endpoint.top_logprobs,
            served.section.temperature,
        );
        if k > 0 && temperature != 1.0 {
            return Err(refuse(
                format!(
                    "a server's log-probabilities are at temperature 1, and `distill.temperature` is {temperature}"
                ),
                "`distill.temperature = 1` learns them; `distill.teacher.top_logprobs = 0` learns the answers alone",
            ));
        }
        recipe.data = served.data(&recipe.data);
        Ok(())
    }

    /// Whether its rows are there.
    pub(crate) fn has_answered(&self) -> bool {
        self.folder.join("rows.jsonl").exists()
    }

    /// The rows to learn from and those held out, as they are written.
    fn data(&self, section: &DataSection) -> DataSection {
        let source = |name: &str| {
            let path = self.folder.join(name);
            let source = Source {
                path: path.display().to_string(),
                ..Source::default()
            };
            path.exists().then_some(source)
        };
        DataSection {
            format: Format::Auto,
            train: source("rows.jsonl").into_iter().collect(),
            validation: source(HELD_OUT).into_iter().collect(),
            test: source(TEST).into_iter().collect(),
            val_size: 0.0,
            test_size: 0.0,
            val_every: 0,
            ..section.clone()
        }
    }

    /// How a student learns what the server said of the tokens of its answers, where it was asked for that.
    pub(crate) fn teaching(
        &self,
        base: &Base,
        samples: &[Sample],
        student: &Decoder,
    ) -> Result<Option<(Teaching, Alignment)>> {
        if self.section.teacher.endpoint.top_logprobs == 0 {
            return Ok(None);
        }
        let vocab = base.tokenizer.vocab_size().min(student.config().vocab_size);
        let (cache, found) = self.cache(base, samples, vocab)?;
        if found.aligned_tokens == 0 {
            return Err(refuse(
                format!(
                    "of {} learned tokens none is one of the server's as well: there is nothing to learn of its log-probabilities",
                    found.learned_tokens
                ),
                "a teacher with other tokens teaches by its answers: `distill.teacher.top_logprobs = 0`",
            ));
        }
        let measure = Measure::new(&self.section, vocab);
        let tutor = Tutor::Cached(cache.into());
        Ok(Some((Teaching { measure, tutor }, found)))
    }

    /// Writes what the server said into a cache, and reads it.
    fn cache(
        &self,
        base: &Base,
        samples: &[Sample],
        vocab: usize,
    ) -> Result<(TeacherCache, Alignment)> {
        let asked = self.asked()?;
        let top_k = self.section.teacher.endpoint.top_logprobs as usize + 1;
        let mut key = CacheKey::new(samples, top_k, 1.0, vocab);
        key.teacher = sha256_json(&("served", &self.section.teacher.endpoint.model, &asked));
        key.tokenizer = sha256_json(
            &(0..vocab as u32)
                .map(|id| base.tokenizer.token(id))
                .collect::<Vec<_>>(),
        );
        let template = base.tokenizer.template_source().unwrap_or_default();
        key.template = sha256_bytes(template.as_bytes());
        let dir = self.section.cache_dir.as_ref().map(PathBuf::from);
        let folder = CacheFolder::new(&dir.unwrap_or_else(|| self.folder.join("cache")), key);
        let spelling = Spelling::new(base.tokenizer.token_bytes()?);
        let journal = Journal::open(&self.folder.join("journal.jsonl"))?;
        let mut found = Alignment::default();
        let shards = folder.shards(samples);
        folder.begin()?;
        for (at, rows) in shards.iter().enumerate() {
            let mut said: Vec<TaughtRow> = Vec::with_capacity(rows.len());
            for sample in rows {
                let answer = of_row(&journal, &asked, sample.row)?;
                said.push(spelling.taught(sample, answer, &mut found));
            }
            if !folder.has(at, shards.len()) {
                folder.write(at, shards.len(), &said)?;
            }
        }
        Ok((TeacherCache::open(&folder, samples)?, found))
    }

    /// By line of the rows, where the answer of each comes from.
    fn asked(&self) -> Result<Vec<Asked>> {
        let path = self.folder.join("rows.jsonl");
        let text = fs_err::read_to_string(&path)?;
        let lines = text.lines().enumerate();
        let lines = lines.map(|(at, line)| {
            let line: Line = serde_json::from_str(line).with_context(|| {
                format!(
                    "`{}:{}` does not say which answer it is",
                    path.display(),
                    at + 1
                )
            })?;
            Ok(line.teacher)
        });
        lines.collect()
    }
}

/// The answer that a row was made of.
fn of_row<'a>(journal: &'a Journal, asked: &[Asked], row: usize) -> Result<&'a Answer> {
    let it = asked.get(row);
    let answer = it.and_then(|it| journal.answer_of(&it.request, it.sample));
    answer.ok_or_else(|| {
        refuse(
            format!(
                "the journal has no answer for row {} of `rows.jsonl`",
                row + 1
            ),
            "rows and journal belong together: `slm-tune synth RECIPE` writes the rows again",
        )
    })
}

/// What became of a server's log-probabilities, in a line.
pub(crate) fn told(found: &Alignment) -> String {
    format!(
        "of {} learned tokens, {} are the server's as well, and are learned with {} likely tokens; {} likely ones are no token here and count among all others; {} rows have none",
        found.learned_tokens, found.aligned_tokens, found.kept, found.unspelled, found.rows_without
    )
}

/// The rubric of a filter, which sees one answer at a time.
fn scoring(path: &str) -> Result<Rubric> {
    let rubric = Rubric::load(Path::new(path), &[])?;
    match rubric.mode {
        JudgeMode::Score => Ok(rubric),
        JudgeMode::Pairwise => Err(refuse(
            format!("the rubric `{path}` compares pairs, and a filter judges one answer at a time"),
            "set `mode = \"score\"` in it",
        )),
    }
}
