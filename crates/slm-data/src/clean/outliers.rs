//! Rows that are unlike the others, or unlike what people write.

use slm_recipe::{OutlierAction, OutlierSection};

use super::CleanStep;
use super::quality::oddities;
use crate::example::Example;
use crate::plan::Draft;

/// What makes the median of absolute deviations a standard deviation where values are normal, as Iglewicz and Hoaglin (1993)
/// write their modified z-score, from whom 3.5 is as well.
const NORMAL: f64 = 0.6745;

/// Lists or leaves out rows with an odd length or odd texts; gives what lengths are usual.
pub(crate) fn outliers(section: &OutlierSection, draft: &mut Draft) -> Option<Lengths> {
    if section.action == OutlierAction::Off {
        return None;
    }
    let lengths = Lengths::of(draft.facts.chars.iter().map(|chars| *chars as usize));
    for at in 0..draft.facts.len() {
        let chars = draft.facts.chars[at] as usize;
        if draft.facts.odd[at] || lengths.are_odd(section, chars) {
            match section.action {
                OutlierAction::Drop => draft.leave_out(at, CleanStep::Outlier, None),
                _ => draft.list(at, CleanStep::Outlier, None),
            }
        }
    }
    Some(lengths)
}

/// What is odd about a row, for people.
pub(crate) fn reasons(section: &OutlierSection, lengths: Lengths, row: &Example) -> Vec<String> {
    let chars = row.content.chars();
    let length = lengths.are_odd(section, chars).then(|| {
        let z = lengths.z(chars);
        format!("{chars} characters (z {z:.1})")
    });
    let odd = oddities(section, &row.content.said());
    length.into_iter().chain(odd).collect()
}

/// Median of the logarithms of lengths, and of how far they are from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lengths {
    median: f64,
    deviation: f64,
}

impl Lengths {
    /// Of characters; rows without any have no logarithm.
    fn of(chars: impl Iterator<Item = usize>) -> Self {
        let mut logarithms: Vec<f64> = chars
            .filter(|chars| *chars > 0)
            .map(|chars| (chars as f64).ln())
            .collect();
        let median = median(&mut logarithms);
        let away = logarithms
            .iter()
            .map(|logarithm| (logarithm - median).abs());
        Self {
            median,
            deviation: self::median(&mut away.collect::<Vec<_>>()),
        }
    }

    fn are_odd(self, section: &OutlierSection, chars: usize) -> bool {
        section.max_length_z > 0.0 && self.z(chars).abs() > section.max_length_z
    }

    /// The robust z-score of a length; 0 where most rows have the same one.
    fn z(self, chars: usize) -> f64 {
        match self.deviation > 0.0 && chars > 0 {
            true => NORMAL * ((chars as f64).ln() - self.median) / self.deviation,
            false => 0.0,
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_scores_by_hand() {
        // Logarithms to base 2 are 1, 2, 3, 4, 5: the median is 3, the deviations 2, 1, 0, 1, 2 have the median 1.
        let lengths = Lengths::of([2, 4, 8, 16, 32].into_iter());
        assert!((lengths.z(1024) - NORMAL * 7.0).abs() < 1e-12);
        assert!((lengths.z(1) + NORMAL * 3.0).abs() < 1e-12);
        assert_eq!(lengths.z(0), 0.0);
        assert_eq!(Lengths::of([7, 7, 7, 900].into_iter()).z(900), 0.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
