//! The same rows in every Arrow layout.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Int8Type, Int16Type, UInt8Type, UInt16Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Float32Array, LargeBinaryArray, LargeListArray, LargeListViewArray, LargeStringArray, ListArray, ListViewArray,
    MapArray, PrimitiveArray, RunArray, StringArray, StringViewArray, StructArray, UInt32Array,
};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field as ArrowField, Fields};

use super::{BFLOAT16_VECTOR, FLOAT_VECTOR, FLOAT16_VECTOR, INT8_VECTOR};

/// Which of some values a row has, and how often it is repeated; None for null.
pub type Pick = (Option<usize>, usize);

/// One row for each pick, repeated.
pub fn rows(picks: &[Pick]) -> Vec<Option<usize>> {
    picks.iter().flat_map(|(value, times)| vec![*value; *times]).collect()
}

/// Arrays of the rows that `picks` name, all with the same content: as `make` makes them of rows, as dictionaries and as
/// runs of what it makes of `count` values.
pub fn all(picks: &[Pick], count: usize, make: &dyn Fn(&[Option<usize>]) -> Vec<ArrayRef>) -> Vec<ArrayRef> {
    let rows = rows(picks);
    // Null stands among the values, too.
    let values: Vec<_> = (0..count).map(Some).chain([None]).collect();
    let mut arrays = make(&rows);
    for values in make(&values) {
        arrays.push(dictionary::<Int8Type>(&rows, &values));
        arrays.push(dictionary::<UInt64Type>(&rows, &values));
        arrays.push(runs(picks, &values));
        let dictionary = dictionary::<Int8Type>(&(0..=count).map(Some).collect::<Vec<_>>(), &values);
        arrays.push(runs(picks, &dictionary));
    }
    arrays
}

fn dictionary<K: arrow_array::types::ArrowDictionaryKeyType>(rows: &[Option<usize>], values: &ArrayRef) -> ArrayRef {
    let null = values.len() - 1;
    // Null by its key in one row, by its value in the next.
    let key = |(at, row): (usize, &Option<usize>)| match row {
        None if at % 2 == 0 => None,
        row => Some(K::Native::usize_as(row.unwrap_or(null))),
    };
    let keys: PrimitiveArray<K> = rows.iter().enumerate().map(key).collect();
    Arc::new(DictionaryArray::new(keys, values.clone()))
}

/// Runs, of which two may have the same value.
fn runs(picks: &[Pick], values: &ArrayRef) -> ArrayRef {
    let null = values.len() - 1;
    let positions: Vec<_> = picks.iter().map(|(value, _)| Some(value.unwrap_or(null))).collect();
    let mut end = 0;
    let ends: Vec<i16> = picks
        .iter()
        .map(|(_, times)| {
            end += i16::try_from(*times).unwrap();
            end
        })
        .collect();
    Arc::new(RunArray::<Int16Type>::try_new(&ends.into(), &dictionary::<Int8Type>(&positions, values)).unwrap())
}

/// Every array of strings.
pub fn texts(rows: &[Option<&str>]) -> Vec<ArrayRef> {
    vec![
        Arc::new(rows.iter().collect::<StringArray>()),
        Arc::new(rows.iter().collect::<LargeStringArray>()),
        Arc::new(rows.iter().collect::<StringViewArray>()),
    ]
}

/// Every array of binary values.
pub fn binaries(rows: &[Option<&[u8]>]) -> Vec<ArrayRef> {
    vec![
        Arc::new(rows.iter().collect::<BinaryArray>()),
        Arc::new(rows.iter().collect::<LargeBinaryArray>()),
        Arc::new(rows.iter().collect::<BinaryViewArray>()),
    ]
}

/// Every array of lists of the values that `make` makes: `rows` are positions in `values`, which are lists of them.
pub fn lists(rows: &[Option<usize>], values: &[Vec<usize>], make: &dyn Fn(&[usize]) -> ArrayRef) -> Vec<ArrayRef> {
    let nulls = Some(nulls(rows));
    let row = |row: &Option<usize>| row.map_or(&[][..], |row| values[row].as_slice());
    let lengths = || rows.iter().map(|at| row(at).len());
    let whole = make(&rows.iter().flat_map(row).copied().collect::<Vec<_>>());
    let field = item(whole.data_type());
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(ListArray::new(field.clone(), OffsetBuffer::from_lengths(lengths()), whole.clone(), nulls.clone())),
        Arc::new(LargeListArray::new(field.clone(), OffsetBuffer::from_lengths(lengths()), whole, nulls.clone())),
    ];
    // Views: each value once, the last one first.
    let mut starts = vec![0; values.len()];
    let mut child = Vec::new();
    for (start, value) in starts.iter_mut().zip(values).rev() {
        *start = child.len();
        child.extend(value);
    }
    let child = make(&child);
    let starts = || rows.iter().map(|row| row.map_or(0, |row| starts[row]));
    let (small, sizes) = (starts().map(int).collect(), lengths().map(int).collect());
    arrays.push(Arc::new(ListViewArray::new(field.clone(), small, sizes, child.clone(), nulls.clone())));
    let (large, sizes) = (starts().map(|at| int(at).into()).collect(), lengths().map(|len| int(len).into()).collect());
    arrays.push(Arc::new(LargeListViewArray::new(field, large, sizes, child, nulls)));
    arrays
}

/// Every array of vectors of `data_type` with `values` as their bytes.
pub fn vectors(data_type: i32, rows: &[Option<usize>], values: &[Vec<u8>]) -> Vec<ArrayRef> {
    let width = values[0].len();
    let element = match data_type {
        FLOAT_VECTOR => 4,
        FLOAT16_VECTOR | BFLOAT16_VECTOR => 2,
        _ => 1,
    };
    let bytes: Vec<u8> = values.concat();
    let count = width / element;
    let positions: Vec<Vec<usize>> = (0..values.len()).map(|at| (at * count..(at + 1) * count).collect()).collect();
    let make = |positions: &[usize]| {
        let bytes =
            positions.iter().flat_map(|at| bytes[at * element..(at + 1) * element].to_vec()).collect::<Vec<_>>();
        elements(data_type, &bytes)
    };
    let mut arrays = lists(rows, &positions, &make);
    // A null row has elements, too.
    let padded: Vec<usize> = rows.iter().flat_map(|row| positions[row.unwrap_or(0)].clone()).collect();
    let child = make(&padded);
    let fixed = FixedSizeListArray::new(item(child.data_type()), int(count), child, Some(nulls(rows)));
    arrays.insert(0, Arc::new(fixed));
    if data_type == FLOAT_VECTOR {
        return arrays;
    }
    let rows: Vec<_> = rows.iter().map(|row| row.map(|row| values[row].as_slice())).collect();
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows.iter().copied(), int(width)).unwrap();
    arrays.push(Arc::new(fixed));
    arrays.extend(binaries(&rows));
    arrays
}

fn elements(data_type: i32, bytes: &[u8]) -> ArrayRef {
    match data_type {
        FLOAT_VECTOR => primitive::<Float32Type>(bytes),
        FLOAT16_VECTOR => primitive::<Float16Type>(bytes),
        BFLOAT16_VECTOR => primitive::<UInt16Type>(bytes),
        INT8_VECTOR => primitive::<Int8Type>(bytes),
        _ => primitive::<UInt8Type>(bytes),
    }
}

fn primitive<T: ArrowPrimitiveType>(bytes: &[u8]) -> ArrayRef {
    let len = bytes.len() / size_of::<T::Native>();
    // Aligned for every type.
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(whole);
    }
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::new(Buffer::from_vec(words), 0, len), None))
}

/// Every array of sparse rows.
pub fn sparse(rows: &[Option<usize>], values: &[Vec<(u32, f32)>]) -> Vec<ArrayRef> {
    let pairs: Vec<(u32, f32)> = values.concat();
    let mut start = 0;
    let positions: Vec<Vec<usize>> = values
        .iter()
        .map(|value| {
            start += value.len();
            (start - value.len()..start).collect()
        })
        .collect();
    let indices = |at: &[usize]| Arc::new(at.iter().map(|at| pairs[*at].0).collect::<UInt32Array>()) as ArrayRef;
    let floats = |at: &[usize]| Arc::new(at.iter().map(|at| pairs[*at].1).collect::<Float32Array>()) as ArrayRef;
    let entries = |at: &[usize]| Arc::new(entries(indices(at), floats(at))) as ArrayRef;
    let mut arrays = lists(rows, &positions, &entries);
    let map = arrays[0].as_any().downcast_ref::<ListArray>().unwrap().clone();
    let (_, offsets, child, map_nulls) = map.into_parts();
    let field = Arc::new(ArrowField::new("entries", child.data_type().clone(), false));
    let child = child.as_any().downcast_ref::<StructArray>().unwrap().clone();
    arrays.push(Arc::new(MapArray::new(field, offsets, child, map_nulls, false)));
    for (indices, floats) in
        lists(rows, &positions, &indices).into_iter().zip(lists(rows, &positions, &floats).into_iter().rev())
    {
        arrays.push(Arc::new(entries_of_lists(indices, floats)));
    }
    arrays
}

fn entries(indices: ArrayRef, floats: ArrayRef) -> StructArray {
    let fields = vec![
        ArrowField::new("index", indices.data_type().clone(), false),
        ArrowField::new("value", floats.data_type().clone(), true),
    ];
    StructArray::new(Fields::from(fields), vec![indices, floats], None)
}

fn entries_of_lists(indices: ArrayRef, floats: ArrayRef) -> StructArray {
    let fields = vec![
        ArrowField::new("indices", indices.data_type().clone(), true),
        ArrowField::new("values", floats.data_type().clone(), true),
    ];
    StructArray::new(Fields::from(fields), vec![indices, floats], None)
}

fn nulls(rows: &[Option<usize>]) -> NullBuffer {
    rows.iter().map(Option::is_some).collect()
}

fn item(data_type: &DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", data_type.clone(), true))
}

fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap()
}
