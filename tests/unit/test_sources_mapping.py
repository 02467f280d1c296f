"""Mapped files: what is fetched is there, what is dropped is not, and a file that shrank is an error."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.errors import SourceError
from headrace.sources import mapping, open_source
from headrace.sources.mapping import Mapping

MIB = 1 << 20


def resident(path) -> int:
    """Bytes of a file's maps that this process has in memory."""
    size, mine = 0, False
    with Path("/proc/self/smaps").open() as lines:
        for line in lines:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                mine = line.rstrip().endswith(str(path))
            elif mine and line.startswith("Rss:"):
                size += int(line.split()[1]) << 10
    return size


def addresses(mapping: Mapping, start: int, stop: int) -> range:
    return range(mapping.buffer.address + start, mapping.buffer.address + stop)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(np.random.default_rng(1).bytes(4 * MIB + 100))
    return path


@pytest.mark.parametrize(
    ("offset", "length"), [(0, None), (0, 1), (5000, 4096), (4 * MIB, 100), (4095, 4 * MIB - 3995)]
)
def test_the_bytes_are_those_of_the_file(path, offset, length):
    mapping = Mapping(str(path), offset, length)
    mapping.fetch([addresses(mapping, 0, mapping.buffer.size)])
    data = path.read_bytes()
    assert bytes(mapping.buffer) == data[offset : None if length is None else offset + length]
    mapping.drop([addresses(mapping, 0, mapping.buffer.size)])
    assert bytes(mapping.buffer) == data[offset : None if length is None else offset + length], "mapped again"


def test_pages_are_in_memory_from_the_fetch_to_the_drop(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(bytes(32 * MIB))
    mapping = Mapping(str(path))
    assert resident(path) == 0
    mapping.fetch([addresses(mapping, 8 * MIB, 9 * MIB)])
    assert MIB <= resident(path) <= 8 * MIB, "the kernel maps neighbours that it keeps together, of up to 2 MiB"
    for start in range(0, 32 * MIB, 100_000):
        # In pieces that end anywhere: none of the pages is forgotten.
        mapping.drop([addresses(mapping, start, min(start + 100_000, 32 * MIB))])
    assert resident(path) <= mmap.PAGESIZE


def test_bytes_outlive_mapping_and_file(path):
    data = path.read_bytes()
    buffer = Mapping(str(path), 10).buffer
    path.unlink()
    assert bytes(buffer) == data[10:]


def test_a_file_that_shrank_is_an_error(path):
    mapping = Mapping(str(path))
    os.truncate(path, MIB)
    mapping.fetch([addresses(mapping, 0, MIB)])
    for stop in (MIB + 1, 2 * MIB):
        with pytest.raises(OSError, match="the file ends early"):
            mapping.fetch([addresses(mapping, 0, stop)])


def test_an_old_kernel_is_asked_in_another_way(path, monkeypatch):
    asked, advise = [], mapping._advise

    def noted(pages, advice):
        asked.append(advice)
        return advise(pages, advice)

    monkeypatch.setattr(mapping, "_MADV_POPULATE_READ", 9999)
    monkeypatch.setattr(mapping, "_advise", noted)
    mapped = Mapping(str(path))
    mapped.fetch([addresses(mapped, 0, MIB)])
    assert asked == [9999, mmap.MADV_WILLNEED]
    assert bytes(mapped.buffer) == path.read_bytes()


@pytest.mark.parametrize("rows", [40_000, 1000])
def test_reading_a_large_file_keeps_only_the_last_slices_mapped(tmp_path, rows):
    path = tmp_path / "t.arrow"
    vectors = np.random.default_rng(1).random((40_000, 256), np.float32)
    texts = pa.array([f"text {number}" * 3 for number in range(40_000)])
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 256), "t": texts})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    most = 0
    with open_source(path) as source:
        for part in source.parts():
            for piece in part.batches(max_bytes=MIB):
                assert np.array_equal(piece.batch.column(0).flatten().to_numpy()[:256], vectors[piece.first_row])
                most = max(most, resident(path))
    # Texts and other small columns stay mapped for as long as their batch.
    assert MIB <= most <= 9 * MIB


def test_rows_of_an_array_are_in_memory_before_they_are_looked_at(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((40_000, 256), np.float32))
    batches = next(open_source(path).parts()).batches(max_bytes=4 * MIB)
    piece = next(batches)
    assert piece.batch.nbytes >= 3 * MIB
    assert resident(path) >= piece.batch.nbytes


def long_and_short() -> np.ndarray:
    """Offsets of texts, of which the first twentieth is nearly all that there is."""
    return np.concatenate([np.arange(1000) * 32_768, 1000 * 32_768 + np.arange(19_001)]).astype(np.int32)


def texts(offsets: np.ndarray) -> pa.Array:
    data = pa.py_buffer(np.full(offsets[-1], ord("x"), np.uint8))
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, [None, pa.py_buffer(offsets), data])


@pytest.mark.parametrize(
    "column",
    [
        lambda: texts(long_and_short()),
        lambda: pa.StructArray.from_arrays([texts(long_and_short())], names=["t"]),
        lambda: pa.ListArray.from_arrays(
            pa.array(long_and_short()), pa.array(np.zeros(long_and_short()[-1], np.int8), pa.int8())
        ),
        lambda: pa.ListArray.from_arrays(
            pa.array(np.arange(20_001) * 50, pa.int32()), texts(np.arange(1_000_001, dtype=np.int32) * 32)
        ),
    ],
    ids=["texts", "structs", "lists", "lists of texts"],
)
def test_rows_of_any_size_keep_only_the_last_slices_mapped(tmp_path, column):
    path = tmp_path / "t.arrow"
    batch = pa.record_batch({"t": column()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    most, rows = 0, 0
    for part in open_source(path).parts():
        for piece in part.batches(max_bytes=MIB):
            most, rows = max(most, resident(path)), rows + piece.batch.num_rows
    assert rows == 20_000
    assert most <= 12 * MIB


@pytest.mark.parametrize("rows", [40_000, 1000])
@pytest.mark.parametrize("left", [20 * MIB, 0])
def test_a_file_that_shrinks_while_it_is_read_is_damaged(tmp_path, rows, left):
    path = tmp_path / "t.arrow"
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(40_000 * 256, np.float32)), 256)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    batches = next(open_source(path).parts()).batches(max_bytes=MIB)
    next(batches)
    os.truncate(path, left)
    with pytest.raises(SourceError, match=r"record batch \d+: .* the file ends early"):
        list(batches)


@pytest.mark.parametrize("key", ["@row", "@file_row"])
def test_a_key_of_the_row_does_not_cut_batches_in_two(tmp_path, key):
    """Two halves would be joined again, by a copy."""
    np.save(tmp_path / "a.npy", np.zeros((22_000, 384), np.float32))
    plain = open_source(tmp_path / "a.npy")
    keyed = open_source(tmp_path / "a.npy", options=LoadOptions(key=key))
    batches = [[found for part in each.parts() for found in part.batches(max_bytes=4 * MIB)] for each in (plain, keyed)]
    assert [found.batch.num_rows for found in batches[1]] == [found.batch.num_rows for found in batches[0]]
