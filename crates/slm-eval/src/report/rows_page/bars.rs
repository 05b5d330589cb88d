//! Bars, as SVG that stretches with the page and labels that do not.

use slm_data::Bin;

use super::super::chart::Axis;
use super::super::markup::escape;
use super::super::numbers::{count, tick};

/// Labels below the bars of a histogram.
const MOST_LABELS: usize = 6;

/// Rows by length: a bar for each bin, the largest as high as the chart.
pub(super) fn histogram(title: &str, class: &str, bins: &[Bin]) -> String {
    if bins.is_empty() {
        return String::new();
    }
    let counts = bins.iter().map(|bin| bin.rows as f64);
    let y = Axis::over(counts.chain([0.0]), 4, true);
    let width = 1000.0 / bins.len() as f64;
    let bar = |(at, bin): (usize, &Bin)| {
        let height = y.place(bin.rows as f64);
        format!(
            "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{} to {} tokens: {} rows</title></rect>",
            at as f64 * width + width * 0.04,
            1000.0 - height,
            width * 0.92,
            bin.from,
            bin.to,
            count(bin.rows)
        )
    };
    let drawn: String = bins.iter().enumerate().map(bar).collect();
    let ticks = y.ticks();
    let whole = ticks.iter().filter(|value| value.fract() == 0.0);
    let y_labels: String = whole
        .map(|value| {
            let bottom = y.place(*value) / 10.0;
            format!(
                "<span style=\"bottom:{bottom:.2}%\">{}</span>",
                tick(*value, 1.0)
            )
        })
        .collect();
    let grid: String = ticks
        .iter()
        .map(|value| format!("M0 {:.1}H1000", 1000.0 - y.place(*value)))
        .collect();
    let every = bins.len().div_ceil(MOST_LABELS);
    let x_labels: String = bins
        .iter()
        .enumerate()
        .step_by(every)
        .map(|(at, bin)| {
            let left = (at as f64 + 0.5) * width / 10.0;
            format!("<span style=\"left:{left:.2}%\">{}</span>", bin.from)
        })
        .collect();
    format!(
        "<figure class=\"chart\"><figcaption><b>{title}</b></figcaption>\
         <div class=\"plot\"><div class=\"y\" aria-hidden=\"true\">{y_labels}</div>\
         <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}\">\
         <path class=\"grid\" d=\"{grid}\"/>{drawn}</svg>\
         <div class=\"x\" aria-hidden=\"true\">{x_labels}</div></div></figure>\n",
        title = escape(title)
    )
}

/// A bar with its name.
pub(super) struct Bar {
    /// As markup.
    pub(super) name: String,
    pub(super) value: usize,
    /// What is said of it, as markup.
    pub(super) note: String,
}

/// Lying bars, the longest as wide as there is room.
pub(super) fn bars(names: &str, values: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let row = |bar: &Bar| {
        let width = 100.0 * bar.value as f64 / most as f64;
        let note = match bar.note.is_empty() {
            true => String::new(),
            false => format!("<small>{}</small>", bar.note),
        };
        format!(
            "<tr><th scope=\"row\">{}{note}</th><td class=\"n\">{}</td><td class=\"lying\"><svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect width=\"{width:.2}\" height=\"1\"/></svg></td></tr>",
            bar.name,
            count(bar.value)
        )
    };
    let rows: String = bars.iter().map(row).collect();
    format!(
        "<table class=\"bars\"><thead><tr><th>{names}</th><th class=\"n\">{values}</th><th></th></tr></thead><tbody>{rows}</tbody></table>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_bin_is_as_high_as_its_tick() {
        let bin = |from, rows| Bin {
            from,
            to: from + 1,
            rows,
        };
        let drawn = histogram("Lengths", "train", &[bin(1, 4), bin(3, 2)]);
        assert!(
            drawn.contains("y=\"0.0\" width=\"460.0\" height=\"1000.0\""),
            "{drawn}"
        );
        assert!(
            drawn.contains("y=\"500.0\" width=\"460.0\" height=\"500.0\""),
            "{drawn}"
        );
        assert!(
            drawn.contains("<title>3 to 4 tokens: 2 rows</title>"),
            "{drawn}"
        );
        assert_eq!(histogram("Lengths", "train", &[]), "");
    }

    #[test]
    fn bars_are_shares_of_the_longest() {
        let bar = |value| Bar {
            name: "x".into(),
            value,
            note: String::new(),
        };
        let drawn = bars("label", "rows", &[bar(8), bar(2)]);
        assert!(
            drawn.contains("<rect width=\"100.00\"") && drawn.contains("<rect width=\"25.00\"")
        );
    }
}
