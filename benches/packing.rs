//! The core without Python: each kind of column, and varints by their width, so that a slow-down names what it hits.
//!
//! `cargo bench`, or `cargo bench -- dense` for one group. What is measured is writing into memory that is there;
//! `benches/packing.py` measures whole requests against memcpy and pymilvus.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Int32Array, Int64Array, ListArray, StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field as ArrowField};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use headrace_core::{Field, FieldOptions, bind_field};

/// The sparse column: 8 MB.
const ROWS: usize = 8_000;
const NNZ: usize = 120;

fn field(options: FieldOptions) -> Field {
    Field::new("f", options).expect("a valid field")
}

fn item(data_type: DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", data_type, true))
}

fn pack<M: criterion::measurement::Measurement>(
    group: &mut BenchmarkGroup<'_, M>,
    name: &str,
    field: &Field,
    column: &dyn Array,
) {
    let len = bind_field(field, column).expect("a column of the field").encoded_len();
    let mut memory = vec![MaybeUninit::zeroed(); len];
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            bind_field(field, black_box(column)).expect("a column of the field").write(&mut memory).expect("room");
        });
    });
}

/// Small reproducible numbers that are not in order.
fn scrambled(count: usize) -> impl Iterator<Item = u64> {
    (0..count as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn dense(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dense");
    for dim in [128_usize, 768] {
        let values = Float32Array::from(vec![0.5; 2_000_000 / dim * dim]);
        let width = i32::try_from(dim).expect("a small dim");
        let column = FixedSizeListArray::new(item(DataType::Float32), width, Arc::new(values), None);
        let options = FieldOptions { data_type: 101, dim: i64::from(width), ..FieldOptions::default() };
        pack(&mut group, &format!("float32 {dim}-d"), &field(options), &column);
    }
}

fn sparse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sparse");
    for (name, step) in [("ascending", 1), ("shuffled", 77)] {
        // 77 and 120 have no common factor: the same indices in another order.
        let row = (0..120).map(|n| (n * step % 120) * 250);
        let indices: Int32Array = (0..ROWS).flat_map(|_| row.clone()).collect();
        let values = Float32Array::from(vec![0.5; ROWS * NNZ]);
        let arrays: Vec<ArrayRef> = vec![Arc::new(indices), Arc::new(values)];
        let fields = ["index", "value"].into_iter().zip(&arrays);
        let fields: Vec<_> = fields.map(|(name, a)| ArrowField::new(name, a.data_type().clone(), true)).collect();
        let entries = StructArray::new(fields.into(), arrays, None);
        let offsets = OffsetBuffer::from_repeated_length(NNZ, ROWS);
        let column = ListArray::new(item(entries.data_type().clone()), offsets, Arc::new(entries), None);
        pack(&mut group, name, &field(FieldOptions { data_type: 104, ..FieldOptions::default() }), &column);
    }
}

fn varints(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("int64");
    let options = FieldOptions { data_type: 5, ..FieldOptions::default() };
    for (name, shift) in [("1 byte", 57), ("5 bytes", 29), ("9 bytes", 1), ("10 bytes", 0)] {
        let sign = if shift == 0 { 1 << 63 } else { 0 };
        let column: Int64Array = scrambled(500_000).map(|n| (n >> shift | sign).cast_signed()).collect();
        pack(&mut group, name, &field(options), &column);
    }
    let mixed: Int64Array = scrambled(500_000).map(|n| (n >> (n % 64)).cast_signed()).collect();
    pack(&mut group, "mixed", &field(options), &mixed);
}

fn text(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("text");
    let strings: StringArray = scrambled(50_000).map(|n| Some(format!("{n:0100}"))).collect();
    let options = FieldOptions { data_type: 21, max_length: 100, ..FieldOptions::default() };
    pack(&mut group, "varchar 100 bytes", &field(options), &strings);
    let documents: StringArray =
        scrambled(50_000).map(|n| Some(format!(r#"{{"source":"wiki","page":{n}}}"#))).collect();
    pack(&mut group, "JSON", &field(FieldOptions { data_type: 23, ..FieldOptions::default() }), &documents);
}

criterion_group! {
    name = packing;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = dense, sparse, varints, text
}
criterion_main!(packing);
