//! Arrow arrays from plain values, for every test of the core.

#![allow(dead_code, reason = "each test uses a part")]

pub mod arbitrary;
pub mod foreign;
pub mod layouts;
pub mod promises;
pub mod proto;

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, PrimitiveArray, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field as ArrowField, Fields};
use headrace_core::{Field, FieldOptions};
use serde_json::Value;

pub const BOOL: i32 = 1;
pub const INT8: i32 = 2;
pub const INT16: i32 = 3;
pub const INT32: i32 = 4;
pub const INT64: i32 = 5;
pub const FLOAT: i32 = 10;
pub const DOUBLE: i32 = 11;
pub const VARCHAR: i32 = 21;
pub const ARRAY: i32 = 22;
pub const JSON: i32 = 23;
pub const GEOMETRY: i32 = 24;
pub const TEXT: i32 = 25;
pub const TIMESTAMPTZ: i32 = 26;
pub const BINARY_VECTOR: i32 = 100;
pub const FLOAT_VECTOR: i32 = 101;
pub const FLOAT16_VECTOR: i32 = 102;
pub const BFLOAT16_VECTOR: i32 = 103;
pub const SPARSE_FLOAT_VECTOR: i32 = 104;
pub const INT8_VECTOR: i32 = 105;

/// Every type that a field can have.
pub const DATA_TYPES: [i32; 18] = [
    BOOL,
    INT8,
    INT16,
    INT32,
    INT64,
    FLOAT,
    DOUBLE,
    VARCHAR,
    ARRAY,
    JSON,
    GEOMETRY,
    TIMESTAMPTZ,
    BINARY_VECTOR,
    FLOAT_VECTOR,
    FLOAT16_VECTOR,
    BFLOAT16_VECTOR,
    SPARSE_FLOAT_VECTOR,
    INT8_VECTOR,
];

/// Arrow's half-float number.
pub type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// A field with the parameters its type needs, generous ones.
pub fn field(data_type: i32) -> Field {
    Field::new("f", options(data_type)).unwrap()
}

/// The options of [`field`].
pub fn options(data_type: i32) -> FieldOptions {
    let mut options = FieldOptions { data_type, ..FieldOptions::default() };
    match data_type {
        VARCHAR => options.max_length = 64,
        ARRAY => (options.element_type, options.max_capacity) = (INT64, 8),
        FLOAT_VECTOR | FLOAT16_VECTOR | BFLOAT16_VECTOR | INT8_VECTOR => options.dim = 2,
        BINARY_VECTOR => options.dim = 16,
        _ => {}
    }
    options
}

/// The field that a golden file describes.
pub fn field_of(facts: &Value) -> Field {
    let number = |key: &str| facts[key].as_i64().unwrap_or(0);
    let flag = |key: &str| facts[key].as_bool().unwrap_or(false);
    let options = FieldOptions {
        data_type: i32::try_from(number("data_type")).unwrap(),
        dim: number("dim"),
        element_type: i32::try_from(number("element_type")).unwrap(),
        max_length: number("max_length"),
        max_capacity: number("max_capacity"),
        nullable: flag("nullable"),
        is_dynamic: flag("is_dynamic"),
    };
    Field::new(facts["name"].as_str().unwrap(), options).unwrap()
}

/// The column that a golden file's values make, in the type that headrace gives such a column.
pub fn column_of(facts: &Value, values: &[Value]) -> ArrayRef {
    let number = |key: &str| i32::try_from(facts[key].as_i64().unwrap_or(0)).unwrap();
    match number("data_type") {
        ARRAY => lists(number("element_type"), values),
        data_type @ (FLOAT_VECTOR | FLOAT16_VECTOR | INT8_VECTOR) => dense(data_type, number("dim"), values),
        BFLOAT16_VECTOR => fixed_bytes(2 * number("dim"), values, |v| bfloat16(v).to_vec()),
        BINARY_VECTOR => fixed_bytes(number("dim") / 8, values, |v| vec![u8::try_from(v.as_u64().unwrap()).unwrap()]),
        SPARSE_FLOAT_VECTOR => sparse_rows(values),
        data_type => scalars(data_type, values),
    }
}

/// A scalar column, null for JSON's null.
pub fn scalars(data_type: i32, values: &[Value]) -> ArrayRef {
    let ints = || values.iter().map(Value::as_i64);
    match data_type {
        BOOL => Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>()),
        INT8 => Arc::new(ints().map(|v| v.map(|v| i8::try_from(v).unwrap())).collect::<Int8Array>()),
        INT16 => Arc::new(ints().map(|v| v.map(|v| i16::try_from(v).unwrap())).collect::<Int16Array>()),
        INT32 => Arc::new(ints().map(|v| v.map(|v| i32::try_from(v).unwrap())).collect::<Int32Array>()),
        INT64 => Arc::new(ints().collect::<Int64Array>()),
        FLOAT => Arc::new(values.iter().map(|v| v.as_f64().map(narrow)).collect::<Float32Array>()),
        DOUBLE => Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>()),
        _ => Arc::new(values.iter().map(Value::as_str).collect::<StringArray>()),
    }
}

fn lists(element_type: i32, values: &[Value]) -> ArrayRef {
    let rows = || values.iter().map(|row| row.as_array().map(Vec::as_slice));
    let flat: Vec<Value> = rows().flat_map(|row| row.unwrap_or_default().to_vec()).collect();
    let child = scalars(element_type, &flat);
    let item = Arc::new(ArrowField::new("item", child.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(rows().map(|row| row.map_or(0, <[_]>::len)));
    let nulls = rows().map(|row| row.is_some()).collect::<NullBuffer>();
    Arc::new(ListArray::new(item, offsets, child, Some(nulls)))
}

/// Which rows are not null.
fn validity(values: &[Value]) -> NullBuffer {
    values.iter().map(|row| !row.is_null()).collect()
}

/// A `fixed_size_list` column of the vectors' own element type, zeros under nulls.
fn dense(data_type: i32, dim: i32, values: &[Value]) -> ArrayRef {
    let zeros = vec![Value::from(0); usize::try_from(dim).unwrap()];
    let flat = || values.iter().flat_map(|row| row.as_array().unwrap_or(&zeros)).map(|v| v.as_f64().unwrap());
    let child: ArrayRef = match data_type {
        FLOAT_VECTOR => Arc::new(flat().map(narrow).collect::<Float32Array>()),
        FLOAT16_VECTOR => Arc::new(Float16Array::from_iter_values(flat().map(Half::from_f64))),
        #[allow(clippy::cast_possible_truncation, reason = "golden values are those of the type")]
        _ => Arc::new(flat().map(|v| v as i8).collect::<Int8Array>()),
    };
    let item = Arc::new(ArrowField::new("item", child.data_type().clone(), true));
    Arc::new(FixedSizeListArray::new(item, dim, child, Some(validity(values))))
}

/// A `fixed_size_binary` column of `width` bytes a row, each element's bytes after the other.
fn fixed_bytes(width: i32, values: &[Value], bytes: impl Fn(&Value) -> Vec<u8>) -> ArrayRef {
    let row = |row: &Value| row.as_array().map(|row| row.iter().flat_map(&bytes).collect::<Vec<u8>>());
    let rows = values.iter().map(row).collect::<Vec<_>>();
    Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows.into_iter(), width).unwrap())
}

/// The upper half of a float32.
fn bfloat16(value: &Value) -> [u8; 2] {
    let [_, _, low, high] = narrow(value.as_f64().unwrap()).to_le_bytes();
    [low, high]
}

fn sparse_rows(values: &[Value]) -> ArrayRef {
    let rows: Vec<_> = values.iter().map(|row| if row.is_null() { Vec::new() } else { pairs(row) }).collect();
    let column = sparse(&rows);
    let (item, offsets, entries, _) = column.as_any().downcast_ref::<ListArray>().unwrap().clone().into_parts();
    Arc::new(ListArray::new(item, offsets, entries, Some(validity(values))))
}

/// A `fixed_size_list<float32>` column over `flat`.
pub fn vectors(dim: i32, flat: Vec<f32>) -> ArrayRef {
    let item = Arc::new(ArrowField::new("item", DataType::Float32, true));
    Arc::new(FixedSizeListArray::new(item, dim, Arc::new(Float32Array::from(flat)), None))
}

/// A `list<struct<index, value>>` column.
pub fn sparse(rows: &[Vec<(u32, f32)>]) -> ArrayRef {
    let indices: ArrayRef = Arc::new(rows.iter().flatten().map(|(index, _)| *index).collect::<UInt32Array>());
    let values: ArrayRef = Arc::new(rows.iter().flatten().map(|(_, v)| *v).collect::<PrimitiveArray<Float32Type>>());
    sparse_of(indices, values, rows.iter().map(Vec::len))
}

/// A `list<struct<index, value>>` column over two children.
pub fn sparse_of(indices: ArrayRef, values: ArrayRef, lengths: impl IntoIterator<Item = usize>) -> ArrayRef {
    let fields = Fields::from(vec![
        ArrowField::new("index", indices.data_type().clone(), true),
        ArrowField::new("value", values.data_type().clone(), true),
    ]);
    let entries = StructArray::new(fields.clone(), vec![indices, values], None);
    let item = Arc::new(ArrowField::new("item", DataType::Struct(fields), true));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(entries), None))
}

fn pairs(row: &Value) -> Vec<(u32, f32)> {
    let pair = |pair: &Value| (u32::try_from(pair[0].as_u64().unwrap()).unwrap(), narrow(pair[1].as_f64().unwrap()));
    row.as_array().unwrap().iter().map(pair).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "golden floats are float32 values")]
fn narrow(value: f64) -> f32 {
    value as f32
}
