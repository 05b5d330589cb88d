//! The pass on Flex.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::fused::Step;
use super::{AdamW, in_one_pass};

impl Step for Flex {
    fn adamw(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamW,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [mut value, gradient, mut first, mut second] =
            [value, gradient, first, second].map(|x| x.to_contiguous());
        let ranges = [&value, &gradient, &first, &second].map(range);
        let [at_value, at_gradient, at_first, at_second] = ranges;
        in_one_pass(
            &mut value.storage_mut()[at_value],
            &gradient.storage()[at_gradient],
            [
                &mut first.storage_mut()[at_first],
                &mut second.storage_mut()[at_second],
            ],
            &step,
        );
        (value, first, second)
    }
}

/// Where the values of a contiguous tensor lie in its memory.
fn range(x: &FloatTensor<Flex>) -> Range<usize> {
    let start = x.layout().start_offset();
    start..start + x.layout().num_elements()
}
