//! Products on a GPU in 16 bits of layers that read the same `x`: sums are in f32, adapters' f32 weights are rounded for them, and
//! their gradients are not rounded.
//!
//! What an adapter adds to a wide result would be a pass over it, a third of the layer's own product. There, the adapter is part of
//! that product instead, as more columns of both sides, `[x | x Aᵀ] [W | B]ᵀ`; copying the narrow side and the weight costs less.

use tch::{Kind, Tensor};

use crate::aten::mm_f32;
use crate::cuda::{Argument, Launch, gpu_of, type_name};
use crate::torch::linear;

/// A layer: `[out, in]`, `[1, out]`, and its adapter `[r, in]`, `[out, r]` in f32.
pub(crate) struct Adapted<'a> {
    weight: Tensor,
    bias: Option<&'a Tensor>,
    a: &'a Tensor,
    b: &'a Tensor,
    scale: f64,
}

impl<'a> Adapted<'a> {
    pub(super) fn new(
        weight: Tensor,
        bias: Option<&'a Tensor>,
        [a, b]: [&'a Tensor; 2],
        scale: f64,
    ) -> Self {
        Self {
            weight,
            bias,
            a,
            b,
            scale,
        }
    }
}

/// Whether products of `x` are taken here.
pub(crate) fn applies(x: &Tensor) -> bool {
    x.device().is_cuda() && matches!(x.kind(), Kind::BFloat16 | Kind::Half)
}

/// Of each layer, `x Wᵀ + bias + scale · (x Aᵀ) Bᵀ`, `[rows, out]`, and `scale · x Aᵀ`, `[rows, r]`.
pub(super) fn forward(x: &Tensor, layers: &[Adapted<'_>]) -> Vec<(Tensor, Tensor)> {
    let Rounded { a, b } = Rounded::of(layers, x.kind(), true);
    let low = linear(x, &a, None); // [rows, all r]
    let mut with_low = None;
    let product = |((layer, b), [start, r]): ((&Adapted<'_>, &Tensor), [i64; 2])| {
        let weight = &layer.weight;
        let [out, input] = [weight.size()[0], weight.size()[1]];
        let low_of = low.narrow(1, start, r);
        if !is_wide(out, input, &low) {
            let y = linear(x, weight, layer.bias).addmm_(&low_of, &b.tr());
            return (y, low_of);
        }
        let x = with_low.get_or_insert_with(|| Tensor::cat(&[x, &low], 1));
        let nothing = |columns| Tensor::zeros([out, columns], (b.kind(), b.device()));
        let (before, after) = (nothing(start), nothing(low.size()[1] - start - r));
        let weight = Tensor::cat(&[weight, &before, b, &after], 1);
        (linear(x, &weight, layer.bias), low_of)
    };
    let each = layers.iter().zip(&b).zip(spans(layers));
    each.map(product).collect()
}

/// The gradient of `x`, where it is wanted, and those of each A and B; `lows` are what [`forward`] gave. `x` is let go of before its
/// gradient takes memory.
pub(super) fn backward(
    x: Tensor,
    layers: &[Adapted<'_>],
    [lows, dys]: [&[&Tensor]; 2],
    wants_x: bool,
) -> (Option<Tensor>, Vec<[Tensor; 2]>) {
    let pull = Pull::of(layers, dys);
    let da = pull.gradients_of_a(layers, &x);
    drop(x);
    let db = dys.iter().zip(lows).map(|(dy, low)| mm_f32(&dy.tr(), low));
    let gradients = da.into_iter().zip(db).map(|(da, db)| [da, db]).collect();
    (wants_x.then(|| pull.gradient_of_x(layers, dys)), gradients)
}

/// What gradients of results come to behind the B of each layer.
pub(crate) struct Pull {
    /// `[all r, in]`
    a: Tensor,
    /// `scale · dy B`, `[rows, all r]`
    d_low: Tensor,
}

impl Pull {
    pub(crate) fn of(layers: &[Adapted<'_>], dys: &[&Tensor]) -> Self {
        let dy = dys[0];
        let Rounded { a, b } = Rounded::of(layers, dy.kind(), false);
        let d_low = dy.new_empty([dy.size()[0], a.size()[0]], (dy.kind(), dy.device()));
        for ((b, dy), [start, r]) in b.iter().zip(dys).zip(spans(layers)) {
            let _ = dy.mm_out(&d_low.narrow(1, start, r), b);
        }
        Self { a, d_low }
    }

    pub(crate) fn gradient_of_x(&self, layers: &[Adapted<'_>], dys: &[&Tensor]) -> Tensor {
        pulled(layers, dys, &self.d_low, &self.a)
    }

    pub(crate) fn gradients_of_a(&self, layers: &[Adapted<'_>], x: &Tensor) -> Vec<Tensor> {
        let all = mm_f32(&self.d_low.tr(), x); // [all r, in]
        let spans = spans(layers).into_iter();
        spans.map(|[start, r]| all.narrow(0, start, r)).collect()
    }
}

/// The sum of `dy W + d_low A` of all layers.
fn pulled(layers: &[Adapted<'_>], dys: &[&Tensor], d_low: &Tensor, a: &Tensor) -> Tensor {
    let weight = &layers[0].weight;
    if layers.len() == 1 && is_wide(weight.size()[1], weight.size()[0], d_low) {
        return Tensor::cat(&[dys[0], d_low], 1).mm(&Tensor::cat(&[weight, a], 0));
    }
    let rest = layers.iter().zip(dys).skip(1);
    let dx = rest.fold(dys[0].mm(weight), |mut dx, (layer, dy)| {
        dx.addmm_(dy, &layer.weight)
    });
    let mut dx = dx;
    dx.addmm_(d_low, a)
}

/// Adapters in 16 bits.
struct Rounded {
    /// Of all layers one below the other, `[all r, in]`.
    a: Tensor,
    /// Of each, `[out, r]`.
    b: Vec<Tensor>,
}

impl Rounded {
    /// Most tensors that the kernel takes at once.
    const MOST: usize = 8;

    /// Each A times the scale of its layer if that `is_with_a`, else each B.
    fn of(layers: &[Adapted<'_>], kind: Kind, is_with_a: bool) -> Self {
        let factor = |layer: &Adapted<'_>, is_with: bool| if is_with { layer.scale } else { 1.0 };
        let a = layers
            .iter()
            .map(|layer| (layer.a, factor(layer, is_with_a)));
        let b = layers
            .iter()
            .map(|layer| (layer.b, factor(layer, !is_with_a)));
        let all: Vec<(&Tensor, f64)> = a.chain(b).collect();
        let mut each = match rounded_together(&all, kind) {
            Some(buffer) => parts(&buffer, &all),
            None => all
                .iter()
                .map(|(x, factor)| (*x * *factor).to_kind(kind))
                .collect(),
        };
        let b = each.split_off(layers.len());
        let a = match &each[..] {
            [one] => one.shallow_clone(),
            each => Tensor::cat(each, 0),
        };
        Self { a, b }
    }
}

/// Each tensor times its factor, one behind the other; `None` where there are no kernels, or a tensor would begin where a GPU does not
/// like to read.
fn rounded_together(all: &[(&Tensor, f64)], kind: Kind) -> Option<Tensor> {
    let (gpu, name) = (gpu_of(all[0].0)?, type_name(kind)?);
    let sizes = all.iter().map(|(x, _)| x.numel() as i64);
    let (most, sum) = (sizes.clone().max()?, sizes.clone().sum::<i64>());
    if all.len() > Rounded::MOST || sizes.clone().any(|n| n % 8 != 0) {
        return None;
    }
    let y = Tensor::empty([sum], (kind, all[0].0.device()));
    let held: Vec<Tensor> = all.iter().map(|(x, _)| x.contiguous()).collect();
    let tensors = held
        .iter()
        .zip(all)
        .flat_map(|(x, (_, factor))| [x.into(), (x.numel() as i64).into(), (*factor).into()]);
    let mut arguments: Vec<Argument> = std::iter::once((&y).into()).chain(tensors).collect();
    // The kernel's table is read whole.
    arguments.resize(1 + 3 * Rounded::MOST, 0i64.into());
    Launch::for_each(all.len(), most).run_with(gpu, &format!("scaled<{name}>"), arguments);
    Some(y)
}

/// The tensors of [`rounded_together`].
fn parts(buffer: &Tensor, all: &[(&Tensor, f64)]) -> Vec<Tensor> {
    let mut start = 0;
    let part = |(x, _): &(&Tensor, f64)| {
        let n = x.numel() as i64;
        start += n;
        buffer.narrow(0, start - n, n).view_as(x)
    };
    all.iter().map(part).collect()
}

/// Where each layer's ranks begin, one layer's after the other's, and how many they are.
fn spans(layers: &[Adapted<'_>]) -> Vec<[i64; 2]> {
    let mut start = 0;
    let span = |layer: &Adapted<'_>| {
        let r = layer.a.size()[0];
        start += r;
        [start - r, r]
    };
    layers.iter().map(span).collect()
}

/// Whether `to` columns from `from` are wide beside adapters' `low`, `[rows, r]`, and ranks keep rows where a GPU likes them.
fn is_wide(to: i64, from: i64, low: &Tensor) -> bool {
    to >= 2 * from && low.size()[0] >= 2 * from && low.size()[1] % 8 == 0
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// On a processor, where the formulas are the same.
    #[test]
    fn layers_together_are_layers_one_by_one() {
        let random = |shape: [i64; 2]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let (x, d) = (random([40, 12]), 12);
        let made = [(30, 8), (24, 8), (6, 3)].map(|(out, r)| {
            [
                random([out, d]),
                random([1, out]),
                random([r, d]),
                random([out, r]),
            ]
        });
        let layers: Vec<Adapted<'_>> = made
            .iter()
            .enumerate()
            .map(|(i, [weight, bias, a, b])| Adapted {
                weight: weight.shallow_clone(),
                bias: (i == 1).then_some(bias),
                a,
                b,
                scale: 1.5,
            })
            .collect();
        // With ranks in eights, and then not.
        for layers in [&layers[..2], &layers[..1], &layers[..]] {
            let found = forward(&x, layers);
            let dense = |layer: &Adapted<'_>| &layer.weight + layer.b.mm(layer.a) * layer.scale;
            for ((y, low), layer) in found.iter().zip(layers) {
                let want = linear(&x, &dense(layer), layer.bias);
                assert!(y.allclose(&want, 1e-4, 1e-4, false));
                assert!(low.allclose(&(x.mm(&layer.a.tr()) * 1.5), 1e-4, 1e-4, false));
            }
            let dys: Vec<Tensor> = found.iter().map(|(y, _)| y.cos()).collect();
            let d_low: Vec<Tensor> = layers
                .iter()
                .zip(&dys)
                .map(|(layer, dy)| dy.mm(layer.b) * 1.5)
                .collect();
            let d_low = Tensor::cat(&d_low, 1);
            let a = Rounded::of(layers, Kind::Float, false).a;
            let dx = pulled(layers, &dys.iter().collect::<Vec<_>>(), &d_low, &a);
            let want: Tensor = layers
                .iter()
                .zip(&dys)
                .map(|(layer, dy)| dy.mm(&dense(layer)))
                .sum();
            assert!(dx.allclose(&want, 1e-3, 1e-3, false));
        }
    }
}
