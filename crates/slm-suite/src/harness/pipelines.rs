//! `filter_list` and `generation_kwargs`.

use std::collections::BTreeMap;

use crate::error::SuiteError;
use crate::filter::{DEFAULT_PATTERN, Extraction, FALLBACK, Pipeline, Step};
use crate::pattern;
use crate::task::Generation;
use crate::yaml::{Entry, Yaml, unknown};

/// Longest text of the harness where a file names none, in tokens.
const MAX_GEN_TOKS: usize = 256;

/// The pipelines of a task; without a list, the one that keeps the first text.
pub(super) fn pipelines(list: Option<&Entry>, repeats: usize) -> Result<Vec<Pipeline>, SuiteError> {
    let Some(list) = list else {
        return Ok(vec![Pipeline::none()]);
    };
    let pipelines = list.tables()?.into_iter().map(|(place, keys)| {
        let find = |key: &str| keys.iter().find(|entry| entry.key == key);
        let missing = |key: &str| SuiteError::MissingKey {
            place: place.clone(),
            key: key.into(),
            reason: "an entry of `filter_list` needs it".into(),
        };
        if let Some(entry) = keys
            .iter()
            .find(|entry| entry.key != "name" && entry.key != "filter")
        {
            return Err(unknown(entry, &["name", "filter"]));
        }
        let filter = find("filter").ok_or_else(|| missing("filter"))?;
        let steps = filter
            .tables()?
            .into_iter()
            .map(|(_, keys)| step(filter, keys));
        let pipeline = Pipeline {
            name: find("name").ok_or_else(|| missing("name"))?.text()?,
            steps: steps.collect::<Result<_, _>>()?,
        };
        pipeline
            .check(repeats)
            .map_err(|reason| filter.needs(&format!("another end: {reason}")))?;
        Ok(pipeline)
    });
    pipelines.collect()
}

fn step(filter: &Entry, keys: &[Entry]) -> Result<Step, SuiteError> {
    let Some(function) = keys.iter().find(|entry| entry.key == "function") else {
        return Err(filter.needs("a `function` in each step"));
    };
    let find = |key: &str| keys.iter().find(|entry| entry.key == key);
    let name = function.text()?;
    let (step, known): (Step, &[&str]) = match name.as_str() {
        "take_first" => (Step::TakeFirst, &["function"]),
        "take_first_k" => {
            let k = find("k").ok_or_else(|| function.needs("a `k` beside it"))?;
            (Step::TakeFirstK(k.count()?), &["function", "k"])
        }
        "majority_vote" => (Step::MajorityVote, &["function"]),
        "remove_whitespace" => (Step::RemoveWhitespace, &["function"]),
        "lowercase" => (Step::Lowercase, &["function"]),
        "uppercase" => (Step::Uppercase, &["function"]),
        "map" => (
            map(function, &find)?,
            &["function", "mapping_dict", "default_value"],
        ),
        "regex" => (
            Step::Regex(extraction(&find)?),
            &["function", "regex_pattern", "group_select", "fallback"],
        ),
        _ => {
            return Err(function.needs(
                "one of `take_first`, `take_first_k`, `majority_vote`, `regex`, `remove_whitespace`, `lowercase`, `uppercase`, `map`",
            ));
        }
    };
    match keys
        .iter()
        .find(|entry| !known.contains(&entry.key.as_str()))
    {
        Some(entry) => Err(unknown(entry, known)),
        None => Ok(step),
    }
}

fn extraction<'a>(find: &impl Fn(&str) -> Option<&'a Entry>) -> Result<Extraction, SuiteError> {
    let regex = match find("regex_pattern") {
        None => pattern::compile(DEFAULT_PATTERN).ok(),
        Some(entry) => {
            let regex = pattern::compile(&entry.text()?);
            Some(regex.map_err(|reason| entry.needs(&format!("a regular expression: {reason}")))?)
        }
    };
    let regex = regex.expect("the harness's own pattern compiles");
    Ok(Extraction {
        regex,
        select: find("group_select").map_or(Ok(0), Entry::integer)?,
        fallback: find("fallback").map_or_else(|| Ok(FALLBACK.into()), Entry::text)?,
    })
}

fn map<'a>(
    function: &Entry,
    find: &impl Fn(&str) -> Option<&'a Entry>,
) -> Result<Step, SuiteError> {
    let table = find("mapping_dict").ok_or_else(|| function.needs("a `mapping_dict` beside it"))?;
    let pairs = table
        .table()?
        .iter()
        .map(|entry| Ok((entry.key.clone(), entry.text()?)));
    let pairs: BTreeMap<String, String> = pairs.collect::<Result<_, SuiteError>>()?;
    let default = find("default_value").map_or(Ok(None), Entry::optional_text)?;
    Ok(Step::Map(pairs, default))
}

/// How texts are written; without `until`, up to what separates examples.
pub(super) fn generation(
    kwargs: Option<&Entry>,
    separator: &str,
) -> Result<Generation, SuiteError> {
    let mut generation = Generation {
        stop: vec![separator.into()],
        max_new_tokens: MAX_GEN_TOKS,
        temperature: 0.0,
        top_p: 1.0,
    };
    let mut samples = None;
    for entry in kwargs.map_or(Ok(&[][..]), Entry::table)? {
        if matches!(entry.node.value, Yaml::Null) {
            continue;
        }
        match entry.key.as_str() {
            "until" => generation.stop = entry.texts()?,
            "max_gen_toks" | "max_new_tokens" | "max_tokens" | "max_completion_tokens" => {
                generation.max_new_tokens = entry.count()?.max(1);
            }
            "do_sample" => samples = Some(entry.boolean()?),
            "temperature" => generation.temperature = entry.float()?,
            "top_p" => generation.top_p = entry.float()?,
            _ => {
                let known = ["until", "max_gen_toks", "do_sample", "temperature", "top_p"];
                return Err(unknown(entry, &known));
            }
        }
    }
    match samples {
        Some(false) => generation.temperature = 0.0,
        // Hugging Face samples at temperature 1 where nothing else is said.
        Some(true) if generation.temperature == 0.0 => generation.temperature = 1.0,
        _ => {}
    }
    Ok(generation)
}
