//! Numbers for people.

use crate::measure_name::MeasureName;

/// A count with thousands set apart: `9,002`.
pub(super) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes: `1.4 MB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A figure: a share in per cent, anything else with about four digits.
pub(super) fn figure(name: &MeasureName, value: f64) -> String {
    if name.is_share() {
        format!("{:.1} %", value * 100.0)
    } else {
        plain(value)
    }
}

/// A difference of two figures, with its sign; of shares in points.
pub(super) fn difference(name: &MeasureName, value: f64) -> String {
    let text = if name.is_share() {
        format!("{:.1}", value.abs() * 100.0)
    } else {
        plain(value.abs())
    };
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = match value {
        _ if is_zero => "±",
        v if v < 0.0 => "−",
        _ => "+",
    };
    format!("{sign}{text}")
}

/// A p-value: `p = 0.013`, or less than 0.001, as markup.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p &lt; 0.001".into()
    } else {
        format!("p = {p:.3}")
    }
}

/// About four digits.
pub(super) fn plain(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{value:.2e}"),
        v if v >= 1000.0 => count(value.round() as usize),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A number on an axis whose steps are `step` wide: as many decimals as tell two ticks apart.
pub(super) fn tick(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if value.abs() < 0.01 || value.abs() >= 1e5 {
        let digits = (value.abs().log10().floor() - step.abs().log10().floor()).max(0.0) as usize;
        return format!("{value:.digits$e}");
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use slm_recipe::MetricName;

    #[test]
    fn counts_and_sizes() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_001), "1,001");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_440_000), "1.4 MB");
        assert_eq!(size(999_960), "1.0 MB");
    }

    #[test]
    fn figures_and_differences() {
        assert_eq!(figure(&MetricName::Accuracy.into(), 0.4945), "49.5 %");
        assert_eq!(figure(&MetricName::Perplexity.into(), 1234.6), "1,235");
        assert_eq!(figure(&MetricName::Loss.into(), 1.23456), "1.235");
        assert_eq!(difference(&MetricName::Accuracy.into(), 0.49), "+49.0");
        assert_eq!(difference(&MetricName::Loss.into(), -1.5), "−1.500");
        assert_eq!(difference(&MetricName::Accuracy.into(), -0.0001), "±0.0");
        assert_eq!(p_value(0.01294), "p = 0.013");
        assert_eq!(p_value(1e-30), "p &lt; 0.001");
    }

    #[test]
    fn ticks_tell_each_other_apart() {
        assert_eq!(tick(0.5, 0.25), "0.5");
        assert_eq!(tick(2.0, 1.0), "2");
        assert_eq!(tick(0.0002, 0.0001), "2e-4");
        assert_eq!(tick(0.00015, 0.00005), "1.5e-4");
    }
}
