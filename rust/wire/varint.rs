//! Integers of seven bits a byte, one by one and in columns.

use std::ops::BitOr;

use super::{Sink, SizeMismatch};

/// The longest varint, in bytes.
pub const MAX_VARINT_LEN: usize = 10;

/// Bytes that `value` takes as a varint, 1 to 10.
#[must_use]
#[inline]
pub const fn varint_len(value: u64) -> usize {
    // One byte for each 7 bits begun: (9 * bits + 64) / 64 equals ceil(bits / 7) for 1 to 64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (9 * bits + 64) / 64
}

/// For each length the continuation bits: those of the low eight bytes, and that of the ninth.
const MORE: [(u64, u64); 16] = {
    let mut more = [(0, 0); 16];
    let mut len = 2;
    while len <= MAX_VARINT_LEN {
        let (low, high) = more[len - 1];
        // The byte that is no longer the last gets the bit.
        more[len] = if len <= 9 { (low | 0x80 << (8 * (len - 2)), high) } else { (low, 0x80) };
        len += 1;
    }
    more
};

/// `value` as a varint: bytes in little-endian order, of which the lowest `len` count, and `len`.
///
/// Without a loop or a branch on the value, whose length is hard to foresee in a column of keys. One number instead of
/// an array, because stores of single bytes that are read together stall.
#[must_use]
#[inline]
pub const fn encode_varint(value: u64) -> (u128, usize) {
    let len = varint_len(value);
    let low = spread(value);
    let high = value >> 56 & 0x7f | (value >> 63) << 8;
    let (more_low, more_high) = MORE[len & 15];
    ((low | more_low) as u128 | ((high | more_high) as u128) << 64, len)
}

/// The low 56 bits of `value`, seven to a byte.
#[inline]
const fn spread(value: u64) -> u64 {
    // Halves of 28 bits to 32, then of 14 to 16, then of 7 to 8.
    let low = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let low = (low & 0x0000_3fff_0000_3fff) | (low & 0x0fff_c000_0fff_c000) << 2;
    (low & 0x007f_007f_007f_007f) | (low & 0x3f80_3f80_3f80_3f80) << 1
}

/// Bytes of a varint that are made in one register.
const LOW: usize = size_of::<u64>();
/// The bit of each that says that another byte follows.
const MORE_LOW: u64 = 0x8080_8080_8080_8080;

/// Varints that are written one after the other without a branch in between.
const EIGHT: usize = 8;
/// Varints whose lengths are looked at together.
const TOGETHER: usize = 64;

/// An integer as protobuf writes it: its two's complement, sign-extended to 64 bits, so that a negative one takes ten bytes.
pub trait Varint: Copy + BitOr<Output = Self> + Default {
    /// The 64 bits.
    fn to_wire(self) -> u64;
}

macro_rules! varint {
    ($($type:ty),*) => {$(
        impl Varint for $type {
            #[inline]
            fn to_wire(self) -> u64 {
                i64::from(self).cast_unsigned()
            }
        }
    )*};
}

varint!(i8, i16, i32, i64);

/// The bits that any of `values` has, and the length of their varints where all are of one length.
#[inline]
fn any_and_len<T: Varint, const N: usize>(values: &[T; N]) -> (u64, Option<usize>) {
    // In the numbers' own type, of which more fit into a vector register.
    let any = values.iter().fold(T::default(), |any, value| any | *value).to_wire();
    let len = varint_len(any);
    let first_bit = 7 * (len - 1);
    let alike = len == 1 || values.iter().fold(true, |alike, value| alike & (value.to_wire() >> first_bit != 0));
    (any, alike.then_some(len))
}

/// Bytes of all `values` as varints.
#[must_use]
pub fn varints_len<T: Varint>(values: &[T]) -> usize {
    fn of_blocks<T: Varint, const N: usize>(blocks: &[[T; N]]) -> usize {
        let of_block = |block: &[T; N]| match any_and_len(block) {
            (_, Some(len)) => N * len,
            _ => one_by_one(block),
        };
        blocks.iter().map(of_block).sum()
    }
    fn one_by_one<T: Varint>(values: &[T]) -> usize {
        values.iter().map(|value| varint_len(value.to_wire())).sum()
    }
    let (blocks, rest) = values.as_chunks::<TOGETHER>();
    let (eights, rest) = rest.as_chunks::<EIGHT>();
    of_blocks(blocks) + of_blocks(eights) + one_by_one(rest)
}

/// Append `values` as varints.
///
/// Columns of keys mostly have numbers of one length for long, or, where the numbers are random, of all lengths but the
/// longest. Each of these cases is told from the others once for many values; their bits are spread in vector registers.
///
/// # Errors
///
/// [`SizeMismatch`] where they do not fit.
pub fn put_varints<T: Varint>(sink: &mut Sink<'_>, values: &[T]) -> Result<(), SizeMismatch> {
    let (blocks, rest) = values.as_chunks::<TOGETHER>();
    let (eights, rest) = rest.as_chunks::<EIGHT>();
    blocks.iter().try_for_each(|block| put_block(sink, block))?;
    eights.iter().try_for_each(|eight| put_block(sink, eight))?;
    rest.iter().try_for_each(|value| put_varint(sink, value.to_wire()))
}

#[inline]
fn put_block<T: Varint, const N: usize>(sink: &mut Sink<'_>, block: &[T; N]) -> Result<(), SizeMismatch> {
    let (any, len) = any_and_len(block);
    if len == Some(1) {
        return sink.put(&block.map(|value| value.to_wire().to_le_bytes()[0]));
    }
    block.as_chunks::<EIGHT>().0.iter().try_for_each(|eight| {
        let values = eight.map(T::to_wire);
        match len {
            _ if any >> 56 != 0 => put_eight_long(sink, values),
            Some(len) => put_eight_alike(sink, values, len),
            None => put_eight(sink, values),
        }
    })
}

/// Varints of `len` bytes each, at most eight.
#[inline]
fn put_eight_alike(sink: &mut Sink<'_>, values: [u64; EIGHT], len: usize) -> Result<(), SizeMismatch> {
    let len = len.min(LOW);
    let more = MORE_LOW & ((1 << (8 * (len - 1))) - 1);
    let Some(room) = sink.room().first_chunk_mut::<{ EIGHT * LOW }>() else {
        return values.into_iter().try_for_each(|value| put_varint(sink, value));
    };
    for (at, low) in values.map(spread).into_iter().enumerate() {
        if let Some(place) = room.get_mut(at * len..at * len + LOW) {
            place.write_copy_of_slice(&(low | more).to_le_bytes());
        }
    }
    sink.advance(EIGHT * len)
}

/// Varints of at most eight bytes each.
#[inline]
fn put_eight(sink: &mut Sink<'_>, values: [u64; EIGHT]) -> Result<(), SizeMismatch> {
    let Some(room) = sink.room().first_chunk_mut::<{ EIGHT * LOW }>() else {
        return values.into_iter().try_for_each(|value| put_varint(sink, value));
    };
    let mut at = 0;
    for low in values.map(spread) {
        // The highest byte that is not 0 is the last.
        let last = (low | 1).ilog2() & 0x38;
        if let Some(place) = room.get_mut(at..at + LOW) {
            place.write_copy_of_slice(&(low | MORE_LOW & ((1 << last) - 1)).to_le_bytes());
        }
        at += last as usize / 8 + 1;
    }
    sink.advance(at)
}

/// Varints of which some have nine bytes or ten.
#[inline]
fn put_eight_long(sink: &mut Sink<'_>, values: [u64; EIGHT]) -> Result<(), SizeMismatch> {
    let high = |value: u64| (value >> 56).to_le_bytes()[0];
    // Folds, because `all` would branch at each value.
    if values.iter().fold(true, |all, value| all & (value >> 63 == 0) & (value >> 56 != 0)) {
        return put_eight_wide(sink, values, |value| [high(value)]);
    }
    if values.iter().fold(true, |all, value| all & (value >> 63 != 0)) {
        return put_eight_wide(sink, values, |value| [high(value) | 0x80, 1]);
    }
    values.into_iter().try_for_each(|value| put_varint(sink, value))
}

/// Varints of eight bytes and those that `high` makes of the bits over 56.
#[inline]
fn put_eight_wide<const HIGH: usize>(
    sink: &mut Sink<'_>,
    values: [u64; EIGHT],
    high: impl Fn(u64) -> [u8; HIGH],
) -> Result<(), SizeMismatch> {
    let len = EIGHT * (LOW + HIGH);
    let room = sink.room().get_mut(..len).ok_or(SizeMismatch)?;
    for ((place, low), value) in room.chunks_exact_mut(LOW + HIGH).zip(values.map(spread)).zip(values) {
        let (to_low, to_high) = place.split_at_mut(LOW);
        to_low.write_copy_of_slice(&(low | MORE_LOW).to_le_bytes());
        to_high.write_copy_of_slice(&high(value));
    }
    sink.advance(len)
}

/// Append `value` as a varint.
///
/// # Errors
///
/// [`SizeMismatch`] where it does not fit.
#[inline]
pub fn put_varint(sink: &mut Sink<'_>, value: u64) -> Result<(), SizeMismatch> {
    let (bytes, len) = encode_varint(value);
    sink.put_word(bytes, len)
}
