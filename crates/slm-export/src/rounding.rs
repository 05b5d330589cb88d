//! How far the weights in a rounded file are from those that they were made from.
//!
//! Whatever the bits, rounding is small beside the weights and knows nothing of the adapter. Rows in another order, another
//! tensor or a lost adapter are neither.

use serde::{Deserialize, Serialize};
use slm_gguf::TensorType;
use slm_model::{Decoder, Param};

/// What a weight may be off in any case: half of F16's smallest step, which the scales of blocks are in, times the levels
/// of the finest block.
pub(crate) const SMALLEST: f64 = 128.0 / (1u64 << 25) as f64;

/// How sure the adapter's share must be: this many standard deviations of rounding fit between 1 and 0 or 2, twice.
const SHARE_DEVIATIONS: f64 = 6.0;

/// The rounding of a file's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// The tensor that is nearest to its limit, by llama.cpp's name.
    pub tensor: String,
    /// What it is stored as.
    pub tensor_type: String,
    /// RMS(stored − trained) / RMS(trained), of this tensor.
    pub relative_rms: f64,
    /// What the type allows.
    pub limit: f64,
    /// How often the adapter is in the weights: 1. `None` without an adapter, and where rounding hides it.
    pub adapter_share: Option<f64>,
    /// Whether all tensors are within their limits.
    pub is_within: bool,
}

impl Rounding {
    /// What no rounding explains.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.is_within {
            faults.push(format!(
                "the weights of `{}` are off by {:.2e} of their size, {} allows {:.0e}",
                self.tensor, self.relative_rms, self.tensor_type, self.limit
            ));
        }
        if let Some(share) = self.adapter_share.filter(|share| (share - 1.0).abs() > 0.5) {
            faults.push(format!(
                "the adapter is in the weights {share:.1} times, needed once"
            ));
        }
        faults
    }
}

/// The largest RMS(stored − weight) / RMS(weight) of a tensor of this type.
///
/// Floats: half a step beside the smallest number of an octave. Blocks: about twice what Student's t with three degrees of
/// freedom comes to with an importance matrix, both more uneven than those of trained models; a test measures it. Faults come
/// to about 1.
pub(crate) fn limit(tensor_type: TensorType) -> f64 {
    match tensor_type {
        TensorType::F32 => 0.0,
        TensorType::F16 => 1.0 / (1 << 11) as f64,
        TensorType::BF16 => 1.0 / (1 << 8) as f64,
        TensorType::Q8_0 => 0.02,
        TensorType::Q6_K => 0.08,
        TensorType::Q5_0 | TensorType::Q5_1 | TensorType::Q5_K => 0.14,
        TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q4_K => 0.28,
        TensorType::IQ4_NL | TensorType::IQ4_XS => 0.28,
        TensorType::Q3_K => 0.42,
        _ => 0.7,
    }
}

/// Sums over a tensor's elements, in f64.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: f64,
    /// Σ weight²
    weight: f64,
    /// Σ (stored − weight)²
    error: f64,
    /// Σ adapter²
    adapter: f64,
    /// Σ (stored − weight) · adapter
    error_along_adapter: f64,
}

impl Sums {
    /// `base` is what `weight` is without the adapter.
    fn of(stored: &[f32], weight: &[f32], base: &[f32]) -> Self {
        let mut sums = Self {
            n: weight.len() as f64,
            ..Self::default()
        };
        for ((&stored, &weight), &base) in stored.iter().zip(weight).zip(base) {
            let (stored, weight) = (f64::from(stored), f64::from(weight));
            let (error, adapter) = (stored - weight, weight - f64::from(base));
            sums.weight += weight * weight;
            sums.error += error * error;
            sums.adapter += adapter * adapter;
            sums.error_along_adapter += error * adapter;
        }
        sums
    }

    /// RMS of the error, in that of the weights.
    fn relative_rms(self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else {
            (self.error / self.weight).sqrt()
        }
    }

    /// RMS of the error, in what the type allows; NaN counts as infinite.
    fn part_of_limit(self, limit: f64, floor: f64) -> f64 {
        let rms = |sum: f64| (sum / self.n).sqrt();
        if self.error == 0.0 {
            return 0.0;
        }
        let part = rms(self.error) / (limit * rms(self.weight) + floor);
        if part.is_nan() { f64::INFINITY } else { part }
    }
}

/// A tensor's name in a file, what it is stored as there, and how far that allows it to be off.
pub(crate) struct Stored {
    pub(crate) tensor: String,
    pub(crate) tensor_type: String,
    /// RMS(stored − weight) / RMS(weight).
    pub(crate) limit: f64,
    /// RMS(stored − weight) that is allowed besides.
    pub(crate) floor: f64,
}

/// Compares every tensor of `stored`, which was read from a file, with the one of the same name in `merged`; `stored_as` says
/// how the file has it.
///
/// # Errors
/// [`ExportError::AnotherModel`]'s text where they have other tensors.
pub(crate) fn compare_weights(
    stored_as: impl Fn(&Param) -> Result<Stored, String>,
    stored: &Decoder,
    merged: &Decoder,
    base: &Decoder,
) -> Result<Rounding, String> {
    let (stored, merged) = (stored.params(), merged.params());
    if let Some(missing) = missing(&merged, &stored) {
        return Err(format!("it has no `{missing}`"));
    }
    if let Some(extra) = missing(&stored, &merged) {
        return Err(format!("it has `{extra}`, which the model has not"));
    }
    let base = base.params();
    let (mut worst, mut worst_part) = (None, -1.0);
    let mut all = Vec::new();
    for param in merged {
        let as_stored = stored_as(param)?;
        let weight = param.file_values();
        let of = |params: &[&Param]| find(params, &param.name).map(Param::file_values);
        let stored = of(&stored).unwrap_or_default();
        // What the adapter brought along has no base.
        let base = of(&base).unwrap_or_else(|| weight.clone());
        if stored.len() != weight.len() || base.len() != weight.len() {
            let (found, needed) = (stored.len(), weight.len());
            return Err(format!(
                "`{}` has {found} values, needed {needed}",
                as_stored.tensor
            ));
        }
        let sums = Sums::of(&stored, &weight, &base);
        let part = sums.part_of_limit(as_stored.limit, as_stored.floor);
        if part > worst_part {
            (worst, worst_part) = (Some((as_stored, sums)), part);
        }
        all.push(sums);
    }
    let (worst, sums) = worst.ok_or("it has no weights")?;
    Ok(Rounding {
        tensor: worst.tensor,
        tensor_type: worst.tensor_type,
        relative_rms: sums.relative_rms(),
        limit: worst.limit,
        adapter_share: adapter_share(&all),
        is_within: worst_part <= 1.0,
    })
}

fn find<'a>(params: &[&'a Param], name: &str) -> Option<&'a Param> {
    params.iter().copied().find(|param| param.name == name)
}

/// A name of `needed` that `held` lacks.
fn missing<'a>(needed: &[&'a Param], held: &[&Param]) -> Option<&'a str> {
    let names = needed.iter().map(|param| param.name.as_str());
    names.into_iter().find(|name| find(held, name).is_none())
}

/// How often the adapter is in the stored weights: what is farthest from 1 among all tensors together and each alone.
fn adapter_share(tensors: &[Sums]) -> Option<f64> {
    let each = tensors.iter().map(std::slice::from_ref);
    let shares = std::iter::once(tensors).chain(each).filter_map(share);
    shares.max_by(|a, b| (a - 1.0).abs().total_cmp(&(b - 1.0).abs()))
}

/// 1 + Σ error · adapter / Σ adapter².
///
/// Rounding is as likely to go along the adapter as against it; where what it adds up to by chance is too large to tell
/// 1 from 0 and 2, there is no answer.
fn share(tensors: &[Sums]) -> Option<f64> {
    let sum = |of: fn(&Sums) -> f64| tensors.iter().map(of).sum::<f64>();
    let adapter = sum(|sums| sums.adapter);
    let variance = sum(|sums| sums.error / sums.n * sums.adapter);
    let deviation = variance.sqrt() / adapter;
    let tells = SHARE_DEVIATIONS * deviation <= 0.5;
    tells.then(|| 1.0 + sum(|sums| sums.error_along_adapter) / adapter)
}

#[cfg(test)]
mod tests {
    use slm_gguf::codec;

    use super::*;

    /// Uniform in (0, 1), by Knuth's 64-bit congruential generator.
    fn uniform(state: &mut u64) -> f64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(state: &mut u64) -> f64 {
        let (a, b) = (uniform(state), uniform(state));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Student's t with three degrees of freedom.
    fn heavy_tailed(state: &mut u64) -> f64 {
        let squares: f64 = (0..3).map(|_| normal(state).powi(2)).sum();
        normal(state) / (squares / 3.0).sqrt()
    }

    fn rounded(tensor_type: TensorType, values: &[f32], weights: Option<&[f32]>) -> f64 {
        let size = tensor_type.size_bytes(values.len() as u64).unwrap();
        let mut bytes = vec![0; size as usize];
        match weights {
            None => codec::quantize(tensor_type, values, &mut bytes).unwrap(),
            Some(w) => codec::quantize_weighted(tensor_type, values, w, &mut bytes).unwrap(),
        }
        let mut stored = vec![0.0; values.len()];
        codec::dequantize(tensor_type, &bytes, &mut stored).unwrap();
        Sums::of(&stored, values, values).relative_rms()
    }

    #[test]
    fn limits_are_above_what_rounding_comes_to() {
        use TensorType::*;
        let mut state = 7;
        let n = 256 * 256;
        let of = |state: &mut u64, draw: fn(&mut u64) -> f64| -> Vec<f32> {
            (0..n).map(|_| (0.02 * draw(state)) as f32).collect()
        };
        let (plain, heavy) = (of(&mut state, normal), of(&mut state, heavy_tailed));
        // Columns whose inputs are unequally large, as an importance matrix has them.
        let importance: Vec<f32> = (0..256)
            .map(|_| normal(&mut state).exp().powi(2) as f32)
            .collect();
        let (mut report, mut is_right) = (String::new(), true);
        for tensor_type in [
            F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_1, Q5_0, Q4_K, Q4_1, Q4_0, IQ4_NL, IQ4_XS, Q3_K,
            Q2_K,
        ] {
            let measured = [
                rounded(tensor_type, &plain, None),
                rounded(tensor_type, &heavy, None),
                rounded(tensor_type, &plain, Some(&importance)),
                rounded(tensor_type, &heavy, Some(&importance)),
            ];
            let largest = measured.into_iter().fold(0.0, f64::max);
            let (limit, is_block) = (limit(tensor_type), tensor_type.is_quantized());
            report += &format!("{tensor_type} {limit:.4} {measured:.4?}\n");
            is_right &= largest <= limit;
            is_right &= !is_block || (1.4..4.0).contains(&(limit / largest));
        }
        assert!(is_right, "{report}");
    }

    #[test]
    fn the_share_of_the_adapter_is_told_below_the_rounding() {
        let mut state = 3;
        let mut draw = |size: f64| -> Vec<f32> {
            let values = (0..256 * 64).map(|_| (size * normal(&mut state)) as f32);
            values.collect()
        };
        let (base, adapter) = (draw(0.02), draw(0.0005));
        let with = |times: f32| -> Vec<f32> {
            let both = base.iter().zip(&adapter);
            both.map(|(base, adapter)| base + times * adapter).collect()
        };
        let weight = with(1.0);
        let share = |tensor_type: TensorType, times: f32| {
            let size = tensor_type.size_bytes(weight.len() as u64).unwrap();
            let (mut bytes, mut stored) = (vec![0; size as usize], vec![0.0; weight.len()]);
            codec::quantize(tensor_type, &with(times), &mut bytes).unwrap();
            codec::dequantize(tensor_type, &bytes, &mut stored).unwrap();
            adapter_share(&[Sums::of(&stored, &weight, &base)])
        };
        for tensor_type in [TensorType::F32, TensorType::Q8_0, TensorType::Q4_K] {
            for times in [0.0, 1.0, 2.0] {
                let found = share(tensor_type, times).unwrap();
                assert!(
                    (found - f64::from(times)).abs() < 0.3,
                    "{tensor_type} {times} {found}"
                );
            }
        }
        // 2 bits round by more than ten times the adapter.
        assert_eq!(share(TensorType::Q2_K, 1.0), None);
        assert_eq!(adapter_share(&[Sums::of(&weight, &weight, &weight)]), None);
    }
}
