//! The corpus of the base model: prose, questions, lists, records and codes, and conversations.

use std::collections::HashSet;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::chat::{Chat, LEXICONS, chat};
use crate::domain::{COMMON, Domain};
use crate::everyday::{STATEMENTS, STORY};
use crate::files::{DOMAINS, Planned};
use crate::grammar::{Scene, capitalised, tidy};
use crate::lessons::{FIELDS, NOTES};
use crate::rng::Rng;
use crate::rows::utterance;
use crate::words::Split;

/// Rows of the files, in the order of [`files`].
pub(crate) const ROWS: [usize; 4] = [28_000, 500, 20_000, 400];

/// One document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Document {
    pub(crate) text: String,
}

/// `train.jsonl`, `validation.jsonl`, `chat.jsonl` and `chat_validation.jsonl`, without a repeated row.
pub(crate) fn files() -> Result<Vec<Planned>> {
    let [train, validation, chats, chat_validation] = ROWS;
    let mut seen = HashSet::new();
    let documents = documents("train", train, &mut seen)?;
    let validation = self::documents("validation", validation, &mut seen)?;
    let mut seen = HashSet::new();
    let conversations = conversations("train", chats, &mut seen)?;
    let held_out_chats = self::conversations("validation", chat_validation, &mut seen)?;
    Ok(vec![
        Planned::json_lines("train.jsonl", &documents)?,
        Planned::json_lines("validation.jsonl", &validation)?,
        Planned::json_lines("chat.jsonl", &conversations)?,
        Planned::json_lines("chat_validation.jsonl", &held_out_chats)?,
    ])
}

fn documents(split: &str, rows: usize, seen: &mut HashSet<String>) -> Result<Vec<Document>> {
    let mut rng = Rng::of(&["base", split, "text"]);
    let mut all = Vec::with_capacity(rows);
    while all.len() < rows {
        let text = document(&mut rng)?;
        if seen.insert(text.clone()) {
            all.push(Document { text });
        }
    }
    Ok(all)
}

fn conversations(split: &str, rows: usize, seen: &mut HashSet<String>) -> Result<Vec<Chat>> {
    let mut rng = Rng::of(&["base", split, "chat"]);
    let mut all = Vec::with_capacity(rows);
    while all.len() < rows {
        let Some(chat) = chat(&mut rng)? else {
            continue;
        };
        // Small talk and sums have few forms; they may come again.
        let repeats = ["small_talk", "count", "explain"].contains(&chat.task) && split == "train";
        let whole: Vec<&str> = chat
            .messages
            .iter()
            .map(|turn| turn.content.as_str())
            .collect();
        if seen.insert(whole.join("\n")) || repeats {
            all.push(chat);
        }
    }
    Ok(all)
}

fn document(rng: &mut Rng) -> Result<String> {
    let domain = DOMAINS[rng.below(DOMAINS.len())];
    match rng.below(100) {
        0..24 => domain_paragraph(domain, rng),
        24..42 => letter(domain, rng),
        42..60 => story(rng),
        60..68 => statements(rng),
        68..78 => questions(rng),
        78..90 => record(rng),
        90..96 => list(rng),
        _ => Ok(glossary(domain, rng)),
    }
}

/// Facts about the same people and things, so that names come again within a paragraph.
fn domain_paragraph(domain: &Domain, rng: &mut Rng) -> Result<String> {
    let lexicons = [domain.slots, COMMON];
    let mut facts = domain.facts.to_vec();
    rng.shuffle(&mut facts);
    let length = rng.between(2, 5);
    Scene::new(rng, Split::Train, &lexicons).text(&facts[..length].join(" "))
}

/// A training message, without its label, and a reply that takes up its words.
fn letter(domain: &Domain, rng: &mut Rng) -> Result<String> {
    let lexicons = [domain.slots, COMMON];
    let intent = &domain.intents[rng.below(domain.intents.len())];
    let form = *rng.pick(intent.train);
    let fact = *rng.pick(domain.facts);
    let mut scene = Scene::new(rng, Split::Train, &lexicons);
    let message = utterance(&mut scene, form)?;
    let reply = scene.text(
        "[Thank you for your message|Hello|Dear {person}|We have read your message][.|,] \
         [We will look into it {soon}.|A colleague will call you {soon}.|Please give us {few} minutes.|Please write again {soon}.|]",
    )?;
    let note = scene.text(fact)?;
    Ok(match scene.rng.below(4) {
        0 => message,
        1 => format!(
            "{} writes: \"{message}\"\nThe answer is: \"{reply}\"",
            scene.value("person")?
        ),
        2 => format!("Message: {message}\nReply: {reply} {note}"),
        _ => format!("{message}\n{note}"),
    })
}

fn story(rng: &mut Rng) -> Result<String> {
    let [first, middle, last] = STORY;
    let mut middle = middle.to_vec();
    rng.shuffle(&mut middle);
    let length = rng.between(1, 4);
    let (opening, ending) = (*rng.pick(first), *rng.pick(last));
    Scene::new(rng, Split::Train, &LEXICONS).text(&format!(
        "{opening} {} {ending}",
        middle[..length].join(" ")
    ))
}

fn statements(rng: &mut Rng) -> Result<String> {
    let mut all = STATEMENTS.to_vec();
    rng.shuffle(&mut all);
    let length = rng.between(1, 4);
    let mut texts = Vec::new();
    for statement in &all[..length] {
        texts.push(Scene::new(rng, Split::Train, &LEXICONS).text(statement)?);
    }
    Ok(texts.join(" "))
}

/// A note and what one may ask about it, in prose.
fn questions(rng: &mut Rng) -> Result<String> {
    let note = rng.pick(NOTES);
    let mut asks = note.asks();
    rng.shuffle(&mut asks);
    asks.truncate(2);
    let dialogue = rng.chance(50);
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let mut text = scene.text(note.context)?;
    for (question, answer) in asks {
        let (question, answer) = (scene.text(question)?, scene.expand(answer)?);
        text.push_str(&match dialogue {
            true => format!("\n- {question}\n- {}.", capitalised(&answer)),
            false => format!("\nQuestion: {question} Answer: {answer}"),
        });
    }
    Ok(text)
}

/// Fields as JSON, as lines, as a sentence, or twice, so that the second copy can be read off the first.
fn record(rng: &mut Rng) -> Result<String> {
    let mut fields: Vec<_> = FIELDS.iter().collect();
    rng.shuffle(&mut fields);
    let length = rng.between(2, 5);
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let mut values = Map::new();
    for (key, slot, _) in &fields[..length] {
        values.insert((*key).to_owned(), Value::String(scene.value(slot)?));
    }
    let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{key}: {}", plain(value)))
        .collect();
    let row: Vec<String> = values.values().map(plain).collect();
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    let object = json!(values).to_string();
    Ok(match rng.below(5) {
        0 => object,
        1 => lines.join("\n"),
        2 => format!("{}\n{object}", lines.join("\n")),
        3 => format!("{}\n{}", keys.join(" | "), row.join(" | ")),
        _ => format!("{object}\n{}.", lines.join(", ")),
    })
}

fn list(rng: &mut Rng) -> Result<String> {
    let slot = *rng.pick(&[
        "animal", "food", "place", "thing", "name", "code", "coined", "town", "job", "price",
    ]);
    let length = rng.between(3, 6);
    let style = rng.below(3);
    let title = *rng.pick(&[
        "To buy",
        "Found",
        "My list",
        "Not here",
        "On the table",
        "Next week",
        "Old and new",
    ]);
    let mut scene = Scene::new(rng, Split::Train, &LEXICONS);
    let mut text = format!("{title}:");
    for at in 0..length {
        let item = scene.value(&format!("{slot}.{at}"))?;
        text.push_str(&match style {
            0 => format!("\n- {item}"),
            1 => format!("\n{}. {item}", at + 1),
            _ => format!("{} {item}", if at == 0 { "" } else { "," }),
        });
    }
    Ok(text)
}

fn glossary(domain: &Domain, rng: &mut Rng) -> String {
    let mut words = domain.glossary.to_vec();
    rng.shuffle(&mut words);
    let length = rng.between(1, 4);
    let explained = words[..length].iter().map(|(word, meaning)| {
        let start = *rng.pick(&["A {} is", "The word {} means", "{}:", "We call it {}:"]);
        tidy(&format!("{} {meaning}.", start.replace("{}", word)))
    });
    explained.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::rows::rows;
    use crate::words::{Kind, words_of};

    /// Every text of the corpus: documents, and the turns of conversations.
    fn texts() -> Vec<String> {
        let mut all = Vec::new();
        for file in files().unwrap() {
            for line in std::str::from_utf8(&file.bytes).unwrap().lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                let turns = row["messages"].as_array().cloned().unwrap_or_default();
                let contents = turns
                    .iter()
                    .map(|turn| &turn["content"])
                    .chain([&row["text"]]);
                all.extend(contents.filter_map(|text| text.as_str().map(str::to_owned)));
            }
        }
        all
    }

    fn words(text: &str) -> Vec<String> {
        let word = |part: &str| {
            part.trim_matches(|mark: char| !mark.is_alphanumeric())
                .to_lowercase()
        };
        text.split_whitespace()
            .map(word)
            .filter(|word| !word.is_empty())
            .collect()
    }

    #[test]
    fn no_test_row_and_no_held_out_name_is_in_the_corpus() {
        // What must not occur, by its first word.
        let mut forbidden: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        let mut forbid = |text: &str| {
            let sought = words(text);
            forbidden.entry(sought[0].clone()).or_default().push(sought);
        };
        for &domain in DOMAINS {
            for row in &rows(domain).unwrap()[1] {
                let longest = row.messages[0]
                    .content
                    .lines()
                    .max_by_key(|line| line.len());
                forbid(longest.unwrap());
            }
            for (_, kind) in domain.slots {
                // Names; a held-out word in small letters may be an everyday word.
                if let Kind::Words(list) = kind
                    && list.contains(" / ")
                {
                    let names = words_of(list, Split::Test).into_iter();
                    names
                        .filter(|name| name.starts_with(char::is_uppercase))
                        .for_each(&mut forbid);
                }
            }
        }
        for text in texts() {
            let found = words(&text);
            for at in 0..found.len() {
                for sought in forbidden.get(&found[at]).into_iter().flatten() {
                    assert!(
                        !found[at..].starts_with(sought),
                        "`{}` in `{text}`",
                        sought.join(" ")
                    );
                }
            }
        }
    }

    #[test]
    fn the_files_have_their_rows_and_keep_them_apart() {
        let files = files().unwrap();
        for (file, rows) in files.iter().zip(ROWS) {
            assert_eq!(file.rows, rows);
        }
        let lines = |at: usize| {
            std::str::from_utf8(&files[at].bytes)
                .unwrap()
                .lines()
                .collect::<HashSet<_>>()
        };
        assert!(lines(0).is_disjoint(&lines(1)));
        assert!(lines(2).is_disjoint(&lines(3)));
        let size: usize = files.iter().map(|file| file.bytes.len()).sum();
        assert!((6_000_000..10_000_000).contains(&size), "{size}");
    }

    #[test]
    fn copied_fields_stand_in_their_prompt() {
        let mut rng = Rng::of(&["corpus"]);
        for _ in 0..500 {
            let Some(chat) = chat(&mut rng)
                .unwrap()
                .filter(|chat| chat.task == "copy_fields")
            else {
                continue;
            };
            let [.., prompt, answer] = &chat.messages[..] else {
                panic!("{chat:?}");
            };
            let object: Map<String, Value> = serde_json::from_str(&answer.content).unwrap();
            assert!(
                object
                    .values()
                    .all(|value| prompt.content.contains(value.as_str().unwrap())),
                "{chat:?}"
            );
        }
    }
}
