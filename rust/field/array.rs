//! ARRAY: one `ScalarField` for each row, in its elements' slot, the slot there even when the row is empty.

use std::ops::Range;

use arrow_array::Array;
use arrow_buffer::NullBuffer;

use super::definition::ElementKind;
use super::scalar::Finite;
use super::{Cells, Tally, Values, tag};
use crate::column::{Offsets, first_null, list_of, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::wire::{Sink, nested_len, put_head};

/// Tag of `data` in `ArrayArray`: field 1, length-delimited, one `ScalarField` for each row.
const ROW: u8 = 0x0a;

/// Rows of a list column.
#[derive(Debug)]
pub(crate) struct Lists<'a> {
    offsets: Offsets<'a>,
    elements: Box<Values<'a>>,
    element_count: usize,
    element_nulls: Option<NullBuffer>,
    element: ElementKind,
    max_capacity: usize,
}

impl<'a> Lists<'a> {
    pub(crate) fn bind(array: &'a dyn Array, element: ElementKind, max_capacity: usize) -> Result<Self, ColumnReason> {
        let unfit = |expected: &str| wrong_type(&format!("any kind of list of {expected}"), array);
        let (offsets, child) = list_of(array)?.ok_or_else(|| unfit(element.arrow_types()))?;
        let (elements, element_nulls) =
            Values::bind_scalar(child, element, Finite::Any).map_err(|reason| match reason {
                ColumnReason::WrongType { expected, .. } => unfit(&expected),
                other => other,
            })?;
        let elements = Box::new(elements);
        Ok(Self { offsets, elements, element_count: child.len(), element_nulls, element, max_capacity })
    }

    /// The elements of one row, where Milvus takes as many and none is null.
    fn row(&self, row: usize) -> Result<Range<usize>, Fault> {
        let range = self.offsets.range(row)?;
        if range.end > self.element_count {
            return Err(Fault::Changed);
        }
        if range.len() > self.max_capacity || first_null(self.element_nulls.as_ref(), &range).is_some() {
            return Err(Fault::Refused);
        }
        Ok(range)
    }

    /// The lengths of one row's `ScalarField`, of its slot's content, and of the elements' bytes.
    #[inline]
    fn lens(&self, elements: Range<usize>) -> Result<(usize, usize, usize), Fault> {
        let payload = self.elements.size(elements)?.payload;
        let content = if self.element.is_packed() && payload > 0 { nested_len(payload) } else { payload };
        Ok((nested_len(content), content, payload))
    }
}

impl Cells for Lists<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let mut payload = 0;
        for row in rows {
            let (field, ..) = self.lens(self.row(row)?)?;
            payload += nested_len(field);
        }
        Ok(Tally::of(payload))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        for row in rows {
            let elements = self.row(row)?;
            let (field, content, payload) = self.lens(elements.clone())?;
            put_head(sink, ROW, field)?;
            put_head(sink, self.element.slot(), content)?;
            if content > payload {
                put_head(sink, tag::PACKED_DATA, payload)?;
            }
            self.elements.write(elements, sink)?;
        }
        Ok(())
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let range = self.offsets.range(row).ok()?;
        if range.len() > self.max_capacity {
            return Some(CellReason::TooManyElements { found: range.len(), limit: self.max_capacity });
        }
        if let Some(element) = first_null(self.element_nulls.as_ref(), &range) {
            return Some(CellReason::NullElement { element });
        }
        let (element, reason) = range.clone().find_map(|at| Some((at - range.start, self.elements.refusal(at)?)))?;
        let element = Some(element);
        Some(match reason {
            CellReason::TooLong { bytes, limit, .. } => CellReason::TooLong { bytes, limit, element },
            CellReason::NotUtf8 { byte, .. } => CellReason::NotUtf8 { byte, element },
            other => other,
        })
    }
}
