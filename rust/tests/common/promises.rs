//! What packing promises for any batch, whatever is in it.

use std::mem::MaybeUninit;

use arrow_array::{Array, RecordBatch};
use headrace_core::{Bound, ColumnReason, Field, FieldOptions, PackError, Packer, Request, bind_field};

use super::arbitrary::{Case, built};
use super::foreign::rehome;
use super::proto::{Message, varints};
use super::{
    ARRAY, BFLOAT16_VECTOR, BINARY_VECTOR, BOOL, DOUBLE, FLOAT, FLOAT_VECTOR, FLOAT16_VECTOR, GEOMETRY, INT8,
    INT8_VECTOR, INT16, INT32, INT64, JSON, SPARSE_FLOAT_VECTOR, TIMESTAMPTZ, VARCHAR,
};

/// Panics where packing `case` breaks a promise.
pub fn hold(case: &Case) {
    let define = |(name, options): &(String, FieldOptions)| Field::new(name, *options);
    for (name, options) in &case.fields {
        if let (Ok(field), Some(column)) = (Field::new(name, *options), case.batch.column_by_name(name)) {
            alone(&field, options, column, case.lacking);
            changing(&field, column, &case.changes);
        }
    }
    let Ok(fields) = case.fields.iter().map(define).collect::<Result<Vec<_>, _>>() else { return };
    if let Ok(packer) = Packer::new(fields, &case.names) {
        together(&packer, case);
    }
}

/// One column by itself.
fn alone(field: &Field, options: &FieldOptions, column: &dyn Array, lacking: usize) {
    let bound = match bind_field(field, column) {
        Ok(bound) => bound,
        Err(error) => return is_no_excuse(&error, column),
    };
    let len = bound.encoded_len();
    match write(&bound, len) {
        Ok(bytes) => {
            is_field_data(&Message::parse(&bytes), options, column);
            if lacking > 0 {
                let short = write(&bound, len.saturating_sub(lacking));
                assert!(len == 0 || matches!(short, Err(PackError::Column { reason: ColumnReason::Changed, .. })));
            }
        }
        Err(error) => is_no_excuse(&error, column),
    }
}

/// One column whose memory changes between the size pass and the write pass.
fn changing(field: &Field, column: &dyn Array, changes: &[(usize, usize, Vec<u8>)]) {
    let Some((column, parts)) = built(|| Ok::<_, ()>(rehome(column))) else { return };
    let Ok(bound) = bind_field(field, column.as_ref()) else { return };
    for (part, at, bytes) in changes {
        if let Some(part) = parts.get(part % parts.len().max(1)) {
            part.memory.write(at % part.memory.len(), bytes);
        }
    }
    match write(&bound, bound.encoded_len()) {
        Ok(bytes) => drop(Message::parse(&bytes)),
        Err(PackError::Cell { .. } | PackError::Column { reason: ColumnReason::Changed, .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// All columns as one request.
fn together(packer: &Packer, case: &Case) {
    let batch = &case.batch;
    let result = pack(packer, batch, case.request);
    let refused = match packer.check(batch) {
        Ok(refused) => refused,
        Err(error) => return assert_eq!(result.unwrap_err(), error),
    };
    match &result {
        Ok(bytes) => {
            assert!(refused.is_empty(), "packed, but {refused:?}");
            let message = Message::parse(bytes);
            assert_eq!(message.varint(7), batch.num_rows() as u64);
            assert_eq!(message.varint(8), case.request.schema_timestamp);
            assert_eq!(message.all_bytes(5).len(), packer.fields().len());
        }
        Err(PackError::Column { reason: ColumnReason::NoRows, .. }) => assert_eq!(batch.num_rows(), 0),
        // As text: NaN is not equal to itself.
        Err(PackError::Cell { row, field, reason }) => {
            assert_eq!(format!("{:?}", (*row, field.as_str(), reason)), format!("{:?}", refused[0]));
        }
        Err(error) => panic!("{error}, but check says {refused:?}"),
    }
    for row in 0..batch.num_rows().min(16) {
        let Some(alone) = slice(batch, row, 1) else { continue };
        let result = packer.pack(&alone, case.request);
        assert_eq!(result.is_err(), refused.iter().any(|(found, ..)| *found == row), "row {row}: {result:?}");
    }
    fitting(packer, case, !refused.is_empty());
}

fn fitting(packer: &Packer, case: &Case, refused: bool) {
    let (batch, offset) = (&case.batch, case.offset);
    let left = batch.num_rows().saturating_sub(offset);
    let fitting = match packer.fit(batch, offset, case.max_bytes) {
        Ok(fitting) => fitting,
        Err(error) => return assert!(refused && left > 0, "{error}"),
    };
    assert!(fitting <= left && (fitting > 0 || left == 0), "{fitting} of {left} rows fit");
    let largest = Request { schema_timestamp: u64::MAX, partial_update: true };
    let len = |rows| Some(packer.bind(&slice(batch, offset, rows)?, largest).ok()?.encoded_len());
    if fitting > 1
        && let Some(len) = len(fitting)
    {
        assert!(len <= case.max_bytes, "{fitting} rows are {len} bytes, not {}", case.max_bytes);
    }
    if fitting < left
        && let Some(len) = len(fitting + 1)
    {
        assert!(len > case.max_bytes, "one row more than {fitting} would fit {}", case.max_bytes);
    }
}

fn slice(batch: &RecordBatch, offset: usize, rows: usize) -> Option<RecordBatch> {
    built(|| Ok::<_, ()>(batch.slice(offset, rows)))
}

fn pack(packer: &Packer, batch: &RecordBatch, request: Request) -> Result<Vec<u8>, PackError> {
    let bound = packer.bind(batch, request)?;
    write(&bound, bound.encoded_len())
}

/// What `bound` writes into memory of `len` bytes, of which a sanitizer knows the end.
fn write(bound: &Bound<'_>, len: usize) -> Result<Vec<u8>, PackError> {
    let mut memory: Vec<MaybeUninit<u8>> = vec![MaybeUninit::uninit(); len];
    bound.write(&mut memory)?;
    // SAFETY: a write that succeeds has initialised every byte.
    Ok(memory.into_iter().map(|byte| unsafe { byte.assume_init() }).collect())
}

/// A column that nobody changes never looks changed, and one that keeps Arrow's rules is not corrupt.
fn is_no_excuse(error: &PackError, column: &dyn Array) {
    match error {
        PackError::Column { reason: ColumnReason::Changed, .. } => panic!("{error}"),
        PackError::Column { reason: ColumnReason::Corrupt { .. }, .. } => {
            let valid = built(|| column.to_data().validate_full());
            assert!(valid.is_none(), "{error}, but arrow-rs takes {column:?}");
        }
        _ => {}
    }
}

/// A `FieldData` holds a value for each row that is not null, and its mask says which those are.
fn is_field_data(message: &Message, options: &FieldOptions, column: &dyn Array) {
    assert_eq!(message.varint(1), u64::try_from(options.data_type).unwrap());
    let mask = message.bytes(7);
    let valid: usize = if options.nullable { mask.iter().map(|valid| usize::from(*valid)).sum() } else { column.len() };
    assert_eq!(mask.len(), if options.nullable { column.len() } else { 0 });
    if options.data_type != SPARSE_FLOAT_VECTOR && built(|| column.to_data().validate_full()).is_some() {
        // A sparse row is also null where one of its two lists is.
        assert_eq!(valid, column.len() - column.logical_null_count(), "{column:?}");
    }
    let dim = usize::try_from(options.dim).unwrap();
    let scalars = |slot| message.message(3).message(slot);
    match options.data_type {
        BOOL => assert_eq!(scalars(1).bytes(1).len(), valid),
        INT8 | INT16 | INT32 => assert_eq!(varints(&scalars(2).bytes(1)).len(), valid),
        INT64 => assert_eq!(varints(&scalars(3).bytes(1)).len(), valid),
        FLOAT => assert_eq!(scalars(4).bytes(1).len(), 4 * valid),
        DOUBLE => assert_eq!(scalars(5).bytes(1).len(), 8 * valid),
        VARCHAR | TIMESTAMPTZ => are_texts(&scalars(6), valid),
        ARRAY => assert_eq!(scalars(8).all_bytes(1).len(), valid),
        JSON => are_texts(&scalars(9), valid),
        GEOMETRY => are_texts(&scalars(12), valid),
        BINARY_VECTOR => are_vectors(message, 3, dim / 8 * valid, dim),
        FLOAT_VECTOR => {
            let vectors = message.message(4);
            assert_eq!((vectors.message(2).bytes(1).len(), vectors.varint(1)), (4 * dim * valid, dim as u64));
        }
        FLOAT16_VECTOR => are_vectors(message, 4, 2 * dim * valid, dim),
        BFLOAT16_VECTOR => are_vectors(message, 5, 2 * dim * valid, dim),
        INT8_VECTOR => are_vectors(message, 7, dim * valid, dim),
        SPARSE_FLOAT_VECTOR => are_sparse(&message.message(4).message(6), valid),
        other => panic!("data_type {other}"),
    }
}

fn are_texts(slot: &Message, valid: usize) {
    let texts = slot.all_bytes(1);
    assert_eq!(texts.len(), valid);
    assert!(texts.iter().all(|text| std::str::from_utf8(text).is_ok()));
}

fn are_vectors(message: &Message, slot: u64, bytes: usize, dim: usize) {
    let vectors = message.message(4);
    assert_eq!((vectors.bytes(slot).len(), vectors.varint(1)), (bytes, dim as u64));
}

fn are_sparse(slot: &Message, valid: usize) {
    let rows = slot.all_bytes(1);
    assert_eq!(rows.len(), valid);
    let mut dim = 0;
    for row in rows {
        let indices: Vec<u64> =
            row.chunks(8).map(|pair| u64::from(u32::from_le_bytes([pair[0], pair[1], pair[2], pair[3]]))).collect();
        assert!(row.len() % 8 == 0 && indices.windows(2).all(|pair| pair[0] < pair[1]), "{indices:?}");
        dim = dim.max(indices.last().map_or(0, |last| last + 1));
    }
    assert_eq!(slot.varint(2), dim);
}
