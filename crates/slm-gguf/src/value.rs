//! Metadata values.

/// The type of a metadata value: `gguf_metadata_value_type`, of which the number is what stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    /// Every type, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::String,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The number in the file.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// The type with this number.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(id).ok()?).copied()
    }

    /// The name in the format's specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::F32 => "float32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F64 => "float64",
        }
    }

    /// The fewest bytes a value takes: the width of a number, the length field of a string, type and length of an array.
    pub(crate) fn min_bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::String | Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Array => 12,
        }
    }
}

impl std::fmt::Display for ValueType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One metadata value.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array of metadata values of one type.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(Vec<String>),
    Array(Vec<Array>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

macro_rules! for_each_variant {
    ($($variant:ident),*) => {
        impl Value {
            /// The value's type.
            pub fn value_type(&self) -> ValueType {
                match self {
                    $(Self::$variant(_) => ValueType::$variant,)*
                }
            }
        }

        impl Array {
            /// The type of the elements.
            pub fn element_type(&self) -> ValueType {
                match self {
                    $(Self::$variant(_) => ValueType::$variant,)*
                }
            }

            /// How many elements there are.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(elements) => elements.len(),)*
                }
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }
    };
}
for_each_variant!(
    U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64
);

impl Value {
    /// The value as a count, from any integer type that holds one: writers differ on 32 or 64 bits.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The value's type in words, with that of its elements: `array of string`.
    pub fn type_name(&self) -> String {
        match self {
            Self::Array(array) => format!("array of {}", array.element_type()),
            _ => self.value_type().to_string(),
        }
    }
}

/// A Rust type that a metadata key holds.
pub trait FieldType: Sized {
    /// The type in words, for messages.
    const NAME: &'static str;

    /// As a value, in exactly the type that the key has.
    fn into_value(self) -> Value;

    /// From a value; counts come from any integer type that holds them, f32 also from f64.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! field_type {
    ($type:ty, $name:literal, $into:expr, $from:expr) => {
        impl FieldType for $type {
            const NAME: &'static str = $name;

            fn into_value(self) -> Value {
                let into: fn(Self) -> Value = $into;
                into(self)
            }

            fn from_value(value: &Value) -> Option<Self> {
                let from: fn(&Value) -> Option<Self> = $from;
                from(value)
            }
        }
    };
}

field_type!(u32, "uint32", Value::U32, |value| value
    .as_u64()?
    .try_into()
    .ok());
field_type!(bool, "bool", Value::Bool, |value| match value {
    Value::Bool(value) => Some(*value),
    _ => None,
});
field_type!(f32, "float32", Value::F32, |value| match value {
    Value::F32(value) => Some(*value),
    Value::F64(value) => Some(*value as f32),
    _ => None,
});
field_type!(String, "string", Value::String, |value| match value {
    Value::String(value) => Some(value.clone()),
    _ => None,
});
field_type!(
    Vec<String>,
    "array of string",
    |values| Value::Array(Array::String(values)),
    |value| match value {
        Value::Array(Array::String(values)) => Some(values.clone()),
        _ => None,
    }
);
field_type!(
    Vec<f32>,
    "array of float32",
    |values| Value::Array(Array::F32(values)),
    |value| match value {
        Value::Array(Array::F32(values)) => Some(values.clone()),
        _ => None,
    }
);
field_type!(
    Vec<bool>,
    "array of bool",
    |values| Value::Array(Array::Bool(values)),
    |value| match value {
        Value::Array(Array::Bool(values)) => Some(values.clone()),
        _ => None,
    }
);
field_type!(
    Vec<i32>,
    "array of int32",
    |values| Value::Array(Array::I32(values)),
    |value| match value {
        Value::Array(Array::I32(values)) => Some(values.clone()),
        _ => None,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_ids_lead_back() {
        for value_type in ValueType::ALL {
            assert_eq!(ValueType::from_id(value_type.id()), Some(value_type));
        }
        assert_eq!(ValueType::from_id(13), None);
    }

    #[test]
    fn a_count_comes_from_any_integer_that_holds_it() {
        assert_eq!(u32::from_value(&Value::U64(7)), Some(7));
        assert_eq!(u32::from_value(&Value::I8(7)), Some(7));
        assert_eq!(u32::from_value(&Value::I64(-1)), None);
        assert_eq!(u32::from_value(&Value::U64(1 << 32)), None);
        assert_eq!(u32::from_value(&Value::F32(7.0)), None);
    }
}
