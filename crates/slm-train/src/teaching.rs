//! Learning from a teacher: its distribution at every learned token, beside the tokens themselves.
//!
//! With α the share of the teacher, T the temperature, D the divergence and c the cross entropy of the rows' own tokens, the loss of
//! a step is the mean over its learned tokens of α f D + (1 − α) c. f is T², with total variation T: gradients of D fall like
//! 1 / f (Hinton et al. 2015, section 2). Of answers that the student wrote itself, there is no c. What its layers learn from the
//! teacher's joins it, see `alignment.rs`.

use std::sync::Arc;

use burn::tensor::{DType, Int, Tensor, TensorData};
use slm_data::{Batch, Sample, TeacherCache, Translated, Translator, collate};
use slm_model::device::Place;
use slm_model::{Decoder, Param};
use slm_ops::{Divergence, ForeignTeacher, Likely, Teacher};
use slm_recipe::{DistillLoss, DistillSection, DivergenceKind};
use slm_run::Taught;

use crate::alignment::LayersSaid;
use crate::gradients::{learned_states, learned_states_by_layer};
use crate::{Alignment, Author, Practice, TrainError};

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
    /// From a teacher of another vocabulary, it is that of sorted probabilities in place of total variation, as both are absolute
    /// differences.
    pub divergence: Divergence,
    /// Ids that mean the same to both: where heads are of several sizes, those beyond are padding and are left out.
    pub vocab: usize,
    /// What the mean distance from the teacher's layers counts in the loss.
    pub hidden: f64,
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
    /// Writes rows in its tokens, where they are not the student's.
    translator: Option<Arc<Translator>>,
    /// Layers that the student's follow.
    alignment: Option<Alignment>,
}

/// What a teacher says of the learned tokens of a micro-batch.
#[derive(Clone, Debug)]
pub struct Lesson {
    pub(crate) said: Said,
    /// What its layers hold there, where any are mapped.
    pub(crate) layers: Option<LayersSaid>,
    pub(crate) measure: Measure,
    /// Who wrote the answers: what the student wrote itself is no token to learn.
    pub(crate) author: Author,
}

/// What is said of them.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Of each, in the student's tokens.
    Same(Teacher),
    /// Of those at these places among them, in other tokens; none where there is no such place.
    Foreign(Option<(ForeignTeacher, Tensor<1, Int>)>),
}

impl Measure {
    /// As a recipe has it.
    pub fn new(section: &DistillSection, vocab: usize) -> Self {
        Self {
            alpha: section.alpha,
            temperature: section.temperature,
            divergence: match (section.loss, section.divergence) {
                (DistillLoss::Uld, _) | (_, DivergenceKind::Tvd) => Divergence::TotalVariation,
                (_, DivergenceKind::ForwardKl) => Divergence::ForwardKl,
                (_, DivergenceKind::ReverseKl) => Divergence::ReverseKl,
                (_, DivergenceKind::Jsd) => Divergence::JensenShannon { beta: section.beta },
            },
            vocab,
            hidden: section.hidden.weight,
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
        own + self.share() * taught.divergence + self.hidden * taught.hidden.unwrap_or(0.0)
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
        Self {
            decoder,
            head: beside(student, head),
            practice: None,
            translator: None,
            alignment: None,
        }
    }

    /// One that has tokens of its own.
    pub fn foreign(decoder: &Decoder, student: &Decoder, translator: Arc<Translator>) -> Self {
        let decoder = decoder.inference();
        Self {
            head: beside(student, decoder.head().inner()),
            decoder,
            practice: None,
            translator: Some(translator),
            alignment: None,
        }
    }

    /// The same, with answers that are generated.
    #[must_use]
    pub fn practising(self, practice: Option<Practice>) -> Self {
        Self { practice, ..self }
    }

    /// The same, with layers that the student's follow.
    #[must_use]
    pub fn aligned(self, alignment: Option<Alignment>) -> Self {
        Self { alignment, ..self }
    }

    /// What it says of the learned tokens of a batch.
    pub(crate) fn of_batch(&self, batch: &Batch) -> Teacher {
        self.of_states(learned_states(&self.decoder, batch))
    }

    /// The same, and what its layers hold there.
    fn of_batch_by_layer(&self, batch: &Batch, alignment: &Alignment) -> (Teacher, LayersSaid) {
        let reads = |layer| alignment.reads(layer);
        let (states, read) = learned_states_by_layer(&self.decoder, batch, reads);
        let device = self.head.device();
        let read = read.into_iter();
        let read = read.map(|(layer, states)| (layer, states.inner().to_device(&device)));
        (self.of_states(states), alignment.wanted(&read.collect()))
    }

    fn of_states(&self, states: Tensor<2>) -> Teacher {
        Teacher::Live {
            hidden: self.moved(states),
            head: self.head.clone(),
            shape: self.decoder.config().head,
        }
    }

    /// States where the head is, as it is multiplied with them.
    fn moved(&self, states: Tensor<2>) -> Tensor<2> {
        let states = states.inner().to_device(&self.head.device());
        states.cast(self.head.dtype())
    }

    /// What one that has tokens of its own says of rows.
    fn of_rows(
        &self,
        translator: &Translator,
        rows: &[Sample],
    ) -> Result<Option<(ForeignTeacher, Tensor<1, Int>)>, TrainError> {
        let translated = rows.iter().map(|row| translator.translate(row));
        let translated: Vec<Translated> = translated.collect::<Result<_, _>>()?;
        let (mut places, mut before) = (Vec::new(), 0);
        for (row, it) in rows.iter().zip(&translated) {
            places.extend(it.places.iter().map(|place| (before + place) as i32));
            before += row.learned();
        }
        if places.is_empty() {
            return Ok(None);
        }
        let batch = collate(&translated.iter().map(|it| &it.sample).collect::<Vec<_>>());
        let states = learned_states(&self.decoder, &batch);
        let device = self.head.device();
        let n = places.len();
        let teacher = ForeignTeacher {
            hidden: self.moved(states),
            head: self.head.clone(),
            shape: self.decoder.config().head,
        };
        let places = Tensor::from_data(TensorData::new(places, [n]), &device);
        Ok(Some((teacher, places)))
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

    /// Layers that follow the teacher's, where any do.
    pub(crate) fn alignment(&self) -> Option<&Alignment> {
        match &self.tutor {
            Tutor::Live(live) => live.alignment.as_ref(),
            Tutor::Cached(_) => None,
        }
    }

    /// What is trained for the teacher's sake, beside the student.
    pub(crate) fn trained(&self) -> impl Iterator<Item = &Param> {
        self.alignment()
            .into_iter()
            .flat_map(Alignment::projections)
    }

    /// The same, to be changed.
    pub(crate) fn trained_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        let alignment = match &mut self.tutor {
            Tutor::Live(live) => live.alignment.as_mut(),
            Tutor::Cached(_) => None,
        };
        alignment.into_iter().flat_map(Alignment::projections_mut)
    }

    /// What the teacher says of a batch of `rows`, in the batch's order.
    ///
    /// # Errors
    /// A row cannot be written in the tokens of a teacher that has its own.
    pub fn lesson(
        &self,
        student: &Decoder,
        batch: &Batch,
        rows: &[Sample],
        author: Author,
    ) -> Result<Lesson, TrainError> {
        let mut layers = None;
        let said = match &self.tutor {
            Tutor::Live(live) => match (&live.translator, &live.alignment) {
                (None, None) => Said::Same(live.of_batch(batch)),
                (None, Some(alignment)) => {
                    let (teacher, of_layers) = live.of_batch_by_layer(batch, alignment);
                    layers = Some(of_layers);
                    Said::Same(teacher)
                }
                (Some(translator), _) => Said::Foreign(live.of_rows(translator, rows)?),
            },
            Tutor::Cached(cache) => {
                let likely = likely(cache, rows.iter().map(|row| row.row));
                let device = student.device().clone().inner();
                let (temperature, vocab) = (self.measure.temperature, cache.vocab());
                Said::Same(Teacher::Cached(likely.at(temperature, vocab, &device)))
            }
        };
        Ok(Lesson {
            said,
            layers,
            measure: self.measure,
            author,
        })
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

/// A teacher's head on the student's device. In f32 on Flex, which has no kernels for 16 bits: once, and not in every step.
fn beside(student: &Decoder, head: Tensor<2>) -> Tensor<2> {
    let device = student.device().clone().inner();
    let head = head.to_device(&device);
    match Place::of(&device) {
        Place::Flex => head.cast(DType::F32),
        Place::LibtorchCpu | Place::Gpu => head,
    }
}

/// What a cache has of some rows.
pub(crate) fn likely(cache: &TeacherCache, rows: impl Iterator<Item = usize>) -> Likely {
    let mut likely = Likely::default();
    for row in rows {
        let row = cache.row(row);
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
