//! `SPARSE_FLOAT_VECTOR`: for each row its (uint32 index, float32 value) pairs, ascending by index, interleaved.
//!
//! ```text
//! {1: 0.5, 7: 0.25}   01 00 00 00  00 00 00 3f │ 07 00 00 00  00 00 80 3e
//!                     index 1      0.5         │ index 7      0.25
//! ```

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::DataType;

use super::{Cells, Tally};
use crate::column::{Offsets, Primitive, first_null, fold_streams, list_of, nulls_of, with_nulls, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::wire::{Sink, nested_len, put_head};

/// Tag of `contents` in `SparseFloatArray`: field 1, bytes, one for each row.
const CONTENTS: u8 = 0x0a;

/// The largest index that Milvus takes (`ValidateSparseFloatRows`: index < 2^32 - 1).
const MAX_INDEX: u32 = u32::MAX - 1;

/// Bytes of one pair.
const PAIR: usize = 8;

const EXPECTED: &str = "any kind of list of struct<index, value>, a map<index, value> or a \
                        struct<list of index, list of value> (index int32, uint32, int64 or uint64; value float32)";

/// Rows of a sparse column, as two parallel children with a range of each for every row.
#[derive(Debug)]
pub(crate) struct SparseVectors<'a> {
    index_offsets: Offsets<'a>,
    /// Where index and value are lists of their own.
    own_lists: Option<Box<OwnLists<'a>>>,
    indices: Indices<'a>,
    values: Primitive<'a, f32>,
    index_nulls: Option<NullBuffer>,
    value_nulls: Option<NullBuffer>,
}

#[derive(Debug)]
struct OwnLists<'a> {
    value_offsets: Offsets<'a>,
    /// Which lists are null, and then have no entries, whatever their offsets say.
    index_nulls: Option<NullBuffer>,
    value_nulls: Option<NullBuffer>,
}

#[derive(Debug)]
enum Indices<'a> {
    Int32(Primitive<'a, i32>),
    UInt32(Primitive<'a, u32>),
    Int64(Primitive<'a, i64>),
    UInt64(Primitive<'a, u64>),
}

impl<'a> SparseVectors<'a> {
    /// The rows, and the mask of null rows where there are any.
    pub(crate) fn bind(array: &'a dyn Array) -> Result<(Self, Option<NullBuffer>), ColumnReason> {
        let unfit = || wrong_type(EXPECTED, array);
        if let Some((offsets, entries)) = list_of(array)? {
            let entries = entries.as_struct_opt().filter(|s| s.num_columns() == 2).ok_or_else(unfit)?;
            let (keys, values) = (entries.column(0), entries.column(1));
            let rows = Self::new(offsets, [keys, values], entries.nulls()).ok_or_else(unfit)?;
            return Ok((rows, nulls_of(array)));
        }
        match array.data_type() {
            DataType::Map(_, _) => {
                let map = array.as_map();
                let entries = map.entries();
                if entries.num_columns() != 2 {
                    return Err(unfit());
                }
                let offsets = Offsets::small(map.value_offsets(), entries.len())?;
                let rows = Self::new(offsets, [map.keys(), map.values()], entries.nulls()).ok_or_else(unfit)?;
                Ok((rows, nulls_of(array)))
            }
            DataType::Struct(fields) if fields.len() == 2 => {
                let lists = array.as_struct();
                let (keys, values) = (lists.column(0), lists.column(1));
                let (index_offsets, indices) = list_of(keys)?.ok_or_else(unfit)?;
                let (value_offsets, elements) = list_of(values)?.ok_or_else(unfit)?;
                let mut rows = Self::new(index_offsets, [indices, elements], None).ok_or_else(unfit)?;
                let (index_nulls, value_nulls) = (nulls_of(keys), nulls_of(values));
                rows.own_lists = Some(Box::new(OwnLists { value_offsets, index_nulls, value_nulls }));
                let nulls = NullBuffer::union(array.nulls(), rows.without_a_list(array.len()).as_ref());
                Ok((rows, nulls.as_ref().and_then(with_nulls)))
            }
            _ => Err(unfit()),
        }
    }

    fn new(offsets: Offsets<'a>, [keys, values]: [&'a ArrayRef; 2], outer: Option<&NullBuffer>) -> Option<Self> {
        let indices = match keys.data_type() {
            DataType::Int32 => Indices::Int32(Primitive::of(keys.as_primitive::<Int32Type>())),
            DataType::UInt32 => Indices::UInt32(Primitive::of(keys.as_primitive::<UInt32Type>())),
            DataType::Int64 => Indices::Int64(Primitive::of(keys.as_primitive::<Int64Type>())),
            DataType::UInt64 => Indices::UInt64(Primitive::of(keys.as_primitive::<UInt64Type>())),
            _ => return None,
        };
        let floats = values.as_primitive_opt::<Float32Type>()?;
        Some(Self {
            index_offsets: offsets,
            own_lists: None,
            indices,
            values: Primitive::of(floats),
            index_nulls: NullBuffer::union(outer, keys.nulls()).as_ref().and_then(with_nulls),
            value_nulls: nulls_of(values),
        })
    }

    /// The ranges of one row in both children, where they are of one length and hold no null.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "called for each row; inlined, the whole takes a tenth less time")]
    fn row(&self, row: usize) -> Result<(Range<usize>, Range<usize>), Fault> {
        let (indices, values) = self.ranges(row)?;
        if indices.len() != values.len() {
            return Err(Fault::Refused);
        }
        if (self.index_nulls.is_some() || self.value_nulls.is_some()) && self.null_in(&indices, &values).is_some() {
            return Err(Fault::Refused);
        }
        Ok((indices, values))
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "called for each row; inlined, the whole takes a tenth less time")]
    fn ranges(&self, row: usize) -> Result<(Range<usize>, Range<usize>), Fault> {
        let indices = self.index_offsets.range(row)?;
        let Some(own) = &self.own_lists else {
            return Ok((indices.clone(), indices));
        };
        let values = own.value_offsets.range(row)?;
        Ok((present(own.index_nulls.as_ref(), row, indices), present(own.value_nulls.as_ref(), row, values)))
    }

    /// The mask of rows that are null because a list is and the other has nothing either: a null list beside entries is
    /// for [`Self::refusal`].
    fn without_a_list(&self, rows: usize) -> Option<NullBuffer> {
        let own = self.own_lists.as_ref()?;
        let lists = NullBuffer::union(own.index_nulls.as_ref(), own.value_nulls.as_ref())?;
        let empty = |row| self.ranges(row).is_ok_and(|(indices, values)| indices.is_empty() && values.is_empty());
        Some((0..rows).map(|row| lists.is_valid(row) || !empty(row)).collect())
    }

    fn null_in(&self, indices: &Range<usize>, values: &Range<usize>) -> Option<usize> {
        first_null(self.index_nulls.as_ref(), indices).or_else(|| first_null(self.value_nulls.as_ref(), values))
    }

    /// The row's pairs in ascending order, or why Milvus would refuse them.
    fn sorted(&self, indices: Range<usize>, values: Range<usize>) -> Result<Vec<(u32, f32)>, CellOrFault> {
        let mut pairs = Vec::with_capacity(values.len());
        for (element, (index, value)) in
            self.indices.wide(indices)?.into_iter().zip(self.values.get(values)?).enumerate()
        {
            let Some(small) = u32::try_from(index).ok().filter(|small| *small <= MAX_INDEX) else {
                return Err(CellReason::IndexOutOfRange { index }.into());
            };
            if !value.is_finite() {
                return Err(CellReason::NotFinite { value: f64::from(*value), element: Some(element) }.into());
            }
            if *value < 0.0 {
                return Err(CellReason::NegativeValue { value: *value, element }.into());
            }
            pairs.push((small, *value));
        }
        pairs.sort_by_key(|(index, _)| *index);
        match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(twice) => Err(CellReason::IndexTwice { index: twice[0].0 }.into()),
            None => Ok(pairs),
        }
    }

    fn write_rows<T: Index>(
        &self,
        indices: &Primitive<'_, T>,
        rows: Range<usize>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        for row in rows {
            let (at, values_at) = self.row(row)?;
            let (row_indices, row_values) = (indices.get(at.clone())?, self.values.get(values_at.clone())?);
            put_head(sink, CONTENTS, PAIR * row_indices.len())?;
            if !put_ascending(row_indices, row_values, sink)? {
                self.put_sorted(at, values_at, sink)?;
            }
        }
        Ok(())
    }

    fn put_sorted(&self, indices: Range<usize>, values: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        for (index, value) in self.sorted(indices, values).map_err(|error| match error {
            CellOrFault::Cell(_) => Fault::Refused,
            CellOrFault::Fault(fault) => fault,
        })? {
            sink.put(&pair(index, value))?;
        }
        Ok(())
    }
}

impl Cells for SparseVectors<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let mut payload = 0;
        for row in rows.clone() {
            let (_, values) = self.row(row)?;
            // Of what is there, whatever the offsets say.
            payload += nested_len(PAIR * self.values.get(values)?.len());
        }
        let mut sparse_dim = 0;
        self.index_offsets.for_each_span(rows, |span| {
            let top = self.indices.largest(span)?;
            sparse_dim = top.map_or(sparse_dim, |top| sparse_dim.max(u64::from(top) + 1));
            Ok(())
        })?;
        Ok(Tally { payload, sparse_dim })
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        match &self.indices {
            Indices::Int32(indices) => self.write_rows(indices, rows, sink),
            Indices::UInt32(indices) => self.write_rows(indices, rows, sink),
            Indices::Int64(indices) => self.write_rows(indices, rows, sink),
            Indices::UInt64(indices) => self.write_rows(indices, rows, sink),
        }
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let (indices, values) = self.ranges(row).ok()?;
        if indices.len() != values.len() {
            return Some(CellReason::UnequalLengths { indices: indices.len(), values: values.len() });
        }
        if let Some(element) = self.null_in(&indices, &values) {
            return Some(CellReason::NullElement { element });
        }
        match self.sorted(indices, values) {
            Err(CellOrFault::Cell(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// `range`, or nothing where `row` is null.
#[inline]
fn present(nulls: Option<&NullBuffer>, row: usize, range: Range<usize>) -> Range<usize> {
    if nulls.is_some_and(|nulls| nulls.is_null(row)) { range.start..range.start } else { range }
}

enum CellOrFault {
    Cell(CellReason),
    Fault(Fault),
}

impl From<CellReason> for CellOrFault {
    fn from(reason: CellReason) -> Self {
        Self::Cell(reason)
    }
}

impl From<Fault> for CellOrFault {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Indices<'_> {
    /// The indices of `range`, whatever their type, for the slow path.
    fn wide(&self, range: Range<usize>) -> Result<Vec<i128>, Fault> {
        Ok(match self {
            Self::Int32(indices) => indices.get(range)?.iter().copied().map(i128::from).collect(),
            Self::UInt32(indices) => indices.get(range)?.iter().copied().map(i128::from).collect(),
            Self::Int64(indices) => indices.get(range)?.iter().copied().map(i128::from).collect(),
            Self::UInt64(indices) => indices.get(range)?.iter().copied().map(i128::from).collect(),
        })
    }

    /// The largest index of `range`; None where there are none.
    fn largest(&self, range: Range<usize>) -> Result<Option<u32>, Fault> {
        match self {
            Self::Int32(indices) => largest(indices.get(range)?),
            Self::UInt32(indices) => largest(indices.get(range)?),
            Self::Int64(indices) => largest(indices.get(range)?),
            Self::UInt64(indices) => largest(indices.get(range)?),
        }
    }
}

fn largest<T: Index>(indices: &[T]) -> Result<Option<u32>, Fault> {
    let Some(first) = indices.first() else {
        return Ok(None);
    };
    let larger = |a: T, b: T| if b > a { b } else { a };
    fold_streams(indices, *first, larger, larger).checked().map(Some).ok_or(Fault::Refused)
}

/// An integer type that indices come in.
trait Index: ArrowNativeType {
    /// As Milvus stores it, where it fits.
    fn checked(self) -> Option<u32>;

    /// As Milvus stores it, for an index that is known to fit.
    fn low_bits(self) -> u32;
}

macro_rules! index {
    ($($type:ty),*) => {$(
        impl Index for $type {
            #[inline]
            fn checked(self) -> Option<u32> {
                u32::try_from(self).ok().filter(|index| *index <= MAX_INDEX)
            }

            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by the caller")]
            #[inline]
            fn low_bits(self) -> u32 {
                self as u32
            }
        }
    )*};
}

index!(i32, i64, u64);

impl Index for u32 {
    #[inline]
    fn checked(self) -> Option<u32> {
        (self <= MAX_INDEX).then_some(self)
    }

    #[inline]
    fn low_bits(self) -> u32 {
        self
    }
}

#[inline]
fn pair(index: u32, value: f32) -> [u8; PAIR] {
    (u64::from(index) | u64::from(value.to_bits()) << 32).to_le_bytes()
}

/// Write a row whose indices ascend and return true, or write nothing and return false.
fn put_ascending<T: Index>(indices: &[T], values: &[f32], sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let (Some(first), Some(last)) = (indices.first(), indices.last()) else {
        return Ok(true);
    };
    // Ascending, so the two ends bound all; `|` instead of a branch lets the loop use vector registers.
    let descends = indices.iter().zip(&indices[1..]).fold(false, |found, (a, b)| found | (a >= b));
    if descends || first.checked().is_none() || last.checked().is_none() {
        return Ok(false);
    }
    let mut signs = 0;
    sink.put_pairs(indices, values, |index, value| {
        signs |= sign_where_suspect(value.to_bits());
        pair(index.low_bits(), value)
    })?;
    if signs & SIGN == 0 || values.iter().all(|value| value.is_finite() && *value >= 0.0) {
        Ok(true)
    } else {
        Err(Fault::Refused)
    }
}

const SIGN: u32 = 0x8000_0000;

/// Has the sign bit where `bits` have it (-0.0 is none that Milvus refuses), or are those of NaN or infinity.
#[inline]
fn sign_where_suspect(bits: u32) -> u32 {
    // Added to an exponent of eight ones, it carries into the sign.
    const ONE: u32 = 0x0080_0000;
    bits | bits.wrapping_add(ONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fill_vec;

    fn put(value: f32) -> Result<bool, Fault> {
        let mut ascends = Ok(false);
        let _ = fill_vec(3 * PAIR, |sink| {
            ascends = put_ascending(&[1, 2, 3], &[0.5, value, 0.5], sink);
            ascends.map(drop)
        });
        ascends
    }

    #[test]
    fn refuses_the_values_that_milvus_refuses() {
        for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, -f32::MIN_POSITIVE, f32::MIN] {
            assert_eq!(put(value), Err(Fault::Refused), "{value}");
        }
        for value in [0.0, -0.0, f32::from_bits(1), f32::MIN_POSITIVE, 1.0, f32::MAX] {
            assert_eq!(put(value), Ok(true), "{value}");
        }
    }
}
