//! Two heads compared in chunks of burn's primitives.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::{Divergence, Figures, NEVER, Outside, UNUSED};
use crate::HeadShape;
use crate::head::portable::in_chunks;
use crate::loss::Found;

/// As [`super::head_divergence`]; `weights` is `[n]`.
pub(super) fn head_divergence(
    hidden: Tensor<2>,
    head: Tensor<2>,
    teacher: &Outside,
    weights: Tensor<1>,
    figures: &Figures,
) -> Found {
    let vocab = head.dims()[0];
    let (inputs, shape, wants) = ([hidden, head], &figures.shape, figures.wants);
    in_chunks(
        inputs,
        shape,
        weights,
        figures.pull(),
        vocab,
        wants,
        |start, logits, weights| {
            let student = log_softmax(logits.div_scalar(figures.temperature), 1);
            let (scores, gradient) = figures.compare(student, teacher, start);
            (scores, wants.any().then(|| gradient.mul(weights)))
        },
    )
}

impl Figures {
    /// Of the student's log-probabilities `[r, vocab]` and the teacher's rows from `start` on: scores `[r, 3]`, and the gradient
    /// with respect to the logits at the temperature, `[r, vocab]`, without the divergence's factor.
    fn compare(
        &self,
        student: Tensor<2>,
        teacher: &Outside,
        start: usize,
    ) -> (Tensor<2>, Tensor<2>) {
        let rows = student.dims()[0];
        let (divergence, gradient, likeliest) = match teacher {
            Outside::Live(states, head, shape) => {
                let teacher = self.teacher(states.clone().narrow(0, start, rows), head, shape);
                let likeliest = teacher.clone().argmax(1);
                let (divergence, gradient) = self.divergence.of(student.clone(), teacher);
                (divergence, gradient, likeliest)
            }
            Outside::Cached(ids, outcomes) => {
                let ids = ids.clone().narrow(0, start, rows);
                let teacher = outcomes.clone().narrow(0, start, rows);
                let top = teacher.clone().narrow(1, 0, ids.dims()[1]);
                let likeliest = ids.clone().gather(1, top.clone().argmax(1));
                let seen = Seen::new(&student, ids, top.greater_elem(UNUSED).float());
                let outcomes = seen.outcomes(&student, teacher.dims()[1]);
                let (divergence, gradient) = self.divergence.of(outcomes, teacher);
                (divergence, seen.spread(gradient), likeliest)
            }
        };
        let entropy = student.clone().exp().mul(student.clone()).sum_dim(1).neg();
        let of_likeliest = student.clone().gather(1, likeliest);
        let agrees = of_likeliest.greater_equal(student.max_dim(1)).float();
        let scores = Tensor::cat(vec![divergence, entropy, agrees], 1);
        (scores, gradient)
    }

    /// A live teacher's log-probabilities: `[r, vocab]`.
    fn teacher(&self, states: Tensor<2>, head: &Tensor<2>, shape: &HeadShape) -> Tensor<2> {
        let logits = shape.logits(states, head.clone());
        log_softmax(logits.div_scalar(self.temperature), 1)
    }
}

impl Divergence {
    /// Of log-probabilities `[r, m]`: the divergence `[r, 1]` and its gradient with respect to the student's logits `[r, m]`, without
    /// the factor.
    fn of(self, student: Tensor<2>, teacher: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let (s, t) = (student.clone().exp(), teacher.clone().exp());
        // The divergence, and what s is multiplied by in the gradient, up to a constant of the row.
        let (divergence, slope) = match self {
            Self::ForwardKl => {
                let divergence = t.clone().mul(teacher.sub(student)).sum_dim(1);
                return (divergence, s.mul(t.clone().sum_dim(1)).sub(t));
            }
            Self::ReverseKl => {
                let slope = student.sub(teacher);
                (s.clone().mul(slope.clone()).sum_dim(1), slope)
            }
            Self::JensenShannon { beta } => {
                let mixed = log_sum(
                    student.clone().add_scalar((1.0 - beta).ln()),
                    teacher.clone().add_scalar(beta.ln()),
                );
                let of_teacher = t.mul(teacher.sub(mixed.clone())).sum_dim(1);
                let slope = student.sub(mixed);
                let of_student = s.clone().mul(slope.clone()).sum_dim(1);
                let weighted = of_student.mul_scalar(1.0 - beta);
                (of_teacher.mul_scalar(beta).add(weighted), slope)
            }
            Self::TotalVariation => {
                let difference = s.clone().sub(t);
                let half = difference.clone().abs().sum_dim(1).mul_scalar(0.5);
                (half, difference.sign())
            }
        };
        let mean = s.clone().mul(slope.clone()).sum_dim(1);
        (divergence, s.mul(slope.sub(mean)))
    }
}

/// ln(eᵃ + eᵇ)
fn log_sum(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let less = a.clone().sub(b.clone()).abs().neg().exp();
    a.max_pair(b).add(less.log1p())
}

/// A student's distribution as far as a cached teacher sees it.
struct Seen {
    ids: Tensor<2, Int>, // [r, k]
    used: Tensor<2>,     // [r, k], 1 or 0
    others: Tensor<2>,   // [r, vocab], log-probabilities of all other tokens
}

impl Seen {
    fn new(student: &Tensor<2>, ids: Tensor<2, Int>, used: Tensor<2>) -> Self {
        let never = used.clone().mul_scalar(NEVER);
        let others = student.clone();
        Self {
            others: others.scatter(1, ids.clone(), never, IndexingUpdateOp::Add),
            ids,
            used,
        }
    }

    /// The student's log-probabilities of `n` outcomes: the ids, and the rest where that is one.
    fn outcomes(&self, student: &Tensor<2>, n: usize) -> Tensor<2> {
        let unused = self.used.clone().sub_scalar(1.0).mul_scalar(-NEVER);
        let top = student.clone().gather(1, self.ids.clone());
        let top = top.mul(self.used.clone()).add(unused);
        if n == self.ids.dims()[1] {
            return log_softmax(top, 1);
        }
        let largest = self.others.clone().max_dim(1);
        let sum = self.others.clone().sub(largest.clone()).exp().sum_dim(1);
        Tensor::cat(vec![top, sum.log().add(largest).clamp_min(NEVER)], 1)
    }

    /// From the gradient of the outcomes to that of all logits: the rest's falls on its tokens by their shares.
    fn spread(self, gradient: Tensor<2>) -> Tensor<2> {
        let k = self.ids.dims()[1];
        let others = match gradient.dims()[1] > k {
            true => softmax(self.others, 1).mul(gradient.clone().narrow(1, k, 1)),
            false => self.others.zeros_like(),
        };
        let top = gradient.narrow(1, 0, k);
        others.scatter(1, self.ids, top, IndexingUpdateOp::Add)
    }
}
