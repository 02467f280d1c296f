//! Scalars, alone or as elements of an array: bool, the integers, float, double, varchar.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::definition::ElementKind;
use super::finite::{put_finite_f32, put_finite_f64};
use super::text::{TEXT_TYPES, Text};
use super::{Cells, Tally};
use crate::column::{Primitive, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::wire::{Sink, put_varints, varints_len};

/// Values of one scalar type.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Bool(&'a BooleanBuffer),
    Int8(Primitive<'a, i8>),
    Int16(Primitive<'a, i16>),
    Int32(Primitive<'a, i32>),
    Int64(Primitive<'a, i64>),
    Float(Primitive<'a, f32>, Finite),
    Double(Primitive<'a, f64>, Finite),
    Text(Text<'a>),
}

/// Whether NaN and infinity are refused: in scalar fields (Milvus 2.4 to 2.6 refuse them), not in array elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finite {
    Required,
    Any,
}

impl<'a> Scalar<'a> {
    /// A view of `array` as values of `kind`.
    pub(crate) fn bind(kind: ElementKind, array: &'a dyn Array, finite: Finite) -> Result<Self, ColumnReason> {
        Ok(match (kind, array.data_type()) {
            (ElementKind::Bool, DataType::Boolean) => Self::Bool(array.as_boolean().values()),
            (ElementKind::Int8, DataType::Int8) => Self::Int8(Primitive::of(array.as_primitive::<Int8Type>())),
            (ElementKind::Int16, DataType::Int16) => Self::Int16(Primitive::of(array.as_primitive::<Int16Type>())),
            (ElementKind::Int32, DataType::Int32) => Self::Int32(Primitive::of(array.as_primitive::<Int32Type>())),
            (ElementKind::Int64, DataType::Int64) => Self::Int64(Primitive::of(array.as_primitive::<Int64Type>())),
            (ElementKind::Float, DataType::Float32) => {
                Self::Float(Primitive::of(array.as_primitive::<Float32Type>()), finite)
            }
            (ElementKind::Double, DataType::Float64) => {
                Self::Double(Primitive::of(array.as_primitive::<Float64Type>()), finite)
            }
            (ElementKind::VarChar { max_length }, _) => Self::Text(Text::bind(array, Some(max_length), TEXT_TYPES)?),
            _ => return Err(wrong_type(kind.arrow_types(), array)),
        })
    }
}

impl Cells for Scalar<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let payload = match self {
            Self::Bool(_) => rows.len(),
            Self::Int8(values) => varints_len(values.get(rows)?),
            Self::Int16(values) => varints_len(values.get(rows)?),
            Self::Int32(values) => varints_len(values.get(rows)?),
            Self::Int64(values) => varints_len(values.get(rows)?),
            Self::Float(values, _) => values.bytes(rows)?.len(),
            Self::Double(values, _) => values.bytes(rows)?.len(),
            Self::Text(text) => return text.size(rows),
        };
        Ok(Tally::of(payload))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        match self {
            Self::Bool(values) => put_bools(values, rows, sink),
            Self::Int8(values) => Ok(put_varints(sink, values.get(rows)?)?),
            Self::Int16(values) => Ok(put_varints(sink, values.get(rows)?)?),
            Self::Int32(values) => Ok(put_varints(sink, values.get(rows)?)?),
            Self::Int64(values) => Ok(put_varints(sink, values.get(rows)?)?),
            Self::Float(values, Finite::Required) => put_finite_f32(values.bytes(rows)?, sink),
            Self::Double(values, Finite::Required) => put_finite_f64(values.bytes(rows)?, sink),
            Self::Float(values, Finite::Any) => Ok(sink.put(values.bytes(rows)?)?),
            Self::Double(values, Finite::Any) => Ok(sink.put(values.bytes(rows)?)?),
            Self::Text(text) => text.write(rows, sink),
        }
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let value = match self {
            Self::Float(values, Finite::Required) => f64::from(*values.get(row..row + 1).ok()?.first()?),
            Self::Double(values, Finite::Required) => *values.get(row..row + 1).ok()?.first()?,
            Self::Text(text) => return text.refusal(row),
            _ => return None,
        };
        (!value.is_finite()).then_some(CellReason::NotFinite { value, element: None })
    }
}

/// One byte, 0 or 1, for each bit.
pub(crate) fn put_bools(bits: &BooleanBuffer, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
    if rows.end > bits.len() {
        return Err(Fault::Changed);
    }
    let chunks = bits.inner().bit_chunks(bits.offset() + rows.start, rows.len());
    for chunk in chunks.iter() {
        sink.put(&bytes_of_bits(chunk))?;
    }
    Ok(sink.put(&bytes_of_bits(chunks.remainder_bits())[..chunks.remainder_len()])?)
}

/// Each bit as a byte, the lowest first.
#[inline]
fn bytes_of_bits(bits: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (eight, byte) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(bits.to_le_bytes()) {
        // Every byte of the product is the eight bits, of which it keeps its own; 0x7f more carry that to the highest bit.
        let own = (u64::from(byte) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
        *eight = ((own + 0x7f7f_7f7f_7f7f_7f7f) >> 7 & 0x0101_0101_0101_0101).to_le_bytes();
    }
    bytes
}
