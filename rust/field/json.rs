//! JSON and the dynamic field: one document for each row, checked without building a tree.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use arrow_array::Array;
use serde_json::Deserializer;
use serde_json::de::StrRead;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::text::{put_texts, texts_len};
use super::{Cells, DYNAMIC_FIELD_NAME, MAX_JSON_LEN, Tally};
use crate::column::{Bytes, wrong_type};
use crate::error::{CellReason, ColumnReason, Fault};
use crate::json::{AnyKey, KeyCheck, accepts};
use crate::wire::Sink;

/// The Arrow types that JSON comes in.
const JSON_TYPES: &str = "utf8, large_utf8, utf8_view, binary, large_binary or binary_view";

/// JSON documents.
#[derive(Debug)]
pub(crate) struct Json<'a> {
    bytes: Bytes<'a>,
    /// Names that the keys of the dynamic field must not have; None for a plain JSON field.
    reserved: Option<&'a HashSet<String>>,
}

impl<'a> Json<'a> {
    pub(crate) fn bind(array: &'a dyn Array, reserved: Option<&'a HashSet<String>>) -> Result<Self, ColumnReason> {
        let bytes = Bytes::of_text(array).or_else(|| Bytes::of_binary(array));
        let bytes = bytes.ok_or_else(|| wrong_type(JSON_TYPES, array))??;
        Ok(Self { bytes, reserved })
    }

    fn check(&self, document: &[u8]) -> Result<(), CellReason> {
        if document.len() > MAX_JSON_LEN {
            return Err(CellReason::JsonTooLong { bytes: document.len(), limit: MAX_JSON_LEN });
        }
        let text = std::str::from_utf8(document)
            .map_err(|error| CellReason::NotUtf8 { byte: error.valid_up_to(), element: None })?;
        match self.reserved {
            None => serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| not_json(&error)),
            Some(reserved) => check_object(text, reserved),
        }
    }
}

/// Keys that the dynamic field may have. One with an escape may be another key than it seems.
struct Undeclared<'a>(&'a HashSet<String>);

impl KeyCheck for Undeclared<'_> {
    fn takes(&self, key: &[u8]) -> bool {
        let plain = std::str::from_utf8(key).ok().filter(|key| !key.contains('\\'));
        plain.is_some_and(|key| key != DYNAMIC_FIELD_NAME && !self.0.contains(key))
    }
}

impl Json<'_> {
    /// A quick yes to the document in the first `len` bytes; no may be wrong.
    fn accepts(&self, text: &[u8], len: usize) -> bool {
        match self.reserved {
            None => accepts(text, len, &AnyKey),
            Some(reserved) => text.first() == Some(&b'{') && accepts(text, len, &Undeclared(reserved)),
        }
    }
}

impl Cells for Json<'_> {
    fn size(&self, rows: Range<usize>) -> Result<Tally, Fault> {
        texts_len(&self.bytes, rows, MAX_JSON_LEN).map(Tally::of)
    }

    fn write(&self, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        put_texts(&self.bytes, rows, sink, |text, len| {
            if self.accepts(text, len) { Ok(()) } else { self.check(&text[..len]).map_err(|_| Fault::Refused) }
        })
    }

    fn refusal(&self, row: usize) -> Option<CellReason> {
        self.check(self.bytes.get(row).ok()?).err()
    }
}

fn not_json(error: &serde_json::Error) -> CellReason {
    CellReason::NotJson { detail: error.to_string() }
}

/// An object whose keys Milvus takes in the dynamic field.
fn check_object(text: &str, reserved: &HashSet<String>) -> Result<(), CellReason> {
    let found = match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "",
    };
    if !found.is_empty() && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Err(CellReason::NotObject { found });
    }
    let mut parser: Deserializer<StrRead<'_>> = Deserializer::from_str(text);
    let clash = (&mut parser).deserialize_map(Keys { reserved }).map_err(|error| not_json(&error))?;
    parser.end().map_err(|error| not_json(&error))?;
    clash.map_or(Ok(()), |key| Err(CellReason::ReservedKey { key }))
}

/// Visits an object's keys and gives the first that is reserved.
struct Keys<'a> {
    reserved: &'a HashSet<String>,
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut clash = None;
        while let Some(found) = map.next_key_seed(Key { reserved: self.reserved })? {
            clash = clash.or(found);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(clash)
    }
}

/// One key, given back where it is reserved.
struct Key<'a> {
    reserved: &'a HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let reserved = key == DYNAMIC_FIELD_NAME || self.reserved.contains(key);
        Ok(reserved.then(|| key.to_owned()))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Err(E::custom("a key that is not UTF-8"))
    }
}
