//! What the cards promise, checked on the rows of every domain.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};

use crate::baseline::nearest_message;
use crate::domain::Domain;
use crate::files::DOMAINS;
use crate::rows::{FIXED_ANSWERS, Row, TASKS, labels, row_count, rows};
use crate::words::Split;

fn all() -> Vec<(&'static Domain, [Vec<Row>; 2])> {
    DOMAINS
        .iter()
        .map(|&domain| (domain, rows(domain).unwrap()))
        .collect()
}

fn of_task<'a>(rows: &'a [Row], task: &str) -> Vec<&'a Row> {
    rows.iter().filter(|row| row.task == task).collect()
}

fn prompt(row: &Row) -> &str {
    &row.messages[0].content
}

fn answer(row: &Row) -> &str {
    &row.messages[1].content
}

fn fields(row: &Row) -> Map<String, Value> {
    serde_json::from_str(answer(row)).unwrap()
}

/// Whether `text` has `value` as whole words: `5 March` does not stand in `15 March`.
fn stands_in(text: &str, value: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    text.match_indices(value).any(|(at, _)| {
        edge(text[..at].chars().next_back()) && edge(text[at + value.len()..].chars().next())
    })
}

#[test]
fn every_domain_has_the_rows_that_its_card_names() {
    for (domain, splits) in all() {
        for (rows, split) in splits.iter().zip([Split::Train, Split::Test]) {
            for task in TASKS {
                assert_eq!(
                    of_task(rows, task).len(),
                    row_count(task, split),
                    "{}",
                    domain.name
                );
            }
        }
        assert!(
            splits[0].len() + splits[1].len() >= 1_500,
            "{}",
            domain.name
        );
    }
}

#[test]
fn no_row_is_repeated_within_or_across_the_splits() {
    for (domain, splits) in all() {
        let mut seen = HashSet::new();
        for row in splits.iter().flatten() {
            assert!(
                seen.insert(prompt(row).to_lowercase()),
                "{}: {}",
                domain.name,
                prompt(row)
            );
        }
    }
}

#[test]
fn no_template_crosses_the_splits() {
    for (domain, [train, test]) in all() {
        let groups = |rows: &[Row]| {
            rows.iter()
                .map(|row| row.group.clone())
                .collect::<BTreeSet<_>>()
        };
        assert!(
            groups(&train).is_disjoint(&groups(&test)),
            "{}",
            domain.name
        );
        for intent in domain.intents {
            assert!(
                intent
                    .held_out
                    .iter()
                    .all(|form| !intent.train.contains(form)),
                "{}",
                intent.label
            );
        }
    }
}

#[test]
fn every_value_stands_in_the_prompt_and_keys_have_one_order() {
    for (domain, splits) in all() {
        for row in splits
            .iter()
            .flatten()
            .filter(|row| row.task == "extraction")
        {
            let object = fields(row);
            for value in object.values() {
                assert!(
                    prompt(row).contains(value.as_str().unwrap()),
                    "{}",
                    prompt(row)
                );
            }
            let keys: Vec<&str> = object.keys().map(String::as_str).collect();
            assert!(
                prompt(row).contains(&keys.join(", ")),
                "{}: {}",
                domain.name,
                prompt(row)
            );
            assert!(
                domain
                    .extractions
                    .iter()
                    .any(|extraction| extraction.keys == keys)
            );
        }
    }
}

#[test]
fn no_value_of_a_test_extraction_occurs_in_training() {
    for (domain, [train, test]) in all() {
        let values = |rows: &[Row]| -> BTreeSet<String> {
            let objects = of_task(rows, "extraction").into_iter().map(fields);
            objects
                .flat_map(|object| {
                    object
                        .into_iter()
                        .map(|(_, value)| value.as_str().unwrap().to_owned())
                })
                .collect()
        };
        let (known, asked) = (values(&train), values(&test));
        let shared: Vec<&String> = known.intersection(&asked).collect();
        assert!(shared.is_empty(), "{}: {shared:?}", domain.name);
        // A short number may stand in a date or an address; a longer value must not stand anywhere.
        for value in asked.iter().filter(|value| value.len() > 6) {
            let found = train.iter().find(|row| stands_in(prompt(row), value));
            assert!(found.is_none(), "{}: `{value}` in {found:?}", domain.name);
        }
    }
}

#[test]
fn labels_are_balanced_and_all_occur() {
    for (domain, splits) in all() {
        for rows in &splits {
            let mut counts = BTreeMap::new();
            for row in of_task(rows, "intent") {
                *counts.entry(answer(row)).or_insert(0usize) += 1;
            }
            assert_eq!(counts.len(), labels(domain).len(), "{}", domain.name);
            let (least, most) = (
                counts.values().min().unwrap(),
                counts.values().max().unwrap(),
            );
            assert!(most - least <= 1, "{}: {counts:?}", domain.name);
        }
    }
}

#[test]
fn answers_are_spans_or_fixed_and_all_kinds_occur() {
    for (domain, splits) in all() {
        for rows in &splits {
            let rows = of_task(rows, "answer");
            for row in &rows {
                let fixed = FIXED_ANSWERS.contains(&answer(row));
                assert!(
                    fixed || prompt(row).contains(answer(row)),
                    "{}",
                    prompt(row)
                );
            }
            let share = |fixed: &str| {
                rows.iter().filter(|row| answer(row) == fixed).count() * 100 / rows.len()
            };
            assert!(share("yes") < 25 && share("no") < 25, "{}", domain.name);
            assert!(share("yes") > 2 && share("no") > 2, "{}", domain.name);
        }
    }
}

#[test]
fn prompts_are_short() {
    for (domain, splits) in all() {
        let words: Vec<usize> = splits
            .iter()
            .flatten()
            .map(|row| prompt(row).split_whitespace().count())
            .collect();
        let short = words.iter().filter(|&&n| n <= 50).count();
        assert!(short * 100 >= words.len() * 98, "{}", domain.name);
        assert!(words.iter().all(|&n| n < 80), "{}", domain.name);
    }
}

#[test]
fn the_same_rows_come_every_time() {
    for &domain in DOMAINS {
        assert_eq!(
            rows(domain).unwrap(),
            rows(domain).unwrap(),
            "{}",
            domain.name
        );
    }
}

#[test]
fn memorising_the_training_messages_does_not_solve_the_test() {
    for (domain, [train, test]) in all() {
        let (right, rows) = nearest_message(&train, &test);
        assert!(
            right * 100 < rows * 85,
            "{}: {right} of {rows}",
            domain.name
        );
    }
}
