//! Columns out of a message that a server sent: the buffers of Arrow arrays, made without an object per value.
//!
//! ```text
//! FieldData    1 type  2 field_name  3 scalars  4 vectors  6 is_dynamic  7 valid_data
//! ScalarField  one of 1 bool  2 int  3 long  4 float  5 double  6 string  8 array  9 json  11 timestamptz  12 wkt
//!              17 valid_data
//! VectorField  1 dim  one of 2 float  3 binary  4 float16  5 bfloat16  6 sparse  7 int8   9 valid_data
//! ```
//!
//! Numbers of fixed width stay where they are in the message; what is encoded is decoded. Field numbers are those of
//! `schema.proto` (milvus-proto master).

use std::ops::Range;

mod items;

use self::items::{Items, Width};
use crate::wire::{Content, NoMessage, Part, Parts, encode_varint};

/// Why a message holds no columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyError {
    /// The bytes are not the message they should be.
    NoMessage,
    /// A column contradicts itself.
    Column {
        /// The column's name.
        name: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

impl From<NoMessage> for ReplyError {
    fn from(_: NoMessage) -> Self {
        Self::NoMessage
    }
}

/// Bytes of a buffer: some of the message's own, or decoded ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// Where they stand in the message.
    Shared(Range<usize>),
    /// Made from the message.
    Owned(Vec<u8>),
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The field's name.
    pub name: String,
    /// `DataType` of `schema.proto`; 0 where the server leaves it out.
    pub data_type: i32,
    /// Whether it is the dynamic field.
    pub is_dynamic: bool,
    /// Dimension of a dense vector.
    pub dim: i64,
    /// A byte for each row: 1, or 0 where it is null; empty where the column has no mask.
    pub valid: Vec<u8>,
    /// What it holds; None where that is nothing known.
    pub values: Option<Values>,
}

/// The values of a column. Integers of the buffers are little endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// The slot's name in `schema.proto`, such as `long_data`.
    pub slot: &'static str,
    /// Elements of one width: the elements. Texts: int32 offsets and their bytes. Sparse vectors: int32 offsets, uint32
    /// indices, float32 values. Arrays: int32 offsets.
    pub buffers: Vec<Memory>,
    /// Of arrays: `DataType` of the elements, and the elements of all rows; None where no row has any.
    pub elements: Option<(i32, Option<Box<Values>>)>,
}

/// The columns that stand under the field numbers `path` in `message`, and the message without them.
///
/// # Errors
///
/// [`ReplyError`] where the bytes are no such message, or a column contradicts itself.
pub fn columns(message: &[u8], path: &[u32]) -> Result<(Vec<Column>, Vec<u8>), ReplyError> {
    let mut found = Vec::new();
    let mut rest = Vec::new();
    split(message, message, path, &mut found, &mut rest)?;
    Ok((found, rest))
}

fn split(
    whole: &[u8],
    message: &[u8],
    path: &[u32],
    found: &mut Vec<Column>,
    rest: &mut Vec<u8>,
) -> Result<(), ReplyError> {
    for part in Parts::of(message) {
        let part = part?;
        match (part.content, path) {
            (Content::Bytes(content), [number]) if part.number == *number => found.push(column(whole, content)?),
            (Content::Bytes(content), [number, inner @ ..]) if part.number == *number => {
                let mut remains = Vec::new();
                split(whole, content, inner, found, &mut remains)?;
                put_bytes(rest, part.number, &remains);
            }
            _ => rest.extend_from_slice(part.whole),
        }
    }
    Ok(())
}

fn put_bytes(rest: &mut Vec<u8>, number: u32, content: &[u8]) {
    for value in [u64::from(number) << 3 | 2, content.len() as u64] {
        let (bytes, len) = encode_varint(value);
        rest.extend_from_slice(&bytes.to_le_bytes()[..len]);
    }
    rest.extend_from_slice(content);
}

fn column(whole: &[u8], message: &[u8]) -> Result<Column, ReplyError> {
    let mut column =
        Column { name: String::new(), data_type: 0, is_dynamic: false, dim: 0, valid: Vec::new(), values: None };
    let mut inner_valid = Vec::new();
    let mut bodies = Vec::new();
    for part in Parts::of(message) {
        let Part { number, content, .. } = part?;
        match (number, content) {
            (1, Content::Varint(value)) => column.data_type = int32(value),
            (2, Content::Bytes(name)) => column.name = String::from_utf8_lossy(name).into_owned(),
            (3 | 4, Content::Bytes(body)) => bodies.push((number, body)),
            (6, Content::Varint(value)) => column.is_dynamic = value != 0,
            (7, content) => put_flags(content, &mut column.valid)?,
            _ => {}
        }
    }
    for (number, body) in bodies {
        let reader = Reader { whole, name: &column.name };
        let slots = if number == 3 { SCALARS } else { VECTORS };
        for part in Parts::of(body) {
            let Part { number: inner, content, .. } = part?;
            match (number, inner, content) {
                (4, 1, Content::Varint(dim)) => column.dim = dim.cast_signed(),
                // Servers newer than 3.0 put the mask inside and call the outer one legacy.
                (3, 17, content) | (4, 9, content) => put_flags(content, &mut inner_valid)?,
                (_, _, Content::Bytes(content)) => {
                    if let Some((_, slot, kind)) = slots.iter().find(|(number, ..)| *number == inner) {
                        column.values = Some(reader.values(slot, *kind, content)?);
                    }
                }
                _ => {}
            }
        }
    }
    if !inner_valid.is_empty() {
        column.valid = inner_valid;
    }
    Ok(column)
}

/// How a slot's content is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integers(Width),
    /// Numbers of so many bytes.
    Fixed(usize),
    Texts,
    Documents,
    Arrays,
    Sparse,
    /// The bytes themselves.
    Bytes,
}

type Slot = (u32, &'static str, Kind);

const SCALARS: &[Slot] = &[
    (1, "bool_data", Kind::Integers(Width::Bool)),
    (2, "int_data", Kind::Integers(Width::Int32)),
    (3, "long_data", Kind::Integers(Width::Int64)),
    (4, "float_data", Kind::Fixed(4)),
    (5, "double_data", Kind::Fixed(8)),
    (6, "string_data", Kind::Texts),
    (8, "array_data", Kind::Arrays),
    (9, "json_data", Kind::Documents),
    (11, "timestamptz_data", Kind::Integers(Width::Int64)),
    (12, "geometry_wkt_data", Kind::Texts),
];
const VECTORS: &[Slot] = &[
    (2, "float_vector", Kind::Fixed(4)),
    (3, "binary_vector", Kind::Bytes),
    (4, "float16_vector", Kind::Bytes),
    (5, "bfloat16_vector", Kind::Bytes),
    (6, "sparse_float_vector", Kind::Sparse),
    (7, "int8_vector", Kind::Bytes),
];

struct Reader<'r> {
    whole: &'r [u8],
    name: &'r str,
}

impl Reader<'_> {
    fn error(&self, expected: &'static str, found: String) -> ReplyError {
        ReplyError::Column { name: self.name.to_owned(), expected, found }
    }

    fn values(&self, slot: &'static str, kind: Kind, content: &[u8]) -> Result<Values, ReplyError> {
        let mut elements = None;
        let buffers = match kind {
            Kind::Bytes => vec![Memory::Shared(place(self.whole, content))],
            Kind::Arrays => {
                let (offsets, element_type, items) = self.arrays(content)?;
                elements = Some((element_type, items.map(Box::new)));
                vec![offsets]
            }
            _ => {
                let mut items = Items::of(kind).ok_or(ReplyError::NoMessage)?;
                self.add(&mut items, content)?;
                items.into_buffers()
            }
        };
        Ok(Values { slot, buffers, elements })
    }

    /// Add the `data` (field 1; of sparse vectors `contents`) of one `*Array` message.
    fn add(&self, items: &mut Items, message: &[u8]) -> Result<(), ReplyError> {
        for part in Parts::of(message) {
            let part = part?;
            if part.number == 1 {
                self.add_part(items, part.content)?;
            }
        }
        Ok(())
    }

    fn add_part(&self, items: &mut Items, content: Content<'_>) -> Result<(), ReplyError> {
        match (items, content) {
            (Items::Integers { bytes, width }, Content::Bytes(packed)) => width.read(packed, bytes)?,
            (Items::Fixed { memory, width }, Content::Bytes(packed) | Content::Fixed(packed)) => {
                if packed.len() % *width != 0 {
                    return Err(self.error("numbers of a fixed width", format!("{} bytes", packed.len())));
                }
                match memory {
                    // One run, as servers write it, stays where it is.
                    Memory::Shared(range) if range.start == range.end => *range = place(self.whole, packed),
                    Memory::Shared(range) => {
                        *memory = Memory::Owned([&self.whole[range.clone()], packed].concat());
                    }
                    Memory::Owned(bytes) => bytes.extend_from_slice(packed),
                }
            }
            (Items::Texts { offsets, bytes, utf8 }, Content::Bytes(text)) => {
                if *utf8 && simdutf8::basic::from_utf8(text).is_err() {
                    return Err(self.error("text in UTF-8", format!("other bytes in row {}", offsets.len() - 1)));
                }
                bytes.extend_from_slice(text);
                offsets.push(self.offset(bytes.len())?);
            }
            (Items::Sparse { offsets, indices, values }, Content::Bytes(row)) => {
                let (pairs, []) = row.as_chunks::<8>() else {
                    return Err(self.error("sparse rows of 8 bytes a pair", format!("{} bytes", row.len())));
                };
                for [i0, i1, i2, i3, v0, v1, v2, v3] in pairs {
                    indices.extend_from_slice(&[*i0, *i1, *i2, *i3]);
                    values.extend_from_slice(&[*v0, *v1, *v2, *v3]);
                }
                offsets.push(self.offset(indices.len() / 4)?);
            }
            _ => return Err(ReplyError::NoMessage),
        }
        Ok(())
    }

    /// The rows of an `ArrayArray`: offsets, the elements' `DataType`, and the elements.
    fn arrays(&self, message: &[u8]) -> Result<(Memory, i32, Option<Values>), ReplyError> {
        let mut element_type = 0;
        let mut offsets = vec![0];
        let mut items: Option<(&'static Slot, Items)> = None;
        for part in Parts::of(message) {
            let part = part?;
            match (part.number, part.content) {
                (1, Content::Bytes(row)) => {
                    self.add_row(&mut items, row)?;
                    offsets.push(self.offset(items.as_ref().map_or(0, |(_, items)| items.len()))?);
                }
                (2, Content::Varint(value)) => element_type = int32(value),
                _ => {}
            }
        }
        let values = items.map(|((_, slot, _), items)| Values { slot, buffers: items.into_buffers(), elements: None });
        Ok((Memory::Owned(le_bytes(&offsets)), element_type, values))
    }

    fn add_row(&self, items: &mut Option<(&'static Slot, Items)>, row: &[u8]) -> Result<(), ReplyError> {
        for part in Parts::of(row) {
            let part = part?;
            let slot = SCALARS.iter().find(|(number, ..)| *number == part.number);
            let (Some(slot), Content::Bytes(content)) = (slot, part.content) else { continue };
            let Some(empty) = Items::of(slot.2) else {
                return Err(self.error("arrays of plain values", "arrays of arrays".to_owned()));
            };
            let (held, items) = items.get_or_insert((slot, empty));
            if held.0 != slot.0 {
                return Err(self.error("arrays of one type", format!("{} and {}", held.1, slot.1)));
            }
            self.add(items, content)?;
        }
        Ok(())
    }

    /// Arrow's offsets are int32; servers refuse to send more than that long before.
    fn offset(&self, len: usize) -> Result<i32, ReplyError> {
        i32::try_from(len).map_err(|_| self.error("at most 2147483647 elements", len.to_string()))
    }
}

/// An int32 travels as its two's complement in 64 bits.
#[allow(clippy::cast_possible_truncation, reason = "the upper half repeats the sign")]
const fn int32(value: u64) -> i32 {
    value as i32
}

fn put_flags(content: Content<'_>, flags: &mut Vec<u8>) -> Result<(), NoMessage> {
    match content {
        Content::Bytes(packed) => Width::Bool.read(packed, flags),
        Content::Varint(value) => {
            flags.push(u8::from(value != 0));
            Ok(())
        }
        Content::Fixed(_) => Err(NoMessage),
    }
}

fn le_bytes(offsets: &[i32]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect()
}

/// Where `part`, a slice of `whole`, stands in it.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}
