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

/// Write `value` as a varint to the front of `out` and return its length.
#[inline]
pub fn encode_varint(mut value: u64, out: &mut [u8; MAX_VARINT_LEN]) -> usize {
    let mut len = 0;
    while value >= 0x80 {
        out[len] = low_bits(value) | 0x80;
        value >>= 7;
        len += 1;
    }
    out[len] = low_bits(value);
    len + 1
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the mask leaves seven bits")]
const fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Append `value` as a varint.
///
/// # Errors
///
/// [`Overrun`] where it does not fit.
#[inline]
pub fn put_varint(sink: &mut impl Sink, value: u64) -> Result<(), Overrun> {
    let mut bytes = [0; MAX_VARINT_LEN];
    let len = encode_varint(value, &mut bytes);
    sink.put(&bytes[..len])
}

/// Append a one-byte tag and the length of what follows.
///
/// # Errors
///
/// [`Overrun`] where they do not fit.
#[inline]
pub fn put_head(sink: &mut impl Sink, tag: u8, len: usize) -> Result<(), Overrun> {
    let mut head = [0; 1 + MAX_VARINT_LEN];
    head[0] = tag;
    let mut varint = [0; MAX_VARINT_LEN];
    let varint_len = encode_varint(len as u64, &mut varint);
    head[1..=varint_len].copy_from_slice(&varint[..varint_len]);
    sink.put(&head[..=varint_len])
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
        let mut before = Vec::with_capacity(self.before.len() + 1 + MAX_VARINT_LEN);
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
