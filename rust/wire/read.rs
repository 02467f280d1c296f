//! Messages read, field by field.

/// Bytes that are no message: cut off, or of a wire type that proto3 does not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMessage;

/// What one field of a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'m> {
    /// An integer.
    Varint(u64),
    /// Text, bytes, a message or a packed column.
    Bytes(&'m [u8]),
    /// A number of fixed width, 4 or 8 bytes.
    Fixed(&'m [u8]),
}

/// One field of a message: its number, what it holds, and all of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'m> {
    /// The field's number.
    pub number: u32,
    /// What it holds.
    pub content: Content<'m>,
    /// The field as it stands in the message, with its tag.
    pub whole: &'m [u8],
}

/// The fields of a message in the order in which they stand; ends after the first error.
#[derive(Debug, Clone)]
pub struct Parts<'m> {
    rest: &'m [u8],
}

impl<'m> Parts<'m> {
    /// The fields of `message`.
    #[must_use]
    pub fn of(message: &'m [u8]) -> Self {
        Self { rest: message }
    }

    fn part(&mut self) -> Result<Part<'m>, NoMessage> {
        let start = self.rest;
        let tag = take_varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).map_err(|_| NoMessage)?;
        let content = match tag & 7 {
            0 => Content::Varint(take_varint(&mut self.rest)?),
            1 => Content::Fixed(self.take(8)?),
            2 => {
                let len = take_varint(&mut self.rest)?;
                Content::Bytes(self.take(usize::try_from(len).map_err(|_| NoMessage)?)?)
            }
            5 => Content::Fixed(self.take(4)?),
            _ => return Err(NoMessage),
        };
        Ok(Part { number, content, whole: &start[..start.len() - self.rest.len()] })
    }

    fn take(&mut self, len: usize) -> Result<&'m [u8], NoMessage> {
        self.rest.split_off(..len).ok_or(NoMessage)
    }
}

impl<'m> Iterator for Parts<'m> {
    type Item = Result<Part<'m>, NoMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_err() {
            self.rest = &[];
        }
        Some(part)
    }
}

/// Take the varint that `bytes` begin with.
///
/// # Errors
///
/// [`NoMessage`] where it is cut off or longer than ten bytes.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64, NoMessage> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(super::MAX_VARINT_LEN).enumerate() {
        // What a tenth byte has too much falls out, as in other readers.
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Ok(value);
        }
    }
    Err(NoMessage)
}
