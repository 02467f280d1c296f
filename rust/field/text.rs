//! VARCHAR, TEXT, GEOMETRY and TIMESTAMPTZ as text: one length-delimited UTF-8 string for each row.

use std::ops::Range;

use arrow_array::Array;
use arrow_buffer::ArrowNativeType;

use super::{Cells, Tally};
use crate::column::{Bytes, Offsets, wrong_type};
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
    pub(crate) fn bind(array: &'a dyn Array, max_length: Option<usize>, types: &str) -> Result<Self, ColumnReason> {
        let bytes = Bytes::of_text(array).ok_or_else(|| wrong_type(types, array))??;
        Ok(Self { bytes, max_length })
    }
}

/// The bytes that `put_texts` appends; refused where a value is longer than `limit`.
pub(super) fn texts_len(bytes: &Bytes<'_>, rows: Range<usize>, limit: usize) -> Result<usize, Fault> {
    let together = match bytes.whole() {
        Some((Offsets::Small(offsets), _)) => lens_together(offsets, &rows, limit),
        Some((Offsets::Large(offsets), _)) => lens_together(offsets, &rows, limit),
        _ => None,
    };
    if let Some(len) = together {
        return Ok(len);
    }
    let mut total = 0;
    for row in rows {
        let len = bytes.len_of(row)?;
        if len > limit {
            return Err(Fault::Refused);
        }
        total += nested_len(len);
    }
    Ok(total)
}

/// As `texts_len`, without a branch for each value; None where one is refused or longer than two megabytes.
fn lens_together<O: ArrowNativeType>(offsets: &[O], rows: &Range<usize>, limit: usize) -> Option<usize> {
    /// Lengths from which on a varint has two bytes, three, and four.
    const TWO: usize = 1 << 7;
    const THREE: usize = 1 << 14;
    const FOUR: usize = 1 << 21;
    let limit = limit.min(FOUR - 1);
    let offsets = offsets.get(rows.start..=rows.end)?;
    let (mut total, mut refused) = (0_usize, false);
    for (start, end) in offsets.iter().zip(&offsets[1..]) {
        let len = end.as_usize().wrapping_sub(start.as_usize());
        refused |= len > limit;
        total = total.wrapping_add(2 + usize::from(len >= TWO) + usize::from(len >= THREE)).wrapping_add(len);
    }
    (!refused).then_some(total)
}

/// Append values that are UTF-8 and that `check` takes. It gets bytes and how many of them, from the first, are the value:
/// what follows are other values.
pub(super) fn put_texts(
    bytes: &Bytes<'_>,
    rows: Range<usize>,
    sink: &mut Sink<'_>,
    check: impl Fn(&[u8], usize) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Some((offsets, data)) = bytes.whole() else {
        return rows.into_iter().try_for_each(|row| {
            let value = bytes.get(row)?;
            simdutf8::basic::from_utf8(value).map_err(|_| Fault::Refused)?;
            check(value, value.len())?;
            put_value(value, sink)
        });
    };
    let mut start = rows.start;
    while start < rows.end {
        let end = rows.end.min(start + GROUP);
        let first = offsets.range(start)?.start;
        let group = data.get(first..offsets.range(end - 1)?.end).ok_or(Fault::Changed)?;
        let group = simdutf8::basic::from_utf8(group).map_err(|_| Fault::Refused)?;
        for row in start..end {
            let Range { start, end } = offsets.range(row)?;
            let text =
                start.checked_sub(first).and_then(|start| group.as_bytes().get(start..)).ok_or(Fault::Changed)?;
            let value = text.get(..end - start).ok_or(Fault::Changed)?;
            // The end is the next value's start.
            if !group.is_char_boundary(start - first) {
                return Err(Fault::Refused);
            }
            check(text, value.len())?;
            put_value(value, sink)?;
        }
        start = end;
    }
    Ok(())
}

#[inline]
fn put_value(value: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
    put_head(sink, REPEATED_DATA, value.len())?;
    Ok(sink.put(value)?)
}

impl Cells for Text<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        texts_len(&self.bytes, rows, self.max_length.unwrap_or(usize::MAX)).map(Tally::of)
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        put_texts(&self.bytes, rows, sink, |_, _| Ok(()))
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
