//! The core without Python: each kind of column, and varints by their width, so that a slow-down names what it hits.
//!
//! `cargo bench`, or `cargo bench -- dense` for one group. What is measured is writing into memory that is there;
//! `benches/packing.py` measures whole requests against memcpy and pymilvus.

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Int32Array, Int64Array, ListArray, StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field as ArrowField};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use headrace_core::{Field, FieldOptions, Overrun, Sink, bind_field};

/// The sparse column: 8 MB.
const ROWS: usize = 8_000;
const NNZ: usize = 120;

/// Memory that is there, filled again for each iteration.
struct Reused<'a> {
    memory: &'a mut [u8],
    written: usize,
}

impl Sink for Reused<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overrun> {
        let room = self.memory.get_mut(self.written..self.written + bytes.len()).ok_or(Overrun)?;
        room.copy_from_slice(bytes);
        self.written += bytes.len();
        Ok(())
    }

    fn written(&self) -> usize {
        self.written
    }

    #[inline]
    fn put_word(&mut self, word: u128, len: usize) -> Result<(), Overrun> {
        match self.memory.get_mut(self.written..self.written + size_of::<u128>()) {
            Some(room) => room.copy_from_slice(&word.to_le_bytes()),
            None => return self.put(&word.to_le_bytes()[..len]),
        }
        self.written += len;
        Ok(())
    }

    #[inline]
    fn put_all<const N: usize>(&mut self, items: impl ExactSizeIterator<Item = [u8; N]>) -> Result<(), Overrun> {
        let len = items.len() * N;
        let room = self.memory.get_mut(self.written..self.written + len).ok_or(Overrun)?;
        for (room, item) in room.chunks_exact_mut(N).zip(items) {
            room.copy_from_slice(&item);
        }
        self.written += len;
        Ok(())
    }
}

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
    let mut memory = vec![0; len];
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut sink = Reused { memory: &mut memory, written: 0 };
            bind_field(field, black_box(column)).expect("a column of the field").write(&mut sink).expect("room");
            assert_eq!(sink.written, len);
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
    config = Criterion::default().sample_size(20);
    targets = dense, sparse, varints, text
}
criterion_main!(packing);
