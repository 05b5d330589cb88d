//! Many tensors as few long ones, which is how a network is fast.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use slm_dist::{DistError, Group, Pending};
use slm_model::Param;

/// Values of a bucket: 25 MiB in f32, as in PyTorch's `DistributedDataParallel`.
pub(super) const BUCKET: usize = (25 << 20) / size_of::<f32>();

/// Sums a tensor of the shape of each weight over all processes, in f32; `None` where no process has one.
///
/// A bucket travels while the next one comes from the device, and while the one before goes back to it.
pub(super) fn sum(
    group: &Group,
    params: &[&Param],
    mut own: Vec<Option<Tensor<2>>>,
) -> Result<Vec<Option<Tensor<2>>>, DistError> {
    #[cfg(feature = "libtorch")]
    if super::in_place::applies(group, params)? {
        return super::in_place::sum(group, params, own);
    }
    let lengths: Vec<usize> = params.iter().map(|it| it.len()).collect();
    let mut sent: Vec<(Range<usize>, Pending)> = Vec::new();
    for bucket in buckets(&lengths, BUCKET) {
        let values = flat(&params[bucket.clone()], &mut own[bucket.clone()]);
        sent.push((bucket, group.start_sum(&values)?));
    }
    let mut sums = Vec::with_capacity(params.len());
    for (bucket, pending) in sent {
        sums.extend(unflat(&params[bucket], pending.wait()?));
    }
    Ok(sums)
}

/// Neighbours, as many as stay within `limit` values together, and one at least.
pub(super) fn buckets(lengths: &[usize], limit: usize) -> Vec<Range<usize>> {
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

/// The values of a bucket, zero where a weight has none, and behind them for each weight whether it has.
fn flat(params: &[&Param], own: &mut [Option<Tensor<2>>]) -> Vec<f32> {
    let has = own.iter().map(|it| f32::from(u8::from(it.is_some())));
    let has: Vec<f32> = has.collect();
    let parts = params.iter().zip(own).map(|(param, it)| {
        let device = param.value.device().inner();
        let none = || Tensor::zeros(param.value.dims(), (&device, DType::F32));
        let values = it.take().unwrap_or_else(none);
        values.cast(DType::F32).reshape([param.len() as i32])
    });
    // One copy from the device.
    let values = Tensor::<1>::cat(parts.collect(), 0).into_data();
    let mut values: Vec<f32> = values.try_into_vec().expect("they were cast to f32");
    values.extend(has);
    values
}

/// [`flat`], backwards.
fn unflat(params: &[&Param], mut values: Vec<f32>) -> Vec<Option<Tensor<2>>> {
    let has = values.split_off(values.len() - params.len());
    let device = params[0].value.device().inner();
    let n = values.len();
    let all = Tensor::<1>::from_data(TensorData::new(values, [n]), (&device, DType::F32));
    let mut start = 0;
    let mut next = |param: &&Param| {
        let part = all.clone().narrow(0, start, param.len());
        start += param.len();
        part.reshape(param.value.dims()).cast(param.value.dtype())
    };
    let parts = params.iter().map(&mut next);
    let pairs = parts.zip(has);
    pairs
        .map(|(part, has)| (has > 0.0).then_some(part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_bucket_takes_what_fits_and_one_at_least() {
        assert_eq!(buckets(&[3, 3, 4, 11, 1], 10), [0..3, 3..4, 4..5]);
        assert_eq!(buckets(&[3, 8, 2], 10), [0..1, 1..3]);
        assert!(buckets(&[], 10).is_empty());
    }

    #[test]
    fn tensors_come_back_as_they_went() {
        let device = Device::flex();
        let of = |values: [f32; 4]| Tensor::<2>::from_data([values], &device).reshape([2, 2]);
        let [a, b] = ["a", "b"].map(|name| Param::matrix(name, of([0.0; 4])));
        let params = [&a, &b];
        let mut own = [Some(of([1.0, 2.0, 3.0, 4.0])), None];
        let values = flat(&params, &mut own);
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let back = unflat(&params, values);
        let first: Vec<f32> = back[0].clone().unwrap().into_data().try_into_vec().unwrap();
        assert_eq!(first, [1.0, 2.0, 3.0, 4.0]);
        assert!(back[1].is_none());
    }
}
