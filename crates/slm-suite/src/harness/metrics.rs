//! `metric_list`.

use slm_recipe::{OutputType, Place};

use crate::error::SuiteError;
use crate::measure::{Aggregation, Measure, Measured};
use crate::pattern;
use crate::yaml::{Entry, unknown};

/// What is measured: what the list names, or what the harness measures without one.
pub(super) fn measured(
    list: Option<&Entry>,
    output_type: OutputType,
) -> Result<Vec<Measured>, SuiteError> {
    let Some(list) = list else {
        let measures = Measure::defaults(output_type).iter();
        let measures = measures.filter_map(|name| Measure::of(name, output_type));
        return Ok(measures.map(Measured::plain).collect());
    };
    let metrics = list.tables()?;
    metrics
        .into_iter()
        .map(|(place, keys)| metric(place, keys, output_type))
        .collect()
}

fn metric(place: &Place, keys: &[Entry], output_type: OutputType) -> Result<Measured, SuiteError> {
    let Some(entry) = keys.iter().find(|entry| entry.key == "metric") else {
        return Err(SuiteError::MissingKey {
            place: place.clone(),
            key: "metric".into(),
            reason: "an entry of `metric_list` needs a name".into(),
        });
    };
    let name = entry.text()?;
    let Some(measure) = Measure::of(&name, output_type) else {
        let names: Vec<String> = Measure::names(output_type)
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        return Err(entry.needs(&format!(
            "one of {} for this `output_type`",
            names.join(", ")
        )));
    };
    let mut measured = Measured::plain(measure);
    for entry in keys.iter().filter(|entry| entry.key != "metric") {
        read(entry, &name, &mut measured)?;
    }
    Ok(measured)
}

fn read(entry: &Entry, name: &str, measured: &mut Measured) -> Result<(), SuiteError> {
    match (entry.key.as_str(), &mut measured.measure) {
        ("higher_is_better", _) => measured.higher_is_better = entry.boolean()?,
        ("aggregation", measure) => {
            let own = match measure {
                Measure::Bleu => "bleu",
                Measure::Chrf => "chrf",
                Measure::F1 => "f1",
                Measure::Mcc => "matthews_corrcoef",
                Measure::BrierScore => "brier_score",
                Measure::Perplexity => "perplexity",
                Measure::WordPerplexity | Measure::BytePerplexity => "weighted_perplexity",
                Measure::BitsPerByte => "bits_per_byte",
                _ => "mean",
            };
            match entry.text()?.as_str() {
                text if text == own => {}
                "nanmean" if own == "mean" => {}
                "median" if own == "mean" => measured.aggregation = Aggregation::Median,
                _ => return Err(entry.needs(&format!("`{own}`, by which `{name}` is aggregated"))),
            }
        }
        // Ours and that of the package `evaluate` are one.
        ("hf_evaluate", Measure::ExactMatch(_)) => {
            entry.boolean()?;
        }
        ("ignore_case", Measure::ExactMatch(rules)) => rules.ignore_case = entry.boolean()?,
        ("ignore_punctuation", Measure::ExactMatch(rules)) => {
            rules.ignore_punctuation = entry.boolean()?
        }
        ("ignore_numbers", Measure::ExactMatch(rules)) => rules.ignore_numbers = entry.boolean()?,
        ("regexes_to_ignore", Measure::ExactMatch(rules)) => {
            let regexes = entry.texts()?;
            let regexes = regexes.iter().map(|regex| pattern::compile(regex));
            rules.regexes_to_ignore = regexes
                .collect::<Result<_, _>>()
                .map_err(|reason| entry.needs(&format!("regular expressions: {reason}")))?;
        }
        (_, Measure::ExactMatch(_)) => {
            let known = [
                "aggregation",
                "higher_is_better",
                "ignore_case",
                "ignore_punctuation",
                "ignore_numbers",
                "regexes_to_ignore",
            ];
            return Err(unknown(entry, &known));
        }
        _ => return Err(unknown(entry, &["aggregation", "higher_is_better"])),
    }
    Ok(())
}
