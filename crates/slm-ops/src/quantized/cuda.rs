//! Codes on a GPU become values in one pass.

use burn::backend::{FloatDType, LibTorch};
use tch::{Kind, Tensor};

use super::int8::STEP;
use super::stored::{Codes, Stored};
use crate::cuda::{Gpu, Launch, gpu_of, type_name};

/// The matrix, `[out, in]`; `None` where there are no kernels.
pub(super) fn dense(stored: &Stored<LibTorch>) -> Option<Tensor> {
    let codes = match &stored.codes {
        Codes::Int8 { codes, .. } => &codes.tensor,
        Codes::Nf4 { packed, .. } | Codes::Nf4Double { packed, .. } => &packed.tensor,
    };
    let gpu = gpu_of(codes)?;
    let kind = match stored.dtype {
        FloatDType::F32 => Kind::Float,
        FloatDType::BF16 => Kind::BFloat16,
        FloatDType::F16 => Kind::Half,
        _ => return None,
    };
    let shape = stored.shape.map(|n| n as i64);
    let y = Tensor::empty(shape, (kind, codes.device()));
    write(&y, &codes.contiguous(), &stored.codes, gpu)?;
    Some(y)
}

fn write(y: &Tensor, packed: &Tensor, codes: &Codes<LibTorch>, gpu: &Gpu) -> Option<()> {
    /// Values that a thread writes at once, where their number allows it.
    const PACK: i64 = 8;
    let (name, [rows, columns]) = (type_name(y.kind())?, [y.size()[0], y.size()[1]]);
    let n = rows * columns;
    let width = |n: i64| if n % PACK == 0 { PACK } else { 1 };
    let launch = Launch::threads(n / width(n));
    match codes {
        Codes::Int8 { absmax, .. } => {
            let width = width(columns);
            Launch::thread_per_pack(rows, columns, width).run(
                gpu,
                &format!("of_int8<{name}, {width}>"),
                [
                    y.into(),
                    packed.into(),
                    (&absmax.tensor).into(),
                    (columns as i32).into(),
                    f64::from(STEP).into(),
                ],
            );
        }
        Codes::Nf4 { pairs, absmax, .. } => launch.run(
            gpu,
            &format!("of_nf4_plain<{name}, {}>", width(n)),
            [
                y.into(),
                packed.into(),
                (&pairs.tensor).into(),
                (&absmax.tensor).into(),
                n.into(),
            ],
        ),
        Codes::Nf4Double {
            pairs,
            absmax,
            map,
            nested,
            offset,
            ..
        } => launch.run(
            gpu,
            &format!("of_nf4_double<{name}, {}>", width(n)),
            [
                y.into(),
                packed.into(),
                (&pairs.tensor).into(),
                (&absmax.tensor).into(),
                (&map.tensor).into(),
                (&nested.tensor).into(),
                f64::from(*offset).into(),
                n.into(),
            ],
        ),
    }
    Some(())
}
