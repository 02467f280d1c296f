//! Dictionary and run-end encoded arrays: values once, and which of them each row has.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{AnyDictionaryArray, Array, ArrayRef, RunArray};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::nulls_of;
use crate::error::ColumnReason;
use crate::wire::MAX_MESSAGE_LEN;

/// Which value each row has. Copied from the array and checked, so that they stay as they are.
#[derive(Debug)]
pub(crate) enum Keys {
    /// A value's position for each row; of a null row any.
    Each(Vec<usize>),
    /// Row `r` has the value of the first run that ends after `offset + r`.
    Runs { ends: Vec<usize>, offset: usize },
}

impl Keys {
    /// The position of one row's value. A row past the end has a position past the values.
    pub(crate) fn get(&self, row: usize) -> usize {
        match self {
            Self::Each(keys) => keys.get(row).copied().unwrap_or(usize::MAX - 1),
            Self::Runs { ends, offset } => ends.partition_point(|end| *end <= offset + row),
        }
    }
}

/// An array whose values stand apart from its rows.
#[derive(Debug)]
pub(crate) struct Encoded<'a> {
    pub(crate) keys: Keys,
    pub(crate) values: &'a ArrayRef,
    rows: usize,
    /// Rows whose key is null; those whose value is null come on top ([`logical_nulls`](Self::logical_nulls)).
    key_nulls: Option<NullBuffer>,
}

impl<'a> Encoded<'a> {
    /// A view of a dictionary or run-end encoded array; None for every other type.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Result<Self, ColumnReason>> {
        if !matches!(array.data_type(), DataType::Dictionary(_, _) | DataType::RunEndEncoded(_, _)) {
            return None;
        }
        if array.len() > MAX_MESSAGE_LEN {
            // Runs can claim more rows than any memory holds.
            return Some(Err(ColumnReason::TooLarge { bytes: array.len() }));
        }
        match array.data_type() {
            DataType::Dictionary(_, _) => array.as_any_dictionary_opt().map(Self::of_dictionary),
            DataType::RunEndEncoded(ends, _) => Some(match ends.data_type() {
                DataType::Int16 => Self::of_runs(array.as_run::<Int16Type>()),
                DataType::Int32 => Self::of_runs(array.as_run::<Int32Type>()),
                _ => Self::of_runs(array.as_run::<Int64Type>()),
            }),
            _ => None,
        }
    }

    fn of_dictionary(array: &'a dyn AnyDictionaryArray) -> Result<Self, ColumnReason> {
        let key_nulls = nulls_of(array.keys());
        let (values, rows) = (array.values(), array.len());
        let keys = match array.keys().data_type() {
            DataType::Int8 => keys_of::<Int8Type>(array, key_nulls.as_ref()),
            DataType::Int16 => keys_of::<Int16Type>(array, key_nulls.as_ref()),
            DataType::Int32 => keys_of::<Int32Type>(array, key_nulls.as_ref()),
            DataType::Int64 => keys_of::<Int64Type>(array, key_nulls.as_ref()),
            DataType::UInt8 => keys_of::<UInt8Type>(array, key_nulls.as_ref()),
            DataType::UInt16 => keys_of::<UInt16Type>(array, key_nulls.as_ref()),
            DataType::UInt32 => keys_of::<UInt32Type>(array, key_nulls.as_ref()),
            _ => keys_of::<UInt64Type>(array, key_nulls.as_ref()),
        }?;
        Ok(Self { keys: Keys::Each(keys), values, rows, key_nulls })
    }

    fn of_runs<R: RunEndIndexType>(array: &'a RunArray<R>) -> Result<Self, ColumnReason> {
        let (run_ends, values) = (array.run_ends(), array.values());
        let (offset, rows) = (run_ends.offset(), run_ends.len());
        let last = offset.saturating_add(rows);
        let corrupt = |found: String| ColumnReason::Corrupt {
            expected: format!("ascending run ends up to {last}, with a value each"),
            found,
        };
        let mut ends = Vec::with_capacity(run_ends.values().len());
        for (run, end) in run_ends.values().iter().enumerate() {
            let before = ends.last().copied().unwrap_or(0);
            let end = end.to_usize().filter(|end| *end > before);
            ends.push(end.ok_or_else(|| corrupt(format!("one that does not ascend in run {run}")))?);
        }
        let reached = ends.last().copied().unwrap_or(0);
        if rows > 0 && (reached < last || ends.partition_point(|end| *end < last) >= values.len()) {
            return Err(corrupt(format!("{} values and run ends up to {reached}", values.len())));
        }
        Ok(Self { keys: Keys::Runs { ends, offset }, values, rows, key_nulls: None })
    }

    /// The rows that are null, by their key or by their value, given which values are.
    pub(crate) fn logical_nulls(&self, value_nulls: Option<&NullBuffer>) -> Option<NullBuffer> {
        let Some(value_nulls) = value_nulls else {
            return self.key_nulls.clone();
        };
        let valid = |row: usize| {
            let key_valid = self.key_nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            key_valid && value_nulls.is_valid(self.keys.get(row))
        };
        let nulls = NullBuffer::new(BooleanBuffer::collect_bool(self.rows, valid));
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// A dictionary's keys, checked; those of null rows, which may be anything, as 0.
fn keys_of<K: ArrowPrimitiveType>(
    array: &dyn AnyDictionaryArray,
    nulls: Option<&NullBuffer>,
) -> Result<Vec<usize>, ColumnReason> {
    let values = array.values().len();
    let check = |(row, key): (usize, &K::Native)| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(0);
        }
        key.to_usize().filter(|key| *key < values).ok_or_else(|| ColumnReason::Corrupt {
            expected: format!("keys of a dictionary of {values} values"),
            found: format!("key {key:?} in row {row}"),
        })
    };
    array.keys().as_primitive::<K>().values().iter().enumerate().map(check).collect()
}
