//! How far memorising gets: the label of the most similar training message.

use std::collections::BTreeSet;

use crate::rows::Row;

/// Right answers and rows, for the intent rows of `test`: each gets the label of the training message with which it
/// shares the most words, counted as shared words over all words of the two.
pub(crate) fn nearest_message(train: &[Row], test: &[Row]) -> (usize, usize) {
    let known: Vec<(BTreeSet<String>, &str)> = intents(train).collect();
    let (mut right, mut rows) = (0, 0);
    for (words, label) in intents(test) {
        rows += 1;
        right += usize::from(nearest(&words, &known) == Some(label));
    }
    (right, rows)
}

fn intents(rows: &[Row]) -> impl Iterator<Item = (BTreeSet<String>, &str)> {
    let rows = rows.iter().filter(|row| row.task == "intent");
    rows.map(|row| {
        (
            words(message(&row.messages[0].content)),
            row.messages[1].content.as_str(),
        )
    })
}

/// The customer's message without the words that ask for its intent.
fn message(prompt: &str) -> &str {
    let line = prompt
        .trim_end_matches("\nIntent:")
        .lines()
        .last()
        .unwrap_or_default();
    let asked = ["Classify the intent: ", "Message: "];
    asked
        .iter()
        .find_map(|start| line.strip_prefix(start))
        .unwrap_or(line)
}

fn words(text: &str) -> BTreeSet<String> {
    let parts = text.split(|mark: char| !mark.is_alphanumeric() && mark != '\'');
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn nearest<'a>(words: &BTreeSet<String>, known: &[(BTreeSet<String>, &'a str)]) -> Option<&'a str> {
    let mut best = (0, 1, None);
    for (other, label) in known {
        let shared = words.intersection(other).count();
        let all = words.len() + other.len() - shared;
        // Fractions compared without rounding, so that the card is the same everywhere.
        if shared * best.1 > best.0 * all {
            best = (shared, all, Some(*label));
        }
    }
    best.2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Turn;

    fn row(prompt: &str, label: &str) -> Row {
        let messages = Turn::pair(prompt.to_owned(), label.to_owned());
        Row {
            id: String::new(),
            task: "intent",
            group: String::new(),
            messages,
        }
    }

    #[test]
    fn the_label_comes_from_the_message_with_the_most_shared_words() {
        let train = [
            row("Classify the intent: where is my lamp", "track"),
            row("Message: send back my lamp\nIntent:", "return"),
        ];
        let test = [
            row("Which intent is it: track, return?\nWhere is it?", "track"),
            row(
                "What is the intent of this message?\nI send it back",
                "track",
            ),
        ];
        assert_eq!(nearest_message(&train, &test), (1, 2));
    }
}
