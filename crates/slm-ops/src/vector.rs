//! Loops that are compiled for each width of vectors, chosen at run time, with the same bits from each.
//!
//! `f32::mul_add` rounds once on every machine, and sums are taken in a fixed number of lanes; so the width does not show.

/// Lanes of a sum: four vectors of AVX-512 would hide an addition's latency, one does not wait for memory.
pub(crate) const LANES: usize = 16;

/// Compiles a function for AVX-512, for AVX2 and for the target's base, and calls the best that the machine has.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }

                if $crate::vector::has_avx512() {
                    // SAFETY: the machine has what the function is compiled for.
                    #[expect(unsafe_code, reason = "the machine was asked")]
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::vector::has_avx2() {
                    // SAFETY: as above.
                    #[expect(unsafe_code, reason = "the machine was asked")]
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use vectorised;

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && has_avx2()
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// The sum of `f(x, y)` over two rows, in lanes.
#[inline(always)]
pub(crate) fn sum_of(x: &[f32], y: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for i in 0..LANES {
            lanes[i] = f(x[i], y[i], lanes[i]);
        }
    }
    for (i, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
        lanes[i] = f(*x, *y, lanes[i]);
    }
    lanes.iter().sum()
}

/// Σ x·y
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    sum_of(x, y, |x, y, sum| x.mul_add(y, sum))
}

/// Σ x
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    sum_of(x, x, |x, _, sum| x + sum)
}

/// The largest value that is a number.
#[inline(always)]
pub(crate) fn largest_of(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (pieces, rest) = x.as_chunks::<LANES>();
    for piece in pieces {
        for (lane, x) in lanes.iter_mut().zip(piece) {
            *lane = larger(*x, *lane);
        }
    }
    let lanes = lanes.iter().chain(rest);
    lanes.fold(f32::NEG_INFINITY, |largest, x| larger(*x, largest))
}

vectorised! {
    /// [`largest_of`], on its own.
    pub(crate) fn largest(x: &[f32]) -> f32 {
        largest_of(x)
    }
}

/// `exp`, within 2 units in the last place; 0 below the smallest normal number, and at most 2.4e38.
///
/// Cody and Waite's reduction to |r| ≤ ln 2 / 2, then the polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.336;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    /// Adding it rounds to an integer, which the low bits of the sum then hold.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    let inside = x.clamp(LOWEST, 88.37);
    let shifted = inside.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, inside));
    let p = 1.987_569_1e-4f32
        .mul_add(r, 1.398_199_9e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let y = (p * r).mul_add(r, r) + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits() - 127) << 23;
    let y = y * f32::from_bits(power);
    if x < LOWEST { 0.0 } else { y }
}

/// The natural logarithm of a normal number above 0, within 2 units in the last place, or of 1e-7 around 1.
///
/// The number is 2ⁿ m with m from √½ to √2, then the polynomial of Cephes' `logf`.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    const ROOT_OF_HALF: u32 = 0x3f35_04f3;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let above = x.to_bits().wrapping_sub(ROOT_OF_HALF);
    let n = (above.cast_signed() >> 23) as f32;
    let f = f32::from_bits((above & 0x007f_ffff) + ROOT_OF_HALF) - 1.0;
    let square = f * f;
    let p = 7.037_683_6e-2f32
        .mul_add(f, -1.151_461e-1)
        .mul_add(f, 1.167_699_9e-1)
        .mul_add(f, -1.242_014_1e-1)
        .mul_add(f, 1.424_932_3e-1)
        .mul_add(f, -1.666_805_8e-1)
        .mul_add(f, 2.000_071_5e-1)
        .mul_add(f, -2.499_999_4e-1)
        .mul_add(f, 3.333_333e-1);
    let low = n.mul_add(LN2_LOW, p * f * square);
    n.mul_add(LN2_HIGH, square.mul_add(-0.5, low) + f)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_f64() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let want = f64::from(x).exp();
            let error = (f64::from(exp(x)) - want).abs() / want;
            assert!(error < 2.5e-7, "exp({x}) is off by {error}");
            x += 0.0137;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_that_of_f64() {
        let mut x = f32::MIN_POSITIVE;
        while x < 1e30 {
            let want = f64::from(x).ln();
            let error = (f64::from(ln(x)) - want).abs() / want.abs().max(0.5);
            assert!(error < 2e-7, "ln({x}) is off by {error}");
            x *= 1.00137;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn a_sum_takes_in_the_rest() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(dot(&x, &x), (0..37).map(|i| i * i).sum::<i32>() as f32);
    }
}
