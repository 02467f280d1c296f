//! One Milvus data type, one size function, one write function.
//!
//! With [`request`](crate::request) the only place that knows Milvus's field numbers. To add a data type:
//!
//! 1. its number in `number`, the tag of its slot in `tag`;
//! 2. a variant of `Kind` and what its options must be (`definition.rs`);
//! 3. one arm in `Values::bind` (which view of the Arrow array) and one in `Column::frame` (what stands around the
//!    values), and where no view fits yet, a file in `field/` that implements `Cells` and a variant of `Values`.
//!
//! Nulls, dictionaries, run ends, measuring and the search for the refused cell are there for every type.
//!
//! ```text
//! FieldData   08 type  12 name  1a scalars │ 22 vectors  30 is_dynamic  3a valid_data
//! ```
//!
//! Tags are those of `schema.proto` (milvus-proto 3.0; what a type uses is unchanged since the type exists).

mod array;
mod definition;
mod dense;
mod encoded;
mod finite;
mod json;
mod scalar;
mod sparse;
mod text;
mod timestamptz;

use std::collections::HashSet;
use std::ops::{AddAssign, Range};

use arrow_array::Array;
use arrow_buffer::NullBuffer;

pub use definition::{Field, FieldOptions};

use crate::column::{Encoded, nulls_of, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault, PackError};
use crate::wire::{Frame, MAX_MESSAGE_LEN, Sink};
use array::Lists;
use definition::{ElementKind, Kind};
use dense::DenseVectors;
use encoded::Lookup;
use json::Json;
use scalar::{Finite, Scalar, put_bools};
use sparse::SparseVectors;
use text::{TEXT_TYPES, Text};
use timestamptz::{TIMESTAMPTZ_TYPES, Timestamps};

/// The JSON field that holds undeclared columns.
pub const DYNAMIC_FIELD_NAME: &str = "$meta";

/// The longest JSON cell that Milvus takes, in bytes (`common.jsonMaxLength`).
pub const MAX_JSON_LEN: usize = 65_536;

/// Numbers of `schema.proto`, enum `DataType`.
mod number {
    pub(super) const BOOL: i32 = 1;
    pub(super) const INT8: i32 = 2;
    pub(super) const INT16: i32 = 3;
    pub(super) const INT32: i32 = 4;
    pub(super) const INT64: i32 = 5;
    pub(super) const FLOAT: i32 = 10;
    pub(super) const DOUBLE: i32 = 11;
    pub(super) const VARCHAR: i32 = 21;
    pub(super) const ARRAY: i32 = 22;
    pub(super) const JSON: i32 = 23;
    pub(super) const GEOMETRY: i32 = 24;
    pub(super) const TEXT: i32 = 25;
    pub(super) const TIMESTAMPTZ: i32 = 26;
    pub(super) const BINARY_VECTOR: i32 = 100;
    pub(super) const FLOAT_VECTOR: i32 = 101;
    pub(super) const FLOAT16_VECTOR: i32 = 102;
    pub(super) const BFLOAT16_VECTOR: i32 = 103;
    pub(super) const SPARSE_FLOAT_VECTOR: i32 = 104;
    pub(super) const INT8_VECTOR: i32 = 105;
}

/// Tags of `schema.proto`: field number and wire type of `FieldData`, `ScalarField`, `VectorField` and below.
mod tag {
    pub(super) const TYPE: u8 = 0x08;
    pub(super) const NAME: u8 = 0x12;
    pub(super) const SCALARS: u8 = 0x1a;
    pub(super) const VECTORS: u8 = 0x22;
    pub(super) const IS_DYNAMIC: u8 = 0x30;
    pub(super) const VALID_DATA: u8 = 0x3a;

    pub(super) const BOOL_DATA: u8 = 0x0a;
    pub(super) const INT_DATA: u8 = 0x12;
    pub(super) const LONG_DATA: u8 = 0x1a;
    pub(super) const FLOAT_DATA: u8 = 0x22;
    pub(super) const DOUBLE_DATA: u8 = 0x2a;
    pub(super) const STRING_DATA: u8 = 0x32;
    pub(super) const ARRAY_DATA: u8 = 0x42;
    pub(super) const JSON_DATA: u8 = 0x4a;
    pub(super) const GEOMETRY_WKT_DATA: u8 = 0x62;
    /// `data` of `BoolArray`, `IntArray`, `LongArray`, `FloatArray` and `DoubleArray`.
    pub(super) const PACKED_DATA: u8 = 0x0a;

    pub(super) const DIM: u8 = 0x08;
    pub(super) const FLOAT_VECTOR: u8 = 0x12;
    pub(super) const BINARY_VECTOR: u8 = 0x1a;
    pub(super) const FLOAT16_VECTOR: u8 = 0x22;
    pub(super) const BFLOAT16_VECTOR: u8 = 0x2a;
    pub(super) const SPARSE_FLOAT_VECTOR: u8 = 0x32;
    pub(super) const INT8_VECTOR: u8 = 0x3a;

    pub(super) const ARRAY_ELEMENT_TYPE: u8 = 0x10;
    pub(super) const SPARSE_DIM: u8 = 0x10;
}

/// What the size pass learns about a range of rows. Tallies of adjoining ranges add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Bytes of the values themselves.
    pub(crate) payload: usize,
    /// 1 + the largest index of a sparse vector; 0 for other types and where there is none.
    pub(crate) sparse_dim: u64,
}

impl Tally {
    pub(crate) const fn of(payload: usize) -> Self {
        Self { payload, sparse_dim: 0 }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.payload += other.payload;
        self.sparse_dim = self.sparse_dim.max(other.sparse_dim);
    }
}

/// The values of one column, by ranges of rows that hold no null.
pub(crate) trait Cells {
    /// The exact size of what `write` writes for the same rows. Checks what it has to look at anyway.
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault>;

    /// Append the rows' values; checks everything that `size` has not.
    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault>;

    /// Why `size` or `write` refuse this row, or None where they take it.
    fn refusal(&self, row: usize) -> Option<CellReason>;
}

/// Every kind of column, each with its views of the Arrow array.
#[derive(Debug)]
enum Values<'a> {
    Scalar(Scalar<'a>),
    Json(Json<'a>),
    Array(Lists<'a>),
    Text(Text<'a>),
    Timestamp(Timestamps<'a>),
    Dense(DenseVectors<'a>),
    Sparse(SparseVectors<'a>),
    Encoded(Box<Lookup<Values<'a>>>),
}

/// Calls a method of `Cells` on whatever kind of column it is.
macro_rules! each_kind {
    ($self:ident, $values:ident => $call:expr) => {
        match $self {
            Values::Scalar($values) => $call,
            Values::Json($values) => $call,
            Values::Array($values) => $call,
            Values::Text($values) => $call,
            Values::Timestamp($values) => $call,
            Values::Dense($values) => $call,
            Values::Sparse($values) => $call,
            Values::Encoded($values) => $call,
        }
    };
}

impl Cells for Values<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        each_kind!(self, values => values.size(rows))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        each_kind!(self, values => values.write(rows, sink))
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        each_kind!(self, values => values.refusal(row))
    }
}

/// A column's values and which of its rows are null.
type Bound<'a> = Result<(Values<'a>, Option<NullBuffer>), ColumnReason>;

impl<'a> Values<'a> {
    /// The values of a whole column; `declared` are the names that the dynamic field's keys must not have.
    fn bind(field: &Field, array: &'a dyn Array, declared: &'a HashSet<String>) -> Bound<'a> {
        let declared = field.is_dynamic.then_some(declared);
        Self::decoded(array, &|array| {
            let values = match field.kind {
                Kind::Scalar(kind) => Self::Scalar(Scalar::bind(kind, array, Finite::Required)?),
                Kind::Json => Self::Json(Json::bind(array, declared)?),
                Kind::Array { element, max_capacity } => Self::Array(Lists::bind(array, element, max_capacity)?),
                Kind::Geometry | Kind::Text => Self::Text(Text::bind(array, None, TEXT_TYPES)?),
                Kind::Timestamptz => match Timestamps::of(array) {
                    Some(timestamps) => Self::Timestamp(timestamps),
                    None => Self::Text(Text::bind(array, None, TIMESTAMPTZ_TYPES)?),
                },
                Kind::DenseVector { element, dim } => Self::Dense(DenseVectors::bind(array, element, dim)?),
                Kind::SparseVector => {
                    let (values, nulls) = SparseVectors::bind(array)?;
                    return Ok((Self::Sparse(values), nulls));
                }
            };
            Ok((values, nulls_of(array)))
        })
    }

    /// The elements of an array.
    fn bind_scalar(array: &'a dyn Array, kind: ElementKind, finite: Finite) -> Bound<'a> {
        Self::decoded(array, &|array| Ok((Self::Scalar(Scalar::bind(kind, array, finite)?), nulls_of(array))))
    }

    /// What `bind` makes of `array`, or of the values of a dictionary or of runs.
    fn decoded(array: &'a dyn Array, bind: &dyn Fn(&'a dyn Array) -> Bound<'a>) -> Bound<'a> {
        let Some(encoded) = Encoded::of(array) else {
            return bind(array);
        };
        let encoded = encoded?;
        let (values, value_nulls) = Self::decoded(encoded.values, bind).map_err(|reason| match reason {
            ColumnReason::WrongType { expected, .. } => wrong_type(&expected, array),
            other => other,
        })?;
        let nulls = encoded.logical_nulls(value_nulls.as_ref());
        Ok((Self::Encoded(Box::new(Lookup::new(encoded.keys, values))), nulls))
    }
}

/// A field together with the column that fills it, ready to be measured and written as one `FieldData`.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    field: &'a Field,
    rows: usize,
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

impl<'a> Column<'a> {
    /// Pair `field` with `array`; `declared` are the names that the dynamic field's keys must not have.
    pub(crate) fn bind(
        field: &'a Field,
        array: &'a dyn Array,
        declared: &'a HashSet<String>,
    ) -> Result<Self, PackError> {
        let rows = array.len();
        let bound = if rows > MAX_MESSAGE_LEN {
            // Types without bytes can claim more rows than any memory holds.
            Err(ColumnReason::TooLarge { bytes: rows })
        } else {
            Values::bind(field, array, declared)
        };
        let (values, nulls) = bound.map_err(|reason| PackError::column(&field.name, reason))?;
        Ok(Self { field, rows, nulls, values })
    }

    pub(crate) fn field(&self) -> &'a Field {
        self.field
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Measure `rows`. Refused where a null is not allowed, and where `Cells::size` refuses.
    pub(crate) fn tally(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let mut tally = Tally::default();
        self.for_each_run(rows, |run| {
            tally += self.values.size(run)?;
            Ok(())
        })?;
        Ok(tally)
    }

    /// The bytes around the payload of `rows` rows with this tally, as a complete `FieldData`.
    pub(crate) fn frame(&self, tally: Tally, rows: usize) -> Frame {
        let payload = tally.payload;
        let mut frame = match &self.field.kind {
            Kind::Scalar(kind) => kind.frame(payload).wrap(kind.slot()).wrap(tag::SCALARS),
            Kind::Json => Frame::new(payload).wrap(tag::JSON_DATA).wrap(tag::SCALARS),
            Kind::Array { element, .. } => Frame::new(payload)
                .append_varint(tag::ARRAY_ELEMENT_TYPE, element.number())
                .wrap(tag::ARRAY_DATA)
                .wrap(tag::SCALARS),
            Kind::Geometry => Frame::new(payload).wrap(tag::GEOMETRY_WKT_DATA).wrap(tag::SCALARS),
            Kind::Text | Kind::Timestamptz => Frame::new(payload).wrap(tag::STRING_DATA).wrap(tag::SCALARS),
            Kind::DenseVector { element, dim } => element.frame(*dim, payload).wrap(tag::VECTORS),
            Kind::SparseVector => sparse_frame(tally).wrap(tag::SPARSE_FLOAT_VECTOR).wrap(tag::VECTORS),
        };
        frame = frame.prepend(&self.field.head);
        if self.field.is_dynamic {
            frame = frame.append_varint(tag::IS_DYNAMIC, 1);
        }
        if self.field.nullable && rows > 0 {
            // Also when no row is null: early 2.5 refuses an absent mask.
            frame = frame.append_open(tag::VALID_DATA, rows);
        }
        frame
    }

    /// Append the whole column. `frame` is that of all rows.
    pub(crate) fn write(&self, frame: &Frame, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let end = sink.written() + frame.len();
        sink.put(frame.before())?;
        self.for_each_run(0..self.rows, |run| self.values.write(run, sink))?;
        sink.put(frame.after())?;
        if self.field.nullable {
            self.put_validity(sink)?;
        }
        if sink.written() == end { Ok(()) } else { Err(Fault::Changed) }
    }

    /// Why this row is refused, or None where it is not.
    pub(crate) fn refusal(&self, row: usize) -> Option<CellReason> {
        if self.nulls.as_ref().is_some_and(|nulls| row < nulls.len() && nulls.is_null(row)) {
            return (!self.field.nullable).then_some(CellReason::Null);
        }
        self.values.refusal(row)
    }

    /// Calls `act` with each run of rows that hold values; null rows have none ("compact", since Milvus 2.5).
    fn for_each_run(
        &self,
        rows: Range<usize>,
        mut act: impl FnMut(Range<usize>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(nulls) = &self.nulls else {
            return act(rows);
        };
        let nulls = nulls.slice(rows.start, rows.len());
        if nulls.null_count() == 0 {
            return act(rows);
        }
        if !self.field.nullable {
            return Err(Fault::Refused);
        }
        nulls.valid_slices().try_for_each(|(start, end)| act(rows.start + start..rows.start + end))
    }

    fn put_validity(&self, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if let Some(nulls) = &self.nulls {
            return put_bools(nulls.inner(), 0..self.rows, sink);
        }
        let ones = [1; 1024];
        let mut left = self.rows;
        while left > 0 {
            let part = left.min(ones.len());
            sink.put(&ones[..part])?;
            left -= part;
        }
        Ok(())
    }
}

fn sparse_frame(tally: Tally) -> Frame {
    let frame = Frame::new(tally.payload);
    if tally.sparse_dim == 0 { frame } else { frame.append_varint(tag::SPARSE_DIM, tally.sparse_dim) }
}
