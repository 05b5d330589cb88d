//! Causal, grouped-query attention over whole batches, packed or padded.

use burn::tensor::{DType, Device, Tensor, TensorData, activation::softmax};

/// What is added to a masked score. Infinite rather than large: `expf` answers at once, where a large number takes its slow
/// path for underflow (a fifth of a training step on the processor). No NaN follows, since every position sees itself.
const MASKED: f32 = f32::NEG_INFINITY;

/// `softmax(cap(q kᵀ · scale) + bias) v`, with `heads / kv_heads` queries sharing each key.
///
/// With a `softcap` c, a score s becomes `c · tanh(s / c)` before it is masked; without one it stays.
///
/// # Shapes
/// - `q`: `[batch, heads, time, head_dim]`
/// - `k`, `v`: `[batch, kv_heads, seen, head_dim]`
/// - `bias`: `[1 or batch, 1, time, seen]`, f32: 0 where attended, -∞ where not; each query attends to something
/// - result: `[batch, heads, time, head_dim]`
///
/// Query head `h` reads key head `h / (heads / kv_heads)`. The softmax is computed in f32. Keys are never repeated:
/// the queries of one group are stacked along time instead.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    bias: Tensor<4>,
    scale: f64,
    softcap: Option<f64>,
) -> Tensor<4> {
    let [batch, heads, time, head_dim] = q.dims();
    let [_, kv_heads, seen, _] = k.dims();
    let dtype = q.dtype();
    let grouped = [batch, kv_heads, heads / kv_heads * time, head_dim];

    let scores = q
        .mul_scalar(scale)
        .reshape(grouped)
        .matmul(k.swap_dims(2, 3)); // [b, kv, g·t, s]
    let scores = scores.cast(DType::F32).reshape([batch, heads, time, seen]);
    let scores = match softcap {
        Some(cap) => scores.div_scalar(cap).tanh().mul_scalar(cap),
        None => scores,
    };
    let weights = softmax(scores.add(bias), 3)
        .cast(dtype)
        .reshape([grouped[0], grouped[1], grouped[2], seen]);
    weights.matmul(v).reshape([batch, heads, time, head_dim])
}

/// The additive bias of a batch whose rows hold conversations one after the other.
///
/// A position sees the positions before it, and itself, in its own segment. `segments` is `[batch, time]` row-major;
/// 0 is padding. Right padding needs no mask of its own, since nothing that counts comes after it; so one `[1, 1, t, t]`
/// triangle serves the whole batch when every row holds one conversation. With a `window` w, a position sees w positions at
/// most, itself included.
pub fn segment_bias(
    segments: &[i32],
    [batch, time]: [usize; 2],
    window: Option<usize>,
    device: &Device,
) -> Tensor<4> {
    let near =
        |query: usize, key: usize| key <= query && window.is_none_or(|window| query - key < window);
    let rows: Vec<&[i32]> = segments.chunks(time.max(1)).collect();
    if rows.iter().all(|row| is_one_conversation(row)) {
        return visibility_bias([1, time, time], device, |_, query, key| near(query, key));
    }
    visibility_bias([batch, time, time], device, |row, query, key| {
        near(query, key) && rows[row][query] == rows[row][key]
    })
}

/// One conversation from the first position on, then nothing but padding.
fn is_one_conversation(row: &[i32]) -> bool {
    let used = row.iter().take_while(|&&s| s == row[0] && s != 0).count();
    row[used..].iter().all(|&s| s == 0)
}

/// An additive bias `[rows, 1, time, seen]` from a predicate `visible(row, query, key)`. The queries are the last `time` of
/// the `seen` keys, and each sees itself whatever the predicate says.
pub fn visibility_bias(
    [rows, time, seen]: [usize; 3],
    device: &Device,
    visible: impl Fn(usize, usize, usize) -> bool,
) -> Tensor<4> {
    let mut values = vec![0.0f32; rows * time * seen];
    for (i, value) in values.iter_mut().enumerate() {
        let (row, query, key) = (i / (time * seen), i / seen % time, i % seen);
        let is_self = key == query + seen - time;
        if !is_self && !visible(row, query, key) {
            *value = MASKED;
        }
    }
    Tensor::from_data(
        TensorData::new(values, [rows, 1, time, seen]),
        (device, DType::F32),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(bias: Tensor<4>) -> Vec<u8> {
        let values = bias.into_data().try_to_vec::<f32>().unwrap();
        values.iter().map(|v| u8::from(*v == 0.0)).collect()
    }

    #[test]
    fn padded_rows_share_one_triangle() {
        let bias = segment_bias(&[1, 1, 1, 1, 0, 0], [2, 3], None, &Device::flex());
        assert_eq!(bias.dims(), [1, 1, 3, 3]);
        assert_eq!(visible(bias), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    }

    #[test]
    fn packed_conversations_do_not_see_each_other() {
        let bias = segment_bias(&[1, 1, 2], [1, 3], None, &Device::flex());
        assert_eq!(visible(bias), [1, 0, 0, 1, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_window_hides_what_is_far() {
        let bias = segment_bias(&[1, 1, 1], [1, 3], Some(2), &Device::flex());
        assert_eq!(visible(bias), [1, 0, 0, 1, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn grouped_queries_equal_repeated_keys() {
        let device = Device::flex();
        let values = |n: usize, seed: u32| -> Vec<f32> {
            (0..n as u32)
                .map(|i| ((i * 37 + seed * 11) % 17) as f32 / 8.0 - 1.0)
                .collect()
        };
        let tensor = |shape: [usize; 4], seed| {
            Tensor::<4>::from_data(
                TensorData::new(values(shape.iter().product(), seed), shape),
                &device,
            )
        };
        let (q, k, v) = (
            tensor([1, 4, 3, 2], 1),
            tensor([1, 2, 3, 2], 2),
            tensor([1, 2, 3, 2], 3),
        );
        let bias = segment_bias(&[1, 1, 1], [1, 3], None, &device);
        let repeated = |x: Tensor<4>| {
            let (a, b) = (x.clone().narrow(1, 0, 1), x.narrow(1, 1, 1));
            Tensor::cat(vec![a.clone(), a, b.clone(), b], 1)
        };
        let grouped = attention(q.clone(), k.clone(), v.clone(), bias.clone(), 0.7, None);
        let plain = attention(q, repeated(k), repeated(v), bias, 0.7, None);
        grouped
            .into_data()
            .assert_approx_eq::<f32>(&plain.into_data(), burn::tensor::Tolerance::absolute(1e-6));
    }
}
