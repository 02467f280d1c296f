//! Every reason to refuse a cell, a column or a definition, with where, expected, found and remedy.
//!
//! The fast passes only notice *that* something is wrong ([`Fault`]); the reason is found afterwards, cell by cell,
//! so that good data never pays for the text of an error.

use std::fmt;

/// Why packing failed, and where.
#[derive(Debug, Clone, PartialEq)]
pub enum PackError {
    /// Milvus would refuse this cell.
    Cell {
        /// Row of the batch, from 0.
        row: usize,
        /// The field's name.
        field: String,
        /// What is wrong with it.
        reason: CellReason,
    },
    /// The column does not fit the field, or the definition contradicts itself; `field` is empty where the
    /// batch or the request as a whole is meant.
    Column {
        /// The field's or column's name.
        field: String,
        /// What is wrong with it.
        reason: ColumnReason,
    },
}

/// Why Milvus would refuse one cell. `element` is the position inside the cell's list or vector.
#[derive(Debug, Clone, PartialEq)]
pub enum CellReason {
    /// Null in a field that is not nullable.
    Null,
    /// Null inside an array or vector.
    NullElement {
        /// Position of the null.
        element: usize,
    },
    /// NaN or infinity.
    NotFinite {
        /// The value.
        value: f64,
        /// Position, None for a scalar.
        element: Option<usize>,
    },
    /// A string of more UTF-8 bytes than `max_length`.
    TooLong {
        /// Bytes found.
        bytes: usize,
        /// The field's `max_length`.
        limit: usize,
        /// Position in an array, None for a scalar.
        element: Option<usize>,
    },
    /// A string that is not UTF-8.
    NotUtf8 {
        /// First byte that does not belong.
        byte: usize,
        /// Position in an array, None for a scalar.
        element: Option<usize>,
    },
    /// A JSON cell of more bytes than Milvus takes.
    JsonTooLong {
        /// Bytes found.
        bytes: usize,
        /// The most that Milvus takes.
        limit: usize,
    },
    /// Not one valid JSON document.
    NotJson {
        /// What the parser says.
        detail: String,
    },
    /// The dynamic field's document is not an object.
    NotObject {
        /// What it is instead.
        found: &'static str,
    },
    /// The dynamic field's document has a key that Milvus keeps for itself or for a declared field.
    ReservedKey {
        /// The key.
        key: String,
    },
    /// An array of more elements than `max_capacity`.
    TooManyElements {
        /// Elements found.
        found: usize,
        /// The field's `max_capacity`.
        limit: usize,
    },
    /// A vector of another length than the field's.
    WrongLength {
        /// Elements or bytes found.
        found: usize,
        /// As many as the field's dim asks for.
        expected: usize,
        /// What is counted: elements of a list, bytes of a binary value.
        unit: &'static str,
    },
    /// A timestamp that has no exact text: nanoseconds that are no whole microseconds, or a year outside 1 to 9999.
    NotATimestamp {
        /// The value, in `unit`.
        value: i64,
        /// Its unit: s, ms, us or ns.
        unit: &'static str,
    },
    /// A sparse vector whose lists of indices and of values differ in length.
    UnequalLengths {
        /// Number of indices.
        indices: usize,
        /// Number of values.
        values: usize,
    },
    /// A sparse vector with one index twice.
    IndexTwice {
        /// The index.
        index: u32,
    },
    /// A sparse index below 0 or over 2^32 - 2.
    IndexOutOfRange {
        /// The index.
        index: i128,
    },
    /// A sparse value below 0.
    NegativeValue {
        /// The value.
        value: f32,
        /// Position in the row as it was given.
        element: usize,
    },
}

/// Why a column, a field or a request as a whole cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnReason {
    /// The column's Arrow type is none that the field takes.
    WrongType {
        /// The types that it takes.
        expected: String,
        /// The column's type.
        found: String,
    },
    /// A vector column of another width than the field's dim.
    WrongDim {
        /// Elements or bytes that the field's dim asks for.
        expected: usize,
        /// The column's width.
        found: usize,
        /// What is counted: elements of a list, bytes of a binary value.
        unit: &'static str,
    },
    /// The batch has no column for the field.
    Missing,
    /// The batch has a column that is no field of the packer.
    Unknown {
        /// The names of the packer's fields.
        fields: String,
    },
    /// Two columns or two fields have this name.
    Twice,
    /// The array contradicts the Arrow format.
    Corrupt {
        /// What the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A field or packer was defined with contradicting facts.
    Definition {
        /// What would be valid.
        expected: String,
        /// What was given.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The request would have no rows, which Milvus refuses.
    NoRows,
    /// The request would be larger than a protobuf message can be.
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The source memory changed while it was read.
    Changed,
}

impl PackError {
    pub(crate) fn column(field: &str, reason: ColumnReason) -> Self {
        Self::Column { field: field.to_owned(), reason }
    }

    pub(crate) fn cell(row: usize, field: &str, reason: CellReason) -> Self {
        Self::Cell { row, field: field.to_owned(), reason }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell { row, field, reason } => {
                let (expected, found, remedy) = (reason.expected(), reason.found(), reason.remedy());
                write!(f, "row {row}, field '{field}': expected {expected}, found {found}; {remedy}")
            }
            Self::Column { field, reason } => {
                if field.is_empty() {
                    f.write_str("batch")?;
                } else {
                    write!(f, "field '{field}'")?;
                }
                write!(f, ": expected {}, found {}; {}", reason.expected(), reason.found(), reason.remedy())
            }
        }
    }
}

impl std::error::Error for PackError {}

fn at(element: Option<usize>) -> String {
    element.map_or_else(String::new, |element| format!(" at element {element}"))
}

impl CellReason {
    /// What Milvus takes.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Null => "a value".into(),
            Self::NullElement { .. } => "no null elements".into(),
            Self::NotFinite { .. } => "finite values".into(),
            Self::TooLong { limit, .. } => format!("at most {limit} UTF-8 bytes"),
            Self::NotUtf8 { .. } => "UTF-8".into(),
            Self::JsonTooLong { limit, .. } => format!("at most {limit} bytes of JSON"),
            Self::NotJson { .. } => "a JSON document".into(),
            Self::NotObject { .. } => "a JSON object".into(),
            Self::ReservedKey { .. } => "keys other than '$meta' and the declared fields".into(),
            Self::TooManyElements { limit, .. } => format!("at most {limit} elements"),
            Self::WrongLength { expected, unit, .. } => format!("a vector of {expected} {unit}"),
            Self::NotATimestamp { .. } => "whole microseconds between the years 1 and 9999".into(),
            Self::UnequalLengths { .. } => "as many indices as values".into(),
            Self::IndexTwice { .. } => "each index once".into(),
            Self::IndexOutOfRange { .. } => "indices between 0 and 4294967294".into(),
            Self::NegativeValue { .. } => "values of at least 0".into(),
        }
    }

    /// What was found instead.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::NullElement { element } => format!("null at element {element}"),
            Self::NotFinite { value, element } => format!("{value}{}", at(*element)),
            Self::TooLong { bytes, element, .. } => format!("{bytes} bytes{}", at(*element)),
            Self::NotUtf8 { byte, element } => format!("an invalid byte at position {byte}{}", at(*element)),
            Self::JsonTooLong { bytes, .. } => format!("{bytes} bytes"),
            Self::NotJson { detail } => format!("invalid JSON ({detail})"),
            Self::NotObject { found } => (*found).into(),
            Self::ReservedKey { key } => format!("the key '{key}'"),
            Self::TooManyElements { found, .. } => format!("{found} elements"),
            Self::WrongLength { found, unit, .. } => format!("{found} {unit}"),
            Self::NotATimestamp { value, unit } => format!("{value} {unit} since 1970"),
            Self::UnequalLengths { indices, values } => format!("{indices} indices and {values} values"),
            Self::IndexTwice { index } => format!("index {index} twice"),
            Self::IndexOutOfRange { index } => format!("index {index}"),
            Self::NegativeValue { value, element } => format!("{value} at element {element}"),
        }
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Null => "fill the value, drop the row or declare the field nullable",
            Self::NullElement { .. } => "fill the element or drop the row",
            Self::NotFinite { .. } => "replace NaN and infinity or drop the row",
            Self::TooLong { .. } => "shorten the value or declare a larger max_length",
            Self::NotUtf8 { .. } => "decode the source with its own encoding first",
            Self::JsonTooLong { .. } => "shorten the document or split it over several fields",
            Self::NotJson { .. } => "write standard JSON (no NaN, no trailing text)",
            Self::NotObject { .. } => "wrap the value in an object",
            Self::ReservedKey { .. } => "rename the key or send it as the field of that name",
            Self::TooManyElements { .. } => "shorten the array or declare a larger max_capacity",
            Self::WrongLength { .. } => "give a vector of the field's dim",
            Self::NotATimestamp { .. } => "round the value or drop the row",
            Self::UnequalLengths { .. } => "give one value for each index",
            Self::IndexTwice { .. } => "add the values of equal indices up first",
            Self::IndexOutOfRange { .. } => "map the tokens to smaller indices",
            Self::NegativeValue { .. } => "drop the entry or use a dense vector",
        }
    }
}

impl ColumnReason {
    /// What would fit.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::WrongType { expected, .. } | Self::Corrupt { expected, .. } | Self::Definition { expected, .. } => {
                expected.clone()
            }
            Self::WrongDim { expected, unit, .. } => format!("vectors of {expected} {unit}, as the field's dim says"),
            Self::Missing => "a column of this name".into(),
            Self::Unknown { fields } => format!("only the fields {fields}"),
            Self::Twice => "each name once".into(),
            Self::NoRows => "at least one row".into(),
            Self::TooLarge { .. } => format!("a request of at most {} bytes", crate::wire::MAX_MESSAGE_LEN),
            Self::Changed => "memory that stays as it is while it is packed".into(),
        }
    }

    /// What was found instead.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::WrongType { found, .. } | Self::Corrupt { found, .. } | Self::Definition { found, .. } => {
                found.clone()
            }
            Self::WrongDim { found, unit, .. } => format!("vectors of {found} {unit}"),
            Self::Missing | Self::NoRows => "none".into(),
            Self::Unknown { .. } => "another column".into(),
            Self::Twice => "two".into(),
            Self::TooLarge { bytes } => format!("{bytes} bytes"),
            Self::Changed => "that it was changed".into(),
        }
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::WrongType { .. } => "cast the column",
            Self::WrongDim { .. } => "use vectors of the field's dim or another field",
            Self::Missing => "add the column, or build the packer without the field where Milvus can fill it",
            Self::Unknown { .. } => "drop the column or put it into the dynamic field",
            Self::Twice => "rename or drop one",
            Self::Corrupt { .. } => "validate the array where it is made",
            Self::Definition { remedy, .. } => remedy,
            Self::NoRows => "send no request",
            Self::TooLarge { .. } => "send fewer rows in one request",
            Self::Changed => "do not write to arrays that are being packed",
        }
    }
}

/// What stops a fast pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Some cell is refused; `refusal` of the column says which and why.
    Refused,
    /// What was read does not agree with what was read before.
    Changed,
}

impl From<crate::wire::SizeMismatch> for Fault {
    fn from(_: crate::wire::SizeMismatch) -> Self {
        Self::Changed
    }
}
