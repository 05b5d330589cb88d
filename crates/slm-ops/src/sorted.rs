//! Two heads of different vocabularies, compared by their probabilities in descending order: universal logit distillation (Boizard et
//! al. 2024, equation 4), in chunks, on positions that both predict the same text at.
//!
//! With s↓ the student's probabilities at the temperature in descending order, t↓ the teacher's, the shorter one continued with zeros:
//!
//! D = Σ |s↓ − t↓|, the Wasserstein distance where any two tokens are as far apart as any others, and
//! dD/dz = s (g − Σ s g), z being the student's logits at the temperature and g the sign of the difference at a token's rank.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use rayon::prelude::*;

use crate::head::portable::in_chunks;
use crate::head::{HeadShape, moments};
use crate::loss::{TokenLoss, TokenWeights, Wants};

/// A teacher of any vocabulary: its final states `[n, d_t]` where it predicts what the student predicts, and its head
/// `[vocab_t, d_t]`, of one dtype, on the student's device.
#[derive(Clone, Debug)]
pub struct ForeignTeacher {
    pub hidden: Tensor<2>,
    pub head: Tensor<2>,
    pub shape: HeadShape,
}

/// How far the student's sorted probabilities are from its teacher's, without ever holding all logits of either.
///
/// # Shapes
/// - `hidden`: `[n, d]`, the student's final states
/// - `head`: `[vocab, d]`, HF layout
///
/// Everything after the products with the heads is in f32. There is no T in the loss: weights do it where it is wanted. The gradient
/// of `head` is formed only when it requires one; none flows to the teacher.
///
/// Of the sums, `loss` is the distance, from 0 to 2, and `entropy` the student's at the temperature; `correct` is no number, as ids
/// of two vocabularies do not compare.
pub fn linear_uld(
    hidden: Tensor<2>,
    head: Tensor<2>,
    teacher: &ForeignTeacher,
    weights: &TokenWeights,
    shape: &HeadShape,
    temperature: f64,
) -> TokenLoss {
    let wants = Wants::of(&head);
    let (states, matrix) = (hidden.clone().inner(), head.clone().inner());
    let weights = weights.each(hidden.dims()[0], &matrix.device());
    let [of_teacher, teacher_head] =
        [&teacher.hidden, &teacher.head].map(|tensor| tensor.clone().inner());
    let by_rows = crate::fused::applies(&matrix) && !crate::fused::is_gpu(&matrix.device());
    let widest = matrix.dims()[0].max(teacher_head.dims()[0]);
    let compare = |start, student: Tensor<2>, weights| {
        let states = of_teacher.clone().narrow(0, start, student.dims()[0]);
        let teacher = teacher.shape.logits(states, teacher_head.clone());
        let logits = [student, teacher].map(|logits| logits.div_scalar(temperature));
        match by_rows {
            true => on_host(logits, weights, wants),
            false => on_device(logits, weights, wants),
        }
    };
    let factor = shape.scale / temperature;
    in_chunks(
        [states, matrix],
        shape,
        weights,
        factor,
        widest,
        wants,
        compare,
    )
    .carried(hidden, head, wants)
}

impl TokenWeights {
    /// Those of some tokens.
    #[must_use]
    pub fn of(&self, places: &Tensor<1, Int>) -> Self {
        match self {
            Self::Same(weight) => Self::Same(*weight),
            Self::Each(weights) => Self::Each(weights.clone().select(0, places.clone())),
        }
    }
}

/// Of logits at the temperature, `[r, vocab]` and `[r, vocab_t]`, and weights `[r, 1]`: scores `[r, 3]` and the weighted gradient of
/// the student's logits, where any is wanted.
type Compared = (Tensor<2>, Option<Tensor<2>>);

/// By loops over rows.
fn on_host(logits: [Tensor<2>; 2], weights: Tensor<2>, wants: Wants) -> Compared {
    let device = logits[0].device();
    let widths = [logits[0].dims()[1], logits[1].dims()[1]];
    let [mut student, mut teacher] = logits.map(floats);
    let weights = floats(weights);
    let rows = student
        .par_chunks_mut(widths[0])
        .zip(teacher.par_chunks_mut(widths[1]));
    let scores: Vec<[f32; 3]> = rows
        .zip(&weights)
        .map(|((student, teacher), weight)| compare_row(student, teacher, *weight, wants.any()))
        .collect();
    let n = scores.len();
    let tensor =
        |values: Vec<f32>, width| Tensor::from_data(TensorData::new(values, [n, width]), &device);
    let gradient = wants.any().then(|| tensor(student, widths[0]));
    (tensor(scores.concat(), 3), gradient)
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    let data = tensor.into_data();
    data.try_into_vec()
        .expect("logits are f32, whatever the weights are")
}

/// Distance and entropy; the student's logits become their gradient, the teacher's are used up.
fn compare_row(student: &mut [f32], teacher: &mut [f32], weight: f32, wants: bool) -> [f32; 3] {
    let entropy = to_probabilities(student);
    to_probabilities(teacher);
    let of_student = descending(student);
    let mut of_teacher = descending(teacher).into_iter();
    let (mut distance, mut mean) = (0.0, 0.0);
    let mut signs = vec![0.0_f32; if wants { student.len() } else { 0 }];
    for key in of_student {
        let (s, t) = (value(key), of_teacher.next().map_or(0.0, value));
        distance += f64::from((s - t).abs());
        if wants {
            let sign = f32::from(i8::from(s > t) - i8::from(s < t));
            signs[key as u32 as usize] = sign;
            mean += f64::from(s * sign);
        }
    }
    distance += of_teacher.map(|key| f64::from(value(key))).sum::<f64>();
    for (s, sign) in student.iter_mut().zip(&signs) {
        *s *= weight * (sign - mean as f32);
    }
    [distance as f32, entropy, f32::NAN]
}

/// A row of logits becomes its softmax. Returns the entropy.
fn to_probabilities(row: &mut [f32]) -> f32 {
    let [largest, sum, moment] = moments(row);
    row.iter_mut().for_each(|x| *x = (*x - largest).exp() / sum);
    sum.ln() - moment / sum
}

/// Probabilities with their places, the largest first: bits of numbers that are not negative are in their order.
fn descending(row: &[f32]) -> Vec<u64> {
    let places = row.iter().zip(0_u32..);
    let keys = places.map(|(p, at)| u64::from(p.to_bits()) << 32 | u64::from(at));
    let mut keys: Vec<u64> = keys.collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys
}

fn value(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

/// In burn's primitives.
fn on_device([student, teacher]: [Tensor<2>; 2], weights: Tensor<2>, wants: Wants) -> Compared {
    let logprobs = log_softmax(student, 1);
    let probabilities = logprobs.clone().exp();
    let entropy = probabilities.clone().mul(logprobs).sum_dim(1).neg();
    let (sorted, ids) = probabilities.clone().sort_descending_with_indices(1);
    let [rows, width] = sorted.dims();
    let teacher = softmax(teacher, 1).sort_descending(1);
    let most = width.max(teacher.dims()[1]);
    let [sorted, teacher] = [sorted, teacher].map(|it| {
        let missing = most - it.dims()[1];
        match missing {
            0 => it,
            n => Tensor::cat(
                vec![
                    it.clone(),
                    it.narrow(1, 0, 1).zeros_like().expand([rows, n]),
                ],
                1,
            ),
        }
    });
    let difference = sorted.sub(teacher);
    let distance = difference.clone().abs().sum_dim(1);
    let unknown = distance.full_like(f32::NAN);
    let scores = Tensor::cat(vec![distance, entropy, unknown], 1);
    let gradient = wants.any().then(|| {
        let signs = difference.sign().narrow(1, 0, width);
        let nothing = probabilities.zeros_like();
        let signs = nothing.scatter(1, ids, signs, IndexingUpdateOp::Add);
        let mean = probabilities.clone().mul(signs.clone()).sum_dim(1);
        probabilities.mul(signs.sub(mean)).mul(weights)
    });
    (scores, gradient)
}
