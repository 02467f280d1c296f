"""HDF5: the datasets of a file, those of ann-benchmarks, and files that are none."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from headrace.config import LoadOptions
from headrace.errors import MissingExtraError, SourceError
from headrace.sources import open_source
from tests.source_reading import read

VECTORS = np.arange(4000, dtype=np.float32).reshape(1000, 4)


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


@pytest.mark.parametrize("max_bytes", [500, 1 << 20])
def test_each_dataset_is_a_column_under_its_path(tmp_path, max_bytes):
    path = write(tmp_path / "a.h5", id=np.arange(1000), text=[f"größe {n}" for n in range(1000)])
    with h5py.File(path, "a") as file:
        file.create_dataset("inner/v", data=VECTORS, chunks=(64, 4), compression="gzip")
        file["fixed"] = np.array([b"ab"] * 1000)
        file["flag"] = np.arange(1000) % 2 == 0
    source = open_source(path)
    assert source.rows_total == 1000
    assert {field.name: field.type for field in source.schema} == {
        "fixed": pa.string(),
        "flag": pa.bool_(),
        "id": pa.int64(),
        "inner/v": pa.list_(pa.float32(), 4),
        "text": pa.string(),
    }
    table = read(source, max_bytes)
    assert table.column("text").to_pylist() == [f"größe {n}" for n in range(1000)]
    assert table.column("inner/v").to_pylist() == VECTORS.tolist()
    assert read(source, max_bytes, columns=["flag", "id"]).column_names == ["flag", "id"]


def test_of_ann_benchmarks_the_vectors_are_read(tmp_path):
    path = write(tmp_path / "a.hdf5", train=VECTORS, test=VECTORS[:3], neighbors=np.zeros((3, 10)), distances=[1.0])
    source = open_source(path)
    assert source.schema.names == ["vector"]
    assert read(source).column(0).to_pylist() == VECTORS.tolist()
    assert open_source(path, options=LoadOptions(vector=("emb",))).schema.names == ["emb"]


def test_files_on_other_file_systems_are_read(tmp_path):
    write(tmp_path / "a.h5", v=VECTORS)
    filesystem = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    source = open_source("a.h5", options=LoadOptions(filesystem=filesystem))
    assert read(source).column(0).to_pylist() == VECTORS.tolist()


def refused(path):
    with pytest.raises(SourceError) as caught:
        read(open_source(path))
    return str(caught.value)


def test_datasets_that_do_not_go_together_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", a=np.zeros(3), b=np.zeros((4, 2)))
    assert refused(path) == (
        f"{path}: expected datasets of as many rows each, found 'a' of shape (3,), 'b' of shape (4, 2); "
        "choose the rows' columns with --only, or leave the others out with --drop"
    )
    assert "expected datasets of as many rows each, found none" in refused(write(tmp_path / "b.h5"))
    assert "'a' of shape ()" in refused(write(tmp_path / "c.h5", a=1.0))
    assert "dataset 'a': column 'a': expected" in refused(write(tmp_path / "d.h5", a=np.zeros((2, 2, 2))))


@pytest.mark.parametrize("cut", [10, 5000, 15_000])
def test_damaged_files_are_named(tmp_path, cut):
    path = write(tmp_path / "a.h5", v=VECTORS)
    path.write_bytes(path.read_bytes()[:-cut])
    assert refused(path).startswith(f"{path}")
    assert "expected a readable HDF5 file, found damage (" in refused(path)


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", v=VECTORS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError) as caught:
        open_source(path)
    assert str(caught.value) == f"{path}: expected h5py to read it, found it is not installed; install headrace[hdf5]"
