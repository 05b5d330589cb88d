//! Inverse frequencies of the rotary encoding, with the scalings that published checkpoints use.
//!
//! Source of every formula: `modeling_rope_utils.py` of transformers, whose order of operations in f32 is kept, so that
//! results round alike.

/// How a checkpoint stretches its rotary encoding.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    /// Positions divided by `factor`.
    Linear {
        factor: f64,
    },
    /// The base grows once a row is longer than the model was trained for.
    Dynamic {
        factor: f64,
        max_position_embeddings: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, those between interpolated.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: f64,
    },
    /// YaRN: a ramp between kept and divided frequencies, and a temperature on the scores.
    Yarn {
        factor: f64,
        beta_fast: f64,
        beta_slow: f64,
        truncate: bool,
        attention_factor: f64,
        original_max_position_embeddings: f64,
    },
    /// Phi-3: one divisor per frequency, another set for rows longer than the original context.
    LongRope {
        short_factor: Vec<f64>,
        long_factor: Vec<f64>,
        attention_factor: f64,
        original_max_position_embeddings: f64,
    },
}

/// A rotary encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    /// Channels of a head that are rotated; those after them pass unchanged.
    pub dim: usize,
    pub scaling: RopeScaling,
}

impl Rope {
    /// `theta^(-2i / dim)` for each pair `i`, scaled; `dim / 2` values in f32, for rows of `positions` positions.
    pub fn inv_freq(&self, positions: usize) -> Vec<f32> {
        let plain = |theta: f64| {
            (0..self.dim / 2).map(move |i| {
                let exponent = (2 * i) as f32 / self.dim as f32;
                1.0 / (theta as f32).powf(exponent)
            })
        };
        let default = plain(self.theta);
        match &self.scaling {
            RopeScaling::None => default.collect(),
            RopeScaling::Linear { factor } => default.map(|f| f / *factor as f32).collect(),
            RopeScaling::Dynamic {
                factor,
                max_position_embeddings: trained,
            } => {
                let stretch = factor * (positions as f64).max(*trained) / trained - (factor - 1.0);
                let dim = self.dim as f64;
                plain(self.theta * stretch.powf(dim / (dim - 2.0))).collect()
            }
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let (low, high) = (*low_freq_factor as f32, *high_freq_factor as f32);
                let context = *original_max_position_embeddings as f32;
                default
                    .map(|f| llama3(f, *factor as f32, low, high, context))
                    .collect()
            }
            RopeScaling::Yarn {
                factor,
                beta_fast,
                beta_slow,
                truncate,
                original_max_position_embeddings,
                ..
            } => {
                let [low, high] = [beta_fast, beta_slow]
                    .map(|turns| self.channel_of(*turns, *original_max_position_embeddings));
                let (low, high) = match truncate {
                    true => (low.floor(), high.ceil()),
                    false => (low, high),
                };
                let ramp = Ramp::new(low.max(0.0), high.min(self.dim as f64 - 1.0));
                let factor = *factor as f32;
                default
                    .enumerate()
                    .map(|(i, f)| {
                        let kept = 1.0 - ramp.at(i);
                        f / factor * (1.0 - kept) + f * kept
                    })
                    .collect()
            }
            RopeScaling::LongRope {
                short_factor,
                long_factor,
                original_max_position_embeddings,
                ..
            } => {
                let factors = match positions as f64 > *original_max_position_embeddings {
                    true => long_factor,
                    false => short_factor,
                };
                default
                    .zip(factors)
                    .map(|(f, divisor)| f / *divisor as f32)
                    .collect()
            }
        }
    }

    /// What cosines and sines are multiplied by.
    pub fn attention_factor(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn {
                attention_factor, ..
            }
            | RopeScaling::LongRope {
                attention_factor, ..
            } => attention_factor as f32,
            _ => 1.0,
        }
    }

    /// The channel that turns `turns` times over `context` positions.
    fn channel_of(&self, turns: f64, context: f64) -> f64 {
        let dim = self.dim as f64;
        dim * (context / (turns * std::f64::consts::TAU)).ln() / (2.0 * self.theta.ln())
    }
}

fn llama3(freq: f32, factor: f32, low: f32, high: f32, context: f32) -> f32 {
    let wavelength = std::f32::consts::TAU / freq;
    if wavelength > context / low {
        return freq / factor;
    }
    if wavelength < context / high {
        return freq;
    }
    let smooth = (context / wavelength - low) / (high - low);
    (1.0 - smooth) * freq / factor + smooth * freq
}

/// From 0 at `low` to 1 at `high`.
struct Ramp {
    low: f32,
    span: f32,
}

impl Ramp {
    fn new(low: f64, high: f64) -> Self {
        // As transformers does where both ends meet.
        let high = if low == high { high + 0.001 } else { high };
        Self {
            low: low as f32,
            span: (high - low) as f32,
        }
    }

    fn at(&self, i: usize) -> f32 {
        ((i as f32 - self.low) / self.span).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope {
            theta: 10_000.0,
            dim: 8,
            scaling,
        }
    }

    #[test]
    fn plain_frequencies_fall_from_one() {
        let f = rope(RopeScaling::None).inv_freq(1);
        for (got, want) in f.iter().zip([1.0, 0.1, 0.01, 0.001]) {
            assert!((got - want).abs() < 1e-7, "{got} is not {want}");
        }
    }

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        let scaled = rope(RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64.0,
        })
        .inv_freq(1);
        assert_eq!(scaled[0], 1.0); // wavelength 6.3 < 64 / 4
        assert!((scaled[3] - 0.001 / 8.0).abs() < 1e-9); // wavelength 6283 > 64
    }

    #[test]
    fn dynamic_scaling_waits_for_long_rows() {
        let dynamic = rope(RopeScaling::Dynamic {
            factor: 2.0,
            max_position_embeddings: 32.0,
        });
        assert_eq!(dynamic.inv_freq(32), rope(RopeScaling::None).inv_freq(32));
        // 64 of 32 positions: theta · (2 · 2 - 1)^(8 / 6)
        let theta: f64 = 10_000.0 * 3f64.powf(8.0 / 6.0);
        let want = 1.0 / theta.powf(0.25);
        assert!((f64::from(dynamic.inv_freq(64)[1]) - want).abs() < 1e-6);
    }

    #[test]
    fn longrope_changes_its_divisors_beyond_the_original_context() {
        let long = rope(RopeScaling::LongRope {
            short_factor: vec![1.0; 4],
            long_factor: vec![2.0; 4],
            attention_factor: 1.2,
            original_max_position_embeddings: 16.0,
        });
        assert_eq!(long.inv_freq(16)[0], 1.0);
        assert_eq!(long.inv_freq(17)[0], 0.5);
        assert_eq!(long.attention_factor(), 1.2);
    }
}
