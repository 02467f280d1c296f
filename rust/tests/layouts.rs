//! Every Arrow layout of the same values packs to the same bytes; every other layout is refused with its type.

mod common;

use std::sync::Arc;

use arrow_array::builder::{Float32Builder, Int32Builder, MapBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, StructArray,
    UInt64Array, new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field as ArrowField, TimeUnit};
use common::proto::Message;
use headrace_core::{Field, FieldOptions, Names, PackError, Packer, Request, bind_field};

fn pack(data_type: i32, column: &dyn Array) -> Result<Vec<u8>, PackError> {
    bind_field(&common::field(data_type), column)?.to_vec()
}

fn item(data_type: DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", data_type, true))
}

const ROWS: [&[(u32, f32)]; 3] = [&[(1, 0.5), (7, 0.25)], &[], &[(9, 1.0)]];
const LENGTHS: [usize; 3] = [2, 0, 1];

fn indices() -> [ArrayRef; 4] {
    [
        Arc::new(arrow_array::UInt32Array::from(vec![1, 7, 9])),
        Arc::new(Int32Array::from(vec![1, 7, 9])),
        Arc::new(Int64Array::from(vec![1, 7, 9])),
        Arc::new(UInt64Array::from(vec![1, 7, 9])),
    ]
}

fn values() -> ArrayRef {
    Arc::new(Float32Array::from(vec![0.5, 0.25, 1.0]))
}

fn expected_sparse() -> Vec<u8> {
    let rows: Vec<_> = ROWS.iter().map(|row| row.to_vec()).collect();
    pack(common::SPARSE_FLOAT_VECTOR, common::sparse(&rows).as_ref()).unwrap()
}

#[test]
fn sparse_indices_may_be_of_four_types() {
    for indices in indices() {
        let column = common::sparse_of(indices, values(), LENGTHS);
        assert_eq!(pack(common::SPARSE_FLOAT_VECTOR, column.as_ref()).unwrap(), expected_sparse());
    }
}

#[test]
fn sparse_rows_may_be_a_large_list() {
    let small = common::sparse_of(indices()[0].clone(), values(), LENGTHS);
    let entries = small.as_any().downcast_ref::<ListArray>().unwrap().values().clone();
    let offsets = OffsetBuffer::<i64>::from_lengths(LENGTHS);
    let column = LargeListArray::new(item(entries.data_type().clone()), offsets, entries, None);
    assert_eq!(pack(common::SPARSE_FLOAT_VECTOR, &column).unwrap(), expected_sparse());
}

#[test]
fn sparse_rows_may_be_a_map() {
    let mut column = MapBuilder::new(None, Int32Builder::new(), Float32Builder::new());
    for row in ROWS {
        for (index, value) in row {
            column.keys().append_value(i32::try_from(*index).unwrap());
            column.values().append_value(*value);
        }
        column.append(true).unwrap();
    }
    assert_eq!(pack(common::SPARSE_FLOAT_VECTOR, &column.finish()).unwrap(), expected_sparse());
}

fn two_lists(nulls: Option<NullBuffer>) -> StructArray {
    let index_list =
        ListArray::new(item(DataType::Int32), OffsetBuffer::from_lengths(LENGTHS), indices()[1].clone(), nulls.clone());
    let value_list = LargeListArray::new(item(DataType::Float32), OffsetBuffer::from_lengths(LENGTHS), values(), nulls);
    let fields = vec![
        ArrowField::new("indices", index_list.data_type().clone(), true),
        ArrowField::new("values", value_list.data_type().clone(), true),
    ];
    StructArray::new(fields.into(), vec![Arc::new(index_list), Arc::new(value_list)], None)
}

#[test]
fn sparse_rows_may_be_a_struct_of_two_lists() {
    assert_eq!(pack(common::SPARSE_FLOAT_VECTOR, &two_lists(None)).unwrap(), expected_sparse());
}

#[test]
fn a_sparse_row_is_null_where_its_two_lists_are_whatever_lies_under_them() {
    let options = FieldOptions { nullable: true, ..common::options(common::SPARSE_FLOAT_VECTOR) };
    let field = Field::new("f", options).unwrap();
    let column = two_lists(Some(vec![false, true, true].into()));
    let message = Message::parse(&bind_field(&field, &column).unwrap().to_vec().unwrap());
    assert_eq!(message.bytes(7), [0, 1, 1]);
    assert_eq!(message.message(4).message(6).all_bytes(1).len(), 2);
}

#[test]
fn strings_may_be_large() {
    let texts = vec!["a", "", "水車"];
    let small = pack(common::VARCHAR, &StringArray::from(texts.clone())).unwrap();
    assert_eq!(pack(common::VARCHAR, &LargeStringArray::from(texts)).unwrap(), small);
}

#[test]
fn documents_may_be_text_or_binary() {
    let texts = vec!["{}", "[1]"];
    let bytes: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    let expected = pack(common::JSON, &StringArray::from(texts.clone())).unwrap();
    assert_eq!(pack(common::JSON, &LargeStringArray::from(texts)).unwrap(), expected);
    assert_eq!(pack(common::JSON, &BinaryArray::from(bytes.clone())).unwrap(), expected);
    assert_eq!(pack(common::JSON, &LargeBinaryArray::from(bytes)).unwrap(), expected);
}

#[test]
fn arrays_may_be_large_or_of_fixed_size() {
    let child: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let small = ListArray::new(item(DataType::Int64), OffsetBuffer::from_lengths([2, 2]), child.clone(), None);
    let large = LargeListArray::new(item(DataType::Int64), OffsetBuffer::from_lengths([2, 2]), child.clone(), None);
    let fixed = FixedSizeListArray::new(item(DataType::Int64), 2, child, None);
    let expected = pack(common::ARRAY, &small).unwrap();
    assert_eq!(pack(common::ARRAY, &large).unwrap(), expected);
    assert_eq!(pack(common::ARRAY, &fixed).unwrap(), expected);
}

#[test]
fn nulls_under_a_null_row_do_not_matter() {
    let child = Float32Array::from(vec![Some(1.0), Some(2.0), None, None]);
    let nulls = Some(NullBuffer::from(vec![true, false]));
    let column = FixedSizeListArray::new(item(DataType::Float32), 2, Arc::new(child), nulls);
    let options = FieldOptions { nullable: true, ..common::options(common::FLOAT_VECTOR) };
    let field = Field::new("f", options).unwrap();
    let message = Message::parse(&bind_field(&field, &column).unwrap().to_vec().unwrap());
    assert_eq!(message.message(4).message(2).bytes(1), [1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat());
    assert_eq!(message.bytes(7), [1, 0]);
}

#[test]
fn a_column_of_no_rows_keeps_its_slot() {
    for data_type in [common::BOOL, common::INT64, common::FLOAT, common::VARCHAR, common::TEXT, common::JSON] {
        let message = Message::parse(&pack(data_type, common::scalars(data_type, &[]).as_ref()).unwrap());
        assert_eq!(message.message(3).numbers().len(), 1, "{data_type}");
    }
    let message = Message::parse(&pack(common::FLOAT_VECTOR, common::vectors(2, Vec::new()).as_ref()).unwrap());
    assert_eq!((message.message(4).varint(1), message.message(4).numbers()), (2, vec![1, 2]));
}

#[test]
fn columns_may_come_in_any_order() {
    let fields = ["a", "b"].map(|name| Field::new(name, common::options(common::INT64)).unwrap());
    let packer = Packer::new(fields.to_vec(), &Names { collection: "c".into(), ..Names::default() }).unwrap();
    let column = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", column(1)), ("b", column(2))]).unwrap();
    let turned = RecordBatch::try_from_iter([("b", column(2)), ("a", column(1))]).unwrap();
    let pack = |batch: &RecordBatch| packer.pack(batch, Request::default()).unwrap();
    assert_eq!(pack(&batch), pack(&turned));
}

#[test]
fn every_other_type_is_refused_with_its_name() {
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let list = |child: &ArrayRef| -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths([child.len()]);
        Arc::new(ListArray::new(item(child.data_type().clone()), offsets, child.clone(), None))
    };
    let vector = FixedSizeListArray::new(item(DataType::Float64), 2, doubles.clone(), None);
    let cases: [(i32, ArrayRef, &str); 8] = [
        (common::INT64, Arc::new(Int32Array::from(vec![1])), "expected int64, found int32"),
        (common::VARCHAR, doubles.clone(), "expected utf8, large_utf8 or utf8_view, found float64"),
        (
            common::JSON,
            doubles.clone(),
            "expected utf8, large_utf8, utf8_view, binary, large_binary or binary_view, found float64",
        ),
        (common::BOOL, Arc::new(NullArray::new(1)), "expected bool, found null"),
        (
            common::FLOAT_VECTOR,
            Arc::new(vector),
            "expected fixed_size_list<float32>[2] or another kind of list of float32, found fixed_size_list<float64>[2]",
        ),
        (
            common::FLOAT_VECTOR,
            list(&doubles),
            "expected fixed_size_list<float32>[2] or another kind of list of float32, found list<float64>",
        ),
        (common::ARRAY, doubles.clone(), "expected any kind of list of int64, found float64"),
        (common::ARRAY, list(&doubles), "expected any kind of list of int64, found list<float64>"),
    ];
    for (data_type, column, text) in cases {
        let error = pack(data_type, column.as_ref()).unwrap_err().to_string();
        assert_eq!(error, format!("field 'f': {text}; cast the column"));
    }
}

#[test]
fn every_type_names_the_columns_that_it_takes() {
    let list = "any kind of list of int64";
    let float16 = "fixed_size_list<float16>[2], another kind of list of float16, fixed_size_binary[4] or binary";
    let bfloat16 = "fixed_size_list<uint16 or fixed_size_binary[2]>[2], another kind of list of uint16 or \
                    fixed_size_binary[2], fixed_size_binary[4] or binary";
    let int8 = "fixed_size_list<int8>[2], another kind of list of int8, fixed_size_binary[2] or binary";
    let binary = "fixed_size_list<uint8>[2], another kind of list of uint8, fixed_size_binary[2] or binary";
    let sparse = "any kind of list of struct<index, value>, a map<index, value> or a struct<list of index, list of \
                  value> (index int32, uint32, int64 or uint64; value float32)";
    let cases = [
        (common::BOOL, "bool"),
        (common::INT8, "int8"),
        (common::INT16, "int16"),
        (common::INT32, "int32"),
        (common::INT64, "int64"),
        (common::FLOAT, "float32"),
        (common::DOUBLE, "float64"),
        (common::VARCHAR, "utf8, large_utf8 or utf8_view"),
        (common::GEOMETRY, "utf8, large_utf8 or utf8_view"),
        (common::TIMESTAMPTZ, "utf8, large_utf8, utf8_view or timestamp"),
        (common::JSON, "utf8, large_utf8, utf8_view, binary, large_binary or binary_view"),
        (common::ARRAY, list),
        (common::FLOAT_VECTOR, "fixed_size_list<float32>[2] or another kind of list of float32"),
        (common::FLOAT16_VECTOR, float16),
        (common::BFLOAT16_VECTOR, bfloat16),
        (common::INT8_VECTOR, int8),
        (common::BINARY_VECTOR, binary),
        (common::SPARSE_FLOAT_VECTOR, sparse),
    ];
    let decimal = new_null_array(&DataType::Decimal128(5, 2), 1);
    for (data_type, expected) in cases {
        let error = pack(data_type, decimal.as_ref()).unwrap_err().to_string();
        assert_eq!(error, format!("field 'f': expected {expected}, found decimal128(5, 2); cast the column"));
    }
}

#[test]
fn a_refused_column_is_named_as_its_type_is_written() {
    let small = || item(DataType::Float64);
    let pairs = DataType::Struct(vec![ArrowField::new("i", DataType::Int8, true)].into());
    let entries = [("keys", DataType::Int8), ("values", DataType::Utf8)];
    let entries = entries.map(|(name, kind)| ArrowField::new(name, kind, name == "values"));
    let entries = ArrowField::new("entries", DataType::Struct(entries.to_vec().into()), false);
    let ends = Arc::new(ArrowField::new("run_ends", DataType::Int32, false));
    let cases = [
        (DataType::Null, "null"),
        (DataType::Float16, "float16"),
        (DataType::UInt64, "uint64"),
        (DataType::Utf8, "utf8"),
        (DataType::LargeUtf8, "large_utf8"),
        (DataType::Utf8View, "utf8_view"),
        (DataType::Binary, "binary"),
        (DataType::LargeBinary, "large_binary"),
        (DataType::BinaryView, "binary_view"),
        (DataType::FixedSizeBinary(3), "fixed_size_binary[3]"),
        (DataType::Timestamp(TimeUnit::Nanosecond, None), "timestamp[ns]"),
        (DataType::Timestamp(TimeUnit::Second, Some("UTC".into())), "timestamp[s, UTC]"),
        (DataType::Time64(TimeUnit::Microsecond), "time64[us]"),
        (DataType::Time32(TimeUnit::Second), "time32[s]"),
        (DataType::Duration(TimeUnit::Millisecond), "duration[ms]"),
        (DataType::Date32, "date32"),
        (DataType::List(small()), "list<float64>"),
        (DataType::LargeList(small()), "large_list<float64>"),
        (DataType::ListView(small()), "list_view<float64>"),
        (DataType::LargeListView(small()), "large_list_view<float64>"),
        (DataType::FixedSizeList(small(), 7), "fixed_size_list<float64>[7]"),
        (DataType::List(item(pairs.clone())), "list<struct<i: int8>>"),
        (pairs, "struct<i: int8>"),
        (DataType::Map(Arc::new(entries), false), "map<int8, utf8>"),
        (DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8)), "dictionary<uint8, utf8>"),
        (DataType::RunEndEncoded(ends, item(DataType::Float64)), "run_end_encoded<int32, float64>"),
    ];
    for (kind, name) in cases {
        let error = pack(common::INT64, new_null_array(&kind, 1).as_ref()).unwrap_err().to_string();
        assert_eq!(error, format!("field 'f': expected int64, found {name}; cast the column"));
    }
}

#[test]
fn vectors_of_another_width_are_refused_in_the_units_of_their_column() {
    let list = |kind| DataType::FixedSizeList(item(kind), 3);
    let cases = [
        (common::FLOAT_VECTOR, list(DataType::Float32), "2 elements", "3 elements"),
        (common::FLOAT16_VECTOR, list(DataType::Float16), "2 elements", "3 elements"),
        (common::FLOAT16_VECTOR, DataType::FixedSizeBinary(6), "4 bytes", "6 bytes"),
        (common::BFLOAT16_VECTOR, list(DataType::UInt16), "2 elements", "3 elements"),
        (common::BFLOAT16_VECTOR, list(DataType::FixedSizeBinary(2)), "2 elements", "3 elements"),
        (common::BFLOAT16_VECTOR, DataType::FixedSizeBinary(6), "4 bytes", "6 bytes"),
        (common::INT8_VECTOR, list(DataType::Int8), "2 elements", "3 elements"),
        (common::INT8_VECTOR, DataType::FixedSizeBinary(1), "2 bytes", "1 bytes"),
        (common::BINARY_VECTOR, list(DataType::UInt8), "2 elements", "3 elements"),
        (common::BINARY_VECTOR, DataType::FixedSizeBinary(16), "2 bytes", "16 bytes"),
    ];
    for (data_type, kind, expected, found) in cases {
        let error = pack(data_type, new_null_array(&kind, 1).as_ref()).unwrap_err().to_string();
        let expected = format!("expected vectors of {expected}, as the field's dim says, found vectors of {found}");
        assert_eq!(error, format!("field 'f': {expected}; use vectors of the field's dim or another field"));
    }
}

#[test]
fn arrays_of_no_elements_keep_their_slot_in_every_list() {
    let expected = pack(common::ARRAY, new_null_lists(DataType::List).as_ref()).unwrap();
    let lists: [fn(Arc<ArrowField>) -> DataType; 4] =
        [DataType::LargeList, DataType::ListView, DataType::LargeListView, |item| DataType::FixedSizeList(item, 0)];
    for list in lists {
        assert_eq!(pack(common::ARRAY, new_null_lists(list).as_ref()).unwrap(), expected);
    }
}

/// Two empty lists of no element.
fn new_null_lists(list: impl Fn(Arc<ArrowField>) -> DataType) -> ArrayRef {
    let nulls = new_null_array(&list(item(DataType::Int64)), 2);
    // Under a null is an empty list.
    arrow_array::make_array(nulls.to_data().into_builder().nulls(None).build().unwrap())
}
