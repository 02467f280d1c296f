"""Parquet files: row groups as parts, memory bounded whatever the row group, damage named with its place."""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import SourceError
from headrace.sources import open_source, parquet
from tests.source_reading import TABLE, read


def write(path, table=TABLE, **options):
    pq.write_table(table, path, **options)
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "t.parquet", row_group_size=300, compression="none", use_dictionary=False)


def test_only_the_footer_is_needed_to_know_schema_and_rows(file):
    source = open_source(str(file))
    assert (source.label, source.rows_total, source.replayable) == (str(file), 1000, True)
    assert source.schema.equals(TABLE.schema)


@pytest.mark.parametrize("max_bytes", [1, 200, 5000, 1 << 30])
@pytest.mark.parametrize("rows", [1, 7, 300, 2000])
def test_every_row_is_read_in_order_whatever_the_sizes(tmp_path, rows, max_bytes):
    table = TABLE.slice(0, 200) if max_bytes == 1 else TABLE
    source = open_source(write(tmp_path / "t.parquet", table, row_group_size=rows))
    assert read(source, max_bytes).equals(table)
    assert read(source, max_bytes).equals(table)


def test_parts_are_runs_of_row_groups(file, monkeypatch):
    monkeypatch.setattr(parquet, "_PART_BYTES", pq.read_metadata(file).row_group(0).total_byte_size + 1)
    source = open_source(file)
    assert [(part.first_row, part.rows) for part in source.parts()] == [(0, 600), (600, 300), (900, 100)]
    assert read(source).equals(TABLE)
    second = list(source.parts())[1]
    assert [piece.first_row for piece in second.batches(max_bytes=1 << 20)] == [600]


def test_only_the_wanted_columns_are_read(file):
    source = open_source(file, columns=["t"])
    assert read(source).equals(TABLE.select(["t"]))
    assert read(open_source(file), columns=["t", "id"]).column_names == ["t", "id"]


def test_names_with_dots_are_columns_of_their_own(tmp_path):
    table = pa.table({"a": [1, 2], "a.b": [3, 4], "s": [{"x": 5, "y": 6}] * 2})
    source = open_source(write(tmp_path / "t.parquet", table))
    assert read(source, columns=["a.b"]).to_pydict() == {"a.b": [3, 4]}
    assert read(source, columns=["a"]).to_pydict() == {"a": [1, 2]}
    assert read(source, columns=["s"]).to_pydict() == {"s": [{"x": 5, "y": 6}] * 2}


def test_statistics_tell_which_columns_have_nulls(tmp_path):
    table = pa.table({"a": [1] * 99 + [None], "b": [1] * 100, "c": [[None]] * 100, "d": [None] * 100})
    source = open_source(write(tmp_path / "t.parquet", table, row_group_size=10))
    assert source.nulls == {"a", "d"}


def test_empty_files_have_no_rows(tmp_path):
    source = open_source(write(tmp_path / "t.parquet", TABLE.slice(0, 0)))
    assert source.rows_total == 0
    assert read(source).equals(TABLE.slice(0, 0))


# Memory


def peak_bytes(source, max_bytes) -> int:
    """The most Arrow memory beyond what was there while the source is read batch by batch."""
    before = pa.total_allocated_bytes()
    peak = 0
    for part in source.parts():
        for piece in part.batches(max_bytes=max_bytes):
            peak = max(peak, pa.total_allocated_bytes() - before)
            del piece
    return peak


def test_a_huge_row_group_stays_within_the_bound(tmp_path):
    vectors = np.random.default_rng(1).random((40_000, 256), np.float32)
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 256)})
    path = write(tmp_path / "t.parquet", table, row_group_size=40_000, compression="none", use_dictionary=False)
    del table, vectors
    assert peak_bytes(open_source(path), 1 << 20) < 8 << 20


def test_repeated_values_are_bounded_as_decoded_not_as_encoded(tmp_path):
    # 20,000 rows of 10 kB take 200 MB decoded, and a few kB in a dictionary page.
    table = pa.table({"t": pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 10_000])})
    path = write(tmp_path / "t.parquet", table.cast(pa.schema([("t", pa.string())])), row_group_size=20_000)
    assert peak_bytes(open_source(path), 1 << 20) < 16 << 20


def test_rows_that_grow_wider_in_a_row_group_are_bounded(tmp_path):
    texts = ["x"] * 20_000 + ["y" * 20_000] * 500
    path = write(tmp_path / "t.parquet", pa.table({"t": texts}), row_group_size=30_000, use_dictionary=False)
    table = read(open_source(path), 1 << 20)
    assert table.column("t").to_pylist() == texts


# Damage


def damaged(path, change) -> str:
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))
    with pytest.raises(SourceError) as caught:
        read(open_source(path))
    assert caught.value.source == str(path)
    return str(caught.value).replace(str(path), "FILE")


def test_a_truncated_file_is_named(file):
    message = damaged(file, lambda data: data[:-100])
    assert message.startswith("FILE: expected a whole Parquet file (PAR1 at its end), found ")
    assert message.endswith(": the file is truncated; write the file again or leave it out")


def test_a_broken_footer_is_named(file):
    def change(data):
        size = int.from_bytes(data[-8:-4], "little")
        data[-8 - size : -8] = b"\xff" * size
        return data

    message = damaged(file, change)
    assert message.startswith("FILE, footer: expected a readable Parquet file, found damage (")
    assert message.endswith("; write the file again or leave it out")


def test_a_footer_longer_than_the_file_is_named(file):
    def change(data):
        data[-8:-4] = (1 << 30).to_bytes(4, "little")
        return data

    assert damaged(file, change).startswith("FILE, footer: expected a readable Parquet file, found damage (")


def test_damage_in_a_row_group_is_named_with_it_while_reading(file):
    start = pq.read_metadata(file).row_group(2).column(0).data_page_offset

    def change(data):
        data[start : start + 40] = b"\xff" * 40
        return data

    data = bytearray(file.read_bytes())
    file.write_bytes(change(data))
    source = open_source(file)
    pieces = (piece for part in source.parts() for piece in part.batches(max_bytes=1 << 20))
    assert [next(pieces).first_row, next(pieces).first_row] == [0, 300]
    with pytest.raises(SourceError) as caught:
        next(pieces)
    assert caught.value.position == "row group 2"
    assert str(caught.value).startswith(f"{file}, row group 2: expected a readable Parquet file, found damage (")


def test_a_flipped_byte_is_found_where_pages_have_checksums(tmp_path):
    path = write(tmp_path / "t.parquet", compression="none", use_dictionary=False, write_page_checksum=True)
    offset = pq.read_metadata(path).row_group(0).column(0).data_page_offset

    def change(data):
        data[offset + 500] ^= 1
        return data

    assert "FILE, row group 0: expected a readable Parquet file, found damage (" in damaged(path, change)


def test_a_file_that_changed_since_it_was_opened_is_refused(file):
    source = open_source(file)
    write(file, TABLE.slice(0, 10))
    with pytest.raises(SourceError) as caught:
        read(source)
    assert str(caught.value) == (
        f"{file}: expected 1000 rows in 4 row groups, as when the load began, found 10 in 1; "
        "load files that nobody writes to"
    )


def test_a_file_that_vanished_since_it_was_opened_is_named(file):
    source = open_source(file)
    file.unlink()
    with pytest.raises(SourceError) as caught:
        read(source)
    assert str(caught.value) == (
        f"{file}, footer: expected a readable Parquet file, found no such file; load files that nobody removes"
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_is_an_error_or_harmless_never_a_crash(file, seed):
    random = np.random.default_rng(seed)
    data = bytearray(file.read_bytes())
    for _ in range(int(random.integers(1, 30))):
        data[int(random.integers(4, len(data) - 8))] = int(random.integers(256))
    file.write_bytes(data)
    with contextlib.suppress(SourceError):
        read(open_source(file))
