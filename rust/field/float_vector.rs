//! `FLOAT_VECTOR`: the rows' float32 values one after the other, exactly the memory of a C-contiguous matrix.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::{Cells, Tally};
use crate::column::{Offsets, Primitive, first_null, nulls_of, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::wire::Sink;

/// Rows of `dim` float32 values.
#[derive(Debug)]
pub(crate) struct FloatVectors<'a> {
    values: Primitive<'a, f32>,
    value_nulls: Option<NullBuffer>,
    dim: usize,
}

impl<'a> FloatVectors<'a> {
    pub(crate) fn bind(array: &'a dyn Array, dim: usize) -> Result<Self, ColumnReason> {
        let expected = || wrong_type(&format!("fixed_size_list<float32>[{dim}]"), array);
        let DataType::FixedSizeList(_, width) = array.data_type() else {
            return Err(expected());
        };
        let list = array.as_fixed_size_list();
        let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(expected)?;
        let width = usize::try_from(*width).unwrap_or(0);
        if width != dim {
            return Err(ColumnReason::WrongDim { dim, found: width });
        }
        Offsets::fixed(dim, list.len(), values.len())?;
        Ok(Self { values: Primitive::of(values), value_nulls: nulls_of(values), dim })
    }

    fn range(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.dim..rows.end * self.dim
    }
}

impl Cells for FloatVectors<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        let range = self.range(&rows);
        if first_null(self.value_nulls.as_ref(), &range).is_some() {
            return Err(Fault::Refused);
        }
        Ok(Tally::of(range.len() * size_of::<f32>()))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        put_finite(self.values.get(self.range(&rows))?, sink)
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let range = self.range(&(row..row + 1));
        if let Some(element) = first_null(self.value_nulls.as_ref(), &range) {
            return Some(CellReason::NullElement { element });
        }
        let values = self.values.get(range).ok()?;
        let element = values.iter().position(|value| !value.is_finite())?;
        Some(CellReason::NotFinite { value: f64::from(values[element]), element: Some(element) })
    }
}

/// Append the values, and say afterwards whether one of them was NaN or infinite.
///
/// Such values, and only they, have all eight exponent bits set: adding one to the exponent then carries into the
/// sign bit, which the mask has cleared. No branch and no float operation, so that the loop uses vector registers.
pub(super) fn put_finite(values: &[f32], sink: &mut Sink<'_>) -> Result<(), Fault> {
    const EXPONENT: u32 = 0x7f80_0000;
    const ONE: u32 = 0x0080_0000;
    let mut carries = 0;
    sink.put_each(values, |value| {
        carries |= (value.to_bits() & EXPONENT) + ONE;
        value.to_le_bytes()
    })?;
    if carries & 0x8000_0000 == 0 { Ok(()) } else { Err(Fault::Refused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fill_vec;

    fn put(values: &[f32]) -> Result<(), Fault> {
        fill_vec(size_of_val(values), |sink| put_finite(values, sink)).map(drop)
    }

    #[test]
    fn finds_a_bad_value_at_every_place_of_a_block() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            for place in 0..67 {
                let mut values = vec![f32::MAX; 67];
                values[place] = bad;
                assert_eq!(put(&values), Err(Fault::Refused), "{bad} at {place}");
            }
        }
    }

    #[test]
    fn takes_every_finite_value() {
        let edges = [0.0, -0.0, f32::MIN, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), f32::from_bits(0x807f_ffff)];
        assert_eq!(put(&edges), Ok(()));
        assert_eq!(put(&[]), Ok(()));
    }
}
