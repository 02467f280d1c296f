//! For any rows: every Arrow layout that holds them packs to the same bytes, and those hold the rows.

mod common;

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int16Array, Int64Array, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use chrono::{DateTime, Datelike};
use common::layouts::{self, Pick};
use common::proto::Message;
use headrace_core::{CellReason, Field, FieldOptions, PackError, bind_field};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

/// The slots of `ScalarField` and `VectorField` in which a type's values stand.
const VECTOR_SLOTS: [(i32, u64); 5] = [
    (common::BINARY_VECTOR, 3),
    (common::FLOAT_VECTOR, 2),
    (common::FLOAT16_VECTOR, 4),
    (common::BFLOAT16_VECTOR, 5),
    (common::INT8_VECTOR, 7),
];

fn pack(data_type: i32, column: &dyn Array) -> Result<Vec<u8>, PackError> {
    let field = Field::new("f", FieldOptions { nullable: true, ..common::options(data_type) }).unwrap();
    bind_field(&field, column)?.to_vec()
}

/// Which values the rows have, one in five null, some several times in a row.
fn picks() -> impl Strategy<Value = Vec<(Index, u8, usize)>> {
    vec((any::<Index>(), 0..5_u8, 1..4_usize), 0..30)
}

fn picked(picks: &[(Index, u8, usize)], count: usize) -> Vec<Pick> {
    picks.iter().map(|(index, null, times)| ((*null > 0).then(|| index.index(count)), *times)).collect()
}

/// A part of every array packs to the bytes that the same part of the first one packs to; gives the part's rows, too.
fn pack_alike(
    data_type: i32,
    picks: &[Pick],
    arrays: &[ArrayRef],
    cut: (Index, Index),
) -> Result<(Vec<Option<usize>>, Message), TestCaseError> {
    let rows = layouts::rows(picks);
    let start = cut.0.index(rows.len() + 1);
    let len = cut.1.index(rows.len() - start + 1);
    let expected = pack(data_type, arrays[0].slice(start, len).as_ref()).unwrap();
    for array in &arrays[1..] {
        prop_assert_eq!(array.len(), rows.len());
        let packed = pack(data_type, array.slice(start, len).as_ref());
        prop_assert_eq!(packed.as_ref(), Ok(&expected), "{}", array.data_type());
    }
    Ok((rows[start..start + len].to_vec(), Message::parse(&expected)))
}

fn valid<'v, T>(rows: &[Option<usize>], values: &'v [T]) -> Vec<&'v T> {
    rows.iter().flatten().map(|row| &values[*row]).collect()
}

/// The text that stands for a timestamp, by another library's calendar; None where there is none.
fn text_of(seconds: i64, nanos: u32, digits: usize, zone: &str) -> Option<String> {
    let moment = DateTime::from_timestamp(seconds, nanos)?;
    let known = (1..=9999).contains(&moment.year()) && nanos.is_multiple_of(1_000);
    let format = match digits {
        0 => "%Y-%m-%dT%H:%M:%S",
        3 => "%Y-%m-%dT%H:%M:%S%.3f",
        _ => "%Y-%m-%dT%H:%M:%S%.6f",
    };
    known.then(|| format!("{}{zone}", moment.format(format)))
}

/// `value` of `per_second` in a second, as seconds and nanoseconds.
fn split(value: i64, per_second: i64) -> (i64, u32) {
    (value.div_euclid(per_second), u32::try_from(value.rem_euclid(per_second) * (1_000_000_000 / per_second)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_pack_alike(values in vec(".{0,16}", 1..6), picks in picks(), cut: (Index, Index)) {
        let picks = picked(&picks, values.len());
        let make = |rows: &[Option<usize>]| {
            layouts::texts(&rows.iter().map(|row| row.map(|row| values[row].as_str())).collect::<Vec<_>>())
        };
        let arrays = layouts::all(&picks, values.len(), &make);
        for (data_type, slot) in [(common::VARCHAR, 6), (common::TIMESTAMPTZ, 6), (common::GEOMETRY, 12)] {
            let (rows, message) = pack_alike(data_type, &picks, &arrays, cut)?;
            let expected: Vec<_> = valid(&rows, &values).into_iter().map(|text| text.as_bytes().to_vec()).collect();
            prop_assert_eq!(message.message(3).message(slot).all_bytes(1), expected);
        }
    }

    #[test]
    fn documents_pack_alike(numbers in vec(any::<(u32, f64)>(), 1..6), picks in picks(), cut: (Index, Index)) {
        let picks = picked(&picks, numbers.len());
        let text = |(key, value): &(u32, f64)| serde_json::json!({ key.to_string(): value }).to_string();
        let values: Vec<String> = numbers.iter().map(text).collect();
        let make = |rows: &[Option<usize>]| {
            let rows: Vec<_> = rows.iter().map(|row| row.map(|row| values[row].as_str())).collect();
            let bytes: Vec<_> = rows.iter().map(|row| row.map(str::as_bytes)).collect();
            [layouts::texts(&rows), layouts::binaries(&bytes)].concat()
        };
        let arrays = layouts::all(&picks, values.len(), &make);
        let (rows, message) = pack_alike(common::JSON, &picks, &arrays, cut)?;
        let expected: Vec<_> = valid(&rows, &values).into_iter().map(|text| text.as_bytes().to_vec()).collect();
        prop_assert_eq!(message.message(3).message(9).all_bytes(1), expected);
    }

    #[test]
    fn numbers_pack_alike(values in vec(any::<(i64, i16, bool)>(), 1..6), picks in picks(), cut: (Index, Index)) {
        let picks = picked(&picks, values.len());
        let value = |row: &Option<usize>| row.map(|row| values[row]);
        let bits = |row: &Option<usize>| value(row).map(|value| f64::from(value.1) / 3.0);
        let longs = |rows: &[Option<usize>]| {
            vec![Arc::new(rows.iter().map(|row| value(row).map(|value| value.0)).collect::<Int64Array>()) as ArrayRef]
        };
        let shorts = |rows: &[Option<usize>]| {
            vec![Arc::new(rows.iter().map(|row| value(row).map(|value| value.1)).collect::<Int16Array>()) as ArrayRef]
        };
        let truths = |rows: &[Option<usize>]| {
            vec![Arc::new(rows.iter().map(|row| value(row).map(|value| value.2)).collect::<BooleanArray>()) as ArrayRef]
        };
        let doubles = |rows: &[Option<usize>]| {
            vec![Arc::new(rows.iter().map(bits).collect::<Float64Array>()) as ArrayRef]
        };
        pack_alike(common::INT64, &picks, &layouts::all(&picks, values.len(), &longs), cut)?;
        pack_alike(common::INT16, &picks, &layouts::all(&picks, values.len(), &shorts), cut)?;
        pack_alike(common::BOOL, &picks, &layouts::all(&picks, values.len(), &truths), cut)?;
        pack_alike(common::DOUBLE, &picks, &layouts::all(&picks, values.len(), &doubles), cut)?;
    }

    #[test]
    fn arrays_pack_alike(
        values in vec(vec(any::<Index>(), 0..9), 1..6),
        elements in vec(any::<(i64, u32)>().prop_map(|(value, shift)| value >> (shift % 64)), 1..9),
        picks in picks(),
        cut: (Index, Index),
    ) {
        let picks = picked(&picks, values.len());
        let positions: Vec<Vec<usize>> =
            values.iter().map(|row| row.iter().map(|index| index.index(elements.len())).collect()).collect();
        let longs = |rows: &[Option<usize>]| {
            vec![Arc::new(rows.iter().map(|row| row.map(|row| elements[row])).collect::<Int64Array>()) as ArrayRef]
        };
        // The elements themselves are plain, of a dictionary or runs.
        let kinds = layouts::all(&[], elements.len(), &longs).len();
        let kind = |kind: usize| {
            let longs = &longs;
            move |at: &[usize]| {
                let elements: Vec<Pick> = at.iter().map(|at| (Some(*at), 1)).collect();
                layouts::all(&elements, elements_count(&elements), longs).swap_remove(kind)
            }
        };
        let make = |rows: &[Option<usize>]| {
            (0..kinds).flat_map(|at| layouts::lists(rows, &positions, &kind(at))).collect::<Vec<_>>()
        };
        pack_alike(common::ARRAY, &picks, &layouts::all(&picks, values.len(), &make), cut)?;
    }

    #[test]
    fn dense_vectors_pack_alike(values in vec(any::<[u8; 8]>(), 1..6), picks in picks(), cut: (Index, Index)) {
        let picks = picked(&picks, values.len());
        for (data_type, slot) in VECTOR_SLOTS {
            let width = match data_type {
                common::FLOAT_VECTOR => 8,
                common::FLOAT16_VECTOR | common::BFLOAT16_VECTOR => 4,
                _ => 2,
            };
            // Without the highest bit of the exponent of each number, so that all of them are finite.
            let finite = |value: &[u8; 8]| value[..width].iter().map(|byte| byte & 0xbf).collect::<Vec<u8>>();
            let values: Vec<_> = values.iter().map(finite).collect();
            let make = |rows: &[Option<usize>]| layouts::vectors(data_type, rows, &values);
            let (rows, message) = pack_alike(data_type, &picks, &layouts::all(&picks, values.len(), &make), cut)?;
            let vectors = message.message(4);
            let bytes = match data_type {
                common::FLOAT_VECTOR => vectors.message(slot).bytes(1),
                _ => vectors.bytes(slot),
            };
            prop_assert_eq!(bytes, valid(&rows, &values).into_iter().flatten().copied().collect::<Vec<u8>>());
        }
    }

    #[test]
    fn sparse_vectors_pack_alike(
        values in vec(btree_map(0..u32::MAX, 0.0..1e30_f32, 0..9), 1..6),
        picks in picks(),
        cut: (Index, Index),
    ) {
        let picks = picked(&picks, values.len());
        let values: Vec<Vec<(u32, f32)>> = values.into_iter().map(|row| row.into_iter().collect()).collect();
        let make = |rows: &[Option<usize>]| layouts::sparse(rows, &values);
        let arrays = layouts::all(&picks, values.len(), &make);
        let (rows, message) = pack_alike(common::SPARSE_FLOAT_VECTOR, &picks, &arrays, cut)?;
        let bytes = |row: &Vec<(u32, f32)>| -> Vec<u8> {
            row.iter().flat_map(|(index, value)| [index.to_le_bytes(), value.to_le_bytes()].concat()).collect()
        };
        let expected: Vec<Vec<u8>> = valid(&rows, &values).into_iter().map(bytes).collect();
        prop_assert_eq!(message.message(4).message(6).all_bytes(1), expected);
    }

    #[test]
    fn sixteen_bit_floats_are_refused_exactly_where_they_are_not_finite(bits in vec(any::<u16>(), 2..40)) {
        for (data_type, exponent) in [(common::FLOAT16_VECTOR, 0x7c00), (common::BFLOAT16_VECTOR, 0x7f80)] {
            let values: Vec<Vec<u8>> =
                bits.chunks_exact(2).map(|pair| [pair[0].to_le_bytes(), pair[1].to_le_bytes()].concat()).collect();
            let rows: Vec<_> = (0..values.len()).map(Some).collect();
            let bad = bits[..2 * rows.len()].iter().position(|bits| bits & exponent == exponent);
            for column in layouts::vectors(data_type, &rows, &values) {
                match (pack(data_type, column.as_ref()), bad) {
                    (Ok(_), None) => {}
                    (Err(PackError::Cell { row, reason: CellReason::NotFinite { element, .. }, .. }), Some(bad)) => {
                        prop_assert_eq!((row, element), (bad / 2, Some(bad % 2)));
                    }
                    (packed, bad) => prop_assert!(false, "{packed:?} {bad:?}"),
                }
            }
        }
    }

    #[test]
    fn timestamps_have_the_text_that_a_calendar_gives_them(value: i64, shift in 0..64_u32, zoned: bool) {
        let value = value >> shift;
        let (zone, suffix) = if zoned { (Some("+02:00"), "Z") } else { (None, "") };
        let (in_seconds, nanos) = split(value, 1_000_000_000);
        let columns: [(ArrayRef, Option<String>); 4] = [
            (
                Arc::new(TimestampSecondArray::from(vec![value]).with_timezone_opt(zone)),
                text_of(value, 0, 0, suffix),
            ),
            (
                Arc::new(TimestampMillisecondArray::from(vec![value]).with_timezone_opt(zone)),
                text_of(split(value, 1_000).0, split(value, 1_000).1, 3, suffix),
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone_opt(zone)),
                text_of(split(value, 1_000_000).0, split(value, 1_000_000).1, 6, suffix),
            ),
            (
                Arc::new(TimestampNanosecondArray::from(vec![value]).with_timezone_opt(zone)),
                text_of(in_seconds, nanos, 6, suffix),
            ),
        ];
        for (column, expected) in columns {
            let packed = pack(common::TIMESTAMPTZ, column.as_ref());
            if let Some(text) = expected {
                let texts = Message::parse(&packed.unwrap()).message(3).message(6).all_bytes(1);
                prop_assert_eq!(texts, vec![text.into_bytes()]);
            } else {
                let refused = matches!(packed, Err(PackError::Cell { reason: CellReason::NotATimestamp { .. }, .. }));
                prop_assert!(refused, "{packed:?}");
            }
        }
    }
}

/// One more than the largest value that `picks` name.
fn elements_count(picks: &[Pick]) -> usize {
    picks.iter().filter_map(|(value, _)| *value).max().map_or(0, |largest| largest + 1)
}
