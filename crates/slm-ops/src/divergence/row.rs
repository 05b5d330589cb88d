//! What is done to a row of the student's logits and a row of the teacher's.

use super::Divergence;
use crate::head::moments;
use crate::vector::{LANES, exp, ln, vectorised};

/// A row's softmax, taken apart.
pub(super) struct Softmax {
    pub(super) largest: f32,
    /// ln Σ e^(x − largest)
    pub(super) log_sum: f32,
    pub(super) entropy: f32,
}

impl Softmax {
    pub(super) fn of(row: &[f32]) -> Self {
        let [largest, sum, moment] = moments(row);
        Self {
            largest,
            log_sum: sum.ln(),
            entropy: sum.ln() - moment / sum,
        }
    }

    /// What is subtracted from a logit, one after the other, for the logarithm of its probability.
    pub(super) fn shift(&self) -> [f32; 2] {
        [self.largest, self.log_sum]
    }

    pub(super) fn log_probability(&self, logit: f32) -> f32 {
        logit - self.largest - self.log_sum
    }
}

/// The slope of a cap at a logit.
#[inline(always)]
pub(super) fn slope(logit: f32, bend: f32) -> f32 {
    let bent = logit * bend;
    (-bent).mul_add(bent, 1.0)
}

vectorised! {
    /// The divergence of the softmaxes of two rows, and what the slopes that replace the teacher's are on average (of forward KL:
    /// t itself, and its sum).
    pub(super) fn terms(divergence: Divergence, student: &[f32], teacher: &mut [f32], shifts: [[f32; 2]; 2]) -> [f32; 2] {
        let [of_student, of_teacher] = shifts;
        let log_s = |x: f32| x - of_student[0] - of_student[1];
        let log_t = |x: f32| x - of_teacher[0] - of_teacher[1];
        match divergence {
            Divergence::ForwardKl => replace(student, teacher, |x, y, [sum, mass]| {
                let t = exp(log_t(y));
                (t, [t.mul_add(log_t(y) - log_s(x), sum), mass + t])
            }),
            Divergence::ReverseKl => {
                let [sum, _] = replace(student, teacher, |x, y, [sum, _]| {
                    let slope = log_s(x) - log_t(y);
                    (slope, [exp(log_s(x)).mul_add(slope, sum), 0.0])
                });
                [sum, sum]
            }
            Divergence::JensenShannon { beta } => {
                let (b, rest) = (beta as f32, (1.0 - beta) as f32);
                let [of_teacher, mean] = replace(student, teacher, |x, y, [sum, mean]| {
                    let (s, t) = (exp(log_s(x)), exp(log_t(y)));
                    // Where it is smaller, s and t are nothing, and the logarithm is multiplied by them.
                    let mixed = ln(rest.mul_add(s, b * t).max(f32::MIN_POSITIVE));
                    let slope = log_s(x) - mixed;
                    (slope, [t.mul_add(log_t(y) - mixed, sum), s.mul_add(slope, mean)])
                });
                [b * of_teacher + rest * mean, mean]
            }
            Divergence::TotalVariation => {
                let [sum, mean] = replace(student, teacher, |x, y, [sum, mean]| {
                    let (s, t) = (exp(log_s(x)), exp(log_t(y)));
                    let sign = f32::from(i8::from(s > t) - i8::from(s < t));
                    (sign, [sum + (s - t).abs(), s.mul_add(sign, mean)])
                });
                [0.5 * sum, mean]
            }
        }
    }
}

/// Replaces y by what `f(x, y, sums)` says first, and takes two sums over the rows, in lanes.
#[inline(always)]
fn replace(
    x: &[f32],
    y: &mut [f32],
    f: impl Fn(f32, f32, [f32; 2]) -> (f32, [f32; 2]),
) -> [f32; 2] {
    let (mut a, mut b) = ([0.0f32; LANES], [0.0f32; LANES]);
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks_mut::<LANES>();
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for i in 0..LANES {
            (y[i], [a[i], b[i]]) = f(x[i], y[i], [a[i], b[i]]);
        }
    }
    for (i, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
        (*y, [a[i], b[i]]) = f(*x, *y, [a[i], b[i]]);
    }
    [a.iter().sum(), b.iter().sum()]
}

vectorised! {
    /// The student's logits become weighted gradients, before a cap; `slopes` are of [`terms`], `scales` their mean, the weight
    /// and the bend of the cap.
    pub(super) fn gradients(divergence: Divergence, student: &mut [f32], slopes: &[f32], shift: [f32; 2], scales: [f32; 3]) {
        let [mean, weight, bend] = scales;
        let is_forward = divergence == Divergence::ForwardKl;
        for (x, y) in student.iter_mut().zip(slopes) {
            let s = exp(*x - shift[0] - shift[1]);
            let gradient = match is_forward {
                true => s.mul_add(mean, -*y),
                false => s * (*y - mean),
            };
            *x = gradient * weight * slope(*x, bend);
        }
    }
}

vectorised! {
    /// Logits of what is not among the likeliest become their shares in the gradient of the rest.
    pub(super) fn shares(logits: &mut [f32], shift: [f32; 2], gradient: f32, bend: f32) {
        for x in logits {
            *x = exp(*x - shift[0] - shift[1]) * gradient * slope(*x, bend);
        }
    }
}
