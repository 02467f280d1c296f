//! Borrowed, typed, validated views of Arrow arrays.
//!
//! Arrays come over the C data interface, where arrow-rs checks neither offsets nor UTF-8. A view checks the offsets
//! once, when it is made, and every later access is bounds-checked all the same: the memory belongs to somebody
//! else, who may write to it in the meantime ([`Fault::Changed`]).

mod bytes;
mod encoded;
mod lists;

use std::ops::Range;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType, TimeUnit};

use crate::error::{ColumnReason, Fault};

pub(crate) use bytes::Bytes;
pub(crate) use encoded::{Encoded, Keys};
pub(crate) use lists::{Offsets, list_of};

/// A column of another type than those a field takes.
pub(crate) fn wrong_type(expected: &str, array: &dyn Array) -> ColumnReason {
    ColumnReason::WrongType { expected: expected.to_owned(), found: type_name(array.data_type()) }
}

/// The type as people write it, without the nullability and metadata of nested fields.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::LargeList(item) => format!("large_list<{}>", type_name(item.data_type())),
        DataType::ListView(item) => format!("list_view<{}>", type_name(item.data_type())),
        DataType::LargeListView(item) => format!("large_list_view<{}>", type_name(item.data_type())),
        DataType::FixedSizeList(item, width) => {
            format!("fixed_size_list<{}>[{width}]", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}: {}", f.name(), type_name(f.data_type()))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                format!("map<{}, {}>", type_name(kv[0].data_type()), type_name(kv[1].data_type()))
            }
            _ => "map".to_owned(),
        },
        DataType::Dictionary(key, value) => format!("dictionary<{}, {}>", type_name(key), type_name(value)),
        DataType::RunEndEncoded(ends, values) => {
            format!("run_end_encoded<{}, {}>", type_name(ends.data_type()), type_name(values.data_type()))
        }
        DataType::Timestamp(unit, None) => format!("timestamp[{}]", unit_name(*unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp[{}, {zone}]", unit_name(*unit)),
        DataType::Time32(unit) => format!("time32[{}]", unit_name(*unit)),
        DataType::Time64(unit) => format!("time64[{}]", unit_name(*unit)),
        DataType::Duration(unit) => format!("duration[{}]", unit_name(*unit)),
        DataType::FixedSizeBinary(width) => format!("fixed_size_binary[{width}]"),
        DataType::Float16 => "float16".to_owned(),
        DataType::Float32 => "float32".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Null => "null".to_owned(),
        DataType::Utf8View => "utf8_view".to_owned(),
        DataType::BinaryView => "binary_view".to_owned(),
        DataType::LargeUtf8 => "large_utf8".to_owned(),
        DataType::LargeBinary => "large_binary".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// The unit as people write it: s, ms, us or ns.
pub(crate) const fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// A primitive array's values, as numbers and as the bytes they are stored in.
#[derive(Debug)]
pub(crate) struct Primitive<'a, T> {
    values: &'a [T],
    bytes: &'a [u8],
}

impl<'a, T: ArrowNativeType> Primitive<'a, T> {
    pub(crate) fn of<P: ArrowPrimitiveType<Native = T>>(array: &'a PrimitiveArray<P>) -> Self {
        Self { values: array.values(), bytes: array.values().inner().as_slice() }
    }

    /// The values of `range`.
    #[inline]
    pub(crate) fn get(&self, range: Range<usize>) -> Result<&'a [T], Fault> {
        self.values.get(range).ok_or(Fault::Changed)
    }

    /// The values of `range` as little-endian bytes.
    #[inline]
    pub(crate) fn bytes(&self, range: Range<usize>) -> Result<&'a [u8], Fault> {
        let width = size_of::<T>();
        self.bytes.get(range.start * width..range.end * width).ok_or(Fault::Changed)
    }
}

/// A null mask that has nulls, or None. The bits are counted here: a foreign array's own count may be wrong.
pub(crate) fn nulls_of(array: &dyn Array) -> Option<NullBuffer> {
    array.nulls().and_then(with_nulls)
}

/// `nulls` where there are any, with the true count.
pub(crate) fn with_nulls(nulls: &NullBuffer) -> Option<NullBuffer> {
    let counted = NullBuffer::new(nulls.inner().clone());
    (counted.null_count() > 0).then_some(counted)
}

/// The first null inside `range`, counted from its start.
pub(crate) fn first_null(nulls: Option<&NullBuffer>, range: &Range<usize>) -> Option<usize> {
    let nulls = nulls?;
    range.clone().position(|index| index < nulls.len() && nulls.is_null(index))
}

/// Fold `values` as four streams side by side and join the results; `step` and `join` may come in any order.
///
/// Each stream has its own hardware prefetch, so that memory which is in no cache arrives faster than as one.
#[inline]
pub(crate) fn fold_streams<T: Copy, A: Copy>(
    values: &[T],
    start: A,
    step: impl Fn(A, T) -> A,
    join: impl Fn(A, A) -> A,
) -> A {
    let quarter = values.len() / 4;
    let (first, rest) = values.split_at(quarter);
    let (second, rest) = rest.split_at(quarter);
    let (third, rest) = rest.split_at(quarter);
    let (fourth, rest) = rest.split_at(quarter);
    let (mut a, mut b, mut c, mut d) = (start, start, start, start);
    for (((w, x), y), z) in first.iter().zip(second).zip(third).zip(fourth) {
        a = step(a, *w);
        b = step(b, *x);
        c = step(c, *y);
        d = step(d, *z);
    }
    let rest = rest.iter().fold(start, |folded, value| step(folded, *value));
    join(join(join(a, b), join(c, d)), rest)
}
