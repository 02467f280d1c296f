//! Memory that a message is written into.

use std::mem::MaybeUninit;

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

    /// What is left to be written. Who writes the first bytes of it calls `advance` then, and not before.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        self.room
    }

    /// Leave `len` bytes behind, each of which has been written.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) -> Result<(), SizeMismatch> {
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
