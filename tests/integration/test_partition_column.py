"""Rows whose partition a column names, in real engines."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

import headrace
from tests.loader.rows import table

LANGUAGES = ("en", "de", "fr")
ROWS = 3000


@pytest.mark.long
@pytest.mark.parametrize(("server", "moves"), [("lite322", True), ("milvus235", False)], indirect=["server"])
def test_each_row_is_in_its_partition_and_a_key_is_one_row_in_each(server, collection, moves):
    """Milvus Lite has one row of a key in the whole collection: there it moves."""
    rows = table(ROWS).select(["id", "text", "dense"])
    names = [LANGUAGES[row % 3] for row in range(ROWS)]
    options = {"collection": collection, "uri": server.uri, "partition_column": "lang", "verify": "sample"}
    report = headrace.load(rows.append_column("lang", pa.array(names)), create=True, searchable="before", **options)
    assert (report.rows_stored, report.partitions, report.verify["status"]) == (
        ROWS,
        dict.fromkeys(LANGUAGES, 1000),
        "ok",
    )
    # The same keys, each in the partition after its own.
    moved = rows.append_column("lang", pa.array([LANGUAGES[(row + 1) % 3] for row in range(ROWS)]))
    again = headrace.load(moved, mode="upsert", **options)
    assert (again.rows_stored, again.verify["status"]) == (ROWS, "ok")
    with headrace.MilvusClient(server.uri) as client:
        assert set(LANGUAGES) <= set(client.list_partitions(collection))
        for number, name in enumerate(LANGUAGES):
            found = client.query(collection, "id < 90", output_fields=["id", "lang"], partition_names=[name])
            wanted = {row for row in range(90) if (row + 1) % 3 == number or (row % 3 == number and not moves)}
            assert Counter(row["id"] for row in found) == Counter(wanted)
            assert {row["lang"] for row in found} == {name}
            counted = client.query(collection, "id >= 0", output_fields=["count(*)"], partition_names=[name])
            assert counted == [{"count(*)": 1000 if moves else 2000}]
        client.drop_collection(collection)
