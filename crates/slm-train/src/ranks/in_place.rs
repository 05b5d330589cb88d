//! Sums of what lies on libtorch, where it lies: on a GPU nothing comes to the host.

use std::ops::Range;

use burn::tensor::{DType, Tensor};
use slm_dist::{DistError, Group, InPlace};
use slm_model::Param;
use slm_ops::torch_view;

use super::buckets::{BUCKET, buckets};

/// Whether [`sum`] can be asked for; all processes ask.
pub(super) fn applies(group: &Group, params: &[&Param]) -> Result<bool, DistError> {
    let first = params.first().map(|it| it.tensor());
    match first.and_then(|it| torch_view(&it)) {
        Some(it) => group.sums_on(it.device()),
        None => Ok(false),
    }
}

/// [`super::buckets::sum`] of tensors of libtorch. Which weights have one is told first, through the host: where a process was lost,
/// that is noticed before a GPU waits for it.
pub(super) fn sum(
    group: &Group,
    params: &[&Param],
    own: Vec<Option<Tensor<2>>>,
) -> Result<Vec<Option<Tensor<2>>>, DistError> {
    let has = own.iter().map(|it| f64::from(u8::from(it.is_some())));
    let has = group.sum(&has.collect::<Vec<_>>())?;
    let all = params.iter().zip(own).zip(&has);
    let there: Vec<(&Param, Option<Tensor<2>>)> = all
        .filter(|(_, has)| **has > 0.0)
        .map(|((param, own), _)| (*param, own))
        .collect();
    let lengths: Vec<usize> = there.iter().map(|(param, _)| param.len()).collect();
    let mut sent: Vec<(Range<usize>, Tensor<1>, InPlace)> = Vec::new();
    for bucket in buckets(&lengths, BUCKET) {
        let values = flat(&there[bucket.clone()]);
        let pending = match torch_view(&values) {
            Some(values) => group.start_sum_of(values)?,
            None => unreachable!("weights of one model lie in one place"),
        };
        sent.push((bucket, values, pending));
    }
    let mut sums = Vec::with_capacity(there.len());
    for (bucket, values, pending) in sent {
        pending.wait()?;
        sums.extend(parts(&there[bucket], &values));
    }
    let mut sums = sums.into_iter();
    let of_each = |has: &f64| if *has > 0.0 { sums.next() } else { None };
    Ok(has.iter().map(of_each).collect())
}

/// The values of a bucket in memory of their own, zero where a weight has none.
fn flat(bucket: &[(&Param, Option<Tensor<2>>)]) -> Tensor<1> {
    let device = bucket[0].0.value.device().inner();
    let parts = bucket.iter().map(|(param, own)| {
        let none = || Tensor::zeros(param.value.dims(), (&device, DType::F32));
        let values = own.clone().unwrap_or_else(none);
        values.cast(DType::F32).reshape([param.len() as i32])
    });
    // One alone would be passed on as it is, and others may read it.
    let nothing = Tensor::<1>::zeros([0], (&device, DType::F32));
    Tensor::cat(parts.chain([nothing]).collect(), 0)
}

/// [`flat`], backwards.
fn parts(bucket: &[(&Param, Option<Tensor<2>>)], values: &Tensor<1>) -> Vec<Tensor<2>> {
    let mut start = 0;
    let mut next = |(param, _): &(&Param, Option<Tensor<2>>)| {
        let part = values.clone().narrow(0, start, param.len());
        start += param.len();
        part.reshape(param.value.dims()).cast(param.value.dtype())
    };
    bucket.iter().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_copied_and_comes_back() {
        let device = slm_model::device::open("libtorch:cpu").unwrap();
        let of = |values: [f32; 4]| Tensor::<2>::from_data([values], &device).reshape([2, 2]);
        let [a, b] = ["a", "b"].map(|name| Param::matrix(name, of([0.0; 4])));
        let gradient = of([1.0, 2.0, 3.0, 4.0]);
        for bucket in [
            vec![(&a, Some(gradient.clone())), (&b, None)],
            vec![(&a, Some(gradient.clone()))],
        ] {
            let values = flat(&bucket);
            let _ = torch_view(&values).unwrap().fill_(7.0);
            for part in parts(&bucket, &values) {
                let part: Vec<f32> = part.into_data().try_into_vec().unwrap();
                assert_eq!(part, [7.0; 4]);
            }
            let kept: Vec<f32> = gradient.clone().into_data().try_into_vec().unwrap();
            assert_eq!(
                kept,
                [1.0, 2.0, 3.0, 4.0],
                "it was summed into the gradient itself"
            );
        }
    }
}
