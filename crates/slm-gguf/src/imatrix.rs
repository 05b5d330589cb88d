//! The importance matrix: how large what each column is multiplied with is, on rows of real text.

use std::collections::BTreeMap;

use crate::{GgufError, Metadata, keys};

/// Sums of squares of what each tensor's columns were multiplied with, as llama.cpp's `llama-imatrix` collects them.
///
/// It is filled batch by batch with [`add`](Self::add), or read from a [file](Self::read), and gives the
/// [`weights`](Self::weights) that [`quantize_weighted`](crate::codec::quantize_weighted) takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportanceMatrix {
    datasets: Vec<String>,
    chunk_size: Option<u32>,
    tensors: BTreeMap<String, ColumnSums>,
}

/// The sums of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSums {
    /// For each column, the sum of its input squared over all positions; one matrix of experts after the other.
    pub in_sum2: Vec<f32>,
    /// How many positions (chunks, see [`ImportanceMatrix::chunk_size`]) were summed, for each matrix: one unless there
    /// are experts.
    pub counts: Vec<u64>,
}

impl ImportanceMatrix {
    /// Nothing yet.
    ///
    /// `dataset` says where the text comes from, `chunk_size` how many tokens each piece of it has.
    pub fn new(dataset: impl Into<String>, chunk_size: u32) -> Self {
        Self {
            datasets: vec![dataset.into()],
            chunk_size: Some(chunk_size.max(1)),
            tensors: BTreeMap::new(),
        }
    }

    /// What a file holds; no chunk size where positions were not counted.
    pub(crate) fn from_parts(
        datasets: Vec<String>,
        chunk_size: Option<u32>,
        tensors: BTreeMap<String, ColumnSums>,
    ) -> Self {
        Self {
            datasets,
            chunk_size,
            tensors,
        }
    }

    /// Where the text comes from.
    pub fn datasets(&self) -> &[String] {
        &self.datasets
    }

    /// How many tokens a chunk has; none for what comes from a `.dat` file, where counts are those of chunks.
    pub fn chunk_size(&self) -> Option<u32> {
        self.chunk_size
    }

    /// How many chunks were seen: the largest count, in chunks.
    pub fn chunk_count(&self) -> u32 {
        let counts = self.tensors.values().flat_map(|sums| &sums.counts);
        let largest = counts.copied().max().unwrap_or(0);
        let chunks = largest / u64::from(self.chunk_size.unwrap_or(1));
        u32::try_from(chunks).unwrap_or(u32::MAX)
    }

    /// The sums of each tensor, by its name (`blk.0.attn_q.weight`), in the order of the names.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &ColumnSums)> {
        self.tensors
            .iter()
            .map(|(name, sums)| (name.as_str(), sums))
    }

    /// Adds one batch to a tensor: for each column, the sum of its input squared over `n_positions` positions.
    ///
    /// # Errors
    /// [`GgufError::Importance`] where a sum is below 0 or not finite, [`GgufError::ImportanceSize`] where earlier batches had
    /// another number of columns.
    pub fn add(
        &mut self,
        tensor: &str,
        in_sum2: &[f32],
        n_positions: u64,
    ) -> Result<(), GgufError> {
        ensure_sums(in_sum2)?;
        let sums = ColumnSums {
            in_sum2: in_sum2.to_vec(),
            counts: vec![n_positions],
        };
        self.add_sums(tensor, &sums)
    }

    /// Adds what was collected elsewhere, on other text.
    ///
    /// # Errors
    /// [`GgufError::ImportanceCounts`] where one counts positions and the other chunks, and those of [`add`](Self::add).
    pub fn merge(&mut self, other: &Self) -> Result<(), GgufError> {
        if self.chunk_size.is_some() != other.chunk_size.is_some() {
            return Err(GgufError::ImportanceCounts);
        }
        for (tensor, sums) in &other.tensors {
            self.add_sums(tensor, sums)?;
        }
        for dataset in &other.datasets {
            if !self.datasets.contains(dataset) {
                self.datasets.push(dataset.clone());
            }
        }
        Ok(())
    }

    fn add_sums(&mut self, tensor: &str, sums: &ColumnSums) -> Result<(), GgufError> {
        let Some(present) = self.tensors.get_mut(tensor) else {
            self.tensors.insert(tensor.to_string(), sums.clone());
            return Ok(());
        };
        let size = |sums: &ColumnSums| (sums.in_sum2.len(), sums.counts.len());
        if size(present) != size(sums) {
            return Err(GgufError::ImportanceSize {
                tensor: tensor.to_string(),
                found: sums.in_sum2.len(),
                needed: present.in_sum2.len(),
            });
        }
        let columns = present.in_sum2.iter_mut().zip(&sums.in_sum2);
        columns.for_each(|(sum, more)| *sum += more);
        let counts = present.counts.iter_mut().zip(&sums.counts);
        counts.for_each(|(count, more)| *count = count.saturating_add(*more));
        Ok(())
    }

    /// How much each column of a tensor matters: its mean square. None where the tensor was not seen.
    ///
    /// The columns of experts that were never chosen all matter the same.
    pub fn weights(&self, tensor: &str) -> Option<Vec<f32>> {
        let sums = self.tensors.get(tensor)?;
        let n_columns = sums.in_sum2.len() / sums.counts.len().max(1);
        let matrices = sums.in_sum2.chunks(n_columns.max(1)).zip(&sums.counts);
        let mean = |sum: f32, count: u64| if count == 0 { 1.0 } else { sum / count as f32 };
        let weights =
            matrices.flat_map(|(columns, &count)| columns.iter().map(move |&sum| mean(sum, count)));
        Some(weights.collect())
    }

    /// The same, for a tensor whose rows have so many columns.
    ///
    /// # Errors
    /// [`GgufError::ImportanceSize`] where the matrix has another number of them: it is of another model.
    pub fn weights_of(&self, tensor: &str, row_len: u64) -> Result<Option<Vec<f32>>, GgufError> {
        match self.weights(tensor) {
            Some(weights) if weights.len() as u64 != row_len => Err(GgufError::ImportanceSize {
                tensor: tensor.into(),
                found: weights.len(),
                needed: row_len as usize,
            }),
            weights => Ok(weights),
        }
    }

    /// Says in a file's metadata that it was quantized with this matrix, which is in `file`, as `llama-quantize` does.
    pub fn note(&self, file: &str, metadata: &mut Metadata) {
        metadata.set(&keys::quantize::IMATRIX_FILE, file.to_string());
        if let Some(dataset) = self.datasets().first() {
            metadata.set(&keys::quantize::IMATRIX_DATASET, dataset.clone());
        }
        metadata.set(
            &keys::quantize::IMATRIX_ENTRIES,
            self.tensors().len() as u32,
        );
        metadata.set(&keys::quantize::IMATRIX_CHUNKS, self.chunk_count());
    }
}

/// Errors unless all are finite and none is below 0.
pub(crate) fn ensure_sums(sums: &[f32]) -> Result<(), GgufError> {
    match sums
        .iter()
        .position(|&sum| !(sum >= 0.0 && sum.is_finite()))
    {
        Some(column) => Err(GgufError::Importance {
            column,
            value: sums[column],
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up_to_a_mean_square() {
        let mut matrix = ImportanceMatrix::new("rows", 4);
        matrix.add("a", &[4.0, 1.0], 3).unwrap();
        let mut other = ImportanceMatrix::new("more rows", 4);
        other.add("a", &[6.0, 4.0], 7).unwrap();
        other.add("b", &[2.0], 2).unwrap();
        matrix.merge(&other).unwrap();
        assert_eq!(matrix.weights("a").unwrap(), [1.0, 0.5]);
        assert_eq!(matrix.weights("b").unwrap(), [1.0]);
        assert_eq!(matrix.weights("c"), None);
        assert_eq!((matrix.chunk_count(), matrix.datasets().len()), (2, 2));
    }

    #[test]
    fn experts_that_were_not_chosen_matter_evenly() {
        let sums = ColumnSums {
            in_sum2: vec![8.0, 2.0, 0.0, 0.0],
            counts: vec![2, 0],
        };
        let tensors = BTreeMap::from([("a".to_string(), sums)]);
        let matrix = ImportanceMatrix::from_parts(Vec::new(), Some(1), tensors);
        assert_eq!(matrix.weights("a").unwrap(), [4.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn what_does_not_fit_together_is_an_error() {
        let mut matrix = ImportanceMatrix::new("rows", 4);
        matrix.add("a", &[4.0, 1.0], 3).unwrap();
        let error = matrix.add("a", &[4.0], 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the importance of tensor `a` has 1 columns, needs 2"
        );
        assert!(matches!(
            matrix.add("a", &[4.0, f32::NAN], 3),
            Err(GgufError::Importance { column: 1, .. })
        ));
        let of_chunks = ImportanceMatrix::default();
        assert!(matches!(
            matrix.merge(&of_chunks),
            Err(GgufError::ImportanceCounts)
        ));
    }
}
