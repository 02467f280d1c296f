"""What a sample of rows is said to look like."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace import CollectionSchema, DataType, FieldSchema
from headrace.profiling import profile_rows

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("text", DataType.VARCHAR, max_length=100, nullable=True),
        FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
    ]
)


def batch(vectors, *, kind=np.float32, start=0):
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.array(vectors, kind).ravel()), 2)
    texts = [None if row == 0 else "é" * row for row in range(len(vectors))]
    return pa.record_batch({"id": range(start, start + len(vectors)), "text": texts, "v": values})


def test_lengths_zeros_and_what_is_not_finite_are_counted():
    vectors = [[3, 4], [0, 0], [np.nan, 1], [np.inf, 1], [6, 8]]
    found = profile_rows([batch(vectors)], SCHEMA).fields[2]
    assert (found.not_finite, found.zeros) == (2, 1)
    assert found.norm == {"least": 0.0, "median": 5.0, "largest": 10.0}
    assert found.advice.startswith("not normalised")


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_normalised_vectors_are_recognised(kind):
    schema = SCHEMA
    if kind is np.float16:
        schema = SCHEMA.with_fields([*list(SCHEMA)[:2], FieldSchema("v", DataType.FLOAT16_VECTOR, dim=2)])
    vectors = [[np.cos(angle), np.sin(angle)] for angle in range(50)]
    assert profile_rows([batch(vectors, kind=kind)], schema).fields[2].advice.startswith("normalised")


def test_nulls_texts_and_keys_are_counted_over_all_batches():
    found = profile_rows([batch([[1, 0]] * 3), batch([[1, 0]] * 4, start=2)], SCHEMA)
    assert (found.rows, found.key_repeats) == (7, 1)
    assert (found.fields[1].nulls, found.fields[1].longest) == (2, 6)


def test_memory_is_that_of_the_values_and_of_the_links_of_an_index():
    found = profile_rows([batch([[1, 0]] * 1000)], SCHEMA.with_fields([SCHEMA.primary_key, list(SCHEMA)[2]]))
    rows = batch([[1, 0]] * 1000)
    assert found.server_bytes_per_row == pytest.approx(rows.nbytes / 1000 + 144)


def test_no_rows_are_no_fault():
    found = profile_rows([batch([[1, 0]]).slice(0, 0)], SCHEMA)
    assert (found.rows, found.server_bytes_per_row, found.fields[2].norm) == (0, None, {})
