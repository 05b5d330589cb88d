//! Layers of a student that follow layers of its teacher.
//!
//! What a layer gives is the stream after it, before the model's last norm. Of the learned tokens alone, each mapped layer of the
//! student is held against its teacher's; where the teacher is wider or narrower, by way of a linear projection that is trained along
//! and that nobody needs afterwards (TinyBERT, Jiao et al. 2020). What joins the loss is the mean over learned tokens and mapped
//! layers, times the recipe's weight.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};
use slm_model::{Decoder, DecoderConfig, Param};
use slm_ops::noise::{mix, uniform_values};
use slm_ops::{DeviceSums, StateDistance, TokenWeights, carried, states_apart};
use slm_recipe::{HiddenLoss, HiddenSection};

use crate::TrainError;
use crate::gradients::{Gather, Learned};

/// Which layers of a student follow which of its teacher, and how.
#[derive(Clone, Debug)]
pub struct Alignment {
    pairs: Vec<AlignedPair>,
    distance: StateDistance,
    weight: f64,
}

/// A layer of each, counted from 0.
#[derive(Clone, Debug)]
struct AlignedPair {
    student: usize,
    teacher: usize,
    /// `[teacher's width, student's]`, f32, trained; none where they are one.
    projection: Option<Param>,
}

impl Alignment {
    /// Of a student, before its first step, and a teacher of that shape; none where the recipe has none. Projections follow from
    /// `seed`.
    ///
    /// # Errors
    /// The recipe names a layer that is not there.
    pub fn new(
        section: &HiddenSection,
        student: &Decoder,
        teacher: &DecoderConfig,
        seed: u64,
    ) -> Result<Option<Self>, TrainError> {
        let pairs = Self::pairs(section, student.config(), teacher)?;
        let of = |[layer, of_teacher]: [usize; 2]| AlignedPair {
            student: layer,
            teacher: of_teacher,
            projection: projection(layer, student, teacher, seed),
        };
        let pairs: Vec<_> = pairs.into_iter().map(of).collect();
        Ok((!pairs.is_empty()).then(|| Self {
            pairs,
            distance: match section.loss {
                HiddenLoss::Mse => StateDistance::MeanSquare,
                HiddenLoss::Cosine => StateDistance::Cosine,
            },
            weight: section.weight,
        }))
    }

    /// The pairs of layers that a recipe maps, student and teacher, by the student's; none where it maps none.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn pairs(
        section: &HiddenSection,
        student: &DecoderConfig,
        teacher: &DecoderConfig,
    ) -> Result<Vec<[usize; 2]>, TrainError> {
        if !section.is_on() {
            return Ok(Vec::new());
        }
        let [n, m] = [student, teacher].map(|it| it.num_hidden_layers);
        let pairs = section.layers.pairs(n, m);
        let beyond = pairs.iter().find(|pair| pair[0] >= n || pair[1] >= m);
        match beyond {
            None => Ok(pairs),
            Some(pair) => Err(TrainError::NoSuchLayers {
                pair: *pair,
                layers: [n, m],
            }),
        }
    }

    /// How many layers are mapped.
    pub fn n_pairs(&self) -> usize {
        self.pairs.len()
    }

    /// The projections that are trained with the student.
    pub fn projections(&self) -> impl Iterator<Item = &Param> {
        self.pairs
            .iter()
            .filter_map(|pair| pair.projection.as_ref())
    }

    /// The same, to be changed.
    pub fn projections_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        self.pairs
            .iter_mut()
            .filter_map(|pair| pair.projection.as_mut())
    }

    /// What the student's layers are to be, of states by the number of the teacher's layer.
    pub(crate) fn wanted(&self, states: &BTreeMap<usize, Tensor<2>>) -> LayersSaid {
        let of = |pair: &AlignedPair| {
            let projection = pair.projection.clone();
            let wanted = states.get(&pair.teacher)?.clone();
            Some((pair.student, Wanted { wanted, projection }))
        };
        LayersSaid {
            layers: self.pairs.iter().filter_map(of).collect(),
            distance: self.distance,
            weight: self.weight,
        }
    }

    /// Whether a layer of the teacher is looked at.
    pub(crate) fn reads(&self, of_teacher: usize) -> bool {
        self.pairs.iter().any(|pair| pair.teacher == of_teacher)
    }
}

/// As PyTorch's `Linear` begins, uniform in ±1/√d, without a bias; none where both models are of one width.
fn projection(
    layer: usize,
    student: &Decoder,
    teacher: &DecoderConfig,
    seed: u64,
) -> Option<Param> {
    let [d, wanted] = [student.config(), teacher].map(|it| it.hidden_size);
    if d == wanted {
        return None;
    }
    let seed = mix(seed ^ mix(layer as u64 ^ u64::from_be_bytes(*b"aligned ")));
    let values = uniform_values((1.0 / (d as f64).sqrt()) as f32, seed, wanted * d);
    let device = student.device().clone().inner();
    let values = Tensor::from_data(TensorData::new(values, [wanted, d]), (&device, DType::F32));
    let mut param = Param::matrix(format!("distill.hidden.{layer}.weight"), values);
    param.train();
    Some(param)
}

/// What a teacher's layers hold at the learned tokens of a micro-batch.
#[derive(Clone, Debug)]
pub(crate) struct LayersSaid {
    /// By the student's layer.
    layers: BTreeMap<usize, Wanted>,
    distance: StateDistance,
    weight: f64,
}

#[derive(Clone, Debug)]
struct Wanted {
    /// `[learned, teacher's width]`, on the student's device.
    wanted: Tensor<2>,
    projection: Option<Param>,
}

impl LayersSaid {
    /// A student is going to be held against it; `weights` are those of the step's tokens.
    pub(crate) fn beside<'a>(&'a self, learned: &'a Learned, weights: &TokenWeights) -> Beside<'a> {
        let share = self.weight / self.layers.len().max(1) as f64;
        Beside {
            said: self,
            learned,
            weights: weights.clone().scaled(share),
            sums: DeviceSums::default(),
            pulls: BTreeMap::new(),
        }
    }
}

/// A student on its way through its layers, beside its teacher's.
pub(crate) struct Beside<'a> {
    said: &'a LayersSaid,
    learned: &'a Learned,
    weights: TokenWeights,
    /// Of the distances so far.
    sums: DeviceSums,
    /// The gradients of the states of layers that were seen, `[learned, d]`, until their outputs are pulled.
    pulls: BTreeMap<usize, Tensor<2>>,
}

impl Beside<'_> {
    /// Looks at what a layer gave, `[rows, cols, d]`; adds the gradients of its projection.
    pub(crate) fn see(&mut self, layer: usize, output: &Tensor<3>, gradients: &mut dyn Gather) {
        let Some(Wanted { wanted, projection }) = self.said.layers.get(&layer) else {
            return;
        };
        let states = self.learned.of_states(output.clone().inner());
        let matrix = projection.as_ref().map(Param::tensor);
        let (weights, distance) = (&self.weights, self.said.distance);
        let found = states_apart(states, wanted.clone(), matrix, weights, distance);
        if let (Some(param), Some(gradient)) = (projection, found.d_projection) {
            gradients.add(&param.name, gradient);
        }
        self.sums = self.take_sums().and(found.sums);
        self.pulls.insert(layer, found.d_states);
    }

    /// What the backward pass of a layer that was seen starts from as well; none where it is not mapped, or nothing below it is
    /// trained.
    pub(crate) fn pull(&mut self, layer: usize, output: &Tensor<3>) -> Option<Tensor<1>> {
        let pull = self.pulls.remove(&layer)?;
        let is_tracked = output.is_autodiff() && output.is_tracked();
        is_tracked.then(|| carried(self.learned.of_states(output.clone()), pull))
    }

    /// The sums of the distances of all that was seen.
    pub(crate) fn take_sums(&mut self) -> DeviceSums {
        std::mem::take(&mut self.sums)
    }
}
