//! One file of a cache: a record per row, in Parquet.
//!
//! Bytes of numbers are written plane by plane (`BYTE_STREAM_SPLIT`), so that zstd finds the upper ones alike.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Field, Float16Type, Int32Type};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use slm_run::{AtomicFile, RunError};

use super::TaughtRow;
use super::key::row_digest;
use crate::sample::Sample;

/// Writes a shard, which appears when it is whole.
pub(super) fn write_shard(path: &Path, rows: &[TaughtRow]) -> Result<(), RunError> {
    let mut file = AtomicFile::new(path)?;
    let written = write_rows(&mut file, rows);
    written.map_err(|error| RunError::io(path, io_error(error)))?;
    file.commit()
}

/// A full disk arrives inside the Parquet error: it is told apart again.
fn io_error(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    }
}

fn write_rows(file: &mut (impl Write + Send), rows: &[TaughtRow]) -> Result<(), ParquetError> {
    let digests = rows.iter().map(|row| row.digest);
    let counts = rows
        .iter()
        .map(|row| row.counts.iter().map(|n| i32::from(*n)));
    // Ids end far below 2³¹.
    let ids = rows.iter().map(|row| row.ids.iter().map(|id| *id as i32));
    let floats = |of: fn(&TaughtRow) -> &Vec<f16>| {
        list::<Float16Type, _>(rows.iter().map(|row| of(row).iter().copied()))
    };
    let columns: [(&str, ArrayRef); 6] = [
        (
            "row",
            Arc::new(FixedSizeBinaryArray::try_from_iter(digests)?),
        ),
        ("counts", list::<Int32Type, _>(counts)),
        ("ids", list::<Int32Type, _>(ids)),
        ("logprobs", floats(|row| &row.logprobs)),
        ("rest", floats(|row| &row.rest)),
        ("rest_roots", floats(|row| &row.rest_roots)),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(9)?))
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::BYTE_STREAM_SPLIT)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// A list per row.
fn list<T: ArrowPrimitiveType, R: Iterator<Item = T::Native>>(
    rows: impl Iterator<Item = R>,
) -> ArrayRef {
    let (mut values, mut ends) = (Vec::new(), vec![0]);
    for row in rows {
        values.extend(row);
        ends.push(values.len() as i32);
    }
    let values = PrimitiveArray::<T>::new(ScalarBuffer::from(values), None);
    let field = Arc::new(Field::new_list_field(T::DATA_TYPE, false));
    let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
    Arc::new(ListArray::new(field, ends, Arc::new(values), None))
}

/// Reads a shard, which has to have these rows.
pub(super) fn read_shard(path: &Path, samples: &[&Sample]) -> Result<Vec<TaughtRow>, String> {
    let rows = read_rows(path).map_err(|error| error.to_string())?;
    if rows.len() != samples.len() {
        let (found, needed) = (rows.len(), samples.len());
        return Err(format!("it has {found} rows, {needed} were needed"));
    }
    for (row, sample) in rows.iter().zip(samples) {
        let (found, needed) = (row.counts.len(), sample.learned());
        let kept: usize = row.counts.iter().map(|n| usize::from(*n)).sum();
        if row.digest != row_digest(sample) {
            return Err("it has other rows than those of the recipe".into());
        }
        if found != needed {
            return Err(format!(
                "it has {found} learned tokens of row {}, {needed} were needed",
                sample.row
            ));
        }
        let lengths = [row.ids.len(), row.logprobs.len()];
        if lengths != [kept; 2] || [row.rest.len(), row.rest_roots.len()] != [found; 2] {
            return Err(format!(
                "its lists for row {} are of other lengths",
                sample.row
            ));
        }
    }
    Ok(rows)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn read_rows(path: &Path) -> Result<Vec<TaughtRow>, Failure> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        let batch = batch?;
        let digests = column(&batch, "row")?;
        let digests = digests.as_fixed_size_binary_opt();
        let digests = digests.ok_or("its column `row` holds no digests")?;
        let integers = |name| lists::<Int32Type>(&batch, name);
        let floats = |name| lists::<Float16Type>(&batch, name);
        let [counts, ids] = [integers("counts")?, integers("ids")?];
        let [logprobs, rest, roots] = [floats("logprobs")?, floats("rest")?, floats("rest_roots")?];
        for at in 0..batch.num_rows() {
            rows.push(TaughtRow {
                digest: digests.value(at).try_into()?,
                counts: counts(at).iter().map(|n| *n as u16).collect(),
                ids: ids(at).iter().map(|id| *id as u32).collect(),
                logprobs: logprobs(at),
                rest: rest(at),
                rest_roots: roots(at),
            });
        }
    }
    Ok(rows)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    let column = batch.column_by_name(name);
    column.ok_or_else(|| format!("it has no column `{name}`"))
}

/// What a column of lists has in a row.
fn lists<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<impl Fn(usize) -> Vec<T::Native> + 'a, String> {
    let column = column(batch, name)?.as_list_opt::<i32>();
    let column = column.filter(|it| it.value_type() == T::DATA_TYPE);
    let column = column.ok_or_else(|| format!("its column `{name}` is of another type"))?;
    let values = column.values().as_primitive::<T>().values();
    Ok(move |at| {
        let places = column.value_offsets();
        values[places[at] as usize..places[at + 1] as usize].to_vec()
    })
}
