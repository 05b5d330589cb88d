//! Right and wrong answers in a file: one digit each, `"1101"`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(right: &[bool], serializer: S) -> Result<S::Ok, S::Error> {
    let digit = |right: &bool| if *right { '1' } else { '0' };
    serializer.serialize_str(&right.iter().map(digit).collect::<String>())
}

pub(crate) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<bool>, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let right = digits.chars().map(|digit| match digit {
        '0' => Ok(false),
        '1' => Ok(true),
        other => Err(D::Error::custom(format!("`{other}` is neither 0 nor 1"))),
    });
    right.collect()
}

#[cfg(test)]
mod tests {
    use crate::Series;

    #[test]
    fn a_digit_for_each_item() {
        let series = Series::Proportion(vec![true, true, false, true]);
        let text = serde_json::to_string(&series).unwrap();
        assert_eq!(text, r#"{"proportion":"1101"}"#);
        assert_eq!(serde_json::from_str::<Series>(&text).unwrap(), series);
        let error = serde_json::from_str::<Series>(r#"{"proportion":"1x"}"#).unwrap_err();
        assert!(
            error.to_string().starts_with("`x` is neither 0 nor 1"),
            "{error}"
        );
    }
}
