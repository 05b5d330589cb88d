//! Metadata values as bytes.

use crate::cursor::Cursor;
use crate::{Array, GgufError, Value, ValueType};

/// How deep arrays may be nested; the format sets no limit, the stack does.
const NESTED_ARRAYS: usize = 8;

fn read_type(cursor: &mut Cursor) -> Result<ValueType, GgufError> {
    let at = cursor.at();
    let found = cursor.u32("a value type")?;
    ValueType::from_id(found).ok_or(GgufError::UnknownValueType { at, found })
}

/// A value, from its type on.
pub(crate) fn read(cursor: &mut Cursor) -> Result<Value, GgufError> {
    const WHAT: &str = "a metadata value";
    Ok(match read_type(cursor)? {
        ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::Bool => Value::Bool(read_bool(cursor)?),
        ValueType::String => Value::String(cursor.string(WHAT)?.to_string()),
        ValueType::Array => Value::Array(read_array(cursor, 1)?),
    })
}

fn read_bool(cursor: &mut Cursor) -> Result<bool, GgufError> {
    let at = cursor.at();
    match cursor.array("a bool")? {
        [0] => Ok(false),
        [1] => Ok(true),
        [found] => Err(GgufError::NotABool { at, found }),
    }
}

fn read_array(cursor: &mut Cursor, depth: usize) -> Result<Array, GgufError> {
    const WHAT: &str = "a metadata array";
    let at = cursor.at();
    if depth > NESTED_ARRAYS {
        return Err(GgufError::NestedTooDeep {
            at,
            limit: NESTED_ARRAYS,
        });
    }
    let element_type = read_type(cursor)?;
    let len = cursor.count(element_type.min_bytes(), WHAT)?;
    Ok(match element_type {
        ValueType::U8 => Array::U8(read_numbers(cursor, len, u8::from_le_bytes)?),
        ValueType::I8 => Array::I8(read_numbers(cursor, len, i8::from_le_bytes)?),
        ValueType::U16 => Array::U16(read_numbers(cursor, len, u16::from_le_bytes)?),
        ValueType::I16 => Array::I16(read_numbers(cursor, len, i16::from_le_bytes)?),
        ValueType::U32 => Array::U32(read_numbers(cursor, len, u32::from_le_bytes)?),
        ValueType::I32 => Array::I32(read_numbers(cursor, len, i32::from_le_bytes)?),
        ValueType::F32 => Array::F32(read_numbers(cursor, len, f32::from_le_bytes)?),
        ValueType::U64 => Array::U64(read_numbers(cursor, len, u64::from_le_bytes)?),
        ValueType::I64 => Array::I64(read_numbers(cursor, len, i64::from_le_bytes)?),
        ValueType::F64 => Array::F64(read_numbers(cursor, len, f64::from_le_bytes)?),
        ValueType::Bool => Array::Bool(
            (0..len)
                .map(|_| read_bool(cursor))
                .collect::<Result<_, _>>()?,
        ),
        ValueType::String => Array::String(
            (0..len)
                .map(|_| Ok(cursor.string(WHAT)?.to_string()))
                .collect::<Result<_, GgufError>>()?,
        ),
        ValueType::Array => Array::Array(
            (0..len)
                .map(|_| read_array(cursor, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
    })
}

fn read_numbers<T, const N: usize>(
    cursor: &mut Cursor,
    len: usize,
    read: fn([u8; N]) -> T,
) -> Result<Vec<T>, GgufError> {
    let bytes = cursor.take((len * N) as u64, "a metadata array")?;
    Ok(bytes
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| read(chunk))
        .collect())
}

pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A value, with its type in front.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    out.extend(value.value_type().id().to_le_bytes());
    match value {
        Value::U8(value) => out.extend(value.to_le_bytes()),
        Value::I8(value) => out.extend(value.to_le_bytes()),
        Value::U16(value) => out.extend(value.to_le_bytes()),
        Value::I16(value) => out.extend(value.to_le_bytes()),
        Value::U32(value) => out.extend(value.to_le_bytes()),
        Value::I32(value) => out.extend(value.to_le_bytes()),
        Value::F32(value) => out.extend(value.to_le_bytes()),
        Value::U64(value) => out.extend(value.to_le_bytes()),
        Value::I64(value) => out.extend(value.to_le_bytes()),
        Value::F64(value) => out.extend(value.to_le_bytes()),
        Value::Bool(value) => out.push((*value).into()),
        Value::String(value) => write_string(out, value),
        Value::Array(value) => write_array(out, value),
    }
}

fn write_array(out: &mut Vec<u8>, array: &Array) {
    out.extend(array.element_type().id().to_le_bytes());
    out.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(values) => out.extend(values),
        Array::I8(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::U16(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::I16(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::U32(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::I32(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::F32(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::U64(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::I64(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::F64(values) => values
            .iter()
            .for_each(|value| out.extend(value.to_le_bytes())),
        Array::Bool(values) => out.extend(values.iter().map(|&value| u8::from(value))),
        Array::String(values) => values.iter().for_each(|value| write_string(out, value)),
        Array::Array(values) => values.iter().for_each(|values| write_array(out, values)),
    }
}
