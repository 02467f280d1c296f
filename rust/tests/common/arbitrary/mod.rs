//! Record batches of every Arrow layout from a fuzzer's bytes: valid ones, and such as contradict themselves.
//!
//! Arrays are built as the C data interface builds them: without validation, by `make_array`, which answers a part of
//! the contradictions with a panic of its own. Buffers are exactly as large as they have to be, so that a sanitizer
//! sees each read past the end.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "any bits will do as input"
)]

mod data;
mod types;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_schema::{Field as ArrowField, Schema};
use headrace_core::{FieldOptions, Names, Request};

use super::{
    ARRAY, BFLOAT16_VECTOR, BINARY_VECTOR, BOOL, DATA_TYPES, DOUBLE, FLOAT, FLOAT_VECTOR, FLOAT16_VECTOR, INT8,
    INT8_VECTOR, INT16, INT32, INT64, JSON, VARCHAR,
};
use types::has_lists;

thread_local! {
    static BUILDING: Cell<bool> = const { Cell::new(false) };
}

/// Lets panics of arrow-rs while it builds an array that contradicts itself pass in silence: they are no finding.
pub fn silence_arrow() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !BUILDING.get() {
            hook(info);
        }
    }));
}

/// What `build` makes, or None where arrow-rs refuses with an error or a panic.
pub fn built<T, E>(build: impl FnOnce() -> Result<T, E>) -> Option<T> {
    BUILDING.set(true);
    let made = panic::catch_unwind(AssertUnwindSafe(build));
    BUILDING.set(false);
    made.ok()?.ok()
}

/// Fields, a batch for them, and what to ask for.
#[derive(Debug)]
pub struct Case {
    pub fields: Vec<(String, FieldOptions)>,
    pub names: Names,
    pub batch: RecordBatch,
    pub request: Request,
    pub offset: usize,
    pub max_bytes: usize,
    /// Bytes that the memory for a request is too short.
    pub lacking: usize,
    /// What is written into the memory of the columns once they are measured: which part, where in it, the bytes.
    pub changes: Vec<(usize, usize, Vec<u8>)>,
}

impl Case {
    /// The case that `input` stands for; None where arrow-rs does not build its arrays.
    pub fn of(input: &[u8]) -> Option<Self> {
        let mut source = Source { input: Unstructured::new(input), lies: false };
        source.lies = source.one_in(2);
        let rows = match source.byte() % 64 {
            63 => 1000 + source.up_to(1500),
            1..=16 => source.up_to(80),
            _ => source.up_to(12),
        };
        let fields: Vec<_> = (0..=source.up_to(2)).map(|at| source.field(at)).collect();
        let batch = source.batch(&fields, rows)?;
        let names = Names { collection: "c".into(), declared: vec!["declared".into()], ..Names::default() };
        let request = Request { schema_timestamp: source.draw(), partial_update: source.one_in(2) };
        let offset = source.up_to(rows + 1);
        let max_bytes = usize::from(source.draw::<u16>());
        let lacking = source.up_to(40);
        let changes = (0..source.up_to(3)).map(|_| source.change()).collect();
        Some(Self { fields, names, batch, request, offset, max_bytes, lacking, changes })
    }
}

/// Choices out of a fuzzer's bytes; all of them are the first choice when the bytes have run out.
struct Source<'u> {
    input: Unstructured<'u>,
    /// Whether parts of arrays may contradict each other.
    lies: bool,
}

impl Source<'_> {
    fn draw<T: for<'a> Arbitrary<'a> + Default>(&mut self) -> T {
        self.input.arbitrary().unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.draw()
    }

    fn up_to(&mut self, most: usize) -> usize {
        self.input.int_in_range(0..=most).unwrap_or_default()
    }

    fn one_in(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    fn lie(&mut self) -> bool {
        self.lies && self.one_in(16)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.up_to(from.len() - 1)].clone()
    }

    fn change(&mut self) -> (usize, usize, Vec<u8>) {
        let (part, at, byte) = (self.byte().into(), self.draw::<u16>().into(), self.byte());
        let len = self.pick(&[1, 4, 8, 64, 1000]);
        (part, at, if self.one_in(2) { vec![byte; len] } else { self.numbers(len, |value| value as u8).to_vec() })
    }

    fn field(&mut self, at: usize) -> (String, FieldOptions) {
        let data_type = if self.one_in(64) { self.draw() } else { self.pick(&DATA_TYPES) };
        let mut options = FieldOptions { data_type, nullable: self.one_in(2), ..FieldOptions::default() };
        let mut name = format!("f{at}");
        match data_type {
            VARCHAR => options.max_length = 64,
            ARRAY => {
                options.element_type = self.pick(&[BOOL, INT8, INT16, INT32, INT64, FLOAT, DOUBLE, VARCHAR]);
                options.max_capacity = 4;
                options.max_length = if options.element_type == VARCHAR { 64 } else { 0 };
            }
            BINARY_VECTOR => options.dim = 8 * (1 + i64::from(self.byte() % 4)),
            FLOAT_VECTOR | FLOAT16_VECTOR | BFLOAT16_VECTOR | INT8_VECTOR => {
                options.dim = 1 + i64::from(self.byte() % 9);
            }
            JSON if self.one_in(2) => {
                (name, options.is_dynamic, options.nullable) = ("$meta".to_owned(), true, false);
            }
            _ => {}
        }
        if self.one_in(64) {
            let wild = self.draw();
            match self.byte() % 4 {
                0 => options.dim = wild,
                1 => options.max_length = wild,
                2 => options.max_capacity = wild,
                _ => options.is_dynamic = !options.is_dynamic,
            }
        }
        (name, options)
    }

    fn batch(&mut self, fields: &[(String, FieldOptions)], rows: usize) -> Option<RecordBatch> {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (name, options) in fields {
            let name = if self.one_in(64) { self.pick(&["f0", "f9", ""]).to_owned() } else { name.clone() };
            columns.push((name, self.column(options, rows)?));
        }
        columns.rotate_left(usize::from(fields.len() > 1 && self.one_in(2)));
        let described = |(name, column): &(String, ArrayRef)| ArrowField::new(name, column.data_type().clone(), true);
        let schema = Schema::new(columns.iter().map(described).collect::<Vec<_>>());
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        RecordBatch::try_new(Arc::new(schema), columns).ok()
    }

    fn column(&mut self, options: &FieldOptions, rows: usize) -> Option<ArrayRef> {
        let data_type = self.column_type(options);
        let dim = usize::try_from(options.dim).unwrap_or(0).min(64);
        let row = match options.data_type {
            BINARY_VECTOR => Some(dim / 8),
            FLOAT16_VECTOR | BFLOAT16_VECTOR if !has_lists(&data_type) => Some(2 * dim),
            _ => (dim > 0).then_some(dim),
        };
        let (before, after) = (self.up_to(2), self.up_to(2));
        let array = built(|| Ok::<_, ()>(make_array(self.data(&data_type, before + rows + after, row))))?;
        built(|| Ok::<_, ()>(array.slice(before, rows)))
    }
}
