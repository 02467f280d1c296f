//! Dense vectors: the rows' elements one after the other, exactly the memory of a C-contiguous matrix.
//!
//! ```text
//! FLOAT_VECTOR     float_vector { data: packed float32 }
//! FLOAT16_VECTOR   float16_vector: bytes      BFLOAT16_VECTOR  bfloat16_vector: bytes     (2 bytes an element)
//! INT8_VECTOR      int8_vector: bytes         BINARY_VECTOR    binary_vector: bytes       (8 elements a byte)
//! ```

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Int8Type, UInt8Type, UInt16Type};
use arrow_array::{Array, PrimitiveArray};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::definition::VectorKind;
use super::finite::{not_finite_16, put_finite_bf16, put_finite_f16, put_finite_f32};
use super::{Cells, Tally, tag};
use crate::column::{Bytes, Offsets, first_null, list_of, nulls_of, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::wire::{Frame, Sink, varint_field};

const ELEMENTS: &str = "elements";
const BYTES: &str = "bytes";

/// Rows of `width` elements (of lists) or bytes (of binary values) each.
#[derive(Debug)]
pub(crate) struct DenseVectors<'a> {
    kind: VectorKind,
    rows: Rows<'a>,
    width: usize,
}

#[derive(Debug)]
enum Rows<'a> {
    /// Lists over elements of `element` bytes.
    Lists { offsets: Offsets<'a>, elements: &'a [u8], element: usize, nulls: Option<NullBuffer> },
    /// A binary value each.
    Bytes(Bytes<'a>),
}

impl<'a> DenseVectors<'a> {
    pub(crate) fn bind(array: &'a dyn Array, kind: VectorKind, dim: usize) -> Result<Self, ColumnReason> {
        let unfit = || wrong_type(&kind.arrow_types(dim), array);
        let row_bytes = kind.row_bytes(dim);
        if let Some((offsets, child)) = list_of(array)? {
            let (elements, element) = kind.elements(child).ok_or_else(unfit)?;
            let width = row_bytes / element;
            if let DataType::FixedSizeList(_, found) = array.data_type() {
                check_width(width, *found, ELEMENTS)?;
            }
            let rows = Rows::Lists { offsets, elements, element, nulls: nulls_of(child) };
            return Ok(Self { kind, rows, width });
        }
        if kind == VectorKind::Float32 {
            return Err(unfit());
        }
        let bytes = if let DataType::FixedSizeBinary(found) = array.data_type() {
            check_width(row_bytes, *found, BYTES)?;
            let data = array.as_fixed_size_binary().value_data();
            Bytes::Whole { offsets: Offsets::fixed(row_bytes, array.len(), data.len())?, data }
        } else {
            Bytes::of_binary(array).ok_or_else(unfit)??
        };
        Ok(Self { kind, rows: Rows::Bytes(bytes), width: row_bytes })
    }

    fn len_of(&self, row: usize) -> Result<usize, Fault> {
        match &self.rows {
            Rows::Lists { offsets, .. } => Ok(offsets.range(row)?.len()),
            Rows::Bytes(bytes) => bytes.len_of(row),
        }
    }

    /// Whether every row's length is given by the column's type.
    fn has_one_width(&self) -> bool {
        match &self.rows {
            Rows::Lists { offsets, .. } | Rows::Bytes(Bytes::Whole { offsets, .. }) => {
                matches!(offsets, Offsets::Fixed { .. })
            }
            Rows::Bytes(Bytes::Views { .. }) => false,
        }
    }

    /// Calls `act` with the rows' bytes, as many rows together as lie side by side.
    fn for_each_span(
        &self,
        rows: Range<usize>,
        mut act: impl FnMut(&'a [u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (offsets, data, element) = match &self.rows {
            Rows::Lists { offsets, elements, element, .. } => (offsets, *elements, *element),
            Rows::Bytes(Bytes::Whole { offsets, data }) => (offsets, *data, 1),
            Rows::Bytes(views) => return rows.into_iter().try_for_each(|row| act(views.get(row)?)),
        };
        offsets.for_each_span(rows, |span| {
            // Offsets that were changed since they were checked can be any number.
            let bytes = span.start.checked_mul(element).zip(span.end.checked_mul(element));
            act(bytes.and_then(|(start, end)| data.get(start..end)).ok_or(Fault::Changed)?)
        })
    }

    fn null_in(&self, row: usize) -> Option<usize> {
        match &self.rows {
            Rows::Lists { offsets, nulls, .. } => first_null(nulls.as_ref(), &offsets.range(row).ok()?),
            Rows::Bytes(_) => None,
        }
    }

    fn has_nulls(&self) -> bool {
        matches!(&self.rows, Rows::Lists { nulls: Some(_), .. })
    }
}

impl Cells for DenseVectors<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        if !self.has_one_width() {
            for row in rows.clone() {
                if self.len_of(row)? != self.width {
                    return Err(Fault::Refused);
                }
            }
        }
        if self.has_nulls() && rows.clone().any(|row| self.null_in(row).is_some()) {
            return Err(Fault::Refused);
        }
        let element = if let Rows::Lists { element, .. } = self.rows { element } else { 1 };
        Ok(Tally::of(rows.len() * self.width * element))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        self.for_each_span(rows, |bytes| match self.kind {
            VectorKind::Float32 => put_finite_f32(bytes, sink),
            VectorKind::Float16 => put_finite_f16(bytes, sink),
            VectorKind::BFloat16 => put_finite_bf16(bytes, sink),
            VectorKind::Int8 | VectorKind::Binary => Ok(sink.put(bytes)?),
        })
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let found = self.len_of(row).ok()?;
        if found != self.width {
            return Some(CellReason::WrongLength { found, expected: self.width, unit: self.rows.unit() });
        }
        if let Some(element) = self.null_in(row) {
            return Some(CellReason::NullElement { element });
        }
        let mut reason = None;
        self.for_each_span(row..row + 1, |bytes| {
            reason = self.kind.first_not_finite(bytes);
            Ok(())
        })
        .ok()?;
        reason
    }
}

impl Rows<'_> {
    /// What the width counts.
    fn unit(&self) -> &'static str {
        match self {
            Self::Lists { .. } => ELEMENTS,
            Self::Bytes(_) => BYTES,
        }
    }
}

fn check_width(expected: usize, found: i32, unit: &'static str) -> Result<(), ColumnReason> {
    let found = usize::try_from(found).unwrap_or(0);
    if expected == found { Ok(()) } else { Err(ColumnReason::WrongDim { expected, found, unit }) }
}

impl VectorKind {
    /// What stands around the vectors' bytes in a `VectorField`.
    pub(super) fn frame(self, dim: usize, payload: usize) -> Frame {
        let vectors = match self {
            Self::Float32 => Frame::packed(tag::PACKED_DATA, payload),
            _ => Frame::new(payload),
        };
        vectors.wrap(self.slot()).prepend(&varint_field(tag::DIM, dim as u64))
    }

    /// The bytes of a list's elements and the size of one, where they are such as this kind takes.
    fn elements(self, child: &dyn Array) -> Option<(&[u8], usize)> {
        match (self, child.data_type()) {
            (Self::Float32, _) => elements_of::<Float32Type>(child),
            (Self::Float16, _) => elements_of::<Float16Type>(child),
            (Self::BFloat16, DataType::FixedSizeBinary(2)) => Some((child.as_fixed_size_binary().value_data(), 2)),
            (Self::BFloat16, _) => elements_of::<UInt16Type>(child),
            (Self::Int8, _) => elements_of::<Int8Type>(child),
            (Self::Binary, _) => elements_of::<UInt8Type>(child),
        }
    }

    /// The first NaN or infinity among a vector's bytes.
    fn first_not_finite(self, bytes: &[u8]) -> Option<CellReason> {
        let sixteen = |exponent: u16| {
            let mut words = bytes.as_chunks().0.iter().map(|word| u16::from_le_bytes(*word)).enumerate();
            words.find_map(|(element, bits)| Some((element, not_finite_16(bits, exponent)?)))
        };
        let (element, value) = match self {
            Self::Float32 => {
                let mut values = bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).enumerate();
                values.find(|(_, value)| !value.is_finite()).map(|(element, value)| (element, f64::from(value)))
            }
            Self::Float16 => sixteen(0x7c00),
            Self::BFloat16 => sixteen(0x7f80),
            Self::Int8 | Self::Binary => None,
        }?;
        Some(CellReason::NotFinite { value, element: Some(element) })
    }

    /// The Arrow types that such vectors come in.
    fn arrow_types(self, dim: usize) -> String {
        let (element, width) = match self {
            Self::Float32 => return format!("fixed_size_list<float32>[{dim}] or another kind of list of float32"),
            Self::Float16 => ("float16", dim),
            Self::BFloat16 => ("uint16 or fixed_size_binary[2]", dim),
            Self::Int8 => ("int8", dim),
            Self::Binary => ("uint8", dim / 8),
        };
        let bytes = self.row_bytes(dim);
        format!(
            "fixed_size_list<{element}>[{width}], another kind of list of {element}, fixed_size_binary[{bytes}] or binary"
        )
    }
}

fn elements_of<P: ArrowPrimitiveType>(child: &dyn Array) -> Option<(&[u8], usize)> {
    let child: &PrimitiveArray<P> = child.as_primitive_opt()?;
    Some((child.values().inner().as_slice(), size_of::<P::Native>()))
}
