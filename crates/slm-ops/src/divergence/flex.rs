//! Two heads' loop on Flex: one buffer holds the student's logits of a chunk, then their gradients, another the teacher's.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::Figures;
use super::fused::HeadDivergence;
use super::row::{Softmax, gradients, shares, terms};
use super::top::Top;
use crate::HeadShape;
use crate::head::cap_row;
use crate::head::flex::{Found, in_chunks, write_logits};
use crate::loss::rows_at_once;
use crate::rows::Rows;

impl HeadDivergence for Flex {
    fn live_divergence(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        states: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        teacher_shape: HeadShape,
        weights: FloatTensor<Self>,
        figures: Figures,
    ) -> Found {
        let (states, matrix) = (Rows::of(&states), Rows::of(&matrix));
        let vocab = matrix.count;
        let mut buffer = vec![0.0; rows_at_once(states.count, vocab) * vocab];
        let teacher_figures = Figures {
            shape: teacher_shape,
            ..figures
        };
        let weights = floats(weights);
        in_chunks(
            &hidden,
            &head,
            figures.scale(),
            figures.wants,
            |range, student, scores| {
                let logits = &mut buffer[..range.len() * vocab];
                write_logits(
                    logits,
                    &states,
                    &matrix,
                    range.clone(),
                    teacher_figures.scale(),
                );
                student
                    .par_chunks_mut(vocab)
                    .zip(logits.par_chunks_mut(vocab))
                    .zip(scores.par_chunks_mut(3))
                    .zip(&weights[range])
                    .for_each(|(((student, teacher), scores), weight)| {
                        teacher_figures.cap(teacher);
                        scores.copy_from_slice(&figures.compare_row(student, teacher, *weight));
                    });
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
        let [k, n_outcomes] = [ids.layout(), outcomes.layout()].map(|layout| layout.shape()[1]);
        let vocab = head.layout().shape()[0];
        let ids: Vec<i64> = ids.into_data().iter().collect();
        let [outcomes, weights] = [outcomes, weights].map(floats);
        in_chunks(
            &hidden,
            &head,
            figures.scale(),
            figures.wants,
            |range, student, scores| {
                let places = range.start * k..range.end * k;
                let of_teacher = range.start * n_outcomes..range.end * n_outcomes;
                student
                    .par_chunks_mut(vocab)
                    .zip(ids[places].par_chunks(k))
                    .zip(outcomes[of_teacher].par_chunks(n_outcomes))
                    .zip(scores.par_chunks_mut(3))
                    .zip(&weights[range])
                    .for_each(|((((student, ids), teacher), scores), weight)| {
                        scores
                            .copy_from_slice(&figures.compare_top(student, ids, teacher, *weight));
                    });
            },
        )
    }
}

fn floats(tensor: FloatTensor<Flex>) -> Vec<f32> {
    tensor.to_contiguous().storage::<f32>().to_vec()
}

impl Figures {
    /// What products with the head are multiplied by: logits are at the temperature if they will not be capped.
    fn scale(&self) -> f32 {
        let temperature = self.shape.softcap.map_or(self.temperature, |_| 1.0);
        (self.shape.scale / temperature) as f32
    }

    /// Caps a row of logits and takes it to the temperature, if it is to be capped.
    fn cap(&self, row: &mut [f32]) {
        if let Some(cap) = self.shape.softcap {
            cap_row(row, cap as f32);
            let inverse = (1.0 / self.temperature) as f32;
            row.iter_mut().for_each(|l| *l *= inverse);
        }
    }

    /// How the cap bends logits at the temperature: its slope at `z` is 1 − (bend · z)².
    fn bend(&self) -> f32 {
        let bend = self.shape.softcap.map(|cap| self.temperature / cap);
        bend.unwrap_or(0.0) as f32
    }

    /// Divergence, entropy, and whether both like the same best; the student's logits become their gradient, the teacher's, capped,
    /// are used up.
    fn compare_row(&self, student: &mut [f32], teacher: &mut [f32], weight: f32) -> [f32; 3] {
        self.cap(student);
        let (of_student, of_teacher) = (Softmax::of(student), Softmax::of(teacher));
        let likeliest = teacher.iter().position(|t| *t >= of_teacher.largest);
        let agrees = student[likeliest.unwrap_or(0)] >= of_student.largest;
        let shifts = [of_student.shift(), of_teacher.shift()];
        let [divergence, mean] = terms(self.divergence, student, teacher, shifts);
        if self.wants.any() {
            let weight = weight * self.pull() as f32;
            let scales = [mean, weight, self.bend()];
            gradients(self.divergence, student, teacher, shifts[0], scales);
        }
        [divergence, of_student.entropy, f32::from(u8::from(agrees))]
    }

    /// The same with a cached teacher's ids and outcomes.
    fn compare_top(
        &self,
        student: &mut [f32],
        ids: &[i64],
        teacher: &[f32],
        weight: f32,
    ) -> [f32; 3] {
        self.cap(student);
        let softmax = Softmax::of(student);
        let mut top = Top::take(student, ids, teacher);
        let agrees = top.likeliest(teacher) >= softmax.largest;
        let others = Softmax::of(student);
        let mut outcomes = top.outcomes(teacher.len(), &softmax, &others);
        let mut slopes = teacher.to_vec();
        let [divergence, mean] = terms(self.divergence, &outcomes, &mut slopes, [[0.0; 2]; 2]);
        if self.wants.any() {
            let weight = weight * self.pull() as f32;
            let scales = [mean, weight, 0.0];
            gradients(self.divergence, &mut outcomes, &slopes, [0.0; 2], scales);
            let of_others = outcomes.get(ids.len()).copied().unwrap_or(0.0);
            shares(student, others.shift(), of_others, self.bend());
            top.put(student, &outcomes, self.bend());
        }
        [divergence, softmax.entropy, f32::from(u8::from(agrees))]
    }
}
