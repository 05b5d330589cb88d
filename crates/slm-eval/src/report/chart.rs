//! Line charts as SVG.
//!
//! The drawing is stretched to the width of the page (`preserveAspectRatio="none"`, strokes that do not scale) and the labels are HTML at
//! percentages beside it, so that text is as large on a telephone as on a wide screen.

use super::markup::escape;
use super::numbers::{count, plain, tick};

/// Points per line beyond which a line is thinned: more would not be seen.
const MOST_POINTS: usize = 1200;
/// Hover strips per chart.
const MOST_STRIPS: usize = 160;

/// One line of a chart.
pub(super) struct Line<'a> {
    /// What it is called in the key.
    pub(super) name: &'a str,
    /// Class in the style sheet: its colour.
    pub(super) class: &'a str,
    /// `(step, value)`, by step.
    pub(super) points: Vec<(f64, f64)>,
    /// Whether each point has a dot.
    pub(super) dots: bool,
}

/// Where values lie on one axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// From the lowest to the highest value, the ends on ticks where `round`.
    pub(super) fn over(values: impl Iterator<Item = f64>, most_ticks: usize, round: bool) -> Self {
        let (mut low, mut high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low == high {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low, high) = (low - room, high + room);
        }
        let step = nice_step((high - low) / most_ticks as f64);
        if round {
            (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        }
        Self { low, high, step }
    }

    /// Place of a value, 0 to 1000.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low) * 1000.0
    }

    pub(super) fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * self.step).collect()
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0);
    factor * power
}

/// A chart of some lines over steps; empty when no line has a point.
pub(super) fn chart(title: &str, lines: &[Line<'_>]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    if points().next().is_none() {
        return String::new();
    }
    let x = Axis::over(points().map(|point| point.0), 6, false);
    let y = Axis::over(points().map(|point| point.1), 5, true);
    let key: String = match lines {
        [_] => String::new(),
        _ => lines.iter().map(key_entry).collect(),
    };
    let grid: String = y
        .ticks()
        .iter()
        .map(|value| format!("M0 {:.1}H1000", 1000.0 - y.place(*value)))
        .collect();
    let drawn: String = lines.iter().map(|line| draw(line, &x, &y)).collect();
    let y_labels: String = y
        .ticks()
        .iter()
        .map(|value| {
            format!(
                "<span style=\"bottom:{:.2}%\">{}</span>",
                y.place(*value) / 10.0,
                tick(*value, y.step)
            )
        })
        .collect();
    let x_labels: String = x
        .ticks()
        .iter()
        .filter(|value| value.fract() == 0.0)
        .map(|value| {
            format!(
                "<span style=\"left:{:.2}%\">{}</span>",
                x.place(*value) / 10.0,
                count(*value as usize)
            )
        })
        .collect();
    format!(
        "<figure class=\"chart\"><figcaption><b>{title}</b>{key}</figcaption>\
         <div class=\"plot\"><div class=\"y\" aria-hidden=\"true\">{y_labels}</div>\
         <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <path class=\"grid\" d=\"{grid}\"/>{drawn}{}</svg>\
         <div class=\"x\" aria-hidden=\"true\">{x_labels}</div></div></figure>\n",
        escape(&summary(title, lines)),
        strips(lines, &x),
        title = escape(title),
    )
}

fn key_entry(line: &Line<'_>) -> String {
    format!(
        "<span class=\"key {}\"><i></i>{}</span>",
        line.class,
        escape(line.name)
    )
}

/// What a chart shows, for those who do not see it.
fn summary(title: &str, lines: &[Line<'_>]) -> String {
    let parts: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let (first, last) = (line.points.first()?, line.points.last()?);
            Some(format!(
                "{} from {} at step {} to {} at step {}",
                line.name,
                tick_value(first.1),
                first.0,
                tick_value(last.1),
                last.0
            ))
        })
        .collect();
    format!("{title}: {}", parts.join("; "))
}

fn tick_value(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 {
        format!("{value:.2e}")
    } else {
        plain(value)
    }
}

/// The path of one line; a value that is not finite leaves a gap.
fn draw(line: &Line<'_>, x: &Axis, y: &Axis) -> String {
    let (mut path, mut dots) = (String::new(), String::new());
    let mut pen_down = false;
    for (step, value) in thin(&line.points) {
        if !value.is_finite() {
            pen_down = false;
            continue;
        }
        let (px, py) = (x.place(step), 1000.0 - y.place(value));
        path += &format!("{}{px:.1} {py:.1}", if pen_down { 'L' } else { 'M' });
        pen_down = true;
        if line.dots {
            // A stroke of no length with round ends: a dot that stays round however the drawing is stretched.
            dots += &format!("M{px:.1} {py:.1}h.01");
        }
    }
    let dots = match dots.is_empty() {
        true => String::new(),
        false => format!("<path class=\"dots {}\" d=\"{dots}\"/>", line.class),
    };
    format!("<path class=\"line {}\" d=\"{path}\"/>{dots}", line.class)
}

/// At most about [`MOST_POINTS`] points with the same outline: first, lowest, highest and last of each stretch.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 4);
    let mut kept = Vec::with_capacity(MOST_POINTS);
    for part in points.chunks(stretch) {
        let finite = || (0..part.len()).filter(|i| part[*i].1.is_finite());
        let lowest = finite().min_by(|a, b| part[*a].1.total_cmp(&part[*b].1));
        let highest = finite().max_by(|a, b| part[*a].1.total_cmp(&part[*b].1));
        let gap = (0..part.len()).find(|i| !part[*i].1.is_finite());
        let mut places: Vec<usize> = [Some(0), lowest, highest, gap, Some(part.len() - 1)]
            .into_iter()
            .flatten()
            .collect();
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|i| part[i]));
    }
    kept
}

/// Strips that say, when pointed at, what the lines are there.
fn strips(lines: &[Line<'_>], x: &Axis) -> String {
    let mut steps: Vec<f64> = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.0))
        .collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let every = steps.len().div_ceil(MOST_STRIPS).max(1);
    let steps: Vec<f64> = steps.into_iter().step_by(every).collect();
    let width = 1000.0 / steps.len() as f64;
    steps
        .iter()
        .map(|step| {
            let values: String = lines
                .iter()
                .filter_map(|line| {
                    let at = line.points.partition_point(|point| point.0 <= *step);
                    let (_, value) = line.points.get(at.checked_sub(1)?)?;
                    Some(format!("\n{}: {}", line.name, tick_value(*value)))
                })
                .collect();
            format!(
                "<rect class=\"strip\" x=\"{:.1}\" y=\"0\" width=\"{width:.1}\" height=\"1000\"><title>step {step}{}</title></rect>",
                x.place(*step) - width / 2.0,
                escape(&values)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_on_ticks() {
        let axis = Axis::over([0.13, 4.7].into_iter(), 5, true);
        assert_eq!(axis.ticks(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(axis.place(2.5), 500.0);
        let flat = Axis::over([2e-4, 2e-4].into_iter(), 5, true);
        assert!(flat.low < 2e-4 && 2e-4 < flat.high, "{flat:?}");
        let empty = Axis::over([f64::NAN].into_iter(), 5, true);
        assert_eq!((empty.low, empty.high), (0.0, 1.0));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let line = Line {
            name: "training",
            class: "train",
            points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.0)],
            dots: false,
        };
        let x = Axis::over([0.0, 2.0].into_iter(), 6, false);
        let y = Axis::over([0.0, 1.0].into_iter(), 5, true);
        assert_eq!(
            draw(&line, &x, &y),
            "<path class=\"line train\" d=\"M0.0 0.0M1000.0 1000.0\"/>"
        );
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[5_003].1 = 9.0;
        points[7_001].1 = -3.0;
        let kept = thin(&points);
        assert!(kept.len() <= 2 * MOST_POINTS, "{}", kept.len());
        assert!(kept.contains(&(5_003.0, 9.0)) && kept.contains(&(7_001.0, -3.0)));
        assert_eq!(kept.last(), Some(&(9_999.0, 1.0)));
    }

    #[test]
    fn without_points_there_is_no_chart() {
        assert_eq!(chart("Loss", &[]), "");
    }
}
