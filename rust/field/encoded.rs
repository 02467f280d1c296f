//! Values of a dictionary or of runs: each row looks its value up, and nothing is unpacked.

use std::ops::Range;

use super::{Cells, Tally};
use crate::column::Keys;
use crate::error::{CellReason, Fault};
use crate::wire::Sink;

/// Rows that have the values of other cells.
#[derive(Debug)]
pub(crate) struct Lookup<C> {
    keys: Keys,
    cells: C,
}

impl<C: Cells> Lookup<C> {
    pub(crate) fn new(keys: Keys, cells: C) -> Self {
        Self { keys, cells }
    }

    fn cell(&self, row: usize) -> Range<usize> {
        let at = self.keys.get(row);
        at..at + 1
    }
}

impl<C: Cells> Cells for Lookup<C> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let mut tally = Tally::default();
        for row in rows {
            tally += self.cells.size(self.cell(row))?;
        }
        Ok(tally)
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        rows.into_iter().try_for_each(|row| self.cells.write(self.cell(row), sink))
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        self.cells.refusal(self.keys.get(row))
    }
}
