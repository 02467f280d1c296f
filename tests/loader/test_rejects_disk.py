"""A disk that is full under the rejects file: the load stops with its account, and no refused row is lost."""

from __future__ import annotations

import errno
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import DataType, FieldSchema
from tests.fake.behaviours import refuse_rows
from tests.loader.rows import counts, load, table

SCHEMA = headrace.CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("text", DataType.VARCHAR, max_length=100),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=8),
    ]
)


@pytest.fixture
def path(tmp_path):
    """300 rows; that of key 150 has no text, which the field needs, and that of key 151 no vector."""
    rows = table(300).select(["id", "text", "dense"])
    texts = [None if row == 150 else f"row {row}" for row in range(300)]
    vectors = [None if row == 151 else vector for row, vector in enumerate(rows["dense"].to_pylist())]
    rows = rows.set_column(1, "text", pa.array(texts, pa.string()))
    rows = rows.set_column(2, "dense", pa.array(vectors, rows["dense"].type))
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=100)
    return tmp_path / "a.parquet"


@pytest.fixture
def clean(tmp_path):
    """300 rows without a fault."""
    pq.write_table(table(300).select(["id", "text", "dense"]), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


@pytest.fixture(params=["write_batch", "close"])
def full_disk(request, monkeypatch):
    """A rejects file that cannot be written to, or not be finished."""

    def full(self, *batch):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, request.param, full)
    return monkeypatch


def then_with_space(fake, path, full_disk, **options):
    """The same command once there is room again."""
    full_disk.undo()
    report = load(fake, path, schema=SCHEMA, check=False, **options)
    assert report.exit_status == 3
    assert pq.read_table(report.rejects_file)["_row"].to_pylist() == [150]
    return report


def test_rows_that_headrace_refuses_are_unsent_or_read_again(fake, path, full_disk):
    options = {"null_vectors": "skip"}
    report = load(fake, path, schema=SCHEMA, check=False, **options)
    assert counts(report)
    assert report.exit_status in (1, 4)
    assert "a rejects file that can be written, found No space left on device; free space there" in report.failure
    assert report.rejects_file is None
    again = then_with_space(fake, path, full_disk, **options)
    assert counts(again) == {"stored": 298, "rejected": 1, "skipped": 1}
    assert fake.collections["docs"].keys() == Counter(set(range(300)) - {150, 151})


def test_rows_that_the_server_refuses_are_unsent_or_read_again(fake, clean, full_disk):
    for method in ("Insert", "Upsert"):
        fake.always(method, refuse_rows(lambda row: row["id"] == 150))
    report = load(fake, clean, schema=SCHEMA, check=False)
    assert counts(report)
    assert report.exit_status in (1, 4)
    assert "No space left on device" in report.failure
    assert counts(then_with_space(fake, clean, full_disk)) == {"stored": 299, "rejected": 1}
