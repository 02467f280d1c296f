//! Strings and binary values, of every layout.

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, ByteViewType};
use arrow_array::{Array, GenericByteArray, GenericByteViewArray};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::Offsets;
use crate::error::{ColumnReason, Fault};

/// Bytes of a view: length, then either up to twelve bytes of data, or four bytes of it, a buffer's number and an
/// offset (Arrow columnar format, "Variable-size Binary View Layout").
const VIEW: usize = 16;
const INLINE: usize = 12;

/// Strings or binary values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bytes<'a> {
    /// One value after the other.
    Whole { offsets: Offsets<'a>, data: &'a [u8] },
    /// Each value in its view or in one of several buffers.
    Views { views: &'a [u8], buffers: &'a [Buffer] },
}

impl<'a> Bytes<'a> {
    /// A view of a utf8, `large_utf8` or `utf8_view` array; None for every other type.
    pub(crate) fn of_text(array: &'a dyn Array) -> Option<Result<Self, ColumnReason>> {
        match array.data_type() {
            DataType::Utf8 => Some(Self::small(array.as_string::<i32>())),
            DataType::LargeUtf8 => Some(Self::large(array.as_string::<i64>())),
            DataType::Utf8View => Some(Self::views(array.as_string_view())),
            _ => None,
        }
    }

    /// A view of a binary, `large_binary` or `binary_view` array; None for every other type.
    pub(crate) fn of_binary(array: &'a dyn Array) -> Option<Result<Self, ColumnReason>> {
        match array.data_type() {
            DataType::Binary => Some(Self::small(array.as_binary::<i32>())),
            DataType::LargeBinary => Some(Self::large(array.as_binary::<i64>())),
            DataType::BinaryView => Some(Self::views(array.as_binary_view())),
            _ => None,
        }
    }

    fn small<T: ByteArrayType<Offset = i32>>(array: &'a GenericByteArray<T>) -> Result<Self, ColumnReason> {
        // Offsets first: a hostile last offset would make the slice of the data reach past every memory.
        let offsets = Offsets::small(array.value_offsets(), array.values().len())?;
        Ok(Self::Whole { offsets, data: array.values().as_slice() })
    }

    fn large<T: ByteArrayType<Offset = i64>>(array: &'a GenericByteArray<T>) -> Result<Self, ColumnReason> {
        let offsets = Offsets::large(array.value_offsets(), array.values().len())?;
        Ok(Self::Whole { offsets, data: array.values().as_slice() })
    }

    fn views<T: ByteViewType + ?Sized>(array: &'a GenericByteViewArray<T>) -> Result<Self, ColumnReason> {
        let bytes = Self::Views { views: array.views().inner().as_slice(), buffers: array.data_buffers() };
        // A null row's view may be anything.
        match (0..array.len()).find(|row| array.is_valid(*row) && bytes.get(*row).is_err()) {
            None => Ok(bytes),
            Some(row) => Err(ColumnReason::Corrupt {
                expected: format!("views into {} buffers", array.data_buffers().len()),
                found: format!("one that points outside them in row {row}"),
            }),
        }
    }

    /// The length of one value, which [`get`](Self::get) may still refuse.
    #[inline]
    pub(crate) fn len_of(&self, row: usize) -> Result<usize, Fault> {
        match self {
            Self::Whole { offsets, .. } => Ok(offsets.range(row)?.len()),
            Self::Views { views, .. } => Ok(word(view_of(views, row)?, 0)),
        }
    }

    /// The bytes of one value.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Result<&'a [u8], Fault> {
        match self {
            Self::Whole { offsets, data } => data.get(offsets.range(row)?).ok_or(Fault::Changed),
            Self::Views { views, buffers } => {
                let view = view_of(views, row)?;
                let len = word(view, 0);
                if len <= INLINE {
                    return Ok(&view[4..4 + len]);
                }
                let (buffer, start) = (word(view, 8), word(view, 12));
                buffers.get(buffer).and_then(|buffer| buffer.as_slice().get(start..start + len)).ok_or(Fault::Changed)
            }
        }
    }

    /// The offsets and all the bytes, where the values lie one after the other.
    pub(crate) fn whole(&self) -> Option<(Offsets<'a>, &'a [u8])> {
        match self {
            Self::Whole { offsets, data } => Some((*offsets, data)),
            Self::Views { .. } => None,
        }
    }
}

#[inline]
fn view_of(views: &[u8], row: usize) -> Result<&[u8; VIEW], Fault> {
    views.as_chunks().0.get(row).ok_or(Fault::Changed)
}

#[inline]
fn word(view: &[u8; VIEW], at: usize) -> usize {
    u32::from_le_bytes([view[at], view[at + 1], view[at + 2], view[at + 3]]) as usize
}
