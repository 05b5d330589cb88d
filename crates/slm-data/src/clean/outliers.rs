//! Rows that are unlike the others, or unlike what people write.

use rayon::prelude::*;
use slm_recipe::OutlierAction;

use super::quality::oddities;
use super::{CleanRecord, CleanStep, Cleaning};
use crate::example::Example;

/// What makes the median of absolute deviations a standard deviation where values are normal, as Iglewicz and Hoaglin (1993)
/// write their modified z-score, from whom 3.5 is as well.
const NORMAL: f64 = 0.6745;

impl Cleaning<'_> {
    /// Lists or leaves out rows with an odd length or odd texts.
    pub(super) fn outliers(&mut self, rows: Vec<Example>) -> Vec<Example> {
        let section = &self.section.outliers;
        if section.action == OutlierAction::Off {
            return rows;
        }
        let chars: Vec<usize> = rows.par_iter().map(|row| row.content.chars()).collect();
        let lengths = Lengths::of(chars.iter().copied());
        let found = rows.par_iter().zip(chars).filter_map(|(row, chars)| {
            let z = lengths.z(chars);
            let long = section.max_length_z > 0.0 && z.abs() > section.max_length_z;
            let length = long.then(|| format!("{chars} characters (z {z:.1})"));
            let odd = oddities(section, &row.content.said());
            let reasons: Vec<String> = length.into_iter().chain(odd).collect();
            let record = match section.action {
                OutlierAction::Drop => CleanRecord::left_out(row, CleanStep::Outlier, None),
                OutlierAction::Off | OutlierAction::Report => {
                    CleanRecord::listed(row, CleanStep::Outlier, None)
                }
            };
            (!reasons.is_empty() && !row.content.is_tokens())
                .then_some(CleanRecord { reasons, ..record })
        });
        let records: Vec<CleanRecord> = found.collect();
        match section.action {
            OutlierAction::Drop => self.leave_out(rows, records),
            OutlierAction::Off | OutlierAction::Report => {
                self.records.extend(records);
                rows
            }
        }
    }
}

/// Median of the logarithms of lengths, and of how far they are from it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lengths {
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
