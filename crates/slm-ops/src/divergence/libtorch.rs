//! Two heads' loop, Flex's on a processor in f32. Elsewhere in ATen's operations: three buffers hold the logits of a chunk, the student's and the teacher's, and the student's
//! probabilities, which become the gradient.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, LibTorch};
use tch::{Kind, Tensor};

use super::fused::HeadDivergence;
use super::{Divergence, Figures, NEVER, UNUSED};
use crate::HeadShape;
use crate::head::flex;
use crate::head::libtorch::{Found, in_chunks};
use crate::processor::{flex, reads, torch};

impl HeadDivergence for LibTorch {
    fn live_divergence(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        states: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        teacher_shape: HeadShape,
        weights: FloatTensor<Self>,
        figures: Figures,
    ) -> Found {
        if [&hidden, &head, &states, &matrix].into_iter().all(reads) {
            let [hidden, head, states, matrix, weights] =
                [&hidden, &head, &states, &matrix, &weights].map(flex);
            return of_flex(Flex::live_divergence(
                hidden,
                head,
                states,
                matrix,
                teacher_shape,
                weights,
                figures,
            ));
        }
        let (states, matrix) = (states.tensor, matrix.tensor);
        let student = [&hidden, &head, &weights].map(|x| &x.tensor);
        in_chunks(
            student,
            &figures.shape,
            figures.pull(),
            figures.wants,
            |start, buffers| {
                let [student, teacher, p] = buffers;
                figures.log_probabilities(student);
                let rows = student.size()[0];
                let states = states.narrow(0, start, rows);
                // Until the teacher's logits come, their place is free.
                let (entropy, largest) = parts(student, teacher, p);
                let _ = teacher_shape.logits_into(teacher, &states, &matrix, false);
                figures.log_probabilities(teacher);
                let likeliest = teacher.argmax(-1, true);
                let agrees = student.gather(1, &likeliest, false).ge_tensor(&largest);
                let divergence = compare(figures.divergence, student, teacher, p);
                Tensor::cat(&[divergence, entropy, agrees.to_kind(Kind::Float)], 1)
            },
        )
    }

    fn cached_divergence(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        ids: IntTensor<Self>,
        outcomes: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        figures: Figures,
    ) -> Found {
        if [&hidden, &head, &outcomes].into_iter().all(reads) {
            let [hidden, head, ids, outcomes, weights] =
                [&hidden, &head, &ids, &outcomes, &weights].map(flex);
            return of_flex(Flex::cached_divergence(
                hidden, head, ids, outcomes, weights, figures,
            ));
        }
        let (ids, outcomes) = (ids.tensor, outcomes.tensor);
        let student = [&hidden, &head, &weights].map(|x| &x.tensor);
        in_chunks(
            student,
            &figures.shape,
            figures.pull(),
            figures.wants,
            |start, buffers| {
                let [student, others, p] = buffers;
                figures.log_probabilities(student);
                let rows = student.size()[0];
                let [ids, teacher] = [&ids, &outcomes].map(|x| x.narrow(0, start, rows));
                let top = Top::new(&ids, &teacher);
                let (entropy, largest) = parts(student, others, p);
                let likeliest = ids.gather(1, &top.teacher.argmax(-1, true), false);
                let agrees = student.gather(1, &likeliest, false).ge_tensor(&largest);
                let seen = top.seen(student, p, teacher.size()[1]);
                let gradient = seen.exp();
                let teacher = teacher.copy();
                let divergence = compare(figures.divergence, &seen, &teacher, &gradient);
                top.spread(p, &gradient);
                Tensor::cat(&[divergence, entropy, agrees.to_kind(Kind::Float)], 1)
            },
        )
    }
}

impl Figures {
    /// Logits become log-probabilities at the temperature.
    fn log_probabilities(&self, logits: &Tensor) {
        if self.temperature != 1.0 {
            let _ = logits.shallow_clone().g_div_scalar_(self.temperature);
        }
        let _ = logits.internal_log_softmax_out(logits, -1, false);
    }
}

fn of_flex((scores, states, head): flex::Found) -> Found {
    (torch(scores), torch(states), torch(head))
}

/// Σ over each row: `[r, 1]`.
fn sum(x: &Tensor) -> Tensor {
    x.sum_dim_intlist(-1, true, None)
}

/// Entropy and largest logarithm of a student's log-probabilities; fills in the probabilities `p`, and uses up `free`.
fn parts(student: &Tensor, free: &Tensor, p: &Tensor) -> (Tensor, Tensor) {
    let p = student.exp_out(p);
    let entropy = -sum(&student.mul_out(free, &p));
    (entropy, student.amax(-1, true))
}

/// The divergence of log-probabilities `[r, m]`, which are used up; probabilities `p` of the student become the gradient with
/// respect to its logits, without the divergence's factor.
fn compare(divergence: Divergence, student: &Tensor, teacher: &Tensor, p: &Tensor) -> Tensor {
    let [mut x, mut y, mut p] = [student, teacher, p].map(Tensor::shallow_clone);
    let found = match divergence {
        Divergence::ForwardKl => {
            let _ = x.g_sub_(&y);
            let _ = y.exp_();
            let found = -sum(&x.g_mul_(&y));
            let _ = p.g_mul_(&sum(&y)).g_sub_(&y);
            return found;
        }
        Divergence::ReverseKl => {
            let _ = x.g_sub_(&y);
            sum(&x.mul_out(&y, &p))
        }
        Divergence::JensenShannon { beta } => return mixed(beta, x, y, p),
        Divergence::TotalVariation => {
            let _ = y.exp_();
            let _ = p.sub_out(&x, &y);
            let found = sum(&x.abs_out(&y)) * 0.5;
            let _ = x.sign_();
            found
        }
    };
    let _ = centre(x, y, p);
    found
}

/// [`compare`] with a mixture of both.
fn mixed(beta: f64, mut x: Tensor, mut y: Tensor, p: Tensor) -> Tensor {
    let [of_student, of_teacher] = [(1.0 - beta).ln(), beta.ln()];
    let _ = (x.g_add_scalar_(of_student), y.g_add_scalar_(of_teacher));
    let mut mixture = x.logaddexp_out(&x.empty_like(), &y);
    let _ = (x.g_sub_(&mixture), y.g_sub_(&mixture));
    // β t, times ln t − ln m + ln β: the last adds ln β times the sum of β t.
    let mut t = mixture.g_add_(&y).exp_();
    let excess = sum(&t) * of_teacher;
    let found = sum(&t.g_mul_(&y)) - excess;
    let mean = centre(x, y, p) - of_student;
    found + mean * (1.0 - beta)
}

/// `p (x − Σ p x)` into `p`; `free` is used up. Returns the sum.
fn centre(mut x: Tensor, free: Tensor, mut p: Tensor) -> Tensor {
    let mean = sum(&x.mul_out(&free, &p));
    let _ = p.g_mul_(&x.g_sub_(&mean));
    mean
}

/// A cached teacher's likeliest tokens, in a chunk.
struct Top<'a> {
    ids: &'a Tensor, // [r, k]
    teacher: Tensor, // [r, k]
    unused: Tensor,  // [r, k], whether a place is not used
}

impl<'a> Top<'a> {
    fn new(ids: &'a Tensor, outcomes: &Tensor) -> Self {
        let teacher = outcomes.narrow(1, 0, ids.size()[1]);
        Self {
            unused: teacher.le(UNUSED),
            teacher,
            ids,
        }
    }

    /// The student's log-probabilities of `n` outcomes: the ids, and the rest where that is one. Into `shares` goes how the rest's falls on
    /// its tokens; `student` is used up.
    fn seen(&self, student: &Tensor, shares: &Tensor, n: i64) -> Tensor {
        let top = student.gather(1, self.ids, false);
        let top = top.masked_fill(&self.unused, NEVER);
        if n == self.ids.size()[1] {
            let _ = shares.shallow_clone().zero_();
            return top.log_softmax(-1, Kind::Float);
        }
        let never = self.unused.logical_not().to_kind(Kind::Float) * NEVER;
        let others = student.shallow_clone().scatter_add_(1, self.ids, &never);
        let mut logs = others.internal_log_softmax_out(shares, -1, false);
        let rest = others.amax(-1, true) - logs.amax(-1, true);
        let _ = logs.exp_();
        Tensor::cat(&[top, rest.clamp_min(NEVER)], 1)
    }

    /// From the gradient of the outcomes to that of all logits, in the place of `shares`.
    fn spread(&self, shares: &Tensor, gradient: &Tensor) {
        let k = self.ids.size()[1];
        let mut shares = shares.shallow_clone();
        if gradient.size()[1] > k {
            let _ = shares.g_mul_(&gradient.narrow(1, k, 1));
        }
        let _ = shares.scatter_add_(1, self.ids, &gradient.narrow(1, 0, k));
    }
}
