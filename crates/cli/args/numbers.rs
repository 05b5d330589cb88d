//! Numbers within bounds.

pub(super) fn at_least_1(text: &str) -> Result<usize, String> {
    at_least(1, text)
}

pub(super) fn at_least_2(text: &str) -> Result<usize, String> {
    at_least(2, text)
}

fn at_least(least: usize, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value >= least => Ok(value),
        _ => Err(format!("a whole number of at least {least} is needed")),
    }
}

pub(super) fn temperature(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if value >= 0.0 => Ok(value),
        _ => Err("a number of at least 0 is needed".into()),
    }
}

pub(super) fn probability(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("a number above 0 and up to 1 is needed".into()),
    }
}
