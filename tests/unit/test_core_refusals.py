"""Every reason to refuse a cell, a column or a definition, from Python, with its whole message."""

from __future__ import annotations

import ctypes
import pickle
import re

import pyarrow as pa
import pytest

from headrace import _core
from headrace.errors import CellError, SchemaError
from tests.refusals.cells import CELLS, INT64, VECTOR, vectors
from tests.refusals.columns import COLUMNS


@pytest.mark.parametrize("case", CELLS, ids=lambda case: f"{case.reason}-{case.field.name}")
def test_refuses_a_cell_and_says_where_why_and_what_to_do(case):
    column = case.column()
    with pytest.raises(CellError) as caught:
        _core.pack_field(case.field, column)
    error = caught.value
    parts = (error.row, error.field, error.expected, error.found, error.remedy)
    assert parts == (case.row, case.field.name, case.expected, case.found, case.remedy)
    where = f"row {case.row}, field {case.field.name!r}"
    assert str(error) == f"{where}: expected {case.expected}, found {case.found}; {case.remedy}"
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__


@pytest.mark.parametrize("case", CELLS, ids=lambda case: f"{case.reason}-{case.field.name}")
def test_check_finds_the_cell_that_packing_refuses(case):
    packer = _core.Packer([case.field], collection_name="c")
    batch = pa.record_batch({case.field.name: case.column()})
    expected = (case.row, case.field.name, case.expected, case.found, case.remedy)
    assert packer.check(batch)[0] == expected


@pytest.mark.parametrize(("name", "make", "message"), [case[1:] for case in COLUMNS], ids=[c[0] for c in COLUMNS])
def test_refuses_a_column_or_definition_and_says_what_to_do(name, make, message):
    with pytest.raises(SchemaError) as caught:
        make()
    assert (str(caught.value), caught.value.field) == (message, name)
    where = "batch" if name is None else f"field {name!r}"
    assert re.fullmatch(f"{re.escape(where)}: expected .+, found .+; .+", message)
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_a_batch_with_nulls_that_its_schema_excludes_is_refused_with_the_cause():
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pa.array([None, 1])], schema=schema)
    with pytest.raises(SchemaError, match="non-nullable but contains null") as caught:
        _core.Packer([INT64], collection_name="c").pack_insert(batch)
    assert isinstance(caught.value.__cause__, ValueError)


class Longer:
    """An Arrow array that says it has more rows than its child has values for."""

    def __init__(self, inner):
        self.inner = inner

    def __arrow_c_array__(self, requested_schema=None):
        schema, array = self.inner.__arrow_c_array__(requested_schema)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # The first member of ArrowArray is its length.
        ctypes.c_int64.from_address(pointer(array, b"arrow_array")).value = 1_000
        return schema, array


def test_an_array_that_contradicts_its_child_is_refused(capfd):
    with pytest.raises(SchemaError) as caught:
        _core.pack_field(VECTOR, Longer(vectors([1, 2, 3, 4])))
    assert str(caught.value) == (
        "field 'v': expected an Arrow array (an object with __arrow_c_array__), found an array whose parts contradict "
        "each other; convert it with pyarrow first"
    )
    # Rust's panic hook has its say; the message above is what the caller gets.
    assert "panicked" in capfd.readouterr().err
