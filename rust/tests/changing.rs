//! Source memory that changes while it is packed gives an error or torn values, and never a byte outside the memory
//! that is written. `make asan` runs this with every read and write checked.

mod common;

use std::hint;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use arrow_array::builder::{Float32Builder, Int64Builder, ListBuilder, MapBuilder, UInt32Builder};
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Float32Array,
    Int64Array, LargeListViewArray, LargeStringArray, ListViewArray, RunArray, StringArray, StringViewArray,
    StructArray, TimestampMicrosecondArray, make_array,
};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{DataType, Field as ArrowField};
use common::foreign::{Part, rehome};
use common::proto::Message;
use headrace_core::{Bound, Field, FieldOptions, PackError, bind_field};

const CHANGED: &str = "batch: expected memory that stays as it is while it is packed, found that it was changed; do not \
                       write to arrays that are being packed";

/// How often a column is repeated for the threads, and how often it is then packed.
const REPEATS: usize = 100;
const TIMES: usize = 100;

/// Bytes on both sides of the memory for a request, and what is in them.
const MARGIN: usize = 256;
const UNTOUCHED: u8 = 0xa5;

/// What a column is called, the type of its field, and whether its size is in the memory that changes.
type Source = (&'static str, i32, bool, ArrayRef);

fn item(data_type: &DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", data_type.clone(), true))
}

fn texts() -> Vec<Option<&'static str>> {
    vec![Some("a"), None, Some("a text of more than twelve bytes"), Some("水車"), Some(""), Some("{\"b\": [1]}")]
}

fn documents() -> Vec<Option<&'static [u8]>> {
    vec![Some(b"{}"), Some(b"{\"a\": \"a text of more than twelve bytes\"}"), None, Some(b"[1, 2, 3]"), Some(b"null")]
}

fn numbers() -> Int64Array {
    Int64Array::from(vec![Some(1), Some(-1), None, Some(300), Some(i64::MAX), Some(0), Some(70_000)])
}

fn lists() -> ArrayRef {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in [&[1, -2, 300][..], &[], &[7, 70_000]] {
        lists.append_value(row.iter().map(|value| Some(*value)));
    }
    lists.append_null();
    Arc::new(lists.finish())
}

fn maps() -> ArrayRef {
    let mut maps = MapBuilder::new(None, UInt32Builder::new(), Float32Builder::new());
    for row in [&[(3, 0.5), (1, 0.25)][..], &[], &[(9, 1.0), (1 << 30, 2.0)]] {
        for (index, value) in row {
            maps.keys().append_value(*index);
            maps.values().append_value(*value);
        }
        maps.append(true).unwrap();
    }
    maps.append(false).unwrap();
    Arc::new(maps.finish())
}

/// The lists of `lists` and as many floats, as views that overlap and lie in no order.
fn list_views(child: ArrayRef) -> ArrayRef {
    let (offsets, sizes) = (vec![2, 0, 1, 2], vec![1, 2, 0, 1]);
    Arc::new(ListViewArray::new(item(child.data_type()), offsets.into(), sizes.into(), child, None))
}

fn two_lists() -> ArrayRef {
    let indices = list_views(Arc::new(arrow_array::UInt32Array::from(vec![5, 7, 9, 11])));
    let (offsets, sizes) = (vec![0, 1, 3, 3], vec![1, 2, 0, 1]);
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 1.0, 2.0, 4.0]));
    let values = LargeListViewArray::new(item(&DataType::Float32), offsets.into(), sizes.into(), floats, None);
    let fields = vec![
        ArrowField::new("indices", indices.data_type().clone(), true),
        ArrowField::new("values", values.data_type().clone(), true),
    ];
    Arc::new(StructArray::new(fields.into(), vec![indices, Arc::new(values)], None))
}

/// Vectors at offsets of which each can be made any number of 64 bits.
fn vector_views() -> ArrayRef {
    let (offsets, sizes) = (vec![2, 0, 1], vec![2, 2, 2]);
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 1.0, 2.0, 4.0]));
    Arc::new(LargeListViewArray::new(item(&DataType::Float32), offsets.into(), sizes.into(), floats, None))
}

fn binaries(width: usize) -> Vec<Vec<u8>> {
    (0..5_u8).map(|row| vec![row; width]).collect()
}

/// Every way in which a size is found out, and every kind of value.
fn sources() -> Vec<Source> {
    let runs = RunArray::<Int32Type>::try_new(&vec![2, 3, 7].into(), &StringArray::from(vec!["a", "bb", "ccc"]));
    let dictionary = DictionaryArray::<Int8Type>::new(vec![1, 0, 5, 2].into(), Arc::new(StringArray::from(texts())));
    let moments = TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_700_000_000_123_456)]);
    let truths = BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]);
    let wide = FixedSizeBinaryArray::try_from_iter(binaries(4).into_iter()).unwrap();
    let vectors = common::vectors(2, vec![0.5, 1.5, 2.5, -3.5, 4.5, 5.5]);
    let sparse = common::sparse(&[vec![(1, 0.5), (7, 0.25)], vec![], vec![(3, 1.0), (2, 2.0)]]);
    vec![
        ("int64", common::INT64, true, Arc::new(numbers())),
        ("utf8", common::VARCHAR, true, Arc::new(StringArray::from(texts()))),
        ("large_utf8", common::VARCHAR, true, Arc::new(LargeStringArray::from(texts()))),
        ("utf8_view", common::VARCHAR, true, Arc::new(StringViewArray::from(texts()))),
        ("geometry", common::GEOMETRY, true, Arc::new(StringArray::from(texts()))),
        ("json", common::JSON, true, Arc::new(BinaryArray::from(documents()))),
        ("json view", common::JSON, true, Arc::new(BinaryViewArray::from(documents()))),
        ("list", common::ARRAY, true, lists()),
        ("list_view", common::ARRAY, true, list_views(Arc::new(numbers().slice(3, 4)))),
        ("sparse list", common::SPARSE_FLOAT_VECTOR, true, sparse),
        ("sparse map", common::SPARSE_FLOAT_VECTOR, true, maps()),
        ("sparse lists", common::SPARSE_FLOAT_VECTOR, true, two_lists()),
        ("dictionary", common::VARCHAR, true, Arc::new(dictionary)),
        ("runs", common::VARCHAR, true, Arc::new(runs.unwrap())),
        ("binary vector", common::INT8_VECTOR, true, Arc::new(BinaryArray::from_iter_values(binaries(2)))),
        ("vector views", common::FLOAT_VECTOR, true, vector_views()),
        ("bool", common::BOOL, true, Arc::new(truths)),
        ("timestamp", common::TIMESTAMPTZ, true, Arc::new(moments)),
        ("float vector", common::FLOAT_VECTOR, false, vectors),
        ("bfloat16 vector", common::BFLOAT16_VECTOR, false, Arc::new(wide)),
    ]
}

fn field(data_type: i32) -> Field {
    Field::new("f", FieldOptions { nullable: true, ..common::options(data_type) }).unwrap()
}

/// Packs with untouched bytes on both sides of the request.
fn write(bound: &Bound<'_>) -> Result<Vec<u8>, PackError> {
    let len = bound.encoded_len();
    let mut memory = vec![MaybeUninit::new(UNTOUCHED); MARGIN + len + MARGIN];
    let packed = bound.write(&mut memory[MARGIN..MARGIN + len]);
    // SAFETY: every byte was initialised above.
    let bytes: Vec<u8> = memory.iter().map(|byte| unsafe { byte.assume_init() }).collect();
    let margins = bytes[..MARGIN].iter().chain(&bytes[MARGIN + len..]);
    assert!(margins.copied().all(|byte| byte == UNTOUCHED), "written outside");
    packed.map(|()| bytes[MARGIN..MARGIN + len].to_vec())
}

/// Whether packing noticed the change; if not, its bytes are a message all the same.
fn noticed(packed: Result<Vec<u8>, PackError>) -> bool {
    match packed {
        Ok(bytes) => {
            Message::parse(&bytes);
            false
        }
        // A value that is there now is one that Milvus refuses.
        Err(PackError::Cell { .. }) => false,
        Err(error) => {
            assert_eq!(error.to_string(), CHANGED);
            true
        }
    }
}

/// Everything that one part of an array is overwritten with: all of it, or each of its bytes and words.
fn changes(len: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let whole = [0x00, 0x01, 0x7f, 0x80, 0xff].into_iter().map(move |byte| (0, vec![byte; len]));
    let words = [&[0][..], &[1], &[0x7f], &[0xff; 4], &[0xff, 0xff, 0xff, 0x7f], &[0; 8], &[2, 0, 0, 0, 0, 0, 0, 0]];
    let each = words.into_iter().flat_map(move |word| (0..len).map(move |at| (at, word.to_vec())));
    whole.chain(each)
}

#[test]
fn a_change_between_the_passes_is_an_error_or_other_values() {
    for (name, data_type, has_size, column) in sources() {
        let (column, parts) = rehome(column.as_ref());
        let field = field(data_type);
        let bound = bind_field(&field, column.as_ref()).unwrap();
        let honest = write(&bound).unwrap();
        let mut changed = 0;
        for part in &parts {
            for (at, bytes) in changes(part.before.len()) {
                part.memory.write(at, &bytes);
                changed += usize::from(noticed(write(&bound)));
                part.restore();
            }
        }
        assert_eq!(write(&bound).unwrap(), honest, "{name}");
        assert_eq!(changed > 0, has_size, "{name}: {changed}");
    }
}

/// `column` over and over, so that packing it takes a while.
fn repeated(column: &ArrayRef) -> ArrayRef {
    let data = column.to_data();
    let mut longer = MutableArrayData::new(vec![&data], true, REPEATS * data.len());
    for _ in 0..REPEATS {
        longer.try_extend(0, 0, data.len()).unwrap();
    }
    make_array(longer.freeze())
}

/// Overwrites parts of an array and restores them, again and again until told to stop.
fn disturb(parts: &[Part], disturbing: &Barrier, stop: &AtomicBool) {
    let mut random = 1_u64;
    disturbing.wait();
    while !stop.load(Ordering::Relaxed) {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let choice = usize::try_from(random >> 8).unwrap();
        let (part, word) = (&parts[choice % parts.len()], random.to_be_bytes());
        let at = choice % part.memory.len();
        part.memory.write(at, if choice % 2 == 0 { &[0; 8] } else { &word });
        part.memory.write(at, &part.before[at..part.before.len().min(at + 8)]);
        // Long enough for some packing to see nothing of it, and short enough for some to see several changes.
        (0..choice % 500).for_each(|_| hint::spin_loop());
    }
}

/// Ends the other thread however this one ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_thread_that_changes_the_source_gets_nothing_written_outside() {
    for (name, data_type, _, column) in sources() {
        let (column, parts) = rehome(repeated(&column).as_ref());
        let field = field(data_type);
        let honest = write(&bind_field(&field, column.as_ref()).unwrap()).unwrap();
        let (disturbing, stop) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            let _stop = Stop(&stop);
            scope.spawn(|| disturb(&parts, &disturbing, &stop));
            disturbing.wait();
            for _ in 0..TIMES {
                // What is corrupt when it is bound is refused there.
                if let Ok(bound) = bind_field(&field, column.as_ref()) {
                    let _ = write(&bound);
                }
            }
        });
        parts.iter().for_each(Part::restore);
        assert_eq!(write(&bind_field(&field, column.as_ref()).unwrap()).unwrap(), honest, "{name}");
    }
}
