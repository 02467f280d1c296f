"""Tensors of the real PyTorch, on the CPU."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from headrace.schema import DataType
from tests.servers.libraries import run_with_torch

pytestmark = pytest.mark.long

ROWS, DIM = 100, 8
VECTORS = np.arange(ROWS * DIM, dtype=np.float32).reshape(ROWS, DIM) / 64
#: What the vectors become where it is not FLOAT_VECTOR, and the values that are left of them.
SMALL = {
    "float16": (DataType.FLOAT16_VECTOR, VECTORS.astype(np.float16)),
    "bfloat16": (DataType.BFLOAT16_VECTOR, VECTORS.astype(ml_dtypes.bfloat16)),
    "bfloat16, transposed": (DataType.BFLOAT16_VECTOR, VECTORS.astype(ml_dtypes.bfloat16)),
    "rows of bfloat16": (DataType.BFLOAT16_VECTOR, VECTORS.astype(ml_dtypes.bfloat16)),
}


@pytest.fixture(scope="module")
def answer(server, tmp_path_factory):
    return run_with_torch("tensors.py", tmp_path_factory.mktemp("torch"), uri=server.uri)


def rows_of(server, answer, name):
    """The type of the vectors that were stored, and the rows by key."""
    found = answer["loaded"][name]
    assert found["rows_stored"] == ROWS
    collection = server.collections[found["collection"]]
    rows = {row["id"]: row for row in collection.dicts()}
    assert sorted(rows) == list(range(ROWS))
    return DataType(collection.schema["vector"].dtype), [rows[key] for key in range(ROWS)]


def test_every_value_of_a_tensor_arrives(server, answer):
    names = answer["loaded"].keys() - {"scalars", "rows of scalars", "edges", "edges as floats"}
    assert len(names) == 12
    for name in names:
        expected_type, values = SMALL.get(name, (DataType.FLOAT_VECTOR, VECTORS))
        dtype, rows = rows_of(server, answer, name)
        assert dtype is expected_type, name
        found = [as_numbers(row["vector"], values.dtype) for row in rows]
        assert found == values.astype(np.float32).tolist(), name


def as_numbers(vector, dtype):
    found = np.frombuffer(vector, dtype) if isinstance(vector, bytes) else np.asarray(vector, dtype)
    return found.astype(np.float32).tolist()


def test_rows_of_bfloat16_keep_their_bits_and_become_the_same_floats(server, answer):
    patterns = np.array([0, 0x8000, 1, 0x8001, 0x7F, 0x80, 0x7F7F, 0xFF7F], "<u2")
    dtype, rows = rows_of(server, answer, "edges")
    assert dtype is DataType.BFLOAT16_VECTOR
    assert {row["vector"] for row in rows} == {patterns.tobytes()}
    dtype, rows = rows_of(server, answer, "edges as floats")
    assert dtype is DataType.FLOAT_VECTOR
    assert {np.array(row["vector"], "<f4").tobytes() for row in rows} == {(patterns.astype("<u4") << 16).tobytes()}


@pytest.mark.parametrize("name", ["scalars", "rows of scalars"])
def test_scalars_of_tensors_arrive(server, answer, name):
    _, rows = rows_of(server, answer, name)
    # bfloat16 has eight bits for the digits of a number.
    assert [row["score"] for row in rows] == np.arange(ROWS).astype(ml_dtypes.bfloat16).astype(float).tolist()
    assert [row["flag"] for row in rows] == [key % 2 == 0 for key in range(ROWS)]


def test_only_tensors_that_lie_otherwise_in_memory_are_copied(answer):
    assert answer["copied"] == ["columns of a wider one", "transposed", "bfloat16, transposed"]


def test_tensors_without_dense_numbers_in_memory_are_refused_with_a_way(answer):
    for name in ("sparse", "quantised", "of another device"):
        said = answer["refused"][name]
        assert said.startswith("column 'vector': expected a dense tensor on the CPU, found Tensor ("), name
        assert said.endswith("; give its .cpu(), .to_dense() or .float()"), name


def test_tensors_of_other_shapes_are_refused(answer):
    for name in ("of three dimensions", "bfloat16 of three dimensions"):
        assert answer["refused"][name].startswith(
            "column 'vector': expected an array of one or two dimensions, found shape (100, 2, 4)"
        )
