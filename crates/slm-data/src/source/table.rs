use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int64Type, Schema, SchemaRef, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use serde_json::{Map, Value};

use super::raw::{Raw, RawRow};
use crate::error::DataError;
use crate::origin::Origin;

/// Rows made into values at once.
const BATCH_ROWS: usize = 1024;

/// The rows of a Parquet or Arrow file, batch by batch.
pub(super) struct Table {
    path: Arc<str>,
    kind: &'static str,
    batches: Batches,
    schema: SchemaRef,
    /// What is left of the batch that was read last.
    batch: Option<RecordBatch>,
    rows: std::vec::IntoIter<Map<String, Value>>,
    /// The number of the last row.
    row: usize,
}

enum Batches {
    Parquet(Box<ParquetRecordBatchReader>),
    ArrowFile(Box<FileReader<BufReader<File>>>),
    ArrowStream(Box<StreamReader<BufReader<File>>>),
}

impl Table {
    /// A Parquet file whose pages are plain or compressed by snappy or zstd.
    pub(super) fn parquet(path: &Arc<str>, file: File) -> Result<Self, DataError> {
        let broken = |error: ParquetError| broken(path, "Parquet", error.to_string());
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
        let groups = builder.metadata().row_groups().iter();
        for column in groups.flat_map(|group| group.columns()) {
            match column.compression() {
                Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
                other => {
                    return Err(DataError::Codec {
                        path: path.to_string(),
                        codec: codec_name(other),
                    });
                }
            }
        }
        let schema = builder.schema().clone();
        let reader = builder.with_batch_size(BATCH_ROWS).build();
        let batches = Batches::Parquet(Box::new(reader.map_err(broken)?));
        Ok(Self::new(path, "Parquet", batches, schema))
    }

    /// An Arrow IPC file, or an Arrow stream (which is what HF `datasets` caches).
    pub(super) fn arrow(path: &Arc<str>, mut file: File) -> Result<Self, DataError> {
        let broken = |error: ArrowError| arrow_error(path, error.to_string());
        let io = |source| DataError::Io { source };
        let mut start = Vec::new();
        (&mut file).take(6).read_to_end(&mut start).map_err(io)?;
        file.rewind().map_err(io)?;
        let bytes = BufReader::new(file);
        if start == b"ARROW1" {
            let reader = FileReader::try_new(bytes, None).map_err(broken)?;
            let schema = reader.schema();
            let batches = Batches::ArrowFile(Box::new(reader));
            return Ok(Self::new(path, "Arrow", batches, schema));
        }
        let reader = StreamReader::try_new(bytes, None).map_err(broken)?;
        let schema = reader.schema();
        let batches = Batches::ArrowStream(Box::new(reader));
        Ok(Self::new(path, "Arrow", batches, schema))
    }

    fn new(path: &Arc<str>, kind: &'static str, batches: Batches, schema: SchemaRef) -> Self {
        Self {
            path: path.clone(),
            kind,
            batches,
            schema,
            batch: None,
            rows: Vec::new().into_iter(),
            row: 0,
        }
    }

    /// Name and type of each column.
    pub(super) fn columns(&self) -> Vec<String> {
        let fields = self.schema.fields().iter();
        fields.map(|field| typed(field)).collect()
    }

    pub(super) fn next(&mut self) -> Result<Option<RawRow>, DataError> {
        loop {
            if let Some(fields) = self.rows.next() {
                self.row += 1;
                return Ok(Some(RawRow {
                    origin: Origin::row(&self.path, self.row),
                    raw: Ok(Raw::Fields(fields)),
                }));
            }
            let batch = match self.batch.take() {
                Some(batch) => batch,
                None => match self.batches.next() {
                    None => return Ok(None),
                    Some(batch) => batch.map_err(|error| self.broken(error.to_string()))?,
                },
            };
            let count = batch.num_rows().min(BATCH_ROWS);
            let rest = batch.num_rows() - count;
            self.batch = (rest > 0).then(|| batch.slice(count, rest));
            let rows = rows(&self.schema, &batch.slice(0, count));
            self.rows = rows
                .map_err(|error| self.broken(error.to_string()))?
                .into_iter();
        }
    }

    fn broken(&self, reason: String) -> DataError {
        match self.kind {
            "Arrow" => arrow_error(&self.path, reason),
            kind => broken(&self.path, kind, reason),
        }
    }
}

impl Batches {
    fn next(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        match self {
            Self::Parquet(reader) => reader.next(),
            Self::ArrowFile(reader) => reader.next(),
            Self::ArrowStream(reader) => reader.next(),
        }
    }
}

fn broken(path: &Arc<str>, kind: &'static str, reason: String) -> DataError {
    DataError::Table {
        path: path.to_string(),
        kind,
        reason,
    }
}

fn arrow_error(path: &Arc<str>, reason: String) -> DataError {
    let codec = ["lz4", "zstd"]
        .into_iter()
        .find(|codec| reason.contains(codec));
    match codec {
        Some(codec) => DataError::Codec {
            path: path.to_string(),
            codec: codec.into(),
        },
        None => broken(path, "Arrow", reason),
    }
}

fn codec_name(compression: Compression) -> String {
    let name = compression.to_string().to_lowercase();
    name.split('(').next().unwrap_or_default().to_owned()
}

fn rows(schema: &Schema, batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, ArrowError> {
    let columns = batch.columns().iter().map(|column| cells(column));
    let mut columns = columns.collect::<Result<Vec<_>, _>>()?;
    let row = |at: usize| {
        let names = schema.fields().iter().map(|field| field.name().clone());
        let values = columns.iter_mut().map(|column| column[at].take());
        names.zip(values).collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

fn typed(field: &Field) -> String {
    format!("{}: {}", field.name(), field.data_type())
}

/// The values of a column as JSON. Bytes that are no text become `{"bytes": length}`, types that JSON lacks (dates,
/// decimals) their printed form.
fn cells(array: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let to = |kind: &DataType| cast(array, kind);
    Ok(match array.data_type() {
        DataType::Null => vec![Value::Null; array.len()],
        DataType::Boolean => array.as_boolean().iter().map(Value::from).collect(),
        DataType::Utf8 => array.as_string::<i32>().iter().map(Value::from).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(Value::from).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(Value::from).collect(),
        DataType::Dictionary(_, values) => cells(&*to(values)?)?,
        DataType::Binary => array.as_binary::<i32>().iter().map(bytes_cell).collect(),
        DataType::LargeBinary => array.as_binary::<i64>().iter().map(bytes_cell).collect(),
        DataType::UInt64 => array
            .as_primitive::<UInt64Type>()
            .iter()
            .map(Value::from)
            .collect(),
        kind if kind.is_integer() => to(&DataType::Int64)?
            .as_primitive::<Int64Type>()
            .iter()
            .map(Value::from)
            .collect(),
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .iter()
            .map(Value::from)
            .collect(),
        // As it prints, or 0.1 would become 0.10000000149.
        DataType::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| {
                value.map_or(Value::Null, |value| {
                    value
                        .to_string()
                        .parse::<f64>()
                        .map_or(Value::Null, Value::from)
                })
            })
            .collect(),
        DataType::Struct(fields) => {
            let mut columns = array
                .as_struct()
                .columns()
                .iter()
                .map(|column| cells(column))
                .collect::<Result<Vec<_>, _>>()?;
            let object = |at: usize| {
                let names = fields.iter().map(|field| field.name().clone());
                Value::Object(Map::from_iter(
                    names.zip(columns.iter_mut().map(|column| column[at].take())),
                ))
            };
            null_where_invalid(array, (0..array.len()).map(object).collect())
        }
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            cells(&*to(&DataType::List(item.clone()))?)?
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            // A slice of a table has the values of all of it.
            let (first, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
            let mut items = cells(&list.values().slice(first, end - first))?;
            let slices = offsets.windows(2).map(|pair| {
                let range = pair[0] as usize - first..pair[1] as usize - first;
                Value::Array(items[range].iter_mut().map(Value::take).collect())
            });
            let slices = slices.collect();
            null_where_invalid(array, slices)
        }
        _ => {
            let options = FormatOptions::default();
            let format = ArrayFormatter::try_new(array, &options)?;
            let printed = (0..array.len())
                .map(|at| Value::from(format.value(at).to_string()))
                .collect();
            null_where_invalid(array, printed)
        }
    })
}

fn bytes_cell(bytes: Option<&[u8]>) -> Value {
    match bytes.map(std::str::from_utf8) {
        None => Value::Null,
        Some(Ok(text)) => Value::from(text),
        Some(Err(_)) => Value::from(Map::from_iter([(
            "bytes".to_owned(),
            Value::from(bytes.map(<[u8]>::len)),
        )])),
    }
}

fn null_where_invalid(array: &dyn Array, mut values: Vec<Value>) -> Vec<Value> {
    for (at, value) in values.iter_mut().enumerate() {
        if array.is_null(at) {
            *value = Value::Null;
        }
    }
    values
}
