//! Inverse frequencies of the rotary encoding, with the scalings that published checkpoints use.

/// How a checkpoint stretches its rotary encoding.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    /// Positions divided by `factor`.
    Linear {
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, those between interpolated.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: f64,
    },
}

/// Base and scaling of a rotary encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
}

impl Rope {
    /// `theta^(-2i / head_dim)` for each pair `i`, scaled; `head_dim / 2` values in f32.
    ///
    /// Computed in f32 in the order that transformers computes them (`modeling_rope_utils.py`), so that they round alike.
    pub fn inv_freq(&self, head_dim: usize) -> Vec<f32> {
        let plain = (0..head_dim / 2).map(|i| {
            let exponent = (2 * i) as f32 / head_dim as f32;
            1.0 / (self.theta as f32).powf(exponent)
        });
        match self.scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|f| f / factor as f32).collect(),
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let (low, high) = (low_freq_factor as f32, high_freq_factor as f32);
                let context = original_max_position_embeddings as f32;
                plain
                    .map(|f| llama3(f, factor as f32, low, high, context))
                    .collect()
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_frequencies_fall_from_one() {
        let rope = Rope {
            theta: 10_000.0,
            scaling: RopeScaling::None,
        };
        let f = rope.inv_freq(8);
        for (got, want) in f.iter().zip([1.0, 0.1, 0.01, 0.001]) {
            assert!((got - want).abs() < 1e-7, "{got} is not {want}");
        }
    }

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64.0,
        };
        let scaled = Rope {
            theta: 10_000.0,
            scaling,
        }
        .inv_freq(8);
        assert_eq!(scaled[0], 1.0); // wavelength 6.3 < 64 / 4
        assert!((scaled[3] - 0.001 / 8.0).abs() < 1e-9); // wavelength 6283 > 64
    }
}
