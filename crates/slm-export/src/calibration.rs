//! The rows that a model is observed on before its weights are rounded.

use serde::{Deserialize, Serialize};
use slm_model::DecoderConfig;

use crate::ExportError;

/// How many rows a model is observed on at most.
pub const CALIBRATION_ROWS: usize = 128;

/// How many tokens they have together at most; the row that reaches it is cut.
pub const CALIBRATION_TOKENS: usize = 1 << 16;

/// Rows of token ids within [`CALIBRATION_ROWS`] and [`CALIBRATION_TOKENS`], none of them empty.
#[derive(Debug)]
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
