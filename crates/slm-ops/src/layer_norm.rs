//! Layer normalisation.

use burn::tensor::{DType, Tensor};

/// `y = (x − mean) / sqrt(var + eps) · weight + bias`, over the last dimension.
///
/// # Shapes
/// - `x`: `[.., n]`, any float dtype; the statistics are computed in f32, with the biased variance
/// - `weight`, `bias`: `[1, n]`
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<2>>,
    eps: f64,
) -> Tensor<D> {
    let dtype = x.dtype();
    let x = x.cast(DType::F32);
    let centred = x.clone().sub(x.mean_dim(D - 1));
    let variance = centred.clone().square().mean_dim(D - 1);
    let normalised = centred.div(variance.add_scalar(eps).sqrt());
    let y = normalised.mul(weight.cast(DType::F32).unsqueeze());
    let y = match bias {
        Some(bias) => y.add(bias.cast(DType::F32).unsqueeze()),
        None => y,
    };
    y.cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn centres_and_divides_by_the_deviation() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 3.0]], &device);
        let weight = Tensor::<2>::from_floats([[1.0, 10.0]], &device);
        let bias = Tensor::<2>::from_floats([[0.5, 0.0]], &device);
        let y = layer_norm(x, weight, Some(bias), 0.0).into_data();
        assert_eq!(y.try_to_vec::<f32>().unwrap(), [-0.5, 10.0]);
    }
}
