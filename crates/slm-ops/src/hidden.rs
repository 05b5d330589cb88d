//! States of a layer held against those of a larger model's.

use burn::tensor::{DType, Tensor};

use crate::{DeviceSums, TokenWeights};

/// The least length that a state is taken for, so that a cosine of nothing is a number; PyTorch's default.
const EPSILON: f64 = 1e-8;

/// How far two states are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateDistance {
    /// The mean over the dimensions of squared differences.
    MeanSquare,
    /// One less the cosine of their angle.
    Cosine,
}

/// How far states are from those that are wanted, with the gradients of the weighted sum, all outside the graph.
#[derive(Clone, Debug)]
pub struct StatesApart {
    /// Of the distances, unweighted; entropy and count of argmax are 0.
    pub sums: DeviceSums,
    /// Of the states, `[n, d]`, in their dtype.
    pub d_states: Tensor<2>,
    /// Of the projection, `[wanted, d]` in f32, where there is one.
    pub d_projection: Option<Tensor<2>>,
}

/// The distance of `states`, or of what `projection` makes of them, from the states that are `wanted`. In f32.
///
/// # Shapes
/// - `states`: `[n, d]`; `wanted`: `[n, wanted]`
/// - `projection`: `[wanted, d]`; none where both are of one width
pub fn states_apart(
    states: Tensor<2>,
    wanted: Tensor<2>,
    projection: Option<Tensor<2>>,
    weights: &TokenWeights,
    distance: StateDistance,
) -> StatesApart {
    let (states, wanted) = (states.inner(), wanted.inner().cast(DType::F32));
    let (dtype, [n, _]) = (states.dtype(), states.dims());
    let states = states.cast(DType::F32);
    let projection = projection.map(|it| it.inner().cast(DType::F32));
    let seen = match &projection {
        Some(matrix) => states.clone().matmul(matrix.clone().transpose()), // [n, wanted]
        None => states.clone(),
    };
    let weights = weights.each(n, &states.device()).reshape([n, 1]);
    let (distances, pull) = match distance {
        StateDistance::MeanSquare => mean_square(seen, wanted),
        StateDistance::Cosine => cosine(seen, wanted),
    };
    let pull = pull.mul(weights); // [n, wanted]
    let d_projection = (projection.is_some()).then(|| pull.clone().transpose().matmul(states));
    let d_states = match projection {
        Some(matrix) => pull.matmul(matrix),
        None => pull,
    };
    let nothing = Tensor::zeros([n, 2], (&distances.device(), DType::F32));
    StatesApart {
        sums: DeviceSums::of(Tensor::cat(vec![distances, nothing], 1)),
        d_states: d_states.cast(dtype),
        d_projection,
    }
}

/// Distances `[n, 1]`, and their gradients `[n, d]`.
fn mean_square(seen: Tensor<2>, wanted: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let width = seen.dims()[1] as f64;
    let apart = seen.sub(wanted);
    let distances = apart.clone().square().mean_dim(1);
    (distances, apart.mul_scalar(2.0 / width))
}

/// As [`mean_square`]: d (1 − cos) / d s = (cos · s / ‖s‖ − t / ‖t‖) / ‖s‖.
fn cosine(seen: Tensor<2>, wanted: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let unit = |x: Tensor<2>| {
        let length = x.clone().square().sum_dim(1).sqrt().clamp_min(EPSILON); // [n, 1]
        (x.div(length.clone()), length)
    };
    let ((seen, length), (wanted, _)) = (unit(seen), unit(wanted));
    let cosine = seen.clone().mul(wanted.clone()).sum_dim(1); // [n, 1]
    let pull = seen.mul(cosine.clone()).sub(wanted).div(length);
    (cosine.neg().add_scalar(1.0), pull)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(tensor: &Tensor<2>) -> Vec<f32> {
        tensor.clone().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_mean_square_by_hand() {
        let device = Device::flex();
        let states = Tensor::<2>::from_floats([[1.0, 2.0], [0.0, 0.0]], &device);
        let wanted = Tensor::<2>::from_floats([[3.0, 1.0], [0.0, 4.0]], &device);
        let same = TokenWeights::Same(0.5);
        let found = states_apart(states, wanted, None, &same, StateDistance::MeanSquare);
        // (4 + 1) / 2 and 16 / 2; the gradient is the difference, 2 / 2, times 0.5.
        assert_eq!(found.sums.read().loss, 10.5);
        assert_eq!(values(&found.d_states), [-1.0, 0.5, 0.0, -2.0]);
        assert!(found.d_projection.is_none());
    }

    #[test]
    fn a_projection_stands_between_two_widths() {
        let device = Device::flex();
        let states = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
        let projection = Tensor::<2>::from_floats([[1.0, 1.0], [0.0, 1.0], [2.0, 0.0]], &device);
        let wanted = Tensor::<2>::from_floats([[0.0, 2.0, 5.0]], &device);
        let (one, kind) = (TokenWeights::Same(1.0), StateDistance::MeanSquare);
        let found = states_apart(states, wanted, Some(projection), &one, kind);
        // 3, 2, 2 are 3, 0, -3 off.
        assert_eq!(found.sums.read().loss, 6.0);
        // Pulls 2, 0, -2: back through the columns (1, 0, 2) and (1, 1, 0); and times the state.
        assert_eq!(values(&found.d_states), [-2.0, 2.0]);
        let expected = [2.0, 4.0, 0.0, 0.0, -2.0, -4.0];
        assert_eq!(values(&found.d_projection.unwrap()), expected);
    }

    #[test]
    fn a_cosine_does_not_see_lengths_and_nothing_has_one() {
        let device = Device::flex();
        let states = Tensor::<2>::from_floats([[3.0, 4.0], [2.0, 0.0], [0.0, 0.0]], &device);
        let wanted = Tensor::<2>::from_floats([[6.0, 8.0], [0.0, 5.0], [1.0, 0.0]], &device);
        let (one, kind) = (TokenWeights::Same(1.0), StateDistance::Cosine);
        let found = states_apart(states, wanted, None, &one, kind);
        assert!((found.sums.read().loss - 2.0).abs() < 1e-6);
        let pull = values(&found.d_states);
        // Where both have one direction there is no pull; at right angles it is the wanted direction by the length.
        let expected = [0.0, 0.0, 0.0, -0.5];
        for (found, wanted) in pull.iter().zip(expected) {
            assert!((found - wanted).abs() < 1e-6, "{pull:?}");
        }
        assert!(pull.iter().all(|x| x.is_finite()));
    }
}
