//! The rows that a model is observed on before its weights are rounded.

use serde::{Deserialize, Serialize};
use slm_model::DecoderConfig;

use crate::ExportError;

/// How many rows a model is observed on at most.
pub const CALIBRATION_ROWS: usize = 128;

/// How many tokens they have together at most; the row that reaches it is cut.
pub const CALIBRATION_TOKENS: usize = 1 << 16;

/// Rows of token ids within [`CALIBRATION_ROWS`] and [`CALIBRATION_TOKENS`], none of them empty.
#[derive(Debug, Default)]
pub(crate) struct Calibration {
    pub(crate) rows: Vec<Vec<u32>>,
}

/// How much a model was observed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrationSize {
    /// Rows of the training side.
    pub rows: usize,
    /// Tokens of all of them.
    pub tokens: usize,
}

impl Calibration {
    /// The first of `rows` that are within the limits.
    ///
    /// # Errors
    /// [`ExportError::NoRows`] where there is none, [`ExportError::Row`] for an id that the model does not have.
    pub(crate) fn of(rows: &[Vec<u32>], config: &DecoderConfig) -> Result<Self, ExportError> {
        let vocab_size = config.vocab_size;
        let mut left = CALIBRATION_TOKENS;
        let mut kept = Vec::new();
        for (row, ids) in rows.iter().enumerate().take(CALIBRATION_ROWS) {
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(ExportError::Row {
                    row,
                    id,
                    vocab_size,
                });
            }
            let n = ids.len().min(left);
            left -= n;
            if n > 0 {
                kept.push(ids[..n].to_vec());
            }
        }
        match kept.is_empty() {
            true => Err(ExportError::NoRows),
            false => Ok(Self { rows: kept }),
        }
    }

    pub(crate) fn size(&self) -> CalibrationSize {
        CalibrationSize {
            rows: self.rows.len(),
            tokens: self.rows.iter().map(Vec::len).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn config() -> DecoderConfig {
        let raw = json!({
            "model_type": "llama", "vocab_size": 10, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 1, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
        });
        DecoderConfig::from_json(raw, Path::new("config.json")).unwrap()
    }

    #[test]
    fn rows_end_where_either_limit_is_reached() {
        let of = |rows: &[Vec<u32>]| Calibration::of(rows, &config()).unwrap().size();
        let short = of(&vec![vec![1, 2]; CALIBRATION_ROWS + 5]);
        assert_eq!(
            (short.rows, short.tokens),
            (CALIBRATION_ROWS, 2 * CALIBRATION_ROWS)
        );
        let long = of(&vec![vec![1; CALIBRATION_TOKENS / 2 - 1]; 4]);
        assert_eq!((long.rows, long.tokens), (3, CALIBRATION_TOKENS));
        let empty = of(&[Vec::new(), vec![9]]);
        assert_eq!((empty.rows, empty.tokens), (1, 1));
        assert!(matches!(
            Calibration::of(&[vec![1], vec![10]], &config()),
            Err(ExportError::Row { row: 1, id: 10, .. })
        ));
    }
}
