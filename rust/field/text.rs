//! VARCHAR, GEOMETRY and TIMESTAMPTZ as text: one length-delimited UTF-8 string for each row.

use std::ops::Range;

use arrow_array::Array;

use super::{Cells, Tally};
use crate::column::{Bytes, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::wire::{Sink, nested_len, put_head};

/// Tag of `data` in `StringArray` and `JSONArray`: field 1, length-delimited, one for each value.
pub(super) const REPEATED_DATA: u8 = 0x0a;

/// Rows whose UTF-8 is checked together, which takes a third of the time of checking strings of 100 bytes one by one.
const GROUP: usize = 32;

/// The Arrow types that text comes in.
pub(super) const TEXT_TYPES: &str = "utf8, large_utf8 or utf8_view";

/// Strings with their limit.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    bytes: Bytes<'a>,
    /// The most bytes; None where Milvus has no limit.
    max_length: Option<usize>,
}

impl<'a> Text<'a> {
    pub(crate) fn bind(array: &'a dyn Array, max_length: Option<usize>) -> Result<Self, ColumnReason> {
        let bytes = Bytes::of_text(array).ok_or_else(|| wrong_type(TEXT_TYPES, array))??;
        Ok(Self { bytes, max_length })
    }

    fn put_one(&self, row: usize, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let value = self.bytes.get(row)?;
        std::str::from_utf8(value).map_err(|_| Fault::Refused)?;
        put_head(sink, REPEATED_DATA, value.len())?;
        Ok(sink.put(value)?)
    }
}

impl Cells for Text<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let mut payload = 0;
        for row in rows {
            let len = self.bytes.len_of(row)?;
            if self.max_length.is_some_and(|limit| len > limit) {
                return Err(Fault::Refused);
            }
            payload += nested_len(len);
        }
        Ok(Tally::of(payload))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let Some((offsets, _)) = self.bytes.whole() else {
            return rows.into_iter().try_for_each(|row| self.put_one(row, sink));
        };
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start + GROUP);
            let (first, bytes) = self.bytes.contiguous(start..end)?.ok_or(Fault::Changed)?;
            let text = std::str::from_utf8(bytes).map_err(|_| Fault::Refused)?;
            for row in start..end {
                let Range { start, end } = offsets.range(row)?;
                // None also where a character is cut in two.
                let value = start.checked_sub(first).and_then(|start| text.get(start..end - first));
                let value = value.ok_or(Fault::Refused)?;
                put_head(sink, REPEATED_DATA, value.len())?;
                sink.put(value.as_bytes())?;
            }
            start = end;
        }
        Ok(())
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let value = self.bytes.get(row).ok()?;
        if let Some(limit) = self.max_length.filter(|limit| value.len() > *limit) {
            return Some(CellReason::TooLong { bytes: value.len(), limit, element: None });
        }
        let byte = std::str::from_utf8(value).err()?.valid_up_to();
        Some(CellReason::NotUtf8 { byte, element: None })
    }
}
