//! The rows of a domain: three tasks, two splits that share no template and no held-out word.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{COMMON, Domain, Extraction, Intent, Note};
use crate::grammar::{Scene, capitalised};
use crate::rng::Rng;
use crate::words::Split;

/// The tasks, in the order of the cards.
pub(crate) const TASKS: [&str; 3] = ["intent", "extraction", "answer"];
/// Attempts to find a row that is new and sound.
const MAX_ATTEMPTS: usize = 500;

/// Rows of `task` in `split`.
pub(crate) fn row_count(task: &str, split: Split) -> usize {
    match (task, split) {
        ("intent", Split::Train) => 800,
        ("intent", Split::Test) => 200,
        (_, Split::Train) => 400,
        (_, Split::Test) => 100,
    }
}

/// One line of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) task: &'static str,
    /// The template that the row comes from.
    pub(crate) group: String,
    pub(crate) messages: Vec<Turn>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Turn {
    pub(crate) role: &'static str,
    pub(crate) content: String,
}

impl Turn {
    /// A user's question and the answer to it.
    pub(crate) fn pair(prompt: String, answer: String) -> Vec<Turn> {
        let turn = |role, content| Turn { role, content };
        vec![turn("user", prompt), turn("assistant", answer)]
    }
}

/// Train and test rows of `domain`, without a repeated prompt.
pub(crate) fn rows(domain: &Domain) -> Result<[Vec<Row>; 2]> {
    let mut seen = HashSet::new();
    let mut of = |split: Split| -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for task in TASKS {
            let mut rng = Rng::of(&[domain.name, split.name(), task]);
            for number in 0..row_count(task, split) {
                rows.push(new_row(domain, split, task, number, &mut rng, &mut seen)?);
            }
        }
        Rng::of(&[domain.name, split.name(), "order"]).shuffle(&mut rows);
        for (at, row) in rows.iter_mut().enumerate() {
            row.id = format!("{}-{}-{at:04}", domain.name, split.name());
        }
        Ok(rows)
    };
    Ok([of(Split::Train)?, of(Split::Test)?])
}

fn new_row(
    domain: &Domain,
    split: Split,
    task: &'static str,
    number: usize,
    rng: &mut Rng,
    seen: &mut HashSet<String>,
) -> Result<Row> {
    for _ in 0..MAX_ATTEMPTS {
        let lexicons = [domain.slots, COMMON];
        let scene = Scene::new(rng, split, &lexicons);
        let drawn = match task {
            "intent" => Some(intent_row(domain, number, scene)?),
            "extraction" => extraction_row(domain, number, scene)?,
            _ => answer_row(domain, number, scene)?,
        };
        let Some((template, messages)) = drawn else {
            continue;
        };
        if seen.insert(messages[0].content.clone()) {
            let group = format!("{}/{task}/{template}", domain.name);
            return Ok(Row {
                id: String::new(),
                task,
                group,
                messages,
            });
        }
    }
    bail!(
        "`{}` has too few different rows for {task} {number}",
        domain.name
    );
}

/// Name of template `at` of a list; the two splits count apart, so that a name never stands for two templates.
fn template_name(of: &str, split: Split, at: usize) -> String {
    format!("{of}/{}-{at}", split.name())
}

fn templates(
    split: Split,
    train: &'static [&'static str],
    held_out: &'static [&'static str],
) -> &'static [&'static str] {
    match split {
        Split::Train => train,
        Split::Test => held_out,
    }
}

fn intent_row(domain: &Domain, number: usize, mut scene: Scene) -> Result<(String, Vec<Turn>)> {
    let intent = &domain.intents[number % domain.intents.len()];
    let forms = templates(scene.split, intent.train, intent.held_out);
    let at = (number / domain.intents.len()) % forms.len();
    let text = utterance(&mut scene, forms[at])?;
    let prompt = match scene.rng.below(100) {
        0..55 => format!("Classify the intent: {text}"),
        55..70 => format!("What is the intent of this message?\n{text}"),
        70..85 => format!("Message: {text}\nIntent:"),
        _ => format!(
            "Which intent is it: {}?\n{text}",
            label_choices(domain, intent, scene.rng)
        ),
    };
    let name = template_name(intent.label, scene.split, at);
    Ok((name, Turn::pair(prompt, intent.label.to_owned())))
}

/// Four labels, the right one among them.
fn label_choices(domain: &Domain, intent: &Intent, rng: &mut Rng) -> String {
    let mut others: Vec<&str> = domain.intents.iter().map(|other| other.label).collect();
    others.retain(|label| *label != intent.label);
    rng.shuffle(&mut others);
    others.truncate(3);
    others.push(intent.label);
    rng.shuffle(&mut others);
    others.join(", ")
}

/// A customer's message: the template, now and then with a remark, a greeting, a typing mistake.
pub(crate) fn utterance(scene: &mut Scene, template: &str) -> Result<String> {
    let mut whole = template.to_owned();
    if scene.rng.chance(30) {
        whole = format!("<{whole}|{{aside}}>");
    }
    if scene.rng.chance(20) {
        whole = format!("{{hello}} {whole}");
    }
    if scene.rng.chance(15) {
        whole.push_str(" {bye}");
    }
    let mut text = scene.text(&whole)?;
    if scene.rng.chance(15) {
        text = text.to_lowercase().trim_end_matches(['.', '?']).to_owned();
    }
    if scene.rng.chance(8) {
        text = with_typo(&text, scene.rng);
    }
    Ok(text)
}

/// Swaps, drops or doubles one letter inside a word of five or more small letters.
fn with_typo(text: &str, rng: &mut Rng) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let long = |word: &String| word.len() >= 5 && word.bytes().all(|b| b.is_ascii_lowercase());
    let candidates: Vec<usize> = (0..words.len()).filter(|&at| long(&words[at])).collect();
    if candidates.is_empty() {
        return text.to_owned();
    }
    let word = &mut words[*rng.pick(&candidates)];
    let at = rng.between(1, word.len() - 3);
    let mut letters: Vec<char> = word.chars().collect();
    match rng.below(3) {
        0 => letters.swap(at, at + 1),
        1 => drop(letters.remove(at)),
        _ => letters.insert(at, letters[at]),
    }
    *word = letters.into_iter().collect();
    words.join(" ")
}

/// `None` where tidying changed a value, so that it does not stand in the text as it has to be copied.
fn extraction_row(
    domain: &Domain,
    number: usize,
    mut scene: Scene,
) -> Result<Option<(String, Vec<Turn>)>> {
    let which = number % domain.extractions.len();
    let extraction = &domain.extractions[which];
    let forms = templates(scene.split, extraction.train, extraction.held_out);
    let at = (number / domain.extractions.len()) % forms.len();
    let greeting = ["", "", "", "{hello} "][scene.rng.below(4)];
    let goodbye = ["", "", "", " {bye}"][scene.rng.below(4)];
    let text = scene.text(&format!("{greeting}{}{goodbye}", forms[at]))?;
    let mut object = Map::new();
    for key in extraction.keys {
        let value = scene.value(key)?;
        if !text.contains(&value) {
            return Ok(None);
        }
        object.insert((*key).to_owned(), Value::String(value));
    }
    let answer = serde_json::to_string(&object).context("an extraction as JSON")?;
    let prompt = extraction_prompt(extraction, &text, scene.rng);
    let name = template_name(&extraction.keys.join("+"), scene.split, at);
    Ok(Some((name, Turn::pair(prompt, answer))))
}

fn extraction_prompt(extraction: &Extraction, text: &str, rng: &mut Rng) -> String {
    let keys = extraction.keys.join(", ");
    match rng.below(3) {
        0 => format!("Extract {keys} as JSON.\n{text}"),
        1 => format!("{text}\nReturn JSON with {keys}."),
        _ => format!("JSON with {keys}: {text}"),
    }
}

/// Answers that need not stand in the note.
pub(crate) const FIXED_ANSWERS: [&str; 3] = ["yes", "no", "not stated"];

/// `None` where tidying changed the span that answers the question.
fn answer_row(
    domain: &Domain,
    number: usize,
    mut scene: Scene,
) -> Result<Option<(String, Vec<Turn>)>> {
    let notes: &[Note] = match scene.split {
        Split::Train => domain.notes,
        Split::Test => domain.notes_held_out,
    };
    let at = number % notes.len();
    let note = &notes[at];
    let asks = note.asks();
    let (question, answer) = asks[(number / notes.len()) % asks.len()];
    let context = scene.text(note.context)?;
    let question = scene.text(question)?;
    let answer = scene.expand(answer)?;
    if !FIXED_ANSWERS.contains(&answer.as_str()) && !context.contains(&answer) {
        return Ok(None);
    }
    let prompt = match scene.rng.below(3) {
        0 => format!("{context}\nQuestion: {question}"),
        1 => format!("{context} {question}"),
        _ => format!("Note: {context}\n{question}"),
    };
    let name = template_name("note", scene.split, at);
    Ok(Some((name, Turn::pair(prompt, answer))))
}

/// The labels of a domain in the order of its file.
pub(crate) fn labels(domain: &Domain) -> Vec<&'static str> {
    domain.intents.iter().map(|intent| intent.label).collect()
}

/// The domain's name as a heading.
pub(crate) fn title(domain: &Domain) -> String {
    capitalised(domain.name)
}
