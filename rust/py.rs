//! The Python extension `headrace._core`: signatures, one call each, one place that makes errors.
//!
//! The only file that names pyo3.

#![allow(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use arrow_array::{RecordBatch, cast::AsArray, types::Float32Type};
use pyo3::Borrowed;
use pyo3::exceptions::{PyRuntimeWarning, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList};
use pyo3::{ffi, intern};
use pyo3_arrow::{PyArray, PyRecordBatch};

use crate::error::{ColumnReason, PackError};
use crate::field::{Field, FieldOptions};
use crate::reply::{self, ReplyError};
use crate::request::{Names, Packer, Request, bind_field};

/// The arrow crates' version; a test compares it with `Cargo.lock`.
const ARROW_VERSION: &str = "59.3.2";

/// A refused cell as Python gets it: row, field, expected, found, remedy.
type RefusedCell = (usize, String, String, String, String);

/// Rust core of headrace: packs Arrow columns into Milvus request bytes.
#[pymodule]
#[pyo3(name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    if cfg!(debug_assertions) {
        let text = c"headrace._core is a debug build: packing is many times slower than in a release build";
        PyErr::warn(module.py(), &module.py().get_type::<PyRuntimeWarning>(), text, 1)?;
    }
    module.add_class::<PyField>()?;
    module.add_class::<PyPacker>()?;
    module.add_function(wrap_pyfunction!(decode_columns, module)?)?;
    module.add_function(wrap_pyfunction!(float_lists, module)?)?;
    module.add_function(wrap_pyfunction!(float_rows, module)?)?;
    module.add_function(wrap_pyfunction!(pack_field_py, module)?)?;
    module.add_function(wrap_pyfunction!(build_info, module)?)
}

/// One field of a collection, checked when it is built.
#[pyclass(frozen, name = "Field", module = "headrace._core")]
struct PyField(Field);

#[pymethods]
impl PyField {
    #[new]
    #[pyo3(signature = (
        name, data_type, *, dim = 0, element_type = 0, max_length = 0, max_capacity = 0, nullable = false,
        is_dynamic = false
    ))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of a Python constructor")]
    #[allow(clippy::fn_params_excessive_bools, reason = "keyword arguments of a Python constructor")]
    fn new(
        py: Python<'_>,
        name: String,
        data_type: i32,
        dim: i64,
        element_type: i32,
        max_length: i64,
        max_capacity: i64,
        nullable: bool,
        is_dynamic: bool,
    ) -> PyResult<Self> {
        let options = FieldOptions { data_type, dim, element_type, max_length, max_capacity, nullable, is_dynamic };
        Field::new(name, options).map(Self).map_err(|error| raise(py, &error))
    }

    /// The field's name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    fn __repr__(&self) -> String {
        format!("<headrace._core.Field {:?}>", self.0.name())
    }
}

/// Packs record batches for one collection; any thread may use it.
#[pyclass(frozen, name = "Packer", module = "headrace._core")]
struct PyPacker(Packer);

#[pymethods]
impl PyPacker {
    #[new]
    #[pyo3(signature = (fields, *, collection_name, db_name = "", partition_name = "", declared = Vec::new()))]
    fn new(
        py: Python<'_>,
        fields: Vec<PyRef<'_, PyField>>,
        collection_name: &str,
        db_name: &str,
        partition_name: &str,
        declared: Vec<String>,
    ) -> PyResult<Self> {
        let fields = fields.iter().map(|field| field.0.clone()).collect();
        let names = Names {
            collection: collection_name.to_owned(),
            db: db_name.to_owned(),
            partition: partition_name.to_owned(),
            declared,
        };
        Packer::new(fields, &names).map(Self).map_err(|error| raise(py, &error))
    }

    #[pyo3(signature = (batch, *, schema_timestamp = 0))]
    fn pack_insert<'py>(&self, batch: &Bound<'py, PyAny>, schema_timestamp: u64) -> PyResult<Bound<'py, PyBytes>> {
        self.pack(batch, Request { schema_timestamp, partial_update: false })
    }

    #[pyo3(signature = (batch, *, schema_timestamp = 0, partial_update = false))]
    fn pack_upsert<'py>(
        &self,
        batch: &Bound<'py, PyAny>,
        schema_timestamp: u64,
        partial_update: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.pack(batch, Request { schema_timestamp, partial_update })
    }

    fn encoded_len(&self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<usize> {
        let batch = import_batch(batch)?;
        let len = py.detach(|| self.0.bind(&batch, Request::default()).map(|bound| bound.encoded_len()));
        len.map_err(|error| raise(py, &error))
    }

    fn fit(&self, py: Python<'_>, batch: &Bound<'_, PyAny>, offset: usize, max_bytes: usize) -> PyResult<usize> {
        let batch = import_batch(batch)?;
        py.detach(|| self.0.fit(&batch, offset, max_bytes)).map_err(|error| raise(py, &error))
    }

    fn check(&self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<Vec<RefusedCell>> {
        let batch = import_batch(batch)?;
        let refused = py.detach(|| self.0.check(&batch)).map_err(|error| raise(py, &error))?;
        let texts = |(row, field, reason): (usize, &str, crate::CellReason)| {
            (row, field.to_owned(), reason.expected(), reason.found(), reason.remedy().to_owned())
        };
        Ok(refused.into_iter().map(texts).collect())
    }

    fn __repr__(&self) -> String {
        let names: Vec<_> = self.0.fields().iter().map(Field::name).collect();
        format!("<headrace._core.Packer {names:?}>")
    }
}

impl PyPacker {
    fn pack<'py>(&self, batch: &Bound<'py, PyAny>, request: Request) -> PyResult<Bound<'py, PyBytes>> {
        let py = batch.py();
        let batch = import_batch(batch)?;
        let packed = py.detach(|| pack_bytes(&self.0.bind(&batch, request)?));
        finish(py, packed)
    }
}

/// One serialized `schema.FieldData` of a column.
#[pyfunction]
#[pyo3(name = "pack_field")]
fn pack_field_py<'py>(
    py: Python<'py>,
    field: PyRef<'py, PyField>,
    column: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let expected = "an Arrow array (an object with __arrow_c_array__)";
    let array = import(field.0.name(), expected, column, |column| column.extract::<PyArray>())?;
    let field = &field.0;
    let packed = py.detach(|| pack_bytes(&bind_field(field, array.array())?));
    finish(py, packed)
}

/// Vectors of f32 as lists of Python floats. Python's collector rests meanwhile: it would visit each of them many times.
#[pyfunction]
fn float_lists<'py>(column: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyList>>> {
    let array = import("", "an Arrow array", column, |column| column.extract::<PyArray>())?;
    let rows = array.array().as_fixed_size_list_opt();
    let numbers = rows.and_then(|rows| rows.values().as_primitive_opt::<Float32Type>());
    let (rows, numbers) = rows.zip(numbers).ok_or_else(|| PyTypeError::new_err("expected float32 vectors"))?;
    let dim = rows.value_length().unsigned_abs().max(1) as usize;
    let collector = column.py().import(intern!(column.py(), "gc"))?;
    let before = if collector.call_method0("isenabled")?.is_truthy()? { "enable" } else { "disable" };
    collector.call_method0("disable")?;
    let list = |row: &[f32]| PyList::new(column.py(), row.iter().map(|number| f64::from(*number)));
    let lists = numbers.values().chunks_exact(dim).map(list).collect();
    collector.call_method0(before)?;
    lists
}

/// Integers up to this size are the same number as f32.
const EXACT: f64 = 16_777_216.0;

/// Lists of Python numbers as rows of f32, little endian; `None` where a row is anything else, or a number too large.
#[pyfunction]
fn float_rows<'py>(rows: &Bound<'py, PyList>, dim: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let Some(len) = rows.len().checked_mul(dim).and_then(|values| values.checked_mul(size_of::<f32>())) else {
        return Ok(None);
    };
    let mut fits = true;
    let bytes = PyBytes::new_with(rows.py(), len, |memory| {
        let (places, _) = memory.as_chunks_mut();
        fits = rows.len() * dim == places.len() && rows.iter().zip(places.chunks_mut(dim.max(1))).all(put_row);
        Ok(())
    })?;
    Ok(fits.then_some(bytes))
}

fn put_row((row, places): (Bound<'_, PyAny>, &mut [[u8; size_of::<f32>()]])) -> bool {
    let Ok(row) = row.cast_exact::<PyList>() else { return false };
    row.len() == places.len() && places.iter_mut().enumerate().all(|(at, place)| put_number(row, at, place))
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "rounded to the nearest f32, as a float without a dtype is meant")]
#[allow(
    unsafe_code,
    reason = "counting references would write to each of the numbers, which takes as long as all else"
)]
fn put_number(row: &Bound<'_, PyList>, at: usize, place: &mut [u8; size_of::<f32>()]) -> bool {
    let Ok(at) = ffi::Py_ssize_t::try_from(at) else { return false };
    // SAFETY: `row` is an exact list, for which the call checks `at`. It lends a reference that the list holds as long as
    // nobody changes it; nobody does, because the GIL is held and what follows runs no code of Python's.
    let value = unsafe { Borrowed::from_ptr_or_opt(row.py(), ffi::PyList_GetItem(row.as_ptr(), at)) };
    let Some(value) = value else { return false };
    let whole = !value.is_exact_instance_of::<PyFloat>();
    if whole && !value.is_exact_instance_of::<PyInt>() {
        return false;
    }
    let Ok(number) = value.extract::<f64>() else { return false };
    let narrow = number as f32;
    *place = narrow.to_le_bytes();
    !(whole && number.abs() > EXACT) && (narrow.is_finite() || !number.is_finite())
}

/// A column as Python gets it: name, data type, whether it is dynamic, dim, mask, values.
type DecodedColumn<'py> = (String, i32, bool, i64, Bound<'py, PyBytes>, Option<DecodedValues<'py>>);
/// Its values: slot, buffers, and of arrays the elements' data type and values.
type DecodedValues<'py> = (&'static str, Vec<Bound<'py, PyAny>>, Option<(i32, Option<Bound<'py, PyAny>>)>);

/// The columns in a message, and the message without them.
#[pyfunction]
fn decode_columns<'py>(
    message: &Bound<'py, PyBytes>,
    path: Vec<u32>,
) -> PyResult<(Vec<DecodedColumn<'py>>, Bound<'py, PyBytes>)> {
    let py = message.py();
    let bytes = message.as_bytes();
    let decoded = py.detach(|| reply::columns(bytes, &path));
    let (columns, rest) = decoded.map_err(|error| raise_reply(py, &error))?;
    let columns = columns.into_iter().map(|column| {
        let values = column.values.map(|values| decoded_values(py, values)).transpose()?;
        let valid = PyBytes::new(py, &column.valid);
        Ok((column.name, column.data_type, column.is_dynamic, column.dim, valid, values))
    });
    Ok((columns.collect::<PyResult<_>>()?, PyBytes::new(py, &rest)))
}

fn decoded_values(py: Python<'_>, values: reply::Values) -> PyResult<DecodedValues<'_>> {
    let buffers = values.buffers.into_iter().map(|memory| match memory {
        reply::Memory::Shared(range) => Ok((range.start, range.len()).into_pyobject(py)?.into_any()),
        reply::Memory::Owned(bytes) => Ok(PyBytes::new(py, &bytes).into_any()),
    });
    let buffers = buffers.collect::<PyResult<_>>()?;
    let elements = values.elements.map(|(element_type, items)| {
        let items = items.map(|items| PyResult::Ok(decoded_values(py, *items)?.into_pyobject(py)?.into_any()));
        PyResult::Ok((element_type, items.transpose()?))
    });
    Ok((values.slot, buffers, elements.transpose()?))
}

/// The `TransportError` of a message that holds no columns.
fn raise_reply(py: Python<'_>, error: &ReplyError) -> PyErr {
    let make = || -> PyResult<Bound<'_, PyAny>> {
        let errors = py.import(intern!(py, "headrace.errors"))?;
        let (at, expected, found) = match error {
            ReplyError::NoMessage => ("message".to_owned(), "columns of data", "bytes that are none"),
            ReplyError::Column { name, expected, found } => {
                (format!("field '{name}' of the message"), *expected, found.as_str())
            }
        };
        let text = (at, expected, found, "report it with the server's version");
        let text = errors.getattr(intern!(py, "explain"))?.call1(text)?;
        errors.getattr(intern!(py, "TransportError"))?.call1((text,))
    };
    make().map_or_else(|failed| failed, PyErr::from_value)
}

/// What this binary is: version, build profile, target, arrow version.
#[pyfunction]
fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    info.set_item("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
    info.set_item("arrow", ARROW_VERSION)?;
    Ok(info)
}

fn import_batch(object: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    import("", "an Arrow record batch (an object with __arrow_c_array__)", object, |object| {
        object.extract::<PyRecordBatch>().map(PyRecordBatch::into_inner)
    })
}

/// Import over the Arrow C interface; whatever goes wrong there becomes a `SchemaError` with its cause.
fn import<'py, T>(
    field: &str,
    expected: &str,
    object: &Bound<'py, PyAny>,
    extract: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<T> {
    let py = object.py();
    // arrow-rs asserts where lengths of parents and children contradict each other.
    let (found, cause) = match catch_unwind(AssertUnwindSafe(|| extract(object))) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) if object.hasattr(intern!(py, "__arrow_c_array__"))? => {
            (error.value(py).str()?.to_string(), Some(error))
        }
        Ok(Err(error)) => (object.get_type().fully_qualified_name()?.to_string(), Some(error)),
        Err(_) => ("an array whose parts contradict each other".to_owned(), None),
    };
    let remedy = "convert it with pyarrow first";
    let reason = ColumnReason::Definition { expected: expected.to_owned(), found, remedy };
    let error = raise(py, &PackError::column(field, reason));
    error.set_cause(py, cause);
    Err(error)
}

/// The Python exception for `error`: the one place where they are made.
fn raise(py: Python<'_>, error: &PackError) -> PyErr {
    let make = || -> PyResult<Bound<'_, PyAny>> {
        let errors = py.import(intern!(py, "headrace.errors"))?;
        let attributes = PyDict::new(py);
        match error {
            PackError::Cell { row, field, reason } => {
                attributes.set_item("row", row)?;
                attributes.set_item("field", field)?;
                attributes.set_item("expected", reason.expected())?;
                attributes.set_item("found", reason.found())?;
                attributes.set_item("remedy", reason.remedy())?;
                errors.getattr(intern!(py, "CellError"))?.call((), Some(&attributes))
            }
            PackError::Column { field, .. } => {
                attributes.set_item("field", (!field.is_empty()).then_some(field))?;
                errors.getattr(intern!(py, "SchemaError"))?.call((error.to_string(),), Some(&attributes))
            }
        }
    };
    make().map_or_else(|failed| failed, PyErr::from_value)
}

/// Why there are no bytes: the core's reason or Python's.
enum Failure {
    Pack(PackError),
    Python(PyErr),
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        Self::Pack(error)
    }
}

/// What `packed` holds, or its error as Python's.
fn finish(py: Python<'_>, packed: Result<Py<PyBytes>, Failure>) -> PyResult<Bound<'_, PyBytes>> {
    packed.map(|bytes| bytes.into_bound(py)).map_err(|failure| match failure {
        Failure::Pack(error) => raise(py, &error),
        Failure::Python(error) => error,
    })
}

/// Everything that `columns` write, as a new `bytes` object. Called without the GIL, which is taken to allocate.
#[allow(unsafe_code, reason = "the object is allocated with its exact size and not filled with zeroes first")]
fn pack_bytes(columns: &crate::Bound<'_>) -> Result<Py<PyBytes>, Failure> {
    let len = columns.encoded_len();
    let (object, start) = Python::attach(|py| {
        let size = ffi::Py_ssize_t::try_from(len)?;
        // SAFETY: with a null pointer the call allocates `size` bytes and leaves them uninitialised; it returns a new
        // reference to an exact `bytes` object, or null with an exception set.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), size))?
                .cast_into_unchecked::<PyBytes>()
        };
        // SAFETY: `object` is a `bytes` object, for which the call returns its memory.
        let start = unsafe { ffi::PyBytes_AsString(object.as_ptr()) };
        let start = NonNull::new(start.cast::<MaybeUninit<u8>>()).ok_or_else(|| PyErr::fetch(py))?;
        Ok((object.unbind(), start))
    })
    .map_err(Failure::Python)?;
    // SAFETY: `start` points to the `len` bytes of `object`, which is alive, does not move, and is known to nobody else
    // before it is returned; where `len` is 0, so that the object is shared, nothing is written.
    let memory = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) };
    // Initialises all of it, or the object is dropped unseen.
    columns.write(memory)?;
    Ok(object)
}
