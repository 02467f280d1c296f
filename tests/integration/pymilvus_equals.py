"""Reads a collection of an embedded database through pymilvus and compares it with a Parquet file, value by value.

A program of its own, because pymilvus runs the embedded engine inside its process:

    python tests/integration/pymilvus_equals.py DATABASE COLLECTION FILE

Prints how many rows are equal; ends with an error at the first that is not.
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow.parquet as pq
from pymilvus import MilvusClient

PAGE = 500


def same(column, stored, expected):
    """Whether a stored value is the file's, floats bit for bit."""
    if column == "embedding":
        return np.array_equal(np.float32(stored).view(np.uint32), np.float32(expected).view(np.uint32))
    if column == "bm25":
        pairs = dict(zip(expected["indices"], np.float32(expected["values"]), strict=True))
        return {int(index): np.float32(value) for index, value in stored.items()} == pairs
    return (list(stored) if isinstance(expected, list) else stored) == expected


def main(database, collection, path):
    client = MilvusClient(database)
    client.load_collection(collection)
    rows = pq.read_table(path).to_pylist()
    for start in range(0, len(rows), PAGE):
        page = {row["id"]: row for row in rows[start : start + PAGE]}
        found = client.query(collection, filter=f"id in {sorted(page)}", output_fields=["*"])
        assert sorted(row["id"] for row in found) == sorted(page)
        for row in found:
            for column, expected in page[row["id"]].items():
                assert same(column, row[column], expected), (row["id"], column, row[column], expected)
    count = client.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"]
    assert count == len(rows), count
    print(f"{len(rows)} rows are equal")  # noqa: T201 - what its caller reads
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
