//! Rows that give different answers to the same prompt.

use std::collections::BTreeMap;

use slm_recipe::Conflicts;

use super::CleanStep;
use crate::content::Content;
use crate::error::DataError;
use crate::example::{Example, Prompt};
use crate::near::compared;
use crate::plan::Draft;
use crate::survey::{Answers, place_in};

/// Bytes of a key of [`Answers`], and of that with a place.
const KEY: usize = 16;
const PLACED: usize = KEY + 4;

/// Lists them, leaves them out, or refuses them; each with the first that contradicts it.
pub(crate) fn conflicts(
    policy: Conflicts,
    answers: Answers,
    draft: &mut Draft,
) -> Result<(), DataError> {
    if policy == Conflicts::Off {
        return Ok(());
    }
    let mut found: Vec<(usize, usize)> = Vec::new();
    answers.each_group(KEY, &mut |group| {
        let said = group.iter();
        let said = said.map(|record| (place_in(record, KEY), &record[PLACED..]));
        let said: Vec<(usize, &[u8])> = said.filter(|(at, _)| draft.is_kept(*at)).collect();
        let mut firsts: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (at, answer) in &said {
            firsts.entry(answer).or_insert(*at);
        }
        for (at, answer) in &said {
            let others = firsts.iter().filter(|(other, _)| *other != answer);
            found.extend(
                others
                    .map(|(_, first)| *first)
                    .min()
                    .map(|other| (*at, other)),
            );
        }
        Ok(())
    })?;
    found.sort_unstable();
    if policy == Conflicts::Error && !found.is_empty() {
        let origins = found
            .iter()
            .map(|(at, _)| format!("`{}`", draft.facts.origin(*at)));
        return Err(DataError::Conflicts {
            origins: origins.collect(),
            rows: draft.kept(),
        });
    }
    for (at, other) in found {
        let like = Some((other, 1.0));
        match policy {
            Conflicts::Drop => draft.leave_out(at, CleanStep::Conflict, like),
            _ => draft.list(at, CleanStep::Conflict, like),
        }
    }
    Ok(())
}

/// Prompt and answer as they are compared; none where a row has no prompt, or where several answers to it are meant.
pub(crate) fn asked_and_answered(row: &Example) -> Option<(String, String)> {
    if matches!(
        row.content,
        Content::Preference { .. } | Content::Rated { .. }
    ) {
        return None;
    }
    let prompt = match row.content.prompt() {
        Prompt::Chat(chat) => {
            // Roles and tools are part of what is asked.
            let tools = serde_json::to_string(&chat.tools).unwrap_or_default();
            let said = chat.messages.iter();
            let said = said.flat_map(|message| [message.role.as_str(), message.content.as_str()]);
            compared(said.chain([tools.as_str()]))
        }
        Prompt::Text(text) => compared([text.as_str()]),
        Prompt::Tokens { .. } => return None,
    };
    let answer = compared([row.content.target()]);
    (!prompt.is_empty()).then_some((prompt, answer))
}
