//! Columns come out of a message as they stand in it, and nothing that is no message gets further than an error.

use std::fs;
use std::path::Path;

use headrace_core::reply::{Column, Memory, ReplyError, Values, columns};
use headrace_core::wire::{bytes_field, encode_varint, varint_field};
use proptest::prelude::*;
use serde_json::Value;

/// A tag of a length-delimited field with a number below 16.
fn nested(number: u8, content: &[u8]) -> Vec<u8> {
    bytes_field(number << 3 | 2, content)
}

fn number(number: u8, value: u64) -> Vec<u8> {
    varint_field(number << 3, value)
}

fn varints(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| encode_varint(*value).0.to_le_bytes()[..encode_varint(*value).1].to_vec()).collect()
}

/// A `FieldData` with the name `x`: `body` is 3 (scalars) or 4 (vectors).
fn field(data_type: u64, body: u8, content: &[u8]) -> Vec<u8> {
    [number(1, data_type), nested(2, b"x"), nested(body, content)].concat()
}

/// The only column of an answer whose field 2 is `field`.
fn column(field: &[u8]) -> Column {
    let message = nested(2, field);
    let (mut found, rest) = columns(&message, &[2]).unwrap();
    assert_eq!((found.len(), rest), (1, Vec::new()));
    found.remove(0)
}

fn values(field: &[u8]) -> Values {
    column(field).values.unwrap()
}

fn owned(memory: &Memory) -> &[u8] {
    match memory {
        Memory::Owned(bytes) => bytes,
        Memory::Shared(range) => panic!("bytes of the message, {range:?}"),
    }
}

#[test]
fn a_message_is_given_back_without_its_columns() {
    let scalars = nested(3, &nested(1, &varints(&[1, 2])));
    let (before, after) = (nested(1, b"status"), nested(4, b"names"));
    let flat = [before.clone(), nested(2, &field(5, 3, &scalars)), nested(2, &field(5, 3, &scalars)), after.clone()];
    let (found, rest) = columns(&flat.concat(), &[2]).unwrap();
    assert_eq!(found.iter().map(|column| (column.name.as_str(), column.data_type)).collect::<Vec<_>>(), [("x", 5); 2]);
    assert_eq!(rest, [before.clone(), after.clone()].concat());

    let inner = [number(1, 7), nested(3, &field(5, 3, &scalars)), number(2, 8)].concat();
    let (found, rest) = columns(&[before.clone(), nested(2, &inner)].concat(), &[2, 3]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(rest, [before, nested(2, &[number(1, 7), number(2, 8)].concat())].concat());
}

#[test]
fn integers_are_decoded() {
    let minus = |value: i64| value.cast_unsigned();
    let longs = values(&field(5, 3, &nested(3, &nested(1, &varints(&[0, 300, minus(-1), minus(i64::MIN)])))));
    assert_eq!(longs.slot, "long_data");
    let expected: Vec<u8> = [0, 300, -1, i64::MIN].iter().flat_map(|value: &i64| value.to_le_bytes()).collect();
    assert_eq!(owned(&longs.buffers[0]), expected);
    let ints = values(&field(4, 3, &nested(2, &nested(1, &varints(&[7, minus(-2)])))));
    assert_eq!(
        (ints.slot, owned(&ints.buffers[0])),
        ("int_data", [7i32.to_le_bytes(), (-2i32).to_le_bytes()].as_flattened())
    );
    let flags = values(&field(1, 3, &nested(1, &nested(1, &varints(&[1, 0, 5])))));
    assert_eq!((flags.slot, owned(&flags.buffers[0])), ("bool_data", [1, 0, 1].as_slice()));
}

#[test]
fn numbers_of_fixed_width_stay_where_they_are() {
    let content = [1f32, 2.5].map(f32::to_le_bytes).concat();
    let message = nested(2, &field(101, 4, &[number(1, 2), nested(2, &nested(1, &content))].concat()));
    let (found, _) = columns(&message, &[2]).unwrap();
    let values = found[0].values.as_ref().unwrap();
    let [Memory::Shared(range)] = values.buffers.as_slice() else { panic!("{values:?}") };
    assert_eq!((values.slot, found[0].dim, &message[range.clone()]), ("float_vector", 2, content.as_slice()));
    // A column in several runs, as proto3 allows, is joined.
    let runs = [nested(1, &content), nested(1, &content)].concat();
    assert_eq!(owned(&self::values(&field(10, 3, &nested(4, &runs))).buffers[0]), [content.clone(), content].concat());
}

#[test]
fn texts_have_offsets_and_rows_of_sparse_vectors_are_taken_apart() {
    let texts = [nested(1, "é".as_bytes()), nested(1, b""), nested(1, b"ab")].concat();
    let found = values(&field(21, 3, &nested(6, &texts)));
    assert_eq!(owned(&found.buffers[0]), [0i32, 2, 2, 4].map(i32::to_le_bytes).as_flattened());
    assert_eq!(owned(&found.buffers[1]), "éab".as_bytes());

    let pair = |index: u32, value: f32| [index.to_le_bytes(), value.to_le_bytes()].concat();
    let rows = [nested(1, &[pair(3, 0.5), pair(9, 2.0)].concat()), nested(1, b""), nested(1, &pair(1, -1.0))].concat();
    let found = values(&field(104, 4, &nested(6, &rows)));
    assert_eq!(owned(&found.buffers[0]), [0i32, 2, 2, 3].map(i32::to_le_bytes).as_flattened());
    assert_eq!(owned(&found.buffers[1]), [3u32, 9, 1].map(u32::to_le_bytes).as_flattened());
    assert_eq!(owned(&found.buffers[2]), [0.5f32, 2.0, -1.0].map(f32::to_le_bytes).as_flattened());
}

#[test]
fn arrays_are_their_elements_and_where_each_row_begins() {
    let row = |values: &[u64]| nested(1, &nested(3, &nested(1, &varints(values))));
    let arrays = [row(&[1, 2]), row(&[]), nested(1, b""), row(&[3]), number(2, 5)].concat();
    let found = values(&field(22, 3, &nested(8, &arrays)));
    assert_eq!(owned(&found.buffers[0]), [0i32, 2, 2, 2, 3].map(i32::to_le_bytes).as_flattened());
    let (element_type, elements) = found.elements.unwrap();
    assert_eq!((element_type, owned(&elements.unwrap().buffers[0]).len()), (5, 24));
}

#[test]
fn the_inner_mask_wins_over_the_outer_one() {
    let body = [nested(3, &nested(1, &varints(&[1, 2]))), encode_tagged(17, &[1, 0])].concat();
    let with_both = [field(5, 3, &body), nested(7, &[1, 1])].concat();
    assert_eq!(column(&with_both).valid, [1, 0]);
    assert_eq!(column(&[field(5, 3, &nested(3, b"")), nested(7, &[0, 1])].concat()).valid, [0, 1]);
}

/// A length-delimited field with a number from 16 on.
fn encode_tagged(number: u64, content: &[u8]) -> Vec<u8> {
    [varints(&[number << 3 | 2, content.len() as u64]), content.to_vec()].concat()
}

#[test]
fn a_column_that_contradicts_itself_is_named() {
    let cases: [(Vec<u8>, &str); 5] = [
        (field(21, 3, &nested(6, &nested(1, b"\xff"))), "text in UTF-8"),
        (field(104, 4, &nested(6, &nested(1, b"123"))), "sparse rows of 8 bytes a pair"),
        (field(10, 3, &nested(4, &nested(1, b"123"))), "numbers of a fixed width"),
        (field(22, 3, &nested(8, &nested(1, &nested(8, b"")))), "arrays of plain values"),
        (
            field(22, 3, &nested(8, &[nested(1, &nested(3, b"")), nested(1, &nested(4, b""))].concat())),
            "arrays of one type",
        ),
    ];
    for (field, wanted) in cases {
        match columns(&nested(2, &field), &[2]) {
            Err(ReplyError::Column { name, expected, .. }) => assert_eq!((name.as_str(), expected), ("x", wanted)),
            other => panic!("{wanted}: {other:?}"),
        }
    }
    // JSON may be any bytes; what is of no known slot has no values.
    assert_eq!(owned(&values(&field(23, 3, &nested(9, &nested(1, b"\xff")))).buffers[1]), b"\xff");
    assert_eq!(column(&field(106, 4, &nested(8, b""))).values, None);
}

fn golden_requests() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let requests = paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("request_"));
    let bytes =
        |text: &str| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    let hex = |path: &Path| {
        let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        file["hex"].as_str().unwrap().to_owned()
    };
    requests.map(|path| bytes(&hex(&path))).collect()
}

/// Whatever the bytes: an error, or columns whose memory lies inside of them.
fn holds(message: &[u8], path: &[u32]) {
    let Ok((found, rest)) = columns(message, path) else { return };
    assert!(rest.len() <= message.len() + 9);
    let inside = |values: &Values| {
        values.buffers.iter().all(|memory| match memory {
            Memory::Shared(range) => range.start <= range.end && range.end <= message.len(),
            Memory::Owned(_) => true,
        })
    };
    assert!(found.iter().filter_map(|column| column.values.as_ref()).all(inside));
}

#[test]
fn every_beginning_of_a_request_is_read_or_refused() {
    let requests = golden_requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(!columns(&request, &[5]).unwrap().0.is_empty());
        for end in 0..request.len() {
            holds(&request[..end], &[5]);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), deep in any::<bool>()) {
        holds(&bytes, if deep { &[2, 3] } else { &[2] });
        holds(&nested(2, &bytes), if deep { &[2, 3] } else { &[2] });
    }

    #[test]
    fn requests_with_changed_bytes_are_read_or_refused(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        for mut request in golden_requests() {
            for (at, byte) in &changes {
                let at = at % request.len();
                request[at] = *byte;
            }
            holds(&request, &[5]);
        }
    }
}
