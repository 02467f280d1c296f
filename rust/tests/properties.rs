//! For any column: the predicted size is the written size, the bytes hold the values, and what the fast passes refuse
//! is what the slow pass refuses.

mod common;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field as ArrowField};
use common::proto::{Message, varints};
use headrace_core::wire::{encode_varint, fill_vec, put_varint, varint_len};
use headrace_core::{
    ColumnReason, Field, FieldOptions, Names, PackError, Packer, Request, Sink, SizeMismatch, bind_field,
};
use proptest::prelude::*;
use proptest::sample::SizeRange;

fn nullable(data_type: i32) -> Field {
    Field::new("f", FieldOptions { nullable: true, ..common::options(data_type) }).unwrap()
}

/// Packs into exactly the predicted size.
fn pack(field: &Field, column: &dyn Array) -> Result<Message, PackError> {
    bind_field(field, column)?.to_vec().map(|bytes| Message::parse(&bytes))
}

/// What a sink offers, each with the bytes it stands for.
#[derive(Debug, Clone)]
enum Part {
    Bytes(Vec<u8>),
    Word(u128, usize),
    Each(Vec<u16>),
    Pairs(Vec<(u32, u32)>),
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Word(word, len) => word.to_le_bytes()[..*len].to_vec(),
            Self::Each(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Pairs(pairs) => pairs.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat()).collect(),
        }
    }

    fn put(&self, sink: &mut Sink<'_>) -> Result<(), SizeMismatch> {
        match self {
            Self::Bytes(bytes) => sink.put(bytes),
            Self::Word(word, len) => sink.put_word(*word, *len),
            Self::Each(values) => sink.put_each(values, u16::to_le_bytes),
            Self::Pairs(pairs) => {
                let (left, right): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
                let encode = |a, b| (u64::from(a) | u64::from(b) << 32).to_le_bytes();
                sink.put_pairs(&left, &right, encode)
            }
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Part::Bytes),
        (any::<u128>(), 0..17_usize).prop_map(|(word, len)| Part::Word(word, len)),
        prop::collection::vec(any::<u16>(), 0..40).prop_map(Part::Each),
        prop::collection::vec(any::<(u32, u32)>(), 0..20).prop_map(Part::Pairs),
    ]
}

fn rows_of(message: &Message, column: &dyn Array) -> Vec<usize> {
    let mask = message.bytes(7);
    assert_eq!(mask.len(), column.len());
    let valid: Vec<usize> = (0..column.len()).filter(|row| mask[*row] == 1).collect();
    assert!((0..column.len()).all(|row| column.is_valid(row) == valid.contains(&row)));
    valid
}

/// Column lengths that reach over the blocks in which values are gathered.
fn len() -> SizeRange {
    SizeRange::from(0..300)
}

fn slice_of(column: &ArrayRef, cut: (usize, usize)) -> ArrayRef {
    let start = cut.0 % (column.len() + 1);
    column.slice(start, cut.1 % (column.len() - start + 1))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_varint_is_as_long_as_predicted_and_decodes_to_its_value(value: u64, shift in 0..64_u32) {
        let value = value >> shift;
        let (bytes, len) = encode_varint(value);
        prop_assert_eq!(len, varint_len(value));
        let bytes = &bytes.to_le_bytes()[..len];
        prop_assert_eq!(varints(bytes), vec![value]);
        for more in [0, 20] {
            // At the end of the memory, and where there is room for a whole word.
            let put = |sink: &mut Sink<'_>| put_varint(sink, value).and_then(|()| sink.put(&vec![7; more]));
            let written = fill_vec(len + more, put).unwrap();
            prop_assert_eq!(&written[..len], bytes);
            prop_assert_eq!(&written[len..], &vec![7; more]);
        }
    }

    #[test]
    fn a_sink_takes_exactly_the_bytes_it_has_room_for(parts in prop::collection::vec(part(), 0..9), missing in 0..40_usize) {
        let expected: Vec<u8> = parts.iter().flat_map(Part::bytes).collect();
        let put = |sink: &mut Sink<'_>| {
            parts.iter().try_for_each(|part| {
                let before = sink.written();
                part.put(sink)?;
                assert_eq!(sink.written() - before, part.bytes().len());
                Ok::<(), SizeMismatch>(())
            })
        };
        prop_assert_eq!(fill_vec(expected.len(), put), Ok(expected.clone()));
        if missing > 0 {
            prop_assert_eq!(fill_vec(expected.len() + missing, put), Err(SizeMismatch));
            if missing <= expected.len() {
                prop_assert_eq!(fill_vec(expected.len() - missing, put), Err(SizeMismatch));
            }
        }
    }

    #[test]
    fn integers_come_back(
        values in prop::collection::vec(prop::option::of((any::<i64>(), 0..64_u32)), len()),
        cut: (usize, usize),
    ) {
        let shifted = values.into_iter().map(|value| value.map(|(value, shift)| value >> shift));
        let whole: ArrayRef = Arc::new(shifted.collect::<Int64Array>());
        let column = slice_of(&whole, cut);
        let ints = column.as_any().downcast_ref::<Int64Array>().unwrap();
        let message = pack(&nullable(common::INT64), column.as_ref()).unwrap();
        let expected: Vec<u64> = rows_of(&message, ints).iter().map(|row| ints.value(*row).cast_unsigned()).collect();
        prop_assert_eq!(varints(&message.message(3).message(3).bytes(1)), expected);
    }

    #[test]
    fn runs_of_integers_of_like_size_come_back(
        runs in prop::collection::vec((0..64_u32, prop::collection::vec(any::<i64>(), 1..100)), 1..9),
        high: bool,
    ) {
        // Some with the highest bit of their size set, so that all are of one length, some with any.
        let one_size = |(shift, values): (u32, Vec<i64>)| {
            values.into_iter().map(move |value| {
                let value = value.cast_unsigned() | u64::from(high) << 63;
                (value >> shift).cast_signed()
            })
        };
        let column: Int64Array = runs.into_iter().flat_map(one_size).collect();
        let message = pack(&Field::new("f", common::options(common::INT64)).unwrap(), &column).unwrap();
        let expected: Vec<u64> = column.values().iter().map(|value| value.cast_unsigned()).collect();
        prop_assert_eq!(varints(&message.message(3).message(3).bytes(1)), expected);
    }

    #[test]
    fn strings_come_back(values in prop::collection::vec(prop::option::of(".{0,9}"), len()), cut: (usize, usize)) {
        let whole: ArrayRef = Arc::new(StringArray::from(values));
        let column = slice_of(&whole, cut);
        let texts = column.as_any().downcast_ref::<StringArray>().unwrap();
        let message = pack(&nullable(common::VARCHAR), column.as_ref()).unwrap();
        let rows = rows_of(&message, texts);
        let expected: Vec<_> = rows.iter().map(|row| texts.value(*row).as_bytes().to_vec()).collect();
        prop_assert_eq!(message.message(3).message(6).all_bytes(1), expected);
    }

    #[test]
    fn float_vectors_come_back_or_are_refused_where_they_are_not_finite(
        bits in prop::collection::vec(any::<u32>(), 0..300_usize),
        cut: (usize, usize),
    ) {
        let flat: Vec<f32> = bits[..bits.len() / 2 * 2].iter().map(|bits| f32::from_bits(*bits)).collect();
        let column = slice_of(&common::vectors(2, flat.clone()), cut);
        let start = cut.0 % (flat.len() / 2 + 1) * 2;
        let expected = &flat[start..start + column.len() * 2];
        let packed = pack(&common::field(common::FLOAT_VECTOR), column.as_ref());
        match expected.iter().position(|value| !value.is_finite()) {
            None => {
                let bytes: Vec<u8> = expected.iter().flat_map(|value| value.to_le_bytes()).collect();
                prop_assert_eq!(packed.unwrap().message(4).message(2).bytes(1), bytes);
            }
            Some(at) => {
                let row = at / 2;
                let Err(PackError::Cell { row: found, .. }) = packed else { panic!("packed {row}") };
                prop_assert_eq!(found, row);
            }
        }
    }

    #[test]
    fn sparse_rows_come_back_sorted(
        rows in prop::collection::vec(
            prop::collection::btree_map(0..u32::MAX, (0.0..1e30_f32, any::<u16>()), 0..40), 0..40,
        ),
    ) {
        // The order of the second key is a random permutation.
        let shuffled: Vec<Vec<(u32, f32)>> = rows
            .iter()
            .map(|row| {
                let mut pairs: Vec<_> = row.iter().map(|(index, (value, key))| (*key, *index, *value)).collect();
                pairs.sort_by_key(|pair| pair.0);
                pairs.into_iter().map(|(_, index, value)| (index, value)).collect()
            })
            .collect();
        let message = pack(&common::field(common::SPARSE_FLOAT_VECTOR), common::sparse(&shuffled).as_ref()).unwrap();
        let sparse = message.message(4).message(6);
        let expected: Vec<Vec<u8>> = rows
            .iter()
            .map(|row| {
                row.iter().flat_map(|(index, (value, _))| [index.to_le_bytes(), value.to_le_bytes()].concat()).collect()
            })
            .collect();
        prop_assert_eq!(sparse.all_bytes(1), expected);
        let top = rows.iter().filter_map(|row| row.keys().next_back()).max();
        prop_assert_eq!(sparse.varint(2), top.map_or(0, |top| u64::from(*top) + 1));
    }

    #[test]
    fn what_the_fast_passes_refuse_is_what_the_slow_pass_refuses(
        indices in prop::collection::vec(prop_oneof![0..9_u64, Just(u64::from(u32::MAX)), Just(1 << 40)], 30),
        values in prop::collection::vec(prop_oneof![0.0..1.0_f32, Just(-0.0), Just(-1.0), Just(f32::NAN)], 30),
        texts in prop::collection::vec(".{0,40}", 10),
    ) {
        let sparse = common::sparse_of(
            Arc::new(UInt64Array::from(indices)), Arc::new(Float32Array::from(values)), [3; 10],
        );
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let batch = RecordBatch::try_from_iter([("sp", sparse), ("t", texts)]).unwrap();
        let fields = vec![
            Field::new("sp", common::options(common::SPARSE_FLOAT_VECTOR)).unwrap(),
            Field::new("t", common::options(common::VARCHAR)).unwrap(),
        ];
        let packer = Packer::new(fields, &Names { collection: "c".into(), ..Names::default() }).unwrap();
        let refused = packer.check(&batch).unwrap();
        match packer.pack(&batch, Request::default()) {
            Ok(_) => prop_assert!(refused.is_empty()),
            Err(PackError::Cell { row, field, reason }) => {
                // As text: NaN is not equal to itself.
                let first = refused.first().map(|first| format!("{first:?}"));
                prop_assert_eq!(first, Some(format!("{:?}", (row, field.as_str(), reason))));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
        for row in 0..batch.num_rows() {
            let alone = packer.pack(&batch.slice(row, 1), Request::default());
            prop_assert_eq!(alone.is_err(), refused.iter().any(|(found, _, _)| *found == row));
        }
    }

    #[test]
    fn as_many_rows_fit_as_the_limit_allows(
        // A character is at most 4 bytes, and the field holds 64.
        texts in prop::collection::vec(prop::option::of(".{0,16}"), 1..2_500),
        offset in 0..100_usize,
        max_bytes in 0..30_000_usize,
    ) {
        let rows = texts.len();
        let offset = offset % rows;
        let batch = RecordBatch::try_from_iter([("f", Arc::new(StringArray::from(texts)) as ArrayRef)]).unwrap();
        let names = Names { collection: "c".into(), ..Names::default() };
        let packer = Packer::new(vec![nullable(common::VARCHAR)], &names).unwrap();
        let largest = Request { schema_timestamp: u64::MAX, partial_update: true };
        let len = |rows: usize| packer.bind(&batch.slice(offset, rows), largest).unwrap().encoded_len();
        let fitting = packer.fit(&batch, offset, max_bytes).unwrap();
        prop_assert!(fitting >= 1 && offset + fitting <= rows);
        prop_assert!(fitting == 1 || len(fitting) <= max_bytes);
        prop_assert!(offset + fitting == rows || len(fitting + 1) > max_bytes);
    }

    #[test]
    fn offsets_that_lie_are_an_error(offsets in prop::collection::vec(-3..9_i32, 2..6)) {
        let honest = offsets.windows(2).all(|pair| pair[0] <= pair[1]) && offsets[0] >= 0 && offsets[offsets.len() - 1] <= 8;
        let rows = offsets.len() - 1;
        for data_type in [common::VARCHAR, common::ARRAY] {
            let column = unchecked(data_type, &offsets, rows);
            let packed = pack(&common::field(data_type), column.as_ref());
            prop_assert_eq!(packed.is_ok(), honest);
            if let Err(error) = packed {
                let corrupt = matches!(error, PackError::Column { reason: ColumnReason::Corrupt { .. }, .. });
                prop_assert!(corrupt, "{}", error);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_utf8_or_refused(bytes in prop::collection::vec(any::<u8>(), 9)) {
        let data = ArrayData::builder(DataType::Utf8)
            .len(1)
            .add_buffer(Buffer::from_slice_ref([0_i32, 9]))
            .add_buffer(Buffer::from_slice_ref(&bytes));
        // SAFETY: offsets and lengths are right; the bytes are what the test is about, and the core takes no `str`
        // from them without a check.
        let column = StringArray::from(unsafe { data.build_unchecked() });
        let packed = pack(&common::field(common::VARCHAR), &column);
        prop_assert_eq!(packed.is_ok(), std::str::from_utf8(&bytes).is_ok());
    }
}

/// A string or list column over nine bytes or values, with offsets as they are.
fn unchecked(data_type: i32, offsets: &[i32], rows: usize) -> ArrayRef {
    let arrow_type = match data_type {
        common::VARCHAR => DataType::Utf8,
        _ => DataType::List(Arc::new(ArrowField::new("item", DataType::Int64, true))),
    };
    let data = ArrayData::builder(arrow_type).len(rows).add_buffer(Buffer::from_slice_ref(offsets));
    let data = match data_type {
        common::VARCHAR => data.add_buffer(Buffer::from_slice_ref([b'x'; 9])),
        _ => data.add_child_data(Int64Array::from(vec![7; 9]).into_data()),
    };
    // SAFETY: nothing in this test reads the array by its offsets; the core, which does, checks them.
    arrow_array::make_array(unsafe { data.build_unchecked() })
}

#[test]
fn a_null_count_that_lies_does_not_matter() {
    let nulls = NullBuffer::from(vec![true, false, true]);
    // SAFETY: the count is wrong, which no code relies on for memory safety.
    let lying = unsafe { NullBuffer::new_unchecked(nulls.into_inner(), 2) };
    let column = Int32Array::new(vec![1, 2, 3].into(), Some(lying));
    let message = pack(&nullable(common::INT32), &column).unwrap();
    assert_eq!(varints(&message.message(3).message(2).bytes(1)), [1, 3]);
    assert_eq!(message.bytes(7), [1, 0, 1]);
}
