//! What somebody wants some tensors to be stored as, whatever the mixture says.

use regex::{Regex, RegexBuilder};

use crate::{GgufError, TensorType, codec};

/// `REGEX=TYPE`: tensors with a name in which the expression is found are stored as the type. `llama-quantize` has it as
/// `--tensor-type`.
///
/// Upper and lower case are the same. Where several rules meet a name, the first one counts.
#[derive(Clone, Debug)]
pub struct TypeRule {
    expression: Regex,
    tensor_type: TensorType,
}

impl TypeRule {
    /// Whether the rule is about the tensor with this name.
    pub fn meets(&self, name: &str) -> bool {
        self.expression.is_match(name)
    }

    /// What such a tensor is stored as.
    pub fn tensor_type(&self) -> TensorType {
        self.tensor_type
    }
}

impl std::fmt::Display for TypeRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.expression, self.tensor_type)
    }
}

impl std::str::FromStr for TypeRule {
    type Err = GgufError;

    fn from_str(rule: &str) -> Result<Self, GgufError> {
        let wrong = |found: String| GgufError::TypeRule {
            rule: rule.to_string(),
            found,
        };
        // The last `=`: no type has one, an expression may.
        let (expression, name) = rule
            .rsplit_once('=')
            .filter(|(expression, _)| !expression.is_empty())
            .ok_or_else(|| wrong("it has no expression and no `=`".into()))?;
        let same = |tensor_type: &&TensorType| tensor_type.name().eq_ignore_ascii_case(name);
        let tensor_type = *TensorType::ALL
            .iter()
            .find(same)
            .ok_or_else(|| wrong(format!("there is no type `{name}`")))?;
        // No elements: only to see whether there is a codec.
        codec::quantize(tensor_type, &[], &mut []).map_err(|error| wrong(error.to_string()))?;
        let expression = RegexBuilder::new(expression)
            .case_insensitive(true)
            .build()
            .map_err(|error| {
                // The last line says what it is, those above it draw where.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                wrong(last.trim_start_matches("error: ").to_string())
            })?;
        Ok(Self {
            expression,
            tensor_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_meets_any_part_of_a_name() {
        let rule: TypeRule = r"blk\.[02]\.FFN_(up|gate)=q8_0".parse().unwrap();
        assert_eq!(rule.tensor_type(), TensorType::Q8_0);
        assert!(rule.meets("blk.2.ffn_gate.weight"));
        assert!(!rule.meets("blk.1.ffn_gate.weight"));
        assert!(!rule.meets("blk.12.ffn_down.weight"));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_named() {
        let found = |rule: &str| rule.parse::<TypeRule>().unwrap_err().to_string();
        assert_eq!(
            found("attn_v"),
            "type rule `attn_v`: it has no expression and no `=`"
        );
        assert_eq!(
            found("attn_v=Q9_K"),
            "type rule `attn_v=Q9_K`: there is no type `Q9_K`"
        );
        assert_eq!(
            found("attn_v=I32"),
            "type rule `attn_v=I32`: I32 cannot be made from f32"
        );
        assert_eq!(
            found("attn_(v=Q4_0"),
            "type rule `attn_(v=Q4_0`: unclosed group"
        );
    }
}
