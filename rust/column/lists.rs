//! Where each row of a list column lies in its child.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

use crate::error::{ColumnReason, Fault};

/// A list column's rows and child, whatever the kind of list; None for every other type.
pub(crate) fn list_of(array: &dyn Array) -> Result<Option<(Offsets<'_>, &ArrayRef)>, ColumnReason> {
    Ok(Some(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (Offsets::small(list.value_offsets(), list.values().len())?, list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (Offsets::large(list.value_offsets(), list.values().len())?, list.values())
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            let (starts, sizes) = (list.value_offsets(), list.value_sizes());
            check_views(starts, sizes, list.values().len())?;
            (Offsets::SmallViews { starts, sizes }, list.values())
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            let (starts, sizes) = (list.value_offsets(), list.value_sizes());
            check_views(starts, sizes, list.values().len())?;
            (Offsets::LargeViews { starts, sizes }, list.values())
        }
        DataType::FixedSizeList(_, width) => {
            let list = array.as_fixed_size_list();
            let width = usize::try_from(*width).unwrap_or(0);
            (Offsets::fixed(width, list.len(), list.values().len())?, list.values())
        }
        _ => return Ok(None),
    }))
}

/// Where each row of a list or string column begins and ends in its child.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Offsets<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
    SmallViews { starts: &'a [i32], sizes: &'a [i32] },
    LargeViews { starts: &'a [i64], sizes: &'a [i64] },
    Fixed { width: usize, rows: usize },
}

impl<'a> Offsets<'a> {
    /// 32-bit offsets into a child of `child_len` values.
    pub(crate) fn small(offsets: &'a [i32], child_len: usize) -> Result<Self, ColumnReason> {
        check_offsets(offsets, child_len)?;
        Ok(Self::Small(offsets))
    }

    /// 64-bit offsets into a child of `child_len` values.
    pub(crate) fn large(offsets: &'a [i64], child_len: usize) -> Result<Self, ColumnReason> {
        check_offsets(offsets, child_len)?;
        Ok(Self::Large(offsets))
    }

    /// Rows of `width` values each.
    pub(crate) fn fixed(width: usize, rows: usize, child_len: usize) -> Result<Self, ColumnReason> {
        if width.checked_mul(rows).is_none_or(|needed| needed > child_len) {
            return Err(ColumnReason::Corrupt {
                expected: format!("{rows} lists of {width} values"),
                found: format!("{child_len} values"),
            });
        }
        Ok(Self::Fixed { width, rows })
    }

    /// The child's range of one row. The caller still checks it against the child.
    #[inline]
    pub(crate) fn range(&self, row: usize) -> Result<Range<usize>, Fault> {
        match *self {
            Self::Small(offsets) => bounds(offsets, row),
            Self::Large(offsets) => bounds(offsets, row),
            Self::SmallViews { starts, sizes } => view(starts, sizes, row),
            Self::LargeViews { starts, sizes } => view(starts, sizes, row),
            Self::Fixed { width, rows } => {
                if row < rows {
                    Ok(row * width..(row + 1) * width)
                } else {
                    Err(Fault::Changed)
                }
            }
        }
    }

    /// Calls `act` with the child's ranges of `rows` in order, adjoining rows together: one range for all rows where
    /// the layout keeps them side by side. The caller still checks the ranges against the child.
    pub(crate) fn for_each_span(
        &self,
        rows: Range<usize>,
        mut act: impl FnMut(Range<usize>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        if !matches!(self, Self::SmallViews { .. } | Self::LargeViews { .. }) {
            let (first, last) = (self.range(rows.start)?, self.range(rows.end - 1)?);
            return if first.start <= last.end { act(first.start..last.end) } else { Err(Fault::Changed) };
        }
        let mut span = self.range(rows.start)?;
        for row in rows.start + 1..rows.end {
            let next = self.range(row)?;
            if next.start == span.end {
                span.end = next.end;
            } else {
                act(std::mem::replace(&mut span, next))?;
            }
        }
        act(span)
    }
}

#[inline]
fn bounds<O: ArrowNativeType>(offsets: &[O], row: usize) -> Result<Range<usize>, Fault> {
    let (Some(start), Some(end)) = (offsets.get(row), offsets.get(row + 1)) else {
        return Err(Fault::Changed);
    };
    match (start.to_usize(), end.to_usize()) {
        (Some(start), Some(end)) if start <= end => Ok(start..end),
        _ => Err(Fault::Changed),
    }
}

#[inline]
fn view<O: ArrowNativeType>(starts: &[O], sizes: &[O], row: usize) -> Result<Range<usize>, Fault> {
    let (Some(start), Some(size)) = (starts.get(row), sizes.get(row)) else {
        return Err(Fault::Changed);
    };
    match (start.to_usize(), size.to_usize()) {
        (Some(start), Some(size)) => Ok(start..start.checked_add(size).ok_or(Fault::Changed)?),
        _ => Err(Fault::Changed),
    }
}

fn check_offsets<O: ArrowNativeType + Into<i64>>(offsets: &[O], child_len: usize) -> Result<(), ColumnReason> {
    // Without rows nothing is looked up, and the C interface gives an empty child whatever the one offset says.
    let [first, .., last] = offsets else {
        return Ok(());
    };
    let ascending = offsets.windows(2).fold(true, |ascending, pair| ascending & (pair[0] <= pair[1]));
    let (first, last) = ((*first).into(), (*last).into());
    if ascending && first >= 0 && usize::try_from(last).is_ok_and(|last| last <= child_len) {
        return Ok(());
    }
    Err(ColumnReason::Corrupt {
        expected: format!("ascending offsets between 0 and {child_len}"),
        found: if ascending { format!("offsets from {first} to {last}") } else { "descending offsets".to_owned() },
    })
}

fn check_views<O: ArrowNativeType>(starts: &[O], sizes: &[O], child_len: usize) -> Result<(), ColumnReason> {
    let outside = |row: &usize| view(starts, sizes, *row).map_or(true, |range| range.end > child_len);
    match (0..starts.len()).find(outside) {
        None => Ok(()),
        Some(row) => Err(ColumnReason::Corrupt {
            expected: format!("list views between 0 and {child_len}"),
            found: match (starts.get(row), sizes.get(row)) {
                (Some(start), Some(size)) => format!("offset {start:?} and size {size:?} in row {row}"),
                _ => format!("{} offsets and {} sizes", starts.len(), sizes.len()),
            },
        }),
    }
}
