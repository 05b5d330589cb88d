//! Learning from a teacher: its distribution at every learned token, beside the tokens themselves.
//!
//! With α the share of the teacher, T the temperature, D the divergence and c the cross entropy of the rows' own tokens, the loss of
//! a step is the mean over its learned tokens of α f D + (1 − α) c. f is T², with total variation T: gradients of D fall like
//! 1 / f (Hinton et al. 2015, section 2). Of answers that the student wrote itself, there is no c.

use std::sync::Arc;

use burn::tensor::Tensor;
use slm_data::{Batch, TeacherCache};
use slm_model::Decoder;
use slm_ops::{Divergence, Likely, Teacher};
use slm_recipe::{DistillSection, DivergenceKind};
use slm_run::Taught;

use crate::gradients::learned_states;
use crate::{Author, Practice};

/// How a student learns from a teacher.
#[derive(Clone, Debug)]
pub struct Teaching {
    pub measure: Measure,
    pub tutor: Tutor,
}

/// What is made of the distance between a student and its teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// Share of the teacher in the loss.
    pub alpha: f64,
    pub temperature: f64,
    pub divergence: Divergence,
    /// Ids that mean the same to both: where heads are of several sizes, those beyond are padding and are left out.
    pub vocab: usize,
}

/// Where the teacher's distributions come from.
#[expect(clippy::large_enum_variant, reason = "one exists")]
#[derive(Clone, Debug)]
pub enum Tutor {
    /// The teacher itself, asked in every step.
    Live(LiveTeacher),
    /// What it said once of every row.
    Cached(Arc<TeacherCache>),
}

/// A teacher that is there.
#[derive(Clone, Debug)]
pub struct LiveTeacher {
    decoder: Decoder,
    /// The rows of its head that the student has as well, on the student's device.
    head: Tensor<2>,
    /// Where answers are generated.
    practice: Option<Practice>,
}

/// What a teacher says of the learned tokens of a micro-batch.
#[derive(Clone, Debug)]
pub struct Lesson {
    pub(crate) teacher: Teacher,
    pub(crate) measure: Measure,
    /// Who wrote the answers: what the student wrote itself is no token to learn.
    pub(crate) author: Author,
}

impl Measure {
    /// As a recipe has it.
    pub fn new(section: &DistillSection, vocab: usize) -> Self {
        Self {
            alpha: section.alpha,
            temperature: section.temperature,
            divergence: match section.divergence {
                DivergenceKind::ForwardKl => Divergence::ForwardKl,
                DivergenceKind::ReverseKl => Divergence::ReverseKl,
                DivergenceKind::Jsd => Divergence::JensenShannon { beta: section.beta },
                DivergenceKind::Tvd => Divergence::TotalVariation,
            },
            vocab,
        }
    }

    /// f above.
    fn factor(&self) -> f64 {
        match self.divergence {
            Divergence::TotalVariation => self.temperature,
            _ => self.temperature * self.temperature,
        }
    }

    /// What the divergence counts in the loss.
    pub fn share(&self) -> f64 {
        self.alpha * self.factor()
    }

    /// The loss of means.
    pub fn loss(&self, taught: &Taught) -> f64 {
        let given = 1.0 - taught.own_share.unwrap_or(0.0);
        let own = match self.alpha < 1.0 && given > 0.0 {
            true => (1.0 - self.alpha) * given * taught.cross_entropy,
            false => 0.0,
        };
        own + self.share() * taught.divergence
    }
}

impl LiveTeacher {
    /// `vocab` is that of the [`Measure`].
    pub fn new(decoder: &Decoder, student: &Decoder, vocab: usize) -> Self {
        let decoder = decoder.inference();
        let sizes = [&decoder, student].map(|it| it.config().vocab_size);
        let head = decoder.head().inner();
        let head = match sizes[0] == sizes[1] {
            true => head,
            false => head.narrow(0, 0, vocab),
        };
        let device = student.device().clone().inner();
        Self {
            decoder,
            head: head.to_device(&device),
            practice: None,
        }
    }

    /// The same, with answers that are generated.
    #[must_use]
    pub fn practising(self, practice: Option<Practice>) -> Self {
        Self { practice, ..self }
    }

    /// What it says of the learned tokens of a batch.
    pub(crate) fn of_batch(&self, batch: &Batch) -> Teacher {
        let states = learned_states(&self.decoder, batch);
        Teacher::Live {
            hidden: states.inner().to_device(&self.head.device()),
            head: self.head.clone(),
            shape: self.decoder.config().head,
        }
    }
}

impl Teaching {
    /// How answers are generated, and the teacher, where any are.
    pub(crate) fn practice(&self) -> Option<(&Practice, &Decoder)> {
        match &self.tutor {
            Tutor::Live(live) => Some((live.practice.as_ref()?, &live.decoder)),
            Tutor::Cached(_) => None,
        }
    }

    /// What the teacher says of a batch of the rows numbered `rows`, in the batch's order.
    pub fn lesson(
        &self,
        student: &Decoder,
        batch: &Batch,
        rows: &[usize],
        author: Author,
    ) -> Lesson {
        let teacher = match &self.tutor {
            Tutor::Live(live) => live.of_batch(batch),
            Tutor::Cached(cache) => {
                let likely = likely(cache, rows);
                let device = student.device().clone().inner();
                let (temperature, vocab) = (self.measure.temperature, cache.vocab());
                Teacher::Cached(likely.at(temperature, vocab, &device))
            }
        };
        Lesson {
            teacher,
            measure: self.measure,
            author,
        }
    }
}

impl Lesson {
    /// What the batch's own tokens count in the loss.
    pub(crate) fn own_share(&self) -> f64 {
        match self.author {
            Author::Student => 0.0,
            Author::Rows | Author::Teacher => 1.0 - self.measure.alpha,
        }
    }
}

/// What a cache has of some rows.
pub(crate) fn likely(cache: &TeacherCache, rows: &[usize]) -> Likely {
    let mut likely = Likely::default();
    for row in rows {
        let row = cache.row(*row);
        let floats = |values: &[half::f16]| values.iter().map(|x| x.to_f32()).collect::<Vec<_>>();
        likely.extend(&Likely {
            counts: row.counts.iter().map(|n| u32::from(*n)).collect(),
            ids: row.ids.to_vec(),
            logprobs: floats(row.logprobs),
            rest: floats(row.rest),
            rest_roots: floats(row.rest_roots),
        });
    }
    likely
}
