//! A quick yes for JSON documents (RFC 8259). Nothing in here knows Milvus.
//!
//! [`accepts`] says yes only to what `serde_json` accepts, and to nearly all of that. Whoever hears no asks `serde_json`,
//! which also knows why. Strings and digits are looked at in words of eight bytes; nothing is unescaped or converted.

/// What `accepts` does with the keys of the outermost object, as they are written between the quotes.
pub(crate) trait KeyCheck {
    /// Whether there is nothing wrong with `key`.
    fn takes(&self, key: &[u8]) -> bool;
}

/// Takes every key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyKey;

impl KeyCheck for AnyKey {
    #[inline]
    fn takes(&self, _: &[u8]) -> bool {
        true
    }
}

/// Whether the first `len` bytes of `text` are one JSON document whose outermost keys are taken. What follows them is read
/// as a part of words, but says nothing. That strings are UTF-8 is not looked at.
///
/// No is said also to documents of more than 63 levels.
#[inline]
pub(crate) fn accepts(text: &[u8], len: usize, keys: &impl KeyCheck) -> bool {
    text.get(..len).and_then(|document| Scanner { document, text }.document(keys)) == Some(len)
}

const WORD: usize = size_of::<u64>();
/// Bytes of a string from which on it is looked at in larger blocks, and the size of these.
const LONG: usize = 32;
const ONES: u64 = u64::from_le_bytes([1; WORD]);
const HIGHS: u64 = ONES << 7;

/// The lowest bit of `levels`: the innermost level is an object's.
const OBJECT: u64 = 1;

/// Functions get the position at which something starts and give that after it; None where it is not there. A string may
/// go on after the document, and then nothing else is found.
#[derive(Clone, Copy)]
struct Scanner<'a> {
    document: &'a [u8],
    /// Starts where the document does.
    text: &'a [u8],
}

#[allow(clippy::inline_always, reason = "called for each token; inlined, the whole takes a twentieth less time")]
impl Scanner<'_> {
    #[inline]
    fn document(self, keys: &impl KeyCheck) -> Option<usize> {
        let (mut at, mut byte) = self.token(0);
        // One bit for each level, over them one for the outside.
        let mut levels = 1_u64;
        'value: loop {
            if byte == b'"' {
                at = self.string(at)?;
            } else if byte.wrapping_sub(b'0') < 10 || byte == b'-' {
                at = self.number(at, byte)?;
            } else if byte == b'{' || byte == b'[' {
                if levels >> 63 != 0 {
                    return None;
                }
                let opening = byte;
                (at, byte) = self.token(at + 1);
                // Both closing brackets come two after the opening ones.
                if byte != opening + 2 {
                    levels = levels << 1 | u64::from(opening == b'{');
                    if opening == b'{' {
                        (at, byte) = self.key(at, byte, levels, keys)?;
                    }
                    continue 'value;
                }
                at += 1;
            } else {
                at = self.literal(at)?;
            }
            if levels == 1 {
                return Some(self.token(at).0);
            }
            loop {
                (at, byte) = self.token(at);
                if byte == b',' {
                    (at, byte) = self.token(at + 1);
                    if levels & OBJECT != 0 {
                        (at, byte) = self.key(at, byte, levels, keys)?;
                    }
                    continue 'value;
                }
                if byte != if levels & OBJECT != 0 { b'}' } else { b']' } {
                    return None;
                }
                at += 1;
                levels >>= 1;
                if levels == 1 {
                    return Some(self.token(at).0);
                }
            }
        }
    }

    /// A key and its colon; then where the value starts and its first byte, as `token`.
    #[inline(always)]
    fn key(self, at: usize, byte: u8, levels: u64, keys: &impl KeyCheck) -> Option<(usize, u8)> {
        const OUTERMOST_OBJECT: u64 = 0b11;
        if byte != b'"' {
            return None;
        }
        let end = self.string(at)?;
        if levels == OUTERMOST_OBJECT && !keys.takes(self.document.get(at + 1..end - 1).unwrap_or_default()) {
            return None;
        }
        let (at, byte) = self.token(end);
        (byte == b':').then(|| self.token(at + 1))
    }

    #[inline(always)]
    fn string(self, at: usize) -> Option<usize> {
        let start = at + 1;
        let mut at = start;
        loop {
            let word = self.word(at)?;
            // A byte that is less than what is taken away borrows into its highest bit, or into a later byte's, which
            // does not count: the first that is found is right.
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            let found = (quote.wrapping_sub(ONES) | backslash.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20))
                & !word
                & HIGHS;
            if found == 0 {
                at += WORD;
                if at >= start + LONG {
                    at = self.long_text(at);
                }
                continue;
            }
            let first = found.trailing_zeros() as usize;
            at += first / 8;
            if self.text.get(at) == Some(&b'"') {
                return Some(at + 1);
            }
            // Or a control character, which is no escape.
            at = self.escape(at)?;
        }
    }

    /// Over blocks without a character that ends plain text, or needs a closer look. For strings that are long already.
    #[inline(never)]
    fn long_text(self, mut at: usize) -> usize {
        let ends = |byte: &u8| (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20);
        for block in self.text.get(at..).unwrap_or_default().as_chunks::<LONG>().0 {
            // Without a branch for each byte, so that the loop uses vector registers.
            if block.iter().fold(false, |any, byte| any | ends(byte)) {
                break;
            }
            at += LONG;
        }
        at
    }

    #[inline(never)]
    fn escape(self, at: usize) -> Option<usize> {
        match self.document.get(at..)? {
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(at + 2),
            [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => Some(at + 6),
            _ => None,
        }
    }

    #[inline(always)]
    fn number(self, mut at: usize, mut byte: u8) -> Option<usize> {
        if byte == b'-' {
            at += 1;
            byte = self.byte(at);
        }
        at = if byte == b'0' { at + 1 } else { self.digits(at)? };
        byte = self.byte(at);
        if byte == b'.' {
            at = self.digits(at + 1)?;
            byte = self.byte(at);
        }
        if byte | 0x20 == b'e' {
            let sign = matches!(self.byte(at + 1), b'+' | b'-');
            at = self.digits(at + 1 + usize::from(sign))?;
        }
        Some(at)
    }

    /// One digit or more.
    #[inline(always)]
    fn digits(self, start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            // Digits become 0 to 9; 0x76 more carry what is larger into the highest bit.
            let digits = self.word(at)? ^ (ONES * u64::from(b'0'));
            let found = (digits.wrapping_add(ONES * 0x76) | digits) & HIGHS;
            if found == 0 {
                at += WORD;
                continue;
            }
            at += found.trailing_zeros() as usize / 8;
            // Those after the document are another's.
            at = at.min(self.document.len());
            return (at > start).then_some(at);
        }
    }

    #[inline(never)]
    fn literal(self, at: usize) -> Option<usize> {
        let rest = self.document.get(at..)?;
        let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word))?;
        Some(at + word.len())
    }

    /// The byte there, 0 where the document has ended.
    #[inline]
    fn byte(self, at: usize) -> u8 {
        if at < self.document.len() { self.document[at] } else { 0 }
    }

    /// Where the next byte stands that is no space, and that byte: 0 where there is none.
    #[inline]
    fn token(self, mut at: usize) -> (usize, u8) {
        let mut byte = self.byte(at);
        while byte <= b' ' {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return (at, 0);
            }
            at += 1;
            byte = self.byte(at);
        }
        (at, byte)
    }

    /// The next bytes of the text, with zeroes after its end, which no string and no number has.
    #[inline]
    fn word(self, at: usize) -> Option<u64> {
        match self.text.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(w) => Some(u64::from_le_bytes(*w)),
            None => self.last_word(at),
        }
    }
    #[cold]
    #[inline(never)]
    fn last_word(self, at: usize) -> Option<u64> {
        let rest = self.text.get(at..)?;
        let mut block = [0; WORD];
        block.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(u64::from_le_bytes(block))
    }
}

#[cfg(test)]
mod tests;
