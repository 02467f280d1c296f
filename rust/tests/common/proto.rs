//! A protobuf reader of a few lines, independent of the core's writer.

use std::collections::BTreeMap;

/// A field's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Varint(u64),
    Bytes(Vec<u8>),
}

/// Every field of a message by number, repeated ones in order. Panics where the bytes are no message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message(pub BTreeMap<u64, Vec<Content>>);

impl Message {
    pub fn parse(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let key = varint(&mut rest);
            let content = match key & 7 {
                0 => Content::Varint(varint(&mut rest)),
                2 => {
                    let len = usize::try_from(varint(&mut rest)).unwrap();
                    let (content, after) = rest.split_at(len);
                    rest = after;
                    Content::Bytes(content.to_vec())
                }
                other => panic!("wire type {other}"),
            };
            message.0.entry(key >> 3).or_default().push(content);
        }
        message
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }

    pub fn varint(&self, number: u64) -> u64 {
        match self.0.get(&number).map(Vec::as_slice) {
            None => 0,
            Some([Content::Varint(value)]) => *value,
            other => panic!("field {number} is {other:?}"),
        }
    }

    pub fn all_bytes(&self, number: u64) -> Vec<Vec<u8>> {
        let bytes = |content: &Content| match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Varint(value) => panic!("field {number} is the varint {value}"),
        };
        self.0.get(&number).map(|all| all.iter().map(bytes).collect()).unwrap_or_default()
    }

    /// The content of a field that stands at most once.
    pub fn bytes(&self, number: u64) -> Vec<u8> {
        let all = self.all_bytes(number);
        assert!(all.len() <= 1, "field {number} stands {} times", all.len());
        all.into_iter().next().unwrap_or_default()
    }

    pub fn message(&self, number: u64) -> Self {
        assert!(self.0.contains_key(&number), "no field {number} in {self:?}");
        Self::parse(&self.bytes(number))
    }
}

/// Packed varints.
pub fn varints(bytes: &[u8]) -> Vec<u64> {
    let mut rest = bytes;
    let mut values = Vec::new();
    while !rest.is_empty() {
        values.push(varint(&mut rest));
    }
    values
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first().expect("a complete varint");
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a varint of more than ten bytes");
}
