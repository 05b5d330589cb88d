//! Many tensors as few long ones, which is how a network is fast.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use slm_dist::{DistError, Group, Pending};
use slm_model::Param;
#[cfg(feature = "libtorch")]
use slm_ops::torch_view;

/// Neighbours, as many as stay within `limit` values together, and one at least.
pub(super) fn split(lengths: &[usize], limit: usize) -> Vec<Range<usize>> {
    let mut buckets: Vec<Range<usize>> = Vec::new();
    let mut held = 0;
    for (at, length) in lengths.iter().enumerate() {
        match buckets.last_mut().filter(|_| held + length <= limit) {
            Some(bucket) => bucket.end = at + 1,
            None => {
                buckets.push(at..at + 1);
                held = 0;
            }
        }
        held += length;
    }
    buckets
}

/// Whether sums of tensors of these weights' kind are taken where they lie, on libtorch; otherwise they go through the host. All
/// processes ask.
pub(super) fn sums_in_place(group: &Group, params: &[&Param]) -> Result<bool, DistError> {
    #[cfg(feature = "libtorch")]
    if let Some(view) = params.first().and_then(|it| torch_view(&it.tensor())) {
        return group.sums_on(view.device());
    }
    let _ = (group, params);
    Ok(false)
}

/// The sum of a bucket, under way.
pub(super) enum Sum {
    OnHost(Pending),
    #[cfg(feature = "libtorch")]
    InPlace(Box<Tensor<1>>, slm_dist::InPlace),
}

impl Sum {
    /// Begins it; a weight of which this process has nothing counts as zero.
    pub(super) fn start(
        group: &Group,
        params: &[&Param],
        own: Vec<Option<Tensor<2>>>,
        in_place: bool,
    ) -> Result<Self, DistError> {
        let values = flat(params, own);
        #[cfg(feature = "libtorch")]
        if in_place {
            let Some(view) = torch_view(&values) else {
                unreachable!("weights of one model lie in one place")
            };
            let sum = group.start_sum_of(view)?;
            return Ok(Self::InPlace(Box::new(values), sum));
        }
        let _ = in_place;
        let values: Vec<f32> = values.into_data().try_into_vec().expect("values are f32");
        Ok(Self::OnHost(group.start_sum(&values)?))
    }

    /// Waits for it: a tensor for each weight.
    pub(super) fn wait(self, params: &[&Param]) -> Result<Vec<Tensor<2>>, DistError> {
        let values = match self {
            Self::OnHost(pending) => {
                let values = pending.wait()?;
                let (n, device) = (values.len(), params[0].value.device().inner());
                Tensor::from_data(TensorData::new(values, [n]), (&device, DType::F32))
            }
            #[cfg(feature = "libtorch")]
            Self::InPlace(values, sum) => {
                sum.wait()?;
                *values
            }
        };
        Ok(parts(params, &values))
    }
}

/// The values of a bucket, `[n]`, f32, in memory of their own; zero where a weight has none.
fn flat(params: &[&Param], own: Vec<Option<Tensor<2>>>) -> Tensor<1> {
    let device = params[0].value.device().inner();
    let parts = params.iter().zip(own).map(|(param, own)| {
        let none = || Tensor::zeros(param.value.dims(), (&device, DType::F32));
        let values = own.unwrap_or_else(none);
        values.cast(DType::F32).reshape([param.len() as i32])
    });
    // One alone would be passed on as it is, and others may read it.
    let nothing = Tensor::<1>::zeros([0], (&device, DType::F32));
    Tensor::cat(parts.chain([nothing]).collect(), 0)
}

/// [`flat`], backwards.
fn parts(params: &[&Param], values: &Tensor<1>) -> Vec<Tensor<2>> {
    let mut start = 0;
    let mut next = |param: &&Param| {
        let part = values.clone().narrow(0, start, param.len());
        start += param.len();
        part.reshape(param.value.dims()).cast(param.value.dtype())
    };
    params.iter().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slm_model::device;

    #[test]
    fn a_bucket_takes_what_fits_and_one_at_least() {
        assert_eq!(split(&[3, 3, 4, 11, 1], 10), [0..3, 3..4, 4..5]);
        assert_eq!(split(&[3, 8, 2], 10), [0..1, 1..3]);
        assert!(split(&[], 10).is_empty());
    }

    fn values_of(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn tensors_come_back_as_they_went() {
        let device = device::open("cpu").unwrap();
        let of = |values: [f32; 4]| Tensor::<2>::from_data([values], &device).reshape([2, 2]);
        let [a, b] = ["a", "b"].map(|name| Param::matrix(name, of([0.0; 4])));
        let params = [&a, &b];
        let values = flat(&params, vec![Some(of([1.0, 2.0, 3.0, 4.0])), None]);
        let back: Vec<_> = parts(&params, &values).into_iter().map(values_of).collect();
        assert_eq!(back, [[1.0, 2.0, 3.0, 4.0], [0.0; 4]]);
    }

    #[cfg(feature = "libtorch")]
    #[test]
    fn a_gradient_is_not_summed_into() {
        let device = device::open("libtorch:cpu").unwrap();
        let of = |values: [f32; 4]| Tensor::<2>::from_data([values], &device).reshape([2, 2]);
        let [a, b] = ["a", "b"].map(|name| Param::matrix(name, of([0.0; 4])));
        let gradient = of([1.0, 2.0, 3.0, 4.0]);
        for (params, own) in [
            (vec![&a, &b], vec![Some(gradient.clone()), None]),
            (vec![&a], vec![Some(gradient.clone())]),
        ] {
            let values = flat(&params, own);
            let _ = torch_view(&values).unwrap().fill_(7.0);
            for part in parts(&params, &values) {
                assert_eq!(values_of(part), [7.0; 4]);
            }
            assert_eq!(values_of(gradient.clone()), [1.0, 2.0, 3.0, 4.0]);
        }
    }
}
