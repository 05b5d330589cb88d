//! The range of a number.

use std::fmt;

use crate::schema::Schema;

/// What a number has to be; never infinite, never NaN.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    at_least: Option<f64>,
    more_than: Option<f64>,
    at_most: Option<f64>,
    less_than: Option<f64>,
}

impl Range {
    /// The range that a schema states.
    pub(crate) fn of(schema: Schema<'_>) -> Self {
        // A constant is a range of one number.
        let only = schema.constraint("const");
        Self {
            at_least: only.or_else(|| schema.constraint("minimum")),
            more_than: schema.constraint("exclusiveMinimum"),
            at_most: only.or_else(|| schema.constraint("maximum")),
            less_than: schema.constraint("exclusiveMaximum"),
        }
    }

    /// Whether a number is in it.
    pub(crate) fn holds(self, value: f64) -> bool {
        value.is_finite()
            && self.at_least.is_none_or(|bound| value >= bound)
            && self.more_than.is_none_or(|bound| value > bound)
            && self.at_most.is_none_or(|bound| value <= bound)
            && self.less_than.is_none_or(|bound| value < bound)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(least), Some(most)) = (self.at_least, self.at_most)
            && least == most
        {
            return write!(f, "{least}");
        }
        let bounds = [
            ("at least", self.at_least),
            ("more than", self.more_than),
            ("at most", self.at_most),
            ("less than", self.less_than),
        ];
        let bounds: Vec<_> = bounds
            .iter()
            .filter_map(|(word, bound)| bound.map(|bound| format!("{word} {bound}")))
            .collect();
        if bounds.is_empty() {
            write!(f, "a finite number")
        } else {
            write!(f, "{}", bounds.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_belong_to_it_or_not() {
        let closed = Range {
            at_least: Some(0.0),
            at_most: Some(1.0),
            ..Range::default()
        };
        let open = Range {
            more_than: Some(0.0),
            less_than: Some(1.0),
            ..Range::default()
        };
        for (value, in_closed, in_open) in [
            (-0.1, false, false),
            (0.0, true, false),
            (0.5, true, true),
            (1.0, true, false),
            (1.1, false, false),
            (f64::NAN, false, false),
            (f64::INFINITY, false, false),
        ] {
            assert_eq!(
                (closed.holds(value), open.holds(value)),
                (in_closed, in_open),
                "{value}"
            );
        }
        assert_eq!(closed.to_string(), "at least 0 and at most 1");
        assert_eq!(open.to_string(), "more than 0 and less than 1");
        assert!(!Range::default().holds(f64::NAN));
        assert_eq!(Range::default().to_string(), "a finite number");
    }
}
