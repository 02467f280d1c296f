//! TIMESTAMPTZ from Arrow timestamps: ISO 8601 text, the form in which Milvus takes it.
//!
//! ```text
//! timestamp[us, any zone]   2026-08-01T12:00:00.000001Z     Arrow keeps the instant in UTC, whatever the zone
//! timestamp[us]             2026-08-01T12:00:00.000001      without offset: Milvus takes the collection's time zone
//! ```

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_schema::{DataType, TimeUnit};

use super::text::REPEATED_DATA;
use super::{Cells, Tally};
use crate::column::{Primitive, unit_name};
use crate::error::{CellReason, Fault};
use crate::wire::{Sink, nested_len, put_head};

/// The Arrow types that instants come in.
pub(super) const TIMESTAMPTZ_TYPES: &str = "utf8, large_utf8, utf8_view or timestamp";

const MICROS_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00 and 10000-01-01T00:00:00, in seconds since 1970.
const FIRST_SECOND: i64 = -62_135_596_800;
const END_SECOND: i64 = 253_402_300_800;

/// Instants as their texts, all of one length.
#[derive(Debug)]
pub(crate) struct Timestamps<'a> {
    values: Primitive<'a, i64>,
    unit: TimeUnit,
    zoned: bool,
}

impl<'a> Timestamps<'a> {
    /// A view of a timestamp array; None for every other type.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Self> {
        let DataType::Timestamp(unit, zone) = array.data_type() else {
            return None;
        };
        let values = match unit {
            TimeUnit::Second => Primitive::of(array.as_primitive::<TimestampSecondType>()),
            TimeUnit::Millisecond => Primitive::of(array.as_primitive::<TimestampMillisecondType>()),
            TimeUnit::Microsecond => Primitive::of(array.as_primitive::<TimestampMicrosecondType>()),
            TimeUnit::Nanosecond => Primitive::of(array.as_primitive::<TimestampNanosecondType>()),
        };
        Some(Self { values, unit: *unit, zoned: zone.is_some() })
    }

    fn text_len(&self) -> usize {
        let fraction = match self.unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 4,
            TimeUnit::Microsecond | TimeUnit::Nanosecond => 7,
        };
        "0001-01-01T00:00:00".len() + fraction + usize::from(self.zoned)
    }

    /// Seconds since 1970 and microseconds, where the value has an exact text.
    fn split(&self, value: i64) -> Option<(i64, i64)> {
        let (seconds, micros) = match self.unit {
            TimeUnit::Second => (value, 0),
            TimeUnit::Millisecond => (value.div_euclid(1_000), value.rem_euclid(1_000) * 1_000),
            TimeUnit::Microsecond => (value.div_euclid(MICROS_A_SECOND), value.rem_euclid(MICROS_A_SECOND)),
            TimeUnit::Nanosecond if value % 1_000 != 0 => return None,
            TimeUnit::Nanosecond => {
                let micros = value / 1_000;
                (micros.div_euclid(MICROS_A_SECOND), micros.rem_euclid(MICROS_A_SECOND))
            }
        };
        (FIRST_SECOND..END_SECOND).contains(&seconds).then_some((seconds, micros))
    }

    /// The text of one value, in the first [`text_len`](Self::text_len) bytes.
    fn text(&self, value: i64) -> Option<[u8; 27]> {
        let (seconds, micros) = self.split(value)?;
        let (year, month, day) = civil(seconds.div_euclid(SECONDS_A_DAY));
        let second = seconds.rem_euclid(SECONDS_A_DAY);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        put_digits(&mut text[0..4], year);
        put_digits(&mut text[5..7], month);
        put_digits(&mut text[8..10], day);
        put_digits(&mut text[11..13], second / 3_600);
        put_digits(&mut text[14..16], second / 60 % 60);
        put_digits(&mut text[17..19], second % 60);
        put_digits(&mut text[20..26], micros);
        if self.zoned {
            text[self.text_len() - 1] = b'Z';
        }
        Some(text)
    }
}

impl Cells for Timestamps<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        Ok(Tally::of(rows.len() * nested_len(self.text_len())))
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let len = self.text_len();
        for value in self.values.get(rows)? {
            let text = self.text(*value).ok_or(Fault::Refused)?;
            put_head(sink, REPEATED_DATA, len)?;
            sink.put(&text[..len])?;
        }
        Ok(())
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        let value = *self.values.get(row..row + 1).ok()?.first()?;
        self.split(value).is_none().then_some(CellReason::NotATimestamp { value, unit: unit_name(self.unit) })
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that a leap day ends one: months then begin at fixed days.
const fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_400_YEARS: i64 = 146_097;
    const MARCH_0000: i64 = -719_468;
    let since_march = day - MARCH_0000;
    let era = since_march.div_euclid(DAYS_400_YEARS);
    let of_era = since_march.rem_euclid(DAYS_400_YEARS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + (month <= 2) as i64, month, day)
}

/// `value` in decimal, filling `target` from its end.
fn put_digits(target: &mut [u8], mut value: i64) {
    for digit in target.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (-719_162, (1, 1, 1)),
            (2_932_896, (9999, 12, 31)),
            (-25_508, (1900, 3, 1)),
            (-25_509, (1900, 2, 28)),
        ] {
            assert_eq!(civil(day), date);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = civil(-719_162);
        for day in -719_161..=2_932_896 {
            let date = civil(day);
            let next_day = date.0 == before.0 && date.1 == before.1 && date.2 == before.2 + 1;
            let next_month = date.0 == before.0 && date.1 == before.1 + 1 && date.2 == 1 && before.2 >= 28;
            let next_year = date.0 == before.0 + 1 && (date.1, date.2, before.1, before.2) == (1, 1, 12, 31);
            assert!(next_day || next_month || next_year, "{before:?} {date:?}");
            before = date;
        }
        assert_eq!(before, (9999, 12, 31));
    }
}
