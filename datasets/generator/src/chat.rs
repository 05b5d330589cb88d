//! Conversations for the base model: other tasks than those of the domains, in the same form of turns.

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{COMMON, listed};
use crate::everyday::{SLOTS, STATEMENTS, TALK};
use crate::files::DOMAINS;
use crate::grammar::{Scene, tidy};
use crate::lessons::{FIELDS, NOTES, TONES, TOPICS};
use crate::rng::Rng;
use crate::rows::{Turn, utterance};
use crate::words::{Slots, Split};

/// One conversation of the corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Chat {
    pub(crate) task: &'static str,
    pub(crate) messages: Vec<Turn>,
}

/// Words of daily life before those that the domains share.
pub(crate) const LEXICONS: [Slots; 2] = [SLOTS, COMMON];

/// A conversation; `None` where a value was changed by tidying and could not be copied.
pub(crate) fn chat(rng: &mut Rng) -> Result<Option<Chat>> {
    let made = match rng.below(100) {
        0..26 => ("copy_fields", copy_fields(rng)?),
        26..48 => ("read_note", read_note(rng)?),
        48..60 => ("choose_topic", Some(choose_topic(rng)?)),
        60..68 => ("choose_area", Some(choose_area(rng)?)),
        68..76 => ("copy_words", Some(copy_words(rng)?)),
        76..84 => ("use_list", Some(use_list(rng)?)),
        84..88 => ("count", Some(arithmetic(rng))),
        88..93 => ("explain", Some(explain(rng))),
        _ => ("small_talk", Some(small_talk(rng)?)),
    };
    let (task, Some(mut messages)) = made else {
        return Ok(None);
    };
    if rng.chance(8) {
        let content = (*rng.pick(&[
            "Be short.",
            "You are a helpful assistant.",
            "Answer with a few words.",
            "You are polite.",
        ]))
        .to_owned();
        messages.insert(
            0,
            Turn {
                role: "system",
                content,
            },
        );
    }
    Ok(Some(Chat { task, messages }))
}

/// Two to four fields, stated in any order, to be copied into JSON in another order.
fn copy_fields(rng: &mut Rng) -> Result<Option<Vec<Turn>>> {
    let mut fields: Vec<_> = FIELDS.iter().collect();
    rng.shuffle(&mut fields);
    let stated = rng.between(2, 4);
    fields.truncate(stated);
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let mut text = String::new();
    for (at, (_, slot, forms)) in fields.iter().enumerate() {
        let between =
            ["", [". ", " and ", ", ", ". ", " but "][scene.rng.below(5)]][usize::from(at > 0)];
        let form = scene
            .rng
            .pick(&listed(forms))
            .replace("{it}", &format!("{{{slot}}}"));
        text.push_str(between);
        text.push_str(&form);
    }
    let text = scene.text(&format!("{text}."))?;
    let mut asked = fields;
    scene.rng.shuffle(&mut asked);
    let wanted = scene
        .rng
        .between(1, asked.len())
        .max(scene.rng.between(1, asked.len()));
    asked.truncate(wanted);
    let mut object = Map::new();
    for (key, slot, _) in &asked {
        let value = scene.value(slot)?;
        if !text.contains(&value) {
            return Ok(None);
        }
        object.insert((*key).to_owned(), Value::String(value));
    }
    let keys: Vec<&str> = asked.iter().map(|(key, _, _)| *key).collect();
    let keys = keys.join(", ");
    let prompt = match rng.below(4) {
        0 => format!("{text}\nWrite {keys} as JSON."),
        1 => format!("Copy {keys} into JSON: {text}"),
        2 => format!("Fields: {keys}\nText: {text}"),
        _ => format!("Fill in {keys}.\n{text}"),
    };
    Ok(Some(Turn::pair(prompt, Value::Object(object).to_string())))
}

fn read_note(rng: &mut Rng) -> Result<Option<Vec<Turn>>> {
    let note = rng.pick(NOTES);
    let (question, answer) = *rng.pick(&note.asks());
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let mut context = scene.text(note.context)?;
    if scene.rng.chance(25) {
        let remark = *scene.rng.pick(STATEMENTS);
        let remark = Scene::new(scene.rng, Split::Train, &LEXICONS).text(remark)?;
        context = [format!("{context} {remark}"), format!("{remark} {context}")]
            [scene.rng.below(2)]
        .clone();
    }
    let (question, answer) = (scene.text(question)?, scene.expand(answer)?);
    let fixed = ["yes", "no", "not stated"].contains(&answer.as_str());
    if !fixed && !context.contains(&answer) {
        return Ok(None);
    }
    let prompt = match rng.below(3) {
        0 => format!("{context}\n{question}"),
        1 => format!("Read this: {context}\n{question}"),
        _ => format!("{question}\n{context}"),
    };
    Ok(Some(Turn::pair(prompt, answer)))
}

/// `right` among some of the `others`, in a random order.
fn among(right: &str, others: impl Iterator<Item = &'static str>, rng: &mut Rng) -> String {
    let mut others: Vec<&str> = others.filter(|other| *other != right).collect();
    rng.shuffle(&mut others);
    let kept = rng.between(1, 4);
    others.truncate(kept);
    others.push(right);
    rng.shuffle(&mut others);
    others.join(", ")
}

fn choose_topic(rng: &mut Rng) -> Result<Vec<Turn>> {
    let table = *rng.pick(&[TOPICS, TOPICS, TONES]);
    let (label, forms) = *rng.pick(table);
    let form = *rng.pick(&listed(forms));
    let text = Scene::new(rng, Split::Train, &LEXICONS).text(form)?;
    let mut labels = among(label, table.iter().map(|(label, _)| *label), rng);
    let mut label = label.to_owned();
    // Labels are often words joined by an underscore.
    if rng.chance(35) {
        let (before, after) = *rng.pick(&[
            ("about_", ""),
            ("", "_talk"),
            ("say_", ""),
            ("my_", "_note"),
            ("", "_text"),
        ]);
        let joined = |word: &str| format!("{before}{word}{after}");
        labels = labels
            .split(", ")
            .map(joined)
            .collect::<Vec<_>>()
            .join(", ");
        label = joined(&label);
    }
    let prompt = match rng.below(3) {
        0 => format!("{text}\nChoose: {labels}."),
        1 => format!("Pick one word, {labels}: {text}"),
        _ => format!("What is it about: {labels}?\n{text}"),
    };
    Ok(Turn::pair(prompt, label))
}

/// Which of the domains a training message or a statement belongs to.
fn choose_area(rng: &mut Rng) -> Result<Vec<Turn>> {
    let domain = *rng.pick(DOMAINS);
    let lexicons = [domain.slots, COMMON];
    let intent = &domain.intents[rng.below(domain.intents.len())];
    let form = *rng.pick(intent.train);
    let fact = *rng.pick(domain.facts);
    let mut scene = Scene::new(rng, Split::Train, &lexicons);
    let text = match scene.rng.chance(60) {
        true => utterance(&mut scene, form)?,
        false => scene.text(fact)?,
    };
    let areas = among(domain.name, DOMAINS.iter().map(|other| other.name), rng);
    let prompt = match rng.below(2) {
        0 => format!("Area: {areas}?\n{text}"),
        _ => format!("{text}\nWhich area: {areas}?"),
    };
    Ok(Turn::pair(prompt, domain.name.to_owned()))
}

/// Repeat, first word, last word, the code.
fn copy_words(rng: &mut Rng) -> Result<Vec<Turn>> {
    let statement = *rng.pick(STATEMENTS);
    let kind = rng.below(4);
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let text = scene.text(statement)?;
    let words: Vec<&str> = text.split(' ').collect();
    let bare = |word: &str| {
        word.trim_matches(|mark: char| !mark.is_alphanumeric())
            .to_owned()
    };
    Ok(match kind {
        0 => Turn::pair(format!("Repeat: {text}"), text),
        1 => Turn::pair(format!("First word: {text}"), bare(words[0])),
        2 => Turn::pair(format!("Last word: {text}"), bare(words[words.len() - 1])),
        _ => {
            let form = *scene.rng.pick(&[
                "My code is {code}",
                "{code} is on the box",
                "it says {code}, I think",
                "look for {code} and not for it",
            ]);
            let whole = tidy(&format!("{text} {}.", scene.expand(form)?));
            Turn::pair(
                format!("Which code is in the text? {whole}"),
                scene.value("code")?,
            )
        }
    })
}

fn use_list(rng: &mut Rng) -> Result<Vec<Turn>> {
    let slot = *rng.pick(&[
        "animal", "food", "place", "thing", "tone", "name", "code", "coined", "town", "n",
    ]);
    let length = rng.between(3, 6);
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let items: Result<Vec<String>> = (0..length)
        .map(|at| scene.value(&format!("{slot}.{at}")))
        .collect();
    let items = items?;
    let list = items.join(", ");
    let at = rng.below(length - 1);
    Ok(match rng.below(6) {
        0 => Turn::pair(
            format!("How many are in the list: {list}?"),
            length.to_string(),
        ),
        1 => Turn::pair(format!("What comes first: {list}?"), items[0].clone()),
        2 => Turn::pair(
            format!("What comes last: {list}?"),
            items[length - 1].clone(),
        ),
        3 => Turn::pair(
            format!("{list}\nWhat comes after {}?", items[at]),
            items[at + 1].clone(),
        ),
        4 => Turn::pair(
            format!("Is {} in this list: {}?", items[0], items[1..].join(", ")),
            "no".to_owned(),
        ),
        _ => match rng.below(2) {
            0 => Turn::pair(
                format!("Is {} in this list: {list}?", items[at]),
                "yes".to_owned(),
            ),
            _ => Turn::pair(
                format!("Write as a JSON list: {list}"),
                Value::from(items).to_string(),
            ),
        },
    })
}

fn arithmetic(rng: &mut Rng) -> Vec<Turn> {
    let (a, b) = (rng.between(1, 20), rng.between(1, 20));
    let (more, less) = (a.max(b), a.min(b));
    match rng.below(3) {
        0 => Turn::pair(format!("What is {a} plus {b}?"), (a + b).to_string()),
        1 => Turn::pair(
            format!("What is {more} minus {less}?"),
            (more - less).to_string(),
        ),
        _ => Turn::pair(format!("Which is more, {a} or {b}?"), more.to_string()),
    }
}

fn explain(rng: &mut Rng) -> Vec<Turn> {
    let domain = *rng.pick(DOMAINS);
    let (word, meaning) = *rng.pick(domain.glossary);
    match rng.below(3) {
        0 => Turn::pair(
            tidy(&format!("What is a {word} ?")),
            tidy(&format!("A {word} is {meaning}.")),
        ),
        1 => Turn::pair(
            format!("Explain the word {word}."),
            tidy(&format!("{meaning}.")),
        ),
        _ => Turn::pair(format!("Which word means {meaning}?"), word.to_owned()),
    }
}

/// One or two exchanges.
fn small_talk(rng: &mut Rng) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for _ in 0..rng.between(1, 2) {
        let (say, reply) = *rng.pick(TALK);
        let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
        turns.extend(Turn::pair(scene.text(say)?, scene.text(reply)?));
    }
    Ok(turns)
}
