//! Two tokenizers on the same prompts: the texts that their templates render, and the ids that these become.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use slm_text::ChatTokenizer;

use crate::{ExportError, Probe};

/// How an exported tokenizer compares with that of the training.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextComparison {
    /// Prompts that have a text.
    pub prompts: usize,
    /// Those that both templates render to the same bytes.
    pub rendered_alike: usize,
    /// Those that become the same ids.
    pub tokenized_alike: usize,
    /// Ids compared.
    pub tokens: usize,
}

/// Compares `exported` with `trained`: what is found, and what differs.
///
/// Special tokens are compared by themselves, for prompts do not end with them: what comes before and after a text, and what ends an
/// answer.
///
/// # Errors
/// The trained tokenizer cannot encode its own prompts.
pub(crate) fn compare_texts(
    trained: &ChatTokenizer,
    exported: &ChatTokenizer,
    probes: &[Probe],
) -> Result<(TextComparison, Vec<String>), ExportError> {
    let mut faults = special_tokens(trained, exported)?;
    let (mut found, mut first) = (TextComparison::default(), None);
    for probe in probes {
        let Some(expected) = probe.render(trained)? else {
            continue;
        };
        found.prompts += 1;
        let ids = probe.encode(trained, &expected)?;
        found.tokens += ids.len();
        let text = match probe.render(exported) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                first.get_or_insert(format!("`{}` is refused: {error}", probe.origin));
                continue;
            }
        };
        let is_same_text = text == expected;
        found.rendered_alike += usize::from(is_same_text);
        let others = probe.encode(exported, &text)?;
        found.tokenized_alike += usize::from(others == ids);
        if first.is_none() && !is_same_text {
            first = Some(text_difference(&probe.origin, &expected, &text));
        } else if first.is_none() && others != ids {
            first = Some(id_difference(probe, trained, &ids, &others));
        }
    }
    if let Some(first) = first {
        let (n, rendered, tokenized) = (found.prompts, found.rendered_alike, found.tokenized_alike);
        faults.push(format!(
            "{rendered} of {n} prompts are rendered alike and {tokenized} become the same tokens: {first}"
        ));
    }
    Ok((found, faults))
}

fn special_tokens(
    trained: &ChatTokenizer,
    exported: &ChatTokenizer,
) -> Result<Vec<String>, ExportError> {
    let mut faults = Vec::new();
    for (what, trained, exported) in [
        ("BOS", trained.bos_id(), exported.bos_id()),
        ("EOS", trained.eos_id(), exported.eos_id()),
    ] {
        if trained != exported {
            let told = |id: Option<u32>| id.map_or("none".into(), |id| id.to_string());
            let (found, needed) = (told(exported), told(trained));
            faults.push(format!("{what} is {found}, needed {needed}"));
        }
    }
    let stops = |tokenizer: &ChatTokenizer| BTreeSet::from_iter(tokenizer.stop_ids());
    let (found, needed) = (stops(exported), stops(trained));
    if found != needed {
        faults.push(format!("answers end at {found:?}, needed {needed:?}"));
    }
    let (found, needed) = (exported.encode("a", true)?, trained.encode("a", true)?);
    if found != needed {
        faults.push(format!("the text `a` becomes {found:?}, needed {needed:?}"));
    }
    Ok(faults)
}

fn text_difference(origin: &str, expected: &str, found: &str) -> String {
    let alike = expected.chars().zip(found.chars());
    let at = alike.take_while(|(a, b)| a == b).count();
    let rest = |text: &str| -> String { text.chars().skip(at).take(40).collect() };
    format!(
        "`{origin}` is rendered with {:?} where {:?} was trained, from character {at} on",
        rest(found),
        rest(expected)
    )
}

fn id_difference(probe: &Probe, tokenizer: &ChatTokenizer, ids: &[u32], others: &[u32]) -> String {
    let at = ids.iter().zip(others).take_while(|(a, b)| a == b).count();
    let told = |ids: &[u32]| {
        let id = ids.get(at);
        id.map_or("nothing".into(), |&id| {
            format!("{id} ({:?})", tokenizer.token(id))
        })
    };
    format!(
        "`{}` has the token {} where {} was trained, at place {at}",
        probe.origin,
        told(others),
        told(ids)
    )
}
