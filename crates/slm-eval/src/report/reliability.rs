//! Whether probabilities mean what they say: the reliability curve, and what a calibrated classifier does.

use slm_metrics::{CALIBRATION_BINS, Confidence, ReliabilityBin, reliability};

use super::markup::escape;
use super::numbers::count;
use crate::calibration::{Calibration, Figure};
use crate::task_report::TaskReport;

/// The curve of a task that scores choices, and its classifier; empty for other tasks.
pub(super) fn section(report: &TaskReport) -> String {
    let answers = report.answers();
    let scored = answers.samples.iter().filter_map(|it| answers.scored(it));
    let confidences: Vec<Confidence> = scored.map(|it| it.confidence(1.0)).collect();
    if confidences.is_empty() {
        return String::new();
    }
    let curves = match &report.calibration {
        None => vec![("as scored", "base", reliability(&confidences))],
        Some(it) => vec![
            ("as scored", "base", it.reliability_before.clone()),
            ("calibrated", "tuned", it.reliability_after.clone()),
        ],
    };
    let classifier = report.calibration.as_ref().map(classifier);
    format!(
        "<h3>Probabilities</h3><div class=\"labels\">{}{}</div>",
        curve(&curves),
        classifier.unwrap_or_default()
    )
}

fn curve(curves: &[(&str, &str, Vec<ReliabilityBin>)]) -> String {
    let key: String = curves
        .iter()
        .map(|(name, class, _)| format!("<span class=\"key {class}\"><i></i>{name}</span>"))
        .collect();
    let drawn: String = curves
        .iter()
        .map(|(name, class, bins)| line(name, class, bins))
        .collect();
    let labels = |axis: &str| -> String {
        [0, 25, 50, 75, 100]
            .iter()
            .map(|at| format!("<span style=\"{axis}:{at}%\">{at}</span>"))
            .collect()
    };
    format!(
        "<figure class=\"chart reliability\"><figcaption><b>Right answers by confidence, %</b>{key}</figcaption>\
         <div class=\"plot\"><div class=\"y\" aria-hidden=\"true\">{}</div>\
         <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <path class=\"grid\" d=\"M0 0H1000M0 250H1000M0 500H1000M0 750H1000M0 1000H1000\"/>\
         <path class=\"ideal\" d=\"M0 1000L1000 0\"/>{drawn}</svg>\
         <div class=\"x\" aria-hidden=\"true\">{}</div></div>\
         <p class=\"foot\">Up to {CALIBRATION_BINS} bins of equal width, upright lines are 95 % intervals by Wilson; on the slanted line confidence is what it says.</p></figure>",
        labels("bottom"),
        escape(&summary(curves)),
        labels("left"),
    )
}

fn line(name: &str, class: &str, bins: &[ReliabilityBin]) -> String {
    let (mut path, mut dots, mut bars, mut hints) =
        (String::new(), String::new(), String::new(), String::new());
    for (at, bin) in bins.iter().enumerate() {
        let place = |share: f64| 1000.0 - 1000.0 * share;
        let (x, y) = (1000.0 * bin.confidence, place(bin.accuracy));
        path += &format!("{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
        dots += &format!("M{x:.1} {y:.1}h.01");
        bars += &format!(
            "M{x:.1} {:.1}V{:.1}",
            place(bin.interval.low),
            place(bin.interval.high)
        );
        hints += &format!(
            "<rect class=\"strip\" x=\"{:.1}\" y=\"{:.1}\" width=\"30\" height=\"60\"><title>{name}: {} items, confidence {:.1} %, right {:.1} %</title></rect>",
            x - 15.0,
            y - 30.0,
            count(bin.n),
            100.0 * bin.confidence,
            100.0 * bin.accuracy
        );
    }
    format!(
        "<path class=\"bars {class}\" d=\"{bars}\"/><path class=\"line {class}\" d=\"{path}\"/><path class=\"dots {class}\" d=\"{dots}\"/>{hints}"
    )
}

/// The curve for those who do not see it.
fn summary(curves: &[(&str, &str, Vec<ReliabilityBin>)]) -> String {
    let parts: Vec<String> = curves
        .iter()
        .map(|(name, _, bins)| {
            let bins: Vec<String> = bins
                .iter()
                .map(|bin| {
                    format!(
                        "{:.0} % at {:.0} %",
                        100.0 * bin.accuracy,
                        100.0 * bin.confidence
                    )
                })
                .collect();
            format!("{name}: right {}", bins.join(", "))
        })
        .collect();
    parts.join("; ")
}

fn classifier(it: &Calibration) -> String {
    let percent = |figure: &Figure| {
        format!(
            "{:.1} %<small>{:.1} to {:.1}</small>",
            100.0 * figure.value,
            100.0 * figure.interval.low,
            100.0 * figure.interval.high
        )
    };
    let fitted = &it.classifier;
    let promised = 100.0 * fitted.coverage;
    let mut rows = vec![
        (
            "calibration error, as scored".to_owned(),
            percent(&it.error_before),
        ),
        (
            format!("calibration error at temperature {:.3}", fitted.temperature),
            percent(&it.error_after),
        ),
        (
            "loss of the right label, nats".into(),
            format!("{:.3} → {:.3}", it.loss_before, it.loss_after),
        ),
        (
            format!("answered, probability above {:.3}", fitted.threshold),
            percent(&it.answered),
        ),
        (
            format!(
                "of all answered wrongly, at most {:.1} % promised",
                100.0 - promised
            ),
            percent(&it.wrong),
        ),
    ];
    if let Some(right) = &it.right_of_answered {
        rows.push(("right of what was answered".into(), percent(right)));
    }
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!("<tr><th scope=\"row\">{name}</th><td class=\"n strong\">{value}</td></tr>")
        })
        .collect();
    let in_test = match it.n_in_test {
        0 => String::new(),
        n => format!(
            " {} rows of the calibration file were not used: the test has their prompts.",
            count(n)
        ),
    };
    format!(
        "<div><table class=\"classifier\"><tbody>{rows}</tbody></table><p class=\"foot\">{} rows set the temperature, {} others the threshold; none is in the test.{in_test} \
         The promise is marginal: it holds on average over rows like these, not for each label.</p></div>",
        count(fitted.n_temperature),
        count(fitted.n_threshold),
    )
}
