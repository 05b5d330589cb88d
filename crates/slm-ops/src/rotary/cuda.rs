//! The rotation on a GPU in one pass.

use tch::Tensor;

use crate::cuda::{Launch, gpu_of, type_name, width};

/// `x`, `[batch, heads, time, head_dim]`, rotated by tables `[1 or batch, 1, time, half]` in f32; the result lies as `x` does.
/// `None` where there are no kernels.
pub(super) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor, sign: f32) -> Option<Tensor> {
    let gpu = gpu_of(x)?;
    let x = match x.stride()[3] == 1 {
        true => x.shallow_clone(),
        false => x.contiguous(),
    };
    let (y, cos, sin) = (x.empty_like(), cos.contiguous(), sin.contiguous());
    let [batch, heads, time, dim] = <[i64; 4]>::try_from(x.size()).ok()?;
    let half = cos.size()[3];
    let of_batch = if cos.size()[0] == 1 { 0 } else { time * half };
    let rest = dim - 2 * half;
    let width = match width(half, &[&x, &y]) {
        width if rest % width == 0 => width,
        _ => 1,
    };
    let threads = batch * heads * time * (half + rest) / width;
    let of = |tensor: &Tensor| [0, 1, 2].map(|i| tensor.stride()[i]);
    let ([xb, xh, xt], [yb, yh, yt]) = (of(&x), of(&y));
    let arguments = [
        (&y).into(),
        (&x).into(),
        (&cos).into(),
        (&sin).into(),
        f64::from(sign).into(),
        threads.into(),
        (heads as i32).into(),
        (time as i32).into(),
        (dim as i32).into(),
        (half as i32).into(),
        of_batch.into(),
        xb.into(),
        xh.into(),
        xt.into(),
        yb.into(),
        yh.into(),
        yt.into(),
    ];
    let name = format!("rotate<{}, {width}>", type_name(x.kind())?);
    Launch::threads(threads).run(gpu, &name, arguments);
    Some(y)
}
