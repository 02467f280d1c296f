//! Protobuf's wire format: varints, lengths and where the bytes go. Nothing in here knows Milvus.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

/// The largest message that protobuf runtimes take, in bytes (2 GiB - 1).
pub const MAX_MESSAGE_LEN: usize = 0x7fff_ffff;

/// The longest varint, in bytes.
pub const MAX_VARINT_LEN: usize = 10;

/// A sink had less room than the bytes put into it: the predicted size was wrong, or the source changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun;

/// Where packed bytes go. An implementation never writes outside its memory: it refuses instead.
pub trait Sink {
    /// Append `bytes`, or nothing at all.
    ///
    /// # Errors
    ///
    /// [`Overrun`] where they do not fit.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overrun>;

    /// Bytes written so far.
    fn written(&self) -> usize;

    /// Append the lowest `len` bytes of `word`, little-endian. An implementation may write all 16 bytes, which costs
    /// less than a copy of changing length: what follows overwrites the rest.
    ///
    /// # Errors
    ///
    /// [`Overrun`] where they do not fit.
    #[inline]
    fn put_word(&mut self, word: u128, len: usize) -> Result<(), Overrun> {
        self.put(word.to_le_bytes().get(..len).ok_or(Overrun)?)
    }

    /// Append every item, with one check for all.
    ///
    /// # Errors
    ///
    /// [`Overrun`] where they do not fit.
    #[inline]
    fn put_all<const N: usize>(&mut self, items: impl ExactSizeIterator<Item = [u8; N]>) -> Result<(), Overrun> {
        for item in items {
            self.put(&item)?;
        }
        Ok(())
    }

    /// Append what `encode` makes of every value, with one check for all. `encode` is called once for each value, in any
    /// order: an implementation may read and write at several places at once, which is faster than one after the other.
    ///
    /// # Errors
    ///
    /// [`Overrun`] where they do not fit.
    #[inline]
    fn put_each<T: Copy, const N: usize>(
        &mut self,
        values: &[T],
        mut encode: impl FnMut(T) -> [u8; N],
    ) -> Result<(), Overrun> {
        self.put_all(values.iter().map(|value| encode(*value)))
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overrun> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn written(&self) -> usize {
        self.len()
    }
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
    // The low 56 bits, seven to a byte: halves of 28 bits to 32, then of 14 to 16, then of 7 to 8.
    let low = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let low = (low & 0x0000_3fff_0000_3fff) | (low & 0x0fff_c000_0fff_c000) << 2;
    let low = (low & 0x007f_007f_007f_007f) | (low & 0x3f80_3f80_3f80_3f80) << 1;
    let high = (value >> 56 & 0x7f) | (value >> 63) << 8;
    let (more_low, more_high) = MORE[len & 15];
    ((low | more_low) as u128 | ((high | more_high) as u128) << 64, len)
}

/// Append `value` as a varint.
///
/// # Errors
///
/// [`Overrun`] where it does not fit.
#[inline]
pub fn put_varint(sink: &mut impl Sink, value: u64) -> Result<(), Overrun> {
    let (bytes, len) = encode_varint(value);
    sink.put_word(bytes, len)
}

/// Append a one-byte tag and the length of what follows.
///
/// # Errors
///
/// [`Overrun`] where they do not fit.
#[inline]
pub fn put_head(sink: &mut impl Sink, tag: u8, len: usize) -> Result<(), Overrun> {
    // The usual lengths, of which a column has many alike, are told apart by branches.
    if len < 0x80 {
        return sink.put_word(u128::from(tag) | (len as u128) << 8, 2);
    }
    if len < 0x4000 {
        let len = len as u128;
        return sink.put_word(u128::from(tag) | (len & 0x7f | 0x80) << 8 | (len >> 7) << 16, 3);
    }
    let (bytes, varint_len) = encode_varint(len as u64);
    sink.put_word(bytes << 8 | u128::from(tag), 1 + varint_len)
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
        // A vector takes every byte.
        let _ = put_head(&mut before, tag, self.len());
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
        // A vector takes every byte.
        let _ = put_varint(&mut self.after, value);
        self
    }

    /// A length-delimited field behind whose `len` content bytes the caller writes after the frame.
    #[must_use]
    pub fn append_open(mut self, tag: u8, len: usize) -> Self {
        // A vector takes every byte.
        let _ = put_head(&mut self.after, tag, len);
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
