//! The layer's products on Flex: what is added to a result is added by the product itself.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::fused::{Bias, Frozen, Kept, Layer, LowRank, Passes};
use crate::dense_product::DenseProduct;
use crate::matrix::{Before, Dense, Matrix, Threads, new_product, product};
use crate::quantized::{Dense as _, IntegerProduct};
use crate::rows::in_one_piece;

impl Passes for Flex {
    fn forward(
        x: &FloatTensor<Self>,
        layer: &Layer<Self>,
        low_rank: &LowRank<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let y = match &layer.weight {
            Frozen::Int8(matrix) => Self::integer_product(x.clone(), matrix.clone()),
            Frozen::Float(weight) => Self::dense_product(x.clone(), weight.clone(), false),
            Frozen::Codes(codes) => {
                Self::dense_product(x.clone(), Self::dense(codes.clone()), false)
            }
        };
        let form = low_rank.form;
        let dropped = form.dropout.map(|dropout| dropout.of_flex(x));
        let x = dropped.as_ref().unwrap_or(x);
        let [x, a, b] = [x, &low_rank.a, &low_rank.b].map(Dense::of);
        let low = new_product(form.scale as f32, (x.matrix(), a.matrix().transpose()));
        let mut y = with_product(y, Dense::of(&low).matrix(), b.matrix().transpose());
        if let Bias::Present(bias) = &layer.bias {
            let bias = bias.to_contiguous();
            let bias = bias.storage::<f32>();
            for row in y.storage_mut::<f32>().chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
        (y, low)
    }

    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        let pull = Dense::of(&dy);
        let LowRank { a, b, form } = &kept.low_rank;
        let dropped = form.dropout.map(|dropout| dropout.of_flex(&kept.x));
        let x = dropped.as_ref().unwrap_or(&kept.x);
        let [x, low, a, b] = [x, &kept.low, a, b].map(Dense::of);
        let d_low = new_product(form.scale as f32, (pull.matrix(), b.matrix()));
        let d_low = Dense::of(&d_low);
        let da = new_product(1.0, (d_low.matrix().transpose(), x.matrix()));
        let db = new_product(1.0, (pull.matrix().transpose(), low.matrix()));
        let dx = wants_x.then(|| {
            let dx = match kept.weight {
                Frozen::Int8(matrix) => Self::integer_gradient(dy, matrix),
                Frozen::Float(weight) => {
                    new_product(1.0, (pull.matrix(), Dense::of(&weight).matrix()))
                }
                Frozen::Codes(codes) => new_product(
                    1.0,
                    (pull.matrix(), Dense::of(&Self::dense(codes)).matrix()),
                ),
            };
            match form.dropout {
                None => with_product(dx, d_low.matrix(), a.matrix()),
                Some(dropout) => dropout.added(dx, &new_product(1.0, (d_low.matrix(), a.matrix()))),
            }
        });
        (dx, [da, db])
    }
}

/// `y + a b`, in the memory of `y` where that lies in one piece.
fn with_product(y: FloatTensor<Flex>, a: Matrix, b: Matrix) -> FloatTensor<Flex> {
    let mut y = in_one_piece(y);
    let place = (y.storage_mut::<f32>(), b.cols());
    product(place, Before::Terms, 1.0, (a, b), Threads::All);
    y
}
