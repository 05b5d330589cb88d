//! The 8-bit dynamic type (Dettmers 2015), in the values of bitsandbytes.

/// `create_dynamic_map` of bitsandbytes: in each of seven decades the centres of 1, 2, 4 .. 64 equal steps from 0.1 to 1
/// (twice as many without a sign), then 0 and 1. 256 values, sorted.
pub fn dynamic_map(is_signed: bool) -> Vec<f32> {
    let mut values = vec![0.0, 1.0];
    for decade in 0..7 {
        let steps: usize = if is_signed { 1 } else { 2 } << decade;
        let width = (1.0f32 - 0.1) / steps as f32;
        // torch.linspace counts from both ends, and rounds once.
        let edge = |i: usize| match i < steps.div_ceil(2) {
            true => width.mul_add(i as f32, 0.1),
            false => (-width).mul_add((steps - i) as f32, 1.0),
        };
        let scale = 10f64.powi(decade - 6) as f32;
        for i in 0..steps {
            let value = scale * ((edge(i) + edge(i + 1)) / 2.0);
            values.push(value);
            if is_signed {
                values.push(-value);
            }
        }
    }
    values.sort_by(f32::total_cmp);
    values
}
