//! `InsertRequest` and `UpsertRequest` from one record batch.
//!
//! ```text
//! 12 db_name  1a collection_name  22 partition_name  2a fields_data ...  38 num_rows  40 schema_timestamp
//! 48 partial_update (upsert only; in an insert, field 9 is the namespace)
//! ```
//!
//! Field numbers are those of `milvus.proto` (milvus-proto 2.6; older servers skip 8 and 9).

use std::collections::{BTreeMap, HashSet};
use std::mem::MaybeUninit;
use std::sync::LazyLock;

use arrow_array::{Array, RecordBatch};

use crate::error::{CellReason, ColumnReason, Fault, PackError};
use crate::field::{Column, Field, Tally};
use crate::wire::{Frame, MAX_MESSAGE_LEN, Sink, bytes_field, fill_vec, nested_len, put_head, varint_field};

mod tag {
    pub(super) const DB_NAME: u8 = 0x12;
    pub(super) const COLLECTION_NAME: u8 = 0x1a;
    pub(super) const PARTITION_NAME: u8 = 0x22;
    pub(super) const FIELDS_DATA: u8 = 0x2a;
    pub(super) const NUM_ROWS: u8 = 0x38;
    pub(super) const SCHEMA_TIMESTAMP: u8 = 0x40;
    pub(super) const PARTIAL_UPDATE: u8 = 0x48;
}

/// Rows measured together while looking for how many fit.
const FIT_STEP: usize = 1024;

/// Where the rows go, and which names the dynamic field must leave alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The collection.
    pub collection: String,
    /// The database; empty for the connection's own.
    pub db: String,
    /// The partition; empty for the default one.
    pub partition: String,
    /// Fields that are declared but not sent (keys the server makes, function outputs).
    pub declared: Vec<String>,
}

/// What differs between two requests with the same rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// The schema's version as the server reported it (2.6); 0 leaves it out.
    pub schema_timestamp: u64,
    /// Upsert only the columns that are sent (2.6.2). Only valid in an `UpsertRequest`.
    pub partial_update: bool,
}

/// Packs record batches for one collection. Built once, used from any thread.
#[derive(Debug)]
pub struct Packer {
    fields: Vec<Field>,
    declared: HashSet<String>,
    head: Vec<u8>,
}

impl Packer {
    /// A packer for batches with exactly these fields as columns.
    ///
    /// # Errors
    ///
    /// [`PackError::Column`] where there is no collection name or no field, or a field stands twice.
    pub fn new(fields: Vec<Field>, names: &Names) -> Result<Self, PackError> {
        let mut declared: HashSet<String> = names.declared.iter().cloned().collect();
        for (at, field) in fields.iter().enumerate() {
            if fields[..at].iter().any(|other| other.name() == field.name()) {
                return Err(PackError::column(field.name(), ColumnReason::Twice));
            }
            declared.insert(field.name().to_owned());
        }
        if names.collection.is_empty() || fields.is_empty() {
            let reason = ColumnReason::Definition {
                expected: "a collection name and at least one field".into(),
                found: format!("'{}' and {} fields", names.collection, fields.len()),
                remedy: "name the collection and its fields",
            };
            return Err(PackError::column("", reason));
        }
        let mut head = Vec::new();
        let parts = [
            (tag::DB_NAME, &names.db),
            (tag::COLLECTION_NAME, &names.collection),
            (tag::PARTITION_NAME, &names.partition),
        ];
        for (tag, name) in parts {
            if !name.is_empty() {
                head.extend(bytes_field(tag, name.as_bytes()));
            }
        }
        Ok(Self { fields, declared, head })
    }

    /// The fields, in the order in which they are written.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Check and measure `batch`: everything but what only the write pass looks at.
    ///
    /// # Errors
    ///
    /// [`PackError::Column`] where columns and fields do not fit, [`PackError::Cell`] for the first refused cell.
    pub fn bind<'a>(&'a self, batch: &'a RecordBatch, request: Request) -> Result<Bound<'a>, PackError> {
        Bound::measure(&self.head, Some(tag::FIELDS_DATA), self.columns(batch)?, tail(batch.num_rows(), request))
    }

    /// The bytes of one request, in a vector of exactly that size.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind) and [`Bound::write`].
    pub fn pack(&self, batch: &RecordBatch, request: Request) -> Result<Vec<u8>, PackError> {
        self.bind(batch, request)?.to_vec()
    }

    /// How many rows from `offset` make a request of at most `max_bytes`, any schema timestamp and the flag for partial
    /// updates included. At least 1 where rows remain, 0 where none do.
    ///
    /// # Errors
    ///
    /// [`PackError::Column`] where columns and fields do not fit, [`PackError::Cell`] for a cell whose size is refused.
    pub fn fit(&self, batch: &RecordBatch, offset: usize, max_bytes: usize) -> Result<usize, PackError> {
        let remaining = batch.num_rows().saturating_sub(offset);
        if remaining == 0 {
            return Ok(0);
        }
        let columns = self.columns(batch)?;
        let largest = Request { schema_timestamp: u64::MAX, partial_update: true };
        let mut tallies = vec![Tally::default(); columns.len()];
        let mut fitting = 0;
        let mut step = FIT_STEP;
        while fitting < remaining {
            step = step.min(remaining - fitting);
            let mut wider = tallies.clone();
            let mut len = self.head.len() + tail(fitting + step, largest).len();
            for (column, tally) in columns.iter().zip(&mut wider) {
                let start = offset + fitting;
                *tally += column.tally(start..start + step).map_err(|fault| explain(fault, &columns))?;
                len += nested_len(column.frame(*tally, fitting + step).len());
            }
            if len <= max_bytes {
                fitting += step;
                tallies = wider;
            } else if step == 1 {
                break;
            } else {
                step /= 2;
            }
        }
        Ok(fitting.max(1))
    }

    /// The first refused cell of each refused row, rows ascending.
    ///
    /// # Errors
    ///
    /// [`PackError::Column`] where columns and fields do not fit.
    pub fn check<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<(usize, &'a str, CellReason)>, PackError> {
        Ok(refusals(&self.columns(batch)?, usize::MAX))
    }

    fn columns<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Column<'a>>, PackError> {
        let schema = batch.schema_ref();
        for (at, column) in schema.fields().iter().enumerate() {
            let name = column.name();
            if schema.fields()[..at].iter().any(|other| other.name() == name) {
                return Err(PackError::column(name, ColumnReason::Twice));
            }
            if !self.fields.iter().any(|field| field.name() == name) {
                let names: Vec<_> = self.fields.iter().map(|field| format!("'{}'", field.name())).collect();
                return Err(PackError::column(name, ColumnReason::Unknown { fields: names.join(", ") }));
            }
        }
        let bind = |field: &'a Field| {
            let array = batch
                .column_by_name(field.name())
                .ok_or_else(|| PackError::column(field.name(), ColumnReason::Missing))?;
            Column::bind(field, array, &self.declared)
        };
        self.fields.iter().map(bind).collect()
    }
}

/// Measure a column to be written as one `schema.FieldData`.
///
/// # Errors
///
/// As [`Packer::bind`].
pub fn bind_field<'a>(field: &'a Field, array: &'a dyn Array) -> Result<Bound<'a>, PackError> {
    static NONE: LazyLock<HashSet<String>> = LazyLock::new(HashSet::new);
    Bound::measure(&[], None, vec![Column::bind(field, array, &NONE)?], Vec::new())
}

/// Columns that were measured and can be written, as often as wanted.
#[derive(Debug)]
pub struct Bound<'a> {
    head: &'a [u8],
    /// The tag that each column stands under; None for one column by itself.
    column_tag: Option<u8>,
    columns: Vec<Column<'a>>,
    frames: Vec<Frame>,
    tail: Vec<u8>,
    encoded_len: usize,
}

impl<'a> Bound<'a> {
    fn measure(
        head: &'a [u8],
        column_tag: Option<u8>,
        columns: Vec<Column<'a>>,
        tail: Vec<u8>,
    ) -> Result<Self, PackError> {
        let mut frames = Vec::with_capacity(columns.len());
        let mut encoded_len = head.len() + tail.len();
        for column in &columns {
            let rows = column.rows();
            let tally = column.tally(0..rows).map_err(|fault| explain(fault, &columns))?;
            let frame = column.frame(tally, rows);
            encoded_len += if column_tag.is_some() { nested_len(frame.len()) } else { frame.len() };
            frames.push(frame);
        }
        if encoded_len > MAX_MESSAGE_LEN {
            return Err(PackError::column("", ColumnReason::TooLarge { bytes: encoded_len }));
        }
        Ok(Self { head, column_tag, columns, frames, tail, encoded_len })
    }

    /// The exact size of what [`write`](Self::write) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// Write everything into `memory`, which is of exactly that size. All of it is initialised where this returns `Ok`.
    ///
    /// # Errors
    ///
    /// [`PackError::Cell`] for the first refused cell; [`ColumnReason::Changed`] where the source no longer has the
    /// size that was measured; [`ColumnReason::NoRows`] for a request without rows, which can be measured only.
    pub fn write(&self, memory: &mut [MaybeUninit<u8>]) -> Result<(), PackError> {
        self.check_rows()?;
        Sink::fill(memory, |sink| self.write_all(sink)).map_err(|fault| explain(fault, &self.columns))
    }

    /// Everything in a vector of its own.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn to_vec(&self) -> Result<Vec<u8>, PackError> {
        self.check_rows()?;
        fill_vec(self.encoded_len, |sink| self.write_all(sink)).map_err(|fault| explain(fault, &self.columns))
    }

    fn check_rows(&self) -> Result<(), PackError> {
        if self.column_tag.is_some() && self.columns.iter().all(|column| column.rows() == 0) {
            return Err(PackError::column("", ColumnReason::NoRows));
        }
        Ok(())
    }

    fn write_all(&self, sink: &mut Sink<'_>) -> Result<(), Fault> {
        sink.put(self.head)?;
        for (column, frame) in self.columns.iter().zip(&self.frames) {
            if let Some(tag) = self.column_tag {
                put_head(sink, tag, frame.len())?;
            }
            column.write(frame, sink)?;
        }
        Ok(sink.put(&self.tail)?)
    }
}

/// What follows the columns.
fn tail(rows: usize, request: Request) -> Vec<u8> {
    let parts = [
        (tag::NUM_ROWS, rows as u64),
        (tag::SCHEMA_TIMESTAMP, request.schema_timestamp),
        (tag::PARTIAL_UPDATE, u64::from(request.partial_update)),
    ];
    parts.into_iter().filter(|(_, value)| *value != 0).flat_map(|(tag, value)| varint_field(tag, value)).collect()
}

/// The error for a fault of a fast pass: the first refused cell, found by the slow pass.
fn explain(fault: Fault, columns: &[Column<'_>]) -> PackError {
    let refused = if fault == Fault::Refused { refusals(columns, 1) } else { Vec::new() };
    match refused.into_iter().next() {
        Some((row, field, reason)) => PackError::cell(row, field, reason),
        None => PackError::column("", ColumnReason::Changed),
    }
}

/// The first refused cell of each of the first `limit` refused rows.
fn refusals<'a>(columns: &[Column<'a>], limit: usize) -> Vec<(usize, &'a str, CellReason)> {
    let mut found = BTreeMap::new();
    for column in columns {
        // A row past the last one wanted cannot be among the first.
        let rows = match found.last_key_value() {
            Some((last, _)) if found.len() >= limit => *last,
            _ => column.rows(),
        };
        for row in 0..rows {
            if let Some(reason) = column.refusal(row) {
                found.entry(row).or_insert((column.field().name(), reason));
                if limit == 1 {
                    found.retain(|kept, _| *kept <= row);
                    break;
                }
            }
        }
    }
    found.into_iter().map(|(row, (field, reason))| (row, field, reason)).collect()
}
