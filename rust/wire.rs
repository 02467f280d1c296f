//! Protobuf's wire format: varints, lengths and where the bytes go. Nothing in here knows Milvus.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

use std::mem::MaybeUninit;
use std::ops::BitOr;

/// The largest message that protobuf runtimes take, in bytes (2 GiB - 1).
pub const MAX_MESSAGE_LEN: usize = 0x7fff_ffff;

/// The longest varint, in bytes.
pub const MAX_VARINT_LEN: usize = 10;

/// Bytes that [`Sink::put_word`] writes at once.
const WORD: usize = size_of::<u128>();

/// What was put into a sink is not exactly what it has room for: the predicted size was wrong, or the source changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeMismatch;

/// Bytes in which [`Sink::put_each`] works at four places in turn, each of which is a stream of its own for the
/// hardware's prefetch.
const REGION: usize = 512 * 1024;

/// Values that it writes at one place before it goes to the next. A loop of a known length is unrolled into vector
/// registers as a whole; a longer one is taken apart into a `memcpy` and a second loop that checks, which is half as
/// fast (docs/performance.md).
const BLOCK: usize = 64;

/// Memory that is written from its first byte to its last, and need not be initialised before.
///
/// Never writes outside: what does not fit is refused. [`Sink::fill`] makes the only ones, so that "there is no room
/// left" and "every byte is initialised" are the same.
#[derive(Debug)]
pub struct Sink<'m> {
    room: &'m mut [MaybeUninit<u8>],
    len: usize,
}

impl Sink<'_> {
    /// Has `write` put its bytes into `memory`. Every byte of it is initialised where this returns `Ok`.
    ///
    /// # Errors
    ///
    /// Those of `write`, and [`SizeMismatch`] where it leaves room.
    pub fn fill<E: From<SizeMismatch>>(
        memory: &mut [MaybeUninit<u8>],
        write: impl FnOnce(&mut Sink<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sink = Sink { len: memory.len(), room: memory };
        write(&mut sink)?;
        if sink.room.is_empty() { Ok(()) } else { Err(SizeMismatch.into()) }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.len - self.room.len()
    }

    /// Append `bytes`, or nothing at all.
    ///
    /// # Errors
    ///
    /// [`SizeMismatch`] where they do not fit.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), SizeMismatch> {
        self.room.split_off_mut(..bytes.len()).ok_or(SizeMismatch)?.write_copy_of_slice(bytes);
        Ok(())
    }

    /// Append the lowest `len` bytes of `word`, little-endian. Where there is room, all 16 bytes are written, which costs
    /// less than a copy of changing length: what follows overwrites the rest.
    ///
    /// # Errors
    ///
    /// [`SizeMismatch`] where they do not fit.
    #[inline]
    pub fn put_word(&mut self, word: u128, len: usize) -> Result<(), SizeMismatch> {
        match self.room.first_chunk_mut::<WORD>() {
            Some(room) if len <= WORD => *room = word.to_le_bytes().map(MaybeUninit::new),
            _ => return self.put_last(word, len),
        }
        self.advance(len)
    }

    /// `put_word` where there is no room for more than the bytes that count. Apart, because inlined it is merged with
    /// the other path into one `memcpy` of changing length.
    #[cold]
    #[inline(never)]
    fn put_last(&mut self, word: u128, len: usize) -> Result<(), SizeMismatch> {
        self.put(word.to_le_bytes().get(..len).ok_or(SizeMismatch)?)
    }

    /// Append what `encode` makes of each pair of one of `left` and one of `right`, with one check for all.
    ///
    /// # Errors
    ///
    /// [`SizeMismatch`] where they do not fit, or are not as many on both sides.
    #[inline]
    pub fn put_pairs<A: Copy, B: Copy, const N: usize>(
        &mut self,
        left: &[A],
        right: &[B],
        mut encode: impl FnMut(A, B) -> [u8; N],
    ) -> Result<(), SizeMismatch> {
        if right.len() != left.len() {
            return Err(SizeMismatch);
        }
        let places = self.places(left.len())?;
        for ((place, left), right) in places.iter_mut().zip(left).zip(right) {
            *place = encode(*left, *right).map(MaybeUninit::new);
        }
        self.advance(left.len() * N)
    }

    /// Append what `encode` makes of every value, with one check for all. `encode` is called once for each value, at
    /// four places in turn, which is faster than one after the other where the values are in no cache.
    ///
    /// # Errors
    ///
    /// [`SizeMismatch`] where they do not fit.
    #[inline]
    pub fn put_each<T: Copy, const N: usize>(
        &mut self,
        values: &[T],
        mut encode: impl FnMut(T) -> [u8; N],
    ) -> Result<(), SizeMismatch> {
        let places = self.places(values.len())?;
        let region = (REGION / N.max(1)).max(BLOCK);
        for (values, places) in values.chunks(region).zip(places.chunks_mut(region)) {
            let (blocks, values) = values.as_chunks::<BLOCK>();
            let (target_blocks, places) = places.as_chunks_mut::<BLOCK>();
            let quarter = blocks.len().div_ceil(4);
            for at in 0..quarter {
                for at in [at, at + quarter, at + 2 * quarter, at + 3 * quarter] {
                    if let (Some(values), Some(places)) = (blocks.get(at), target_blocks.get_mut(at)) {
                        for (place, value) in places.iter_mut().zip(values) {
                            *place = encode(*value).map(MaybeUninit::new);
                        }
                    }
                }
            }
            for (place, value) in places.iter_mut().zip(values) {
                *place = encode(*value).map(MaybeUninit::new);
            }
        }
        self.advance(values.len() * N)
    }

    /// The next `count` places of `N` bytes. Who writes them all calls `advance` then, and not before.
    #[inline]
    fn places<const N: usize>(&mut self, count: usize) -> Result<&mut [[MaybeUninit<u8>; N]], SizeMismatch> {
        let len = count.checked_mul(N).ok_or(SizeMismatch)?;
        Ok(self.room.get_mut(..len).ok_or(SizeMismatch)?.as_chunks_mut().0)
    }

    /// Leave `len` bytes behind that are written.
    #[inline]
    fn advance(&mut self, len: usize) -> Result<(), SizeMismatch> {
        self.room.split_off_mut(..len).map(drop).ok_or(SizeMismatch)
    }
}

/// `write` into a vector of `len` bytes, which it fills.
///
/// # Errors
///
/// As [`Sink::fill`].
#[allow(unsafe_code, reason = "the vector is not filled with zeroes first, which would be another pass over it")]
pub fn fill_vec<E: From<SizeMismatch>>(
    len: usize,
    write: impl FnOnce(&mut Sink<'_>) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let mut filled = Vec::with_capacity(len);
    Sink::fill(&mut filled.spare_capacity_mut()[..len], write)?;
    // SAFETY: the capacity is at least `len`, and `fill` has initialised the first `len` bytes.
    unsafe { filled.set_len(len) };
    Ok(filled)
}

/// Bytes that `value` takes as a varint, 1 to 10.
#[must_use]
#[inline]
pub const fn varint_len(value: u64) -> usize {
    // One byte for each 7 bits begun: (9 * bits + 64) / 64 equals ceil(bits / 7) for 1 to 64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (9 * bits + 64) / 64
}

/// Bytes of a field with a one-byte tag and `len` bytes of content.
#[must_use]
#[inline]
pub const fn nested_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
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

/// A one-byte tag and the length of what follows: bytes in little-endian order, of which the lowest `n` count, and `n`.
#[must_use]
#[inline]
pub const fn encode_head(tag: u8, len: usize) -> (u128, usize) {
    // The usual lengths, of which a column has many alike, are told apart by branches.
    if len < 0x80 {
        return (tag as u128 | (len as u128) << 8, 2);
    }
    if len < 0x4000 {
        let len = len as u128;
        return (tag as u128 | (len & 0x7f | 0x80) << 8 | (len >> 7) << 16, 3);
    }
    let (bytes, varint_len) = encode_varint(len as u64);
    (bytes << 8 | tag as u128, 1 + varint_len)
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
    let Some(room) = sink.room.first_chunk_mut::<{ EIGHT * LOW }>() else {
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
    let Some(room) = sink.room.first_chunk_mut::<{ EIGHT * LOW }>() else {
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
    let room = sink.room.get_mut(..len).ok_or(SizeMismatch)?;
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

/// Append a one-byte tag and the length of what follows.
///
/// # Errors
///
/// [`SizeMismatch`] where they do not fit.
#[inline]
pub fn put_head(sink: &mut Sink<'_>, tag: u8, len: usize) -> Result<(), SizeMismatch> {
    let (bytes, head_len) = encode_head(tag, len);
    sink.put_word(bytes, head_len)
}

fn extend_by_word(bytes: &mut Vec<u8>, (word, len): (u128, usize)) {
    bytes.extend_from_slice(&word.to_le_bytes()[..len]);
}

/// What surrounds a payload whose size is known: the bytes before it, the bytes after it, and room left open.
///
/// Built from the inside out, so that the same value gives the predicted size and the written bytes:
///
/// ```text
/// before │ payload │ after │ open (written by whoever reserved it)
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    before: Vec<u8>,
    payload: usize,
    after: Vec<u8>,
    open: usize,
}

impl Frame {
    /// Nothing around `payload` bytes.
    #[must_use]
    pub fn new(payload: usize) -> Self {
        Self { payload, ..Self::default() }
    }

    /// A packed repeated field of `payload` bytes; nothing at all where there are none.
    #[must_use]
    pub fn packed(tag: u8, payload: usize) -> Self {
        let frame = Self::new(payload);
        if payload == 0 { frame } else { frame.wrap(tag) }
    }

    /// The whole as the content of a length-delimited field.
    #[must_use]
    pub fn wrap(mut self, tag: u8) -> Self {
        let mut before = Vec::with_capacity(1 + MAX_VARINT_LEN + self.before.len());
        extend_by_word(&mut before, encode_head(tag, self.len()));
        before.append(&mut self.before);
        Self { before, ..self }
    }

    /// `bytes` in front.
    #[must_use]
    pub fn prepend(mut self, bytes: &[u8]) -> Self {
        self.before.splice(0..0, bytes.iter().copied());
        self
    }

    /// `bytes` behind.
    #[must_use]
    pub fn append(mut self, bytes: &[u8]) -> Self {
        self.after.extend_from_slice(bytes);
        self
    }

    /// A varint field behind.
    #[must_use]
    pub fn append_varint(mut self, tag: u8, value: u64) -> Self {
        self.after.push(tag);
        extend_by_word(&mut self.after, encode_varint(value));
        self
    }

    /// A length-delimited field behind whose `len` content bytes the caller writes after the frame.
    #[must_use]
    pub fn append_open(mut self, tag: u8, len: usize) -> Self {
        extend_by_word(&mut self.after, encode_head(tag, len));
        self.open += len;
        self
    }

    /// Everything: before, payload, after and the open room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.before.len() + self.payload + self.after.len() + self.open
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload(&self) -> usize {
        self.payload
    }

    /// What stands before the payload.
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.before
    }

    /// What stands after the payload, without the open room.
    #[must_use]
    pub fn after(&self) -> &[u8] {
        &self.after
    }
}

/// A varint field as bytes, for the constant parts of a message.
#[must_use]
pub fn varint_field(tag: u8, value: u64) -> Vec<u8> {
    Frame::default().append_varint(tag, value).after
}

/// A length-delimited field as bytes, for the constant parts of a message.
#[must_use]
pub fn bytes_field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Frame::new(content.len()).wrap(tag).before;
    out.extend_from_slice(content);
    out
}
