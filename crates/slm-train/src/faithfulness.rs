//! Whether a cache says what its teacher says.

use slm_data::{Sample, TeacherCache, collate};
use slm_model::Decoder;
use slm_ops::{Divergence, Teacher, linear_kl_sums};

use crate::gradients::learned_states;
use crate::teaching::{LiveTeacher, Measure, likely};

/// A teacher and its cache on the same rows; means over their learned tokens.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Faithfulness {
    pub rows: usize,
    pub tokens: usize,
    /// KL(cache‖teacher) at temperature 1 over the tokens that are kept and one outcome for all others, in nats.
    pub gap: f64,
    /// Divergence of the student from the teacher itself, as it will be learned.
    pub live: f64,
    /// The same from the cache: never more, but for rounding, as all tokens that are not kept count as one.
    pub cached: f64,
}

impl Faithfulness {
    /// Share of the divergence that the cache does not see.
    pub fn unseen(&self) -> f64 {
        1.0 - self.cached / self.live
    }

    /// Compares on some rows, `batch_size` at a time; the student is asked as it is now.
    pub fn of(
        teacher: &LiveTeacher,
        cache: &TeacherCache,
        student: &Decoder,
        measure: &Measure,
        samples: &[&Sample],
        batch_size: usize,
    ) -> Self {
        let student = student.inference();
        let mut sums = [0.0; 3];
        let mut tokens = 0;
        for samples in samples.chunks(batch_size.max(1)) {
            let batch = collate(samples);
            if batch.learned == 0 {
                continue;
            }
            tokens += batch.learned;
            let device = student.device().clone().inner();
            let likely = likely(cache, samples.iter().map(|sample| sample.row));
            let kept = |t| Teacher::Cached(likely.at(t, cache.vocab(), &device));
            let live = teacher.of_batch(&batch);
            sums[0] += of_teacher(&live, &kept(1.0), cache.vocab());
            let states = learned_states(&student, &batch);
            for (sum, other) in sums[1..].iter_mut().zip([live, kept(measure.temperature)]) {
                let head = other.seen_of(student.head());
                let (shape, kind) = (&student.config().head, measure.divergence);
                let t = measure.temperature;
                *sum += linear_kl_sums(states.clone(), head, &other, shape, kind, t)
                    .read()
                    .loss;
            }
        }
        let [gap, live, cached] = sums.map(|sum| sum / tokens.max(1) as f64);
        Self {
            rows: samples.len(),
            tokens,
            gap: gap.abs(),
            live,
            cached,
        }
    }
}

/// The sum of KL(cache‖teacher): the teacher is asked as a student would be.
fn of_teacher(live: &Teacher, cached: &Teacher, vocab: usize) -> f64 {
    let Teacher::Live {
        hidden,
        head,
        shape,
    } = live
    else {
        return 0.0;
    };
    let rows = head.dims()[0].min(vocab);
    let head = head.clone().narrow(0, 0, rows);
    let forward = Divergence::ForwardKl;
    linear_kl_sums(hidden.clone(), head, cached, shape, forward, 1.0)
        .read()
        .loss
}
