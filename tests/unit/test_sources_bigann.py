"""The binary files of big-ann: dense and sparse vectors behind a head of counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse

from headrace.errors import SourceError
from headrace.sources import open_source
from tests.source_reading import read

VECTORS = np.arange(4000).reshape(1000, 4) % 100


def dense(path, values):
    path.write_bytes(np.array(values.shape, np.uint32).tobytes() + values.tobytes())
    return path


def sparse(path, matrix, **changes):
    parts = {"indptr": matrix.indptr.astype("<i8"), "indices": matrix.indices.astype("<i4"), "data": matrix.data}
    parts |= changes
    head = np.array([*matrix.shape, matrix.nnz], np.int64)
    path.write_bytes(b"".join(part.tobytes() for part in (head, *parts.values())))
    return path


MATRIX = scipy.sparse.random(500, 300, density=0.02, format="csr", dtype=np.float32, rng=1)


@pytest.mark.parametrize("max_bytes", [500, 1 << 20])
@pytest.mark.parametrize(
    ("suffix", "dtype"), [("fbin", np.float32), ("u8bin", np.uint8), ("i8bin", np.int8), ("ibin", np.int32)]
)
def test_dense_vectors_are_read(tmp_path, suffix, dtype, max_bytes):
    source = open_source(dense(tmp_path / f"a.{suffix}", VECTORS.astype(dtype)))
    assert source.schema == pa.schema([("vector", pa.list_(pa.from_numpy_dtype(dtype), 4))])
    assert source.rows_total == 1000
    assert read(source, max_bytes).column(0).to_pylist() == VECTORS.tolist()


@pytest.mark.parametrize("max_bytes", [500, 1 << 20])
def test_sparse_vectors_are_read(tmp_path, max_bytes):
    table = read(open_source(sparse(tmp_path / "a.csr", MATRIX)), max_bytes)
    rows = [{pair["index"]: pair["value"] for pair in row} for row in table.column("vector").to_pylist()]
    assert rows == [
        dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in map(MATRIX.__getitem__, range(500))
    ]


def refused(path):
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert caught.value.source == str(path)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("change", [-1, 4])
def test_sizes_that_do_not_fit_the_head_are_refused(tmp_path, change):
    path = dense(tmp_path / "a.fbin", VECTORS.astype(np.float32))
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"\0" * change)
    assert refused(path) == (
        f": expected 16008 bytes, for 1000 rows of 4 values, found {16008 + change} bytes; "
        "write the file again or leave it out"
    )
    path = sparse(tmp_path / "a.csr", MATRIX)
    path.write_bytes(path.read_bytes()[:-4])
    assert f"bytes, for 500 rows of {MATRIX.nnz} entries, found " in refused(path)


def test_heads_that_make_no_sense_are_refused(tmp_path):
    (tmp_path / "a.fbin").write_bytes(b"\1\0")
    assert "header: expected a head of 2 counts, found damage (" in refused(tmp_path / "a.fbin")
    (tmp_path / "b.fbin").write_bytes(np.array([5, 0], np.uint32).tobytes())
    assert refused(tmp_path / "b.fbin").startswith(": expected vectors, found rows of 0 values")
    (tmp_path / "a.csr").write_bytes(np.array([-1, 5, 5], np.int64).tobytes())
    assert refused(tmp_path / "a.csr").startswith(": expected a head of three counts, found -1, 5 and 5")


def test_bounds_that_contradict_the_entries_are_refused(tmp_path):
    bounds = MATRIX.indptr.astype("<i8")
    bounds[3] = 10_000
    assert refused(sparse(tmp_path / "a.csr", MATRIX, indptr=bounds)).startswith(
        ": expected the parts of a CSR matrix, found damage (indptr from 0 to"
    )


def test_an_index_beyond_the_matrix_is_named(tmp_path):
    indices = MATRIX.indices.astype("<i4")
    indices[-1] = 300
    with pytest.raises(SourceError, match="damage"):
        read(open_source(sparse(tmp_path / "a.csr", MATRIX, indices=indices)))
