//! Tags, lengths and what they surround.

use super::{MAX_VARINT_LEN, Sink, SizeMismatch, encode_varint, varint_len};

/// Bytes of a field with a one-byte tag and `len` bytes of content.
#[must_use]
#[inline]
pub const fn nested_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
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
