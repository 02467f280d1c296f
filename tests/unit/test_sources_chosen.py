"""Files that hold more than the rows: what options choose of them is read, and nothing else has to fit."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pytest

from headrace.config import LoadOptions
from headrace.errors import SourceError
from headrace.sources import open_source
from tests.source_reading import read

VECTORS = np.arange(4000, dtype=np.float32).reshape(1000, 4)


def write_hdf5(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def refused(path, **options):
    with pytest.raises(SourceError) as caught:
        read(open_source(path, options=LoadOptions(**options)))
    return str(caught.value)


# HDF5

MORE_DATASETS = {"id": np.arange(1000), "v": VECTORS, "queries": VECTORS[:5], "dim": 4, "cube": np.zeros((1000, 2, 2))}
OTHER_DATASETS = ("queries", "dim", "cube")


@pytest.mark.parametrize(
    "options", [{"only": ("id", "v")}, {"drop": OTHER_DATASETS}, {"only": ("id",), "map": {"v": "vector"}}], ids=str
)
def test_only_the_chosen_datasets_have_to_go_together(tmp_path, options):
    path = write_hdf5(tmp_path / "a.h5", **MORE_DATASETS)
    source = open_source(path, options=LoadOptions(**options))
    assert source.rows_total == 1000
    table = read(source, 5000)
    assert table.column("id").to_pylist() == list(range(1000))
    assert table.column("v").to_pylist() == VECTORS.tolist()
    assert {field.name for field in source.schema if pa.types.is_null(field.type)} == set(OTHER_DATASETS)
    assert read(source, columns=["v", "queries"]).column("queries").null_count == 1000


def test_a_column_that_names_partitions_is_read_though_it_is_left_out(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", v=VECTORS, lang=["en", "de"] * 500, more=1.0)
    options = LoadOptions(drop=("lang", "more"), partition_column="lang")
    assert read(open_source(path, options=options)).column("lang").to_pylist() == ["en", "de"] * 500


def test_nothing_that_is_chosen_is_nothing_to_load(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", **MORE_DATASETS)
    assert "found none; choose the rows' columns with --only" in refused(path, only=("nope",))


@pytest.mark.parametrize(
    ("options", "column"),
    [({"only": ("test",)}, "test"), ({"drop": ("train", "neighbors")}, "test"), ({"only": ("vector",)}, "vector")],
)
def test_datasets_of_ann_benchmarks_that_an_option_names_are_columns_too(tmp_path, options, column):
    path = write_hdf5(tmp_path / "a.hdf5", train=VECTORS, test=VECTORS[:3], neighbors=np.zeros((3, 10)))
    source = open_source(path, options=LoadOptions(**options))
    rows = 3 if column == "test" else 1000
    assert (source.rows_total, read(source).column(column).to_pylist()) == (rows, VECTORS[:rows].tolist())


# npz

# What np.savez of a search benchmark leaves behind beside its rows.
MORE_ARRAYS = {
    "queries": VECTORS[:5],
    "model": "minilm",
    "texts": np.array(["a", None], dtype=object),
    "turned": np.asfortranarray(VECTORS),
    "params": np.array([(1, 2.0)], dtype=[("dim", "i4"), ("norm", "f4")]),
}
OTHER_ARRAYS = ("queries", "model", "texts", "turned", "dim", "norm")


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("options", [{"only": ("id", "v")}, {"drop": OTHER_ARRAYS}], ids=str)
def test_only_the_chosen_arrays_of_an_archive_have_to_go_together(tmp_path, write, options):
    path = tmp_path / "a.npz"
    write(path, id=np.arange(1000), v=VECTORS, **MORE_ARRAYS)
    source = open_source(path, options=LoadOptions(**options))
    assert source.rows_total == 1000
    table = read(source, 5000)
    assert table.column("id").to_pylist() == list(range(1000))
    assert table.column("v").to_pylist() == VECTORS.tolist()
    assert {field.name for field in source.schema if pa.types.is_null(field.type)} == set(OTHER_ARRAYS)
    assert read(source, 5000, columns=["texts", "id"]).column("texts").null_count == 1000


def test_a_structured_array_is_chosen_by_its_fields(tmp_path):
    rows = np.array([(n, n / 2) for n in range(4)], dtype=[("id", "i8"), ("x", "f4")])
    np.savez(tmp_path / "a.npz", rows, other=VECTORS)
    found = read(open_source(tmp_path / "a.npz", options=LoadOptions(only=("id",))))
    assert found.column("id").to_pylist() == [0, 1, 2, 3]
    assert found.column("other").null_count == 4


def test_files_of_an_archive_that_are_no_arrays_can_be_left_out(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, v=VECTORS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.md", "vectors")
    assert "expected a zip archive of arrays (.npy) only, found 'README.md'" in refused(path)
    options = LoadOptions(drop=("README.md",))
    assert read(open_source(path, options=options)).column("v").to_pylist() == VECTORS.tolist()


def test_arrays_of_an_archive_that_cannot_be_read_say_how_to_do_without(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, v=VECTORS, texts=MORE_ARRAYS["texts"])
    assert refused(path).endswith(
        "save it with another dtype, as array.astype(numpy.float32), or leave it out with --drop texts"
    )
    np.savez(path, v=VECTORS, queries=VECTORS[:5])
    assert refused(path).endswith("; choose the rows' columns with --only, or leave the others out with --drop")
