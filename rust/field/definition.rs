//! What a field is: its name, type and limits, checked once when it is defined.

use super::text::TEXT_TYPES;
use super::{DYNAMIC_FIELD_NAME, number, tag};
use crate::error::{ColumnReason, PackError};
use crate::wire::{Frame, bytes_field, varint_field};

/// The most elements an array field can declare.
const MAX_CAPACITY: i64 = 4_096;
/// The longest value a varchar field can declare, in UTF-8 bytes.
const MAX_LENGTH: i64 = 65_535;
/// The largest dimension of any vector type.
const MAX_DIM: i64 = 262_144;

/// What defines a [`Field`] besides its name. Numbers are Milvus's; 0 stands for "not given".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldOptions {
    /// `DataType` of `schema.proto`.
    pub data_type: i32,
    /// Dimension of a dense vector.
    pub dim: i64,
    /// `DataType` of an array's elements.
    pub element_type: i32,
    /// Longest varchar (or varchar element), in UTF-8 bytes.
    pub max_length: i64,
    /// Most elements of an array.
    pub max_capacity: i64,
    /// Whether cells may be null.
    pub nullable: bool,
    /// Whether this is the dynamic field.
    pub is_dynamic: bool,
}

/// One field of a collection, valid by construction.
#[derive(Debug, Clone)]
pub struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    pub(super) is_dynamic: bool,
    /// `type` and `field_name` of the `FieldData`, the same for every batch.
    pub(super) head: Vec<u8>,
}

/// A Milvus data type with the parameters that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar(ElementKind),
    Json,
    Array { element: ElementKind, max_capacity: usize },
    Geometry,
    Text,
    Timestamptz,
    DenseVector { element: VectorKind, dim: usize },
    SparseVector,
}

/// What a dense vector's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VectorKind {
    Float32,
    Float16,
    BFloat16,
    Int8,
    /// Eight to a byte.
    Binary,
}

/// A type that can stand alone or be an array's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementKind {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float,
    Double,
    VarChar { max_length: usize },
}

impl Field {
    /// Define a field.
    ///
    /// # Errors
    ///
    /// [`ColumnReason::Definition`] where the type is not supported, or a parameter is missing, out of bounds or does
    /// not belong to the type.
    pub fn new(name: impl Into<String>, options: FieldOptions) -> Result<Self, PackError> {
        let name = name.into();
        let kind = define(&name, &options).map_err(|reason| PackError::column(&name, *reason))?;
        let mut head = varint_field(tag::TYPE, u64::try_from(options.data_type).unwrap_or(0));
        head.extend(bytes_field(tag::NAME, name.as_bytes()));
        Ok(Self { name, kind, nullable: options.nullable, is_dynamic: options.is_dynamic, head })
    }

    /// The field's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether cells may be null.
    #[must_use]
    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// Whether this is the dynamic field.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }
}

type Checked<T> = Result<T, Box<ColumnReason>>;

fn define(name: &str, options: &FieldOptions) -> Checked<Kind> {
    if name.is_empty() {
        return refuse("a name", "an empty one", "name the field");
    }
    let kind = match options.data_type {
        number::JSON => Kind::Json,
        number::ARRAY => Kind::Array {
            element: element(options.element_type, options, "element_type")?,
            max_capacity: between("max_capacity", options.max_capacity, MAX_CAPACITY)?,
        },
        number::GEOMETRY => Kind::Geometry,
        number::TEXT => Kind::Text,
        number::TIMESTAMPTZ => Kind::Timestamptz,
        number::FLOAT_VECTOR => dense_vector(VectorKind::Float32, options)?,
        number::FLOAT16_VECTOR => dense_vector(VectorKind::Float16, options)?,
        number::BFLOAT16_VECTOR => dense_vector(VectorKind::BFloat16, options)?,
        number::INT8_VECTOR => dense_vector(VectorKind::Int8, options)?,
        number::BINARY_VECTOR => dense_vector(VectorKind::Binary, options)?,
        number::SPARSE_FLOAT_VECTOR => Kind::SparseVector,
        data_type => Kind::Scalar(element(data_type, options, "data_type")?),
    };
    let foreign = [
        ("dim", options.dim != 0 && !matches!(kind, Kind::DenseVector { .. })),
        ("element_type", options.element_type != 0 && !matches!(kind, Kind::Array { .. })),
        ("max_capacity", options.max_capacity != 0 && !matches!(kind, Kind::Array { .. })),
        ("max_length", options.max_length != 0 && !kind.has_max_length()),
    ];
    if let Some((parameter, _)) = foreign.into_iter().find(|(_, given)| *given) {
        let expected = format!("no {parameter} with data_type {}", options.data_type);
        return refuse(expected, "one", "leave the parameter out or choose another type");
    }
    let meta = options.is_dynamic;
    if meta && (kind != Kind::Json || name != DYNAMIC_FIELD_NAME || options.nullable) {
        let found = format!("'{name}' of data_type {}, nullable={}", options.data_type, options.nullable);
        return refuse("a dynamic field '$meta' of data_type 23 (JSON), not nullable", found, "set is_dynamic=False");
    }
    Ok(kind)
}

fn dense_vector(element: VectorKind, options: &FieldOptions) -> Checked<Kind> {
    let dim = between("dim", options.dim, MAX_DIM)?;
    if element == VectorKind::Binary && dim % 8 != 0 {
        return refuse("a dim that is a multiple of 8 bits", format!("dim={dim}"), "pad the vectors to whole bytes");
    }
    Ok(Kind::DenseVector { element, dim })
}

fn element(data_type: i32, options: &FieldOptions, parameter: &str) -> Checked<ElementKind> {
    Ok(match data_type {
        number::BOOL => ElementKind::Bool,
        number::INT8 => ElementKind::Int8,
        number::INT16 => ElementKind::Int16,
        number::INT32 => ElementKind::Int32,
        number::INT64 => ElementKind::Int64,
        number::FLOAT => ElementKind::Float,
        number::DOUBLE => ElementKind::Double,
        number::VARCHAR => ElementKind::VarChar { max_length: between("max_length", options.max_length, MAX_LENGTH)? },
        _ => {
            let scalars = "1 (BOOL), 2 (INT8), 3 (INT16), 4 (INT32), 5 (INT64), 10 (FLOAT), 11 (DOUBLE), 21 (VARCHAR)";
            let more = ", 22 (ARRAY), 23 (JSON), 24 (GEOMETRY), 25 (TEXT), 26 (TIMESTAMPTZ), \
                        100 (BINARY_VECTOR), 101 (FLOAT_VECTOR), 102 (FLOAT16_VECTOR), 103 (BFLOAT16_VECTOR), \
                        104 (SPARSE_FLOAT_VECTOR), 105 (INT8_VECTOR)";
            let more = if parameter == "data_type" { more } else { "" };
            let expected = format!("{parameter} among {scalars}{more}");
            return refuse(expected, data_type.to_string(), "choose one of them");
        }
    })
}

fn between(parameter: &str, value: i64, most: i64) -> Checked<usize> {
    match usize::try_from(value) {
        Ok(size) if value >= 1 && value <= most => Ok(size),
        _ => refuse(format!("{parameter} between 1 and {most}"), format!("{parameter}={value}"), "correct the schema"),
    }
}

fn refuse<T>(expected: impl Into<String>, found: impl Into<String>, remedy: &'static str) -> Checked<T> {
    Err(Box::new(ColumnReason::Definition { expected: expected.into(), found: found.into(), remedy }))
}

impl Kind {
    fn has_max_length(self) -> bool {
        match self {
            Self::Scalar(element) | Self::Array { element, .. } => matches!(element, ElementKind::VarChar { .. }),
            _ => false,
        }
    }
}

impl ElementKind {
    /// The `DataType` number.
    pub(super) const fn number(self) -> u64 {
        let number = match self {
            Self::Bool => number::BOOL,
            Self::Int8 => number::INT8,
            Self::Int16 => number::INT16,
            Self::Int32 => number::INT32,
            Self::Int64 => number::INT64,
            Self::Float => number::FLOAT,
            Self::Double => number::DOUBLE,
            Self::VarChar { .. } => number::VARCHAR,
        };
        number.unsigned_abs() as u64
    }

    /// The tag of the `ScalarField` member that carries such values.
    pub(super) const fn slot(self) -> u8 {
        match self {
            Self::Bool => tag::BOOL_DATA,
            Self::Int8 | Self::Int16 | Self::Int32 => tag::INT_DATA,
            Self::Int64 => tag::LONG_DATA,
            Self::Float => tag::FLOAT_DATA,
            Self::Double => tag::DOUBLE_DATA,
            Self::VarChar { .. } => tag::STRING_DATA,
        }
    }

    /// Whether the values are together one field of their `BoolArray`, `LongArray` ..., not one each.
    pub(super) const fn is_packed(self) -> bool {
        !matches!(self, Self::VarChar { .. })
    }

    /// What a `BoolArray`, `LongArray` ... puts around the bytes of its values.
    pub(super) fn frame(self, payload: usize) -> Frame {
        if self.is_packed() { Frame::packed(tag::PACKED_DATA, payload) } else { Frame::new(payload) }
    }

    /// The Arrow types that such values come in.
    pub(super) const fn arrow_types(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float32",
            Self::Double => "float64",
            Self::VarChar { .. } => TEXT_TYPES,
        }
    }
}

impl VectorKind {
    /// The tag of the `VectorField` member that carries such vectors.
    pub(super) const fn slot(self) -> u8 {
        match self {
            Self::Float32 => tag::FLOAT_VECTOR,
            Self::Float16 => tag::FLOAT16_VECTOR,
            Self::BFloat16 => tag::BFLOAT16_VECTOR,
            Self::Int8 => tag::INT8_VECTOR,
            Self::Binary => tag::BINARY_VECTOR,
        }
    }

    /// Bytes of one vector.
    pub(super) const fn row_bytes(self, dim: usize) -> usize {
        match self {
            Self::Float32 => 4 * dim,
            Self::Float16 | Self::BFloat16 => 2 * dim,
            Self::Int8 => dim,
            Self::Binary => dim / 8,
        }
    }
}
