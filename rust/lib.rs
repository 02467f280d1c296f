//! Packs Arrow columns into Milvus request bytes.
//!
//! A [`Packer`] is built once for a collection; it turns record batches into the bytes of an `InsertRequest` or
//! `UpsertRequest`. Packing is two passes over the columns: the first checks types, offsets and lengths and gives
//! the exact size, the second checks what is left (finite floats, UTF-8, JSON, sparse order) and writes into memory
//! of that size. Nothing is copied in between.
//!
//! ```
//! use std::sync::Arc;
//! use arrow_array::{ArrayRef, Int64Array, RecordBatch};
//! use headrace_core::{Field, FieldOptions, Names, Packer, Request};
//!
//! let id = Field::new("id", FieldOptions { data_type: 5, ..FieldOptions::default() })?;
//! let packer = Packer::new(vec![id], &Names { collection: "c".into(), ..Names::default() })?;
//! let ids = Arc::new(Int64Array::from(vec![1, -1])) as ArrayRef;
//! let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
//! let bytes = packer.pack(&batch, Request::default())?;
//! assert_eq!(bytes.len(), packer.bind(&batch, Request::default())?.encoded_len());
//! # Ok::<(), headrace_core::PackError>(())
//! ```
//!
//! Each module knows only those before it: [`error`], [`wire`] (protobuf, no Milvus), `json`, `column` (views of
//! Arrow arrays), [`field`] (one Milvus data type, one size function, one write function), [`request`], and behind the
//! feature `python` the binding. [`reply`], the way back, knows only [`wire`]. There is no I/O, no clock and no thread in
//! here. What writes is safe code; `unsafe` are only the two functions that lend it memory which is not initialised,
//! [`wire::fill_vec`] and one in the binding, and one there that borrows a list's numbers.

#![deny(unsafe_code)]
#![deny(missing_docs)]
#![warn(clippy::pedantic)]
#![allow(
    clippy::module_name_repetitions,
    reason = "`FieldOptions` reads better than `field::Options` where both are imported"
)]
#![allow(
    clippy::needless_bitwise_bool,
    reason = "a branch inside a hot loop would keep it from using vector registers"
)]

// Packed floats are the memory of the source: protobuf is little endian, and so must be the machine.
#[cfg(target_endian = "big")]
compile_error!("headrace packs floats by copying memory and needs a little-endian target");

mod column;
pub mod error;
pub mod field;
mod json;
#[cfg(feature = "python")]
mod py;
pub mod reply;
pub mod request;
pub mod wire;

pub use error::{CellReason, ColumnReason, PackError};
pub use field::{Field, FieldOptions};
pub use request::{Bound, Names, Packer, Request, bind_field};
pub use wire::{Sink, SizeMismatch};
