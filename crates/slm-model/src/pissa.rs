//! PiSSA (Meng et al. 2024): an adapter that begins as the principal part of the weight that it adapts.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::random;

/// Directions that are searched beyond those that are wanted: the last of a block settle slowly.
const OVERSAMPLING: usize = 8;
/// Where iterations end when their number is not given: no singular value moved by more than this share of the largest.
const STANDSTILL: f64 = 1e-7;
const MAX_ITERATIONS: usize = 300;

/// A and B with `scale · B A` the best approximation of `weight` by rank `r`: `A = √(S / scale) Vᵀ`, `B = U √(S / scale)`
/// of its singular value decomposition, found by block subspace iteration (Halko, Martinsson and Tropp 2011).
///
/// # Shapes
/// - `weight`: `[out, in]`
/// - result: `[r, in]` and `[out, r]`, f32
///
/// `iterations` is their number (`pissa_niter_N`); `None` iterates until the singular values stand still.
pub(crate) fn principal_pair(
    weight: Tensor<2>,
    r: usize,
    scale: f64,
    iterations: Option<usize>,
    seed: u64,
    name: &str,
) -> (Tensor<2>, Tensor<2>) {
    let device = weight.device();
    let weight = weight.cast(DType::F32);
    let [out, input] = weight.dims();
    let k = (r + OVERSAMPLING).min(out).min(input);

    let mut right = Columns::new(random::normal(seed, name, input * k, 1.0), k);
    right.orthonormalise();
    let mut left = Columns::of(weight.clone().matmul(right.tensor(&device)));
    let mut before = vec![0.0; k];
    for _ in 0..iterations.unwrap_or(MAX_ITERATIONS) {
        left.orthonormalise();
        right = Columns::of(weight.clone().transpose().matmul(left.tensor(&device)));
        let lengths = right.orthonormalise();
        left = Columns::of(weight.clone().matmul(right.tensor(&device)));
        let moved = |(now, before): (&f64, &f64)| (now - before).abs() > STANDSTILL * lengths[0];
        let stands = !lengths.iter().zip(&before).take(r).any(moved);
        before = lengths;
        if iterations.is_none() && stands {
            break;
        }
    }

    // weight ≈ left rightᵀ; the eigenvectors of leftᵀ left turn both to the singular directions.
    let (squares, turn) = eigen(left.gram());
    let (left, right) = (left.turned(&turn), right.turned(&turn));
    let r = r.min(k);
    let root = |i: usize| (squares[i].max(0.0).sqrt() / scale).sqrt();
    let a = (0..r).flat_map(|i| right.column(i).iter().map(move |v| (v * root(i)) as f32));
    let values: Vec<f32> = a.collect();
    let a = Tensor::from_data(TensorData::new(values, [r, input]), &device);
    // A column of `left` is U · S.
    let length = |i: usize| squares[i].max(f64::MIN_POSITIVE).sqrt();
    let b = (0..r).flat_map(|i| {
        left.column(i)
            .iter()
            .map(move |v| (v / length(i) * root(i)) as f32)
    });
    let values: Vec<f32> = b.collect();
    let b = Tensor::<2>::from_data(TensorData::new(values, [r, out]), &device).transpose();
    (a, b)
}

/// Columns of a tall matrix on the host, in f64.
struct Columns {
    columns: Vec<Vec<f64>>,
}

impl Columns {
    /// From row-major values with `k` columns.
    fn new(values: Vec<f32>, k: usize) -> Self {
        let column = |i| {
            values
                .iter()
                .skip(i)
                .step_by(k)
                .map(|&v| f64::from(v))
                .collect()
        };
        Self {
            columns: (0..k).map(column).collect(),
        }
    }

    fn of(matrix: Tensor<2>) -> Self {
        let k = matrix.dims()[1];
        Self::new(matrix.into_data().try_into_vec().unwrap_or_default(), k)
    }

    fn tensor(&self, device: &Device) -> Tensor<2> {
        let (k, n) = (self.columns.len(), self.columns[0].len());
        let values: Vec<f32> = self.columns.iter().flatten().map(|&v| v as f32).collect();
        Tensor::<2>::from_data(TensorData::new(values, [k, n]), device).transpose()
    }

    fn column(&self, i: usize) -> &[f64] {
        &self.columns[i]
    }

    /// Gram-Schmidt, twice for its rounding; the lengths that columns had beyond those before them.
    fn orthonormalise(&mut self) -> Vec<f64> {
        let mut lengths = Vec::with_capacity(self.columns.len());
        for i in 0..self.columns.len() {
            let (before, rest) = self.columns.split_at_mut(i);
            let column = &mut rest[0];
            for other in before.iter().chain(before.iter()) {
                let along = dot(column, other);
                column
                    .iter_mut()
                    .zip(other)
                    .for_each(|(c, o)| *c -= along * o);
            }
            let length = dot(column, column).sqrt();
            column
                .iter_mut()
                .for_each(|c| *c /= length.max(f64::MIN_POSITIVE));
            lengths.push(length);
        }
        lengths
    }

    /// Products of all pairs of columns.
    fn gram(&self) -> Vec<Vec<f64>> {
        let row = |a: &Vec<f64>| self.columns.iter().map(|b| dot(a, b)).collect();
        self.columns.iter().map(row).collect()
    }

    /// The columns mixed by `turn`: column j of the result is Σ turn[i][j] · column i.
    fn turned(&self, turn: &[Vec<f64>]) -> Self {
        let n = self.columns[0].len();
        let mixed = |j: usize| {
            let mut sum = vec![0.0; n];
            for (column, weights) in self.columns.iter().zip(turn) {
                sum.iter_mut()
                    .zip(column)
                    .for_each(|(s, c)| *s += weights[j] * c);
            }
            sum
        };
        Self {
            columns: (0..turn.len()).map(mixed).collect(),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Eigenvalues, largest first, and eigenvectors (columns) of a small symmetric matrix, by Jacobi's rotations.
fn eigen(mut m: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = m.len();
    let mut vectors: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    for _ in 0..60 {
        let pairs = || (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q)));
        let off: f64 = pairs().map(|(p, q)| m[p][q] * m[p][q]).sum();
        let diagonal: f64 = (0..n).map(|i| m[i][i] * m[i][i]).sum();
        if off <= 1e-30 * diagonal {
            break;
        }
        for (p, q) in pairs() {
            if m[p][q] == 0.0 {
                continue;
            }
            let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
            let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
            let c = 1.0 / (t * t + 1.0).sqrt();
            rotate(&mut m, p, q, c, t * c);
            for row in &mut vectors {
                (row[p], row[q]) = (c * row[p] - t * c * row[q], t * c * row[p] + c * row[q]);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| m[b][b].total_cmp(&m[a][a]));
    let sorted = |row: &Vec<f64>| order.iter().map(|&i| row[i]).collect();
    let values = order.iter().map(|&i| m[i][i]).collect();
    (values, vectors.iter().map(sorted).collect())
}

/// `Jᵀ m J` with J the rotation of axes p and q, p before q.
fn rotate(m: &mut [Vec<f64>], p: usize, q: usize, c: f64, s: f64) {
    for row in m.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    let (above, below) = m.split_at_mut(q);
    for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        let (values, vectors) = eigen(vec![vec![2.0, 1.0], vec![1.0, 2.0]]);
        assert!((values[0] - 3.0).abs() < 1e-12 && (values[1] - 1.0).abs() < 1e-12);
        assert!((vectors[0][0].abs() - 0.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_matrix_of_low_rank_is_its_principal_pair() {
        let device = Device::flex();
        let tensor = |shape: [usize; 2], name| {
            let values = random::normal(1, name, shape[0] * shape[1], 1.0);
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let weight = tensor([40, 3], "left").matmul(tensor([3, 30], "right"));
        let (a, b) = principal_pair(weight.clone(), 3, 2.0, None, 7, "a");
        assert_eq!((a.dims(), b.dims()), ([3, 30], [40, 3]));
        let product = b.matmul(a).mul_scalar(2.0);
        product
            .into_data()
            .assert_approx_eq::<f32>(&weight.into_data(), burn::tensor::Tolerance::absolute(1e-4));
    }
}
