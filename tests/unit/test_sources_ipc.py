"""Arrow IPC files and streams, Feather v2."""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.fs as pafs
import pytest

from headrace.config import LoadOptions
from headrace.errors import SourceError
from headrace.sources import open_source
from tests.source_reading import TABLE, read


def write_file(path, table=TABLE, rows=300, **options):
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer,
    ):
        writer.write_table(table, max_chunksize=rows)
    return path


def write_stream(path, table=TABLE, rows=300, **options):
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer,
    ):
        writer.write_table(table, max_chunksize=rows)
    return path


@pytest.mark.parametrize("max_bytes", [1000, 1 << 20])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
@pytest.mark.parametrize("write", [write_file, write_stream])
def test_every_row_is_read_in_order(tmp_path, write, compression, max_bytes):
    source = open_source(write(tmp_path / "t.arrow", compression=compression))
    assert source.rows_total == (1000 if write is write_file else None)
    assert read(source, max_bytes).equals(TABLE)
    assert read(source, max_bytes, columns=["t"]).equals(TABLE.select(["t"]))


def test_feather_files_are_read(tmp_path):
    pyarrow.feather.write_feather(TABLE, str(tmp_path / "t.feather"))
    assert read(open_source(tmp_path / "t.feather")).equals(TABLE)


def test_feather_version_1_is_refused_by_name(tmp_path):
    path = tmp_path / "t.feather"
    path.write_bytes(b"FEA1" + b"\0" * 100 + b"FEA1")
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert str(caught.value) == (
        f"{path}: expected a Parquet, Arrow, npy, npz, HDF5, JSONL, CSV or big-ann file, found a Feather v1 file; "
        "write it again as Feather v2"
    )


def test_empty_files_have_no_rows(tmp_path):
    for write in (write_file, write_stream):
        source = open_source(write(tmp_path / "t.arrow", TABLE.slice(0, 0)))
        assert read(source).equals(TABLE.slice(0, 0))


def test_an_uncompressed_batch_is_never_held_in_memory(tmp_path):
    vectors = np.random.default_rng(1).random((40_000, 256), np.float32)
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 256)})
    path = write_file(tmp_path / "t.arrow", table, rows=40_000)
    before = pa.total_allocated_bytes()
    for part in open_source(path).parts():
        for piece in part.batches(max_bytes=1 << 20):
            assert pa.total_allocated_bytes() - before < 1 << 20
            row = piece.first_row
            assert np.array_equal(piece.batch.column(0).flatten().to_numpy()[:256], vectors[row])


def test_a_batch_outlives_its_file_and_its_source(tmp_path):
    path = write_file(tmp_path / "t.arrow")
    piece = next(next(open_source(path).parts()).batches(max_bytes=1 << 20))
    path.unlink()
    assert piece.batch.equals(TABLE.slice(0, 300).to_batches()[0])


@pytest.mark.parametrize("cut", [1, 50, 2000])
def test_truncated_files_are_named(tmp_path, cut):
    path = write_file(tmp_path / "t.arrow")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert f"{path}: expected a whole Arrow IPC file (ARROW1 at its end), found " in str(caught.value)


def test_a_broken_footer_is_named(tmp_path):
    path = write_file(tmp_path / "t.arrow")
    data = bytearray(path.read_bytes())
    data[-10:-6] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert caught.value.position == "footer"
    assert f"{path}, footer: expected a readable Arrow IPC file, found damage (" in str(caught.value)


def test_vectors_of_any_layout_are_not_read_from_afar_only_to_count_them(tmp_path):
    far = LoadOptions(filesystem=pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()))
    lists = pa.array([[0.5] * 64] * 10, pa.list_(pa.float32()))
    tensors = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [64]), lists.cast(pa.list_(pa.float32(), 64))
    )
    structs = pa.StructArray.from_arrays([lists], ["v"])
    for vectors in (lists, lists.cast(pa.list_(pa.float32(), 64)), tensors, structs):
        write_file(tmp_path / "v.arrow", pa.table({"v": vectors}))
        assert open_source("v.arrow", options=far).rows_total is None
        write_file(tmp_path / "t.arrow", pa.table({"v": vectors, "t": ["text"] * 10}))
        assert open_source("t.arrow", options=far).rows_total == 10


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_broken_batch_is_named_when_rows_are_counted(tmp_path, compression):
    path = tmp_path / "t.arrow"
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema, options=options) as writer:
        writer.write_table(TABLE.slice(0, 500))
        second = sink.tell()
        writer.write_table(TABLE.slice(500))
    data = bytearray(path.read_bytes())
    data[second + 8 : second + 40] = b"\x99" * 32
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert caught.value.position == "record batch 1"
    assert f"{path}, record batch 1: expected a readable Arrow IPC file, found damage (" in str(caught.value)


def test_a_truncated_stream_is_named_with_its_batch(tmp_path):
    path = write_stream(tmp_path / "t.arrows")
    path.write_bytes(path.read_bytes()[:-300])
    source = open_source(path)
    with pytest.raises(SourceError) as caught:
        read(source)
    assert caught.value.position == "record batch 3"
    assert f"{path}, record batch 3: expected a readable Arrow IPC stream, found damage (" in str(caught.value)


@pytest.mark.parametrize("write", [write_file, write_stream])
def test_offsets_beyond_the_values_are_found_not_followed(tmp_path, write):
    offsets = pa.py_buffer(np.array([0, 1, 1 << 20, 2], np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"ab")])
    good = pa.array(["a", "b", "c"])
    path = write(tmp_path / "t.arrow", pa.table({"t": good}))
    data = path.read_bytes()
    right = np.array([0, 1, 2, 3], np.int32).tobytes()
    assert data.count(right) == 1
    path.write_bytes(data.replace(right, offsets.to_pybytes()))
    assert len(broken) == 3
    with pytest.raises(SourceError) as caught:
        read(open_source(path))
    assert caught.value.position == "record batch 0"


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.map_(pa.string(), pa.int32())])
def test_damaged_lists_are_found_before_their_values_are_measured(tmp_path, kind):
    """What a slice of lists holds is told by offsets into offsets; wrong ones lead anywhere."""
    lists = [[(f"k{row}", row)] if pa.types.is_map(kind) else [f"k{row}"] for row in range(100)]
    path = write_file(tmp_path / "t.arrow", pa.table({"t": pa.array(lists, kind)}))
    data = path.read_bytes()
    right = np.arange(30, 60, dtype=np.int32)
    for wrong in (-1, -(2**31), 2**31 - 1):
        path.write_bytes(data.replace(right.tobytes(), np.where(right == 44, wrong, right).astype(np.int32).tobytes()))
        with pytest.raises(SourceError, match="record batch 0"):
            read(open_source(path), 64)


@pytest.mark.parametrize("rows", [0, 3])
def test_unions_without_values_are_no_crash(tmp_path, rows):
    none = pa.UnionArray.from_sparse(pa.array([], pa.int8()), [pa.array([], pa.int32()), pa.array([], pa.string())])
    lists = pa.ListArray.from_arrays(pa.array([0] * (rows + 1), pa.int32()), none)
    path = write_file(tmp_path / "t.arrow")
    with pa.ipc.new_file(path, pa.schema({"u": lists.type})) as writer:
        writer.write_batch(pa.record_batch({"u": lists}))
    found = [piece.batch.num_rows for part in open_source(path).parts() for piece in part.batches(max_bytes=1000)]
    assert sum(found) == rows


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("write", [write_file, write_stream])
def test_random_damage_is_an_error_or_harmless_never_a_crash(tmp_path, write, seed):
    path = write(tmp_path / "t.arrow")
    random = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for _ in range(int(random.integers(1, 30))):
        data[int(random.integers(8, len(data) - 8))] = int(random.integers(256))
    path.write_bytes(data)
    with contextlib.suppress(SourceError):
        read(open_source(path))
