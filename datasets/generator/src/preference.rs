//! Judged answers: each message of a domain with its intent, and with one that is not its own.

use anyhow::Result;
use serde::Serialize;

use crate::card::{Listed, file_table};
use crate::domain::Domain;
use crate::files::Planned;
use crate::retail::RETAIL;
use crate::rng::Rng;
use crate::rows::{Row, Turn, labels, rows};

/// The domain whose intents are judged.
pub(crate) const JUDGED: &Domain = &RETAIL;
/// The folder under `datasets/`.
const FOLDER: &str = "preference";

/// One line: a prompt with a better and a worse answer, in the form that TRL reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pair {
    pub(crate) id: String,
    /// The template that the prompt comes from.
    pub(crate) group: String,
    pub(crate) prompt: Vec<Turn>,
    pub(crate) chosen: Vec<Turn>,
    pub(crate) rejected: Vec<Turn>,
}

/// `preference/` with its card.
pub(crate) fn files() -> Result<Vec<Planned>> {
    let splits = rows(JUDGED)?;
    let mut files = Vec::new();
    for (name, rows) in ["train", "test"].iter().zip(&splits) {
        let path = format!("{FOLDER}/{name}.jsonl");
        files.push(Planned::json_lines(&path, &pairs(rows, name))?);
    }
    let listed: Vec<Listed> = files.iter().map(Planned::listed).collect();
    let card = card(&listed, &pairs(&splits[1], "test")[0]);
    files.push(Planned::text(&format!("{FOLDER}/README.md"), card));
    Ok(files)
}

/// The intent rows as pairs; the worse answer is any other label.
pub(crate) fn pairs(rows: &[Row], split: &str) -> Vec<Pair> {
    let labels = labels(JUDGED);
    let mut rng = Rng::of(&[FOLDER, JUDGED.name, split]);
    let intents = rows.iter().filter(|row| row.task == "intent");
    intents
        .map(|row| {
            let [prompt, answer] = [&row.messages[..1], &row.messages[1..]];
            let mut others = labels.clone();
            others.retain(|label| *label != answer[0].content);
            let wrong = (*rng.pick(&others)).to_owned();
            Pair {
                id: row.id.clone(),
                group: row.group.clone(),
                prompt: prompt.to_vec(),
                chosen: answer.to_vec(),
                rejected: vec![Turn {
                    content: wrong,
                    ..answer[0].clone()
                }],
            }
        })
        .collect()
}

fn card(files: &[Listed], example: &Pair) -> String {
    let domain = JUDGED.name;
    let example = serde_json::to_string(example).unwrap_or_default();
    format!(
        "# Preference\n\n\
         Judged answers, to try DPO, ORPO and KTO with: the intent rows of [{domain}](../{domain}/README.md), each with its label as \
         the chosen answer and another label, drawn at random, as the rejected one. The splits are those of {domain}, and so are \
         origin and limits.\n\n\
         Make it again, byte for byte, with `cargo run --release -p slm-datasets`. The material is in \
         `datasets/generator/src/preference.rs`.\n\n\
         Licence: CC0-1.0, no rights reserved.\n\n## Files\n\n{}\n\
         ## Columns\n\n\
         | column | what |\n|---|---|\n\
         | `id`, `group` | those of the row that it was made from |\n\
         | `prompt` | the `user` turn |\n\
         | `chosen` | the `assistant` turn with the label of the message |\n\
         | `rejected` | the same with one of the nine other labels |\n\n\
         ```json\n{example}\n```\n\n## Limits\n\n\
         - The worse answer is wrong, never merely worse: what people find better is not in here.\n",
        file_table(files)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_answer_is_the_label_and_the_worse_one_is_another() {
        let splits = rows(JUDGED).unwrap();
        let labels = labels(JUDGED);
        for (name, rows) in ["train", "test"].iter().zip(&splits) {
            let pairs = pairs(rows, name);
            assert_eq!(pairs.len(), rows.len() / 2);
            for pair in pairs {
                let row = rows.iter().find(|row| row.id == pair.id).unwrap();
                let (right, wrong) = (&pair.chosen[0].content, &pair.rejected[0].content);
                assert_eq!([&pair.prompt[..], &pair.chosen].concat(), row.messages);
                assert_ne!(right, wrong);
                assert!(labels.contains(&wrong.as_str()), "{wrong}");
            }
        }
    }
}
