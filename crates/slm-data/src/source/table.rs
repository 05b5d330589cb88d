use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type, Schema, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use serde_json::{Map, Value};

use super::Row;
use crate::error::DataError;
use crate::origin::Origin;

type RowsAndColumns = (Vec<Row>, Vec<String>);

/// Rows of a Parquet file whose pages are plain or compressed by snappy or zstd.
pub(super) fn parquet_rows(path: &Arc<str>) -> Result<RowsAndColumns, DataError> {
    let broken = |reason: String| DataError::Table {
        path: path.to_string(),
        kind: "Parquet",
        reason,
    };
    let (file, _) = fs_err::File::open(&**path)
        .map_err(|source| DataError::Io { source })?
        .into_parts();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| broken(error.to_string()))?;
    for column in builder
        .metadata()
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
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
    let reader = builder.build().map_err(|error| broken(error.to_string()))?;
    collect(path, &schema, reader, broken)
}

/// Rows of an Arrow IPC file, or of an Arrow stream (which is what HF `datasets` caches).
pub(super) fn arrow_rows(path: &Arc<str>, bytes: Vec<u8>) -> Result<RowsAndColumns, DataError> {
    let broken = |reason: String| DataError::Table {
        path: path.to_string(),
        kind: "Arrow",
        reason,
    };
    let is_file = bytes.starts_with(b"ARROW1");
    let read = if is_file {
        FileReader::try_new(Cursor::new(bytes), None)
            .map_err(|error| broken(error.to_string()))
            .and_then(|reader| collect(path, &reader.schema(), reader, broken))
    } else {
        StreamReader::try_new(Cursor::new(bytes), None)
            .map_err(|error| broken(error.to_string()))
            .and_then(|reader| collect(path, &reader.schema(), reader, broken))
    };
    read.map_err(|error| match error {
        DataError::Table { path, reason, .. } if reason.contains("lz4") => DataError::Codec {
            path,
            codec: "lz4".into(),
        },
        DataError::Table { path, reason, .. } if reason.contains("zstd") => DataError::Codec {
            path,
            codec: "zstd".into(),
        },
        other => other,
    })
}

fn codec_name(compression: Compression) -> String {
    let name = compression.to_string().to_lowercase();
    name.split('(').next().unwrap_or_default().to_owned()
}

fn collect(
    path: &Arc<str>,
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    broken: impl Fn(String) -> DataError,
) -> Result<RowsAndColumns, DataError> {
    let mut rows = Vec::new();
    for batch in batches {
        let batch = batch.map_err(|error| broken(error.to_string()))?;
        let values: Result<Vec<_>, _> =
            batch.columns().iter().map(|column| cells(column)).collect();
        let mut columns = values.map_err(|error| broken(error.to_string()))?;
        for at in 0..batch.num_rows() {
            let names = schema.fields().iter().map(|field| field.name().clone());
            let fields = names
                .zip(columns.iter_mut().map(|column| column[at].take()))
                .collect();
            rows.push(Row {
                origin: Origin::row(path, rows.len() + 1),
                fields,
            });
        }
    }
    Ok((
        rows,
        schema.fields().iter().map(|field| typed(field)).collect(),
    ))
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
            let mut items = cells(list.values())?;
            let offsets = list.value_offsets().windows(2);
            let slices = offsets.map(|pair| {
                let range = pair[0] as usize..pair[1] as usize;
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
