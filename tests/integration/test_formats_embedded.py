"""Files of every format into a real engine and back: each value as the library that wrote the file had it."""

from __future__ import annotations

import numpy as np
import pytest

import headrace
from tests.formats import WRITERS, WRITERS_OF_INTEGERS

ROWS = 150
#: Milvus Lite has no field for vectors of int8.
IN_LITE = {name: write for name, write in (WRITERS | WRITERS_OF_INTEGERS).items() if name != "i8bin"}


@pytest.mark.long
@pytest.mark.parametrize("name", IN_LITE)
def test_every_value_comes_back(lite322, tmp_path, collection, name):
    written = IN_LITE[name](tmp_path, ROWS)
    report = headrace.load(
        written.source, collection=collection, uri=lite322.uri, create=True, verify="full", **written.options
    )
    assert (report.rows_stored, report.verify["status"]) == (ROWS, "ok")
    client = headrace.MilvusClient(lite322.uri)
    key = "doc" if "doc" in written.columns else "id"
    found = {row[key]: row for row in client.query(collection, output_fields=["*"], limit=ROWS)}
    client.drop_collection(collection)
    client.close()
    assert len(found) == ROWS
    for row in range(ROWS):
        expected = {column: values[row] for column, values in written.columns.items()}
        stored = found[expected[key] if isinstance(expected[key], str) else int(expected[key])]
        for column, value in expected.items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(np.asarray(stored[column], value.dtype), value)
            elif isinstance(value, list):
                assert stored[column] == {pair["index"]: pair["value"] for pair in value}
            else:
                assert stored[column] == value
