"""Tables of other libraries: polars, pandas, DuckDB, Hugging Face, tensors."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headrace.errors import SchemaError, SourceError
from headrace.sources import open_source
from tests.source_reading import read

VECTORS = np.arange(40_000, dtype=np.float32).reshape(10_000, 4)
POLARS = pl.DataFrame({"id": range(10_000), "v": VECTORS, "t": [f"text {n}" for n in range(10_000)]})


def polars_batches():
    return POLARS.lazy().filter(pl.col("id") >= 500)


# polars


@pytest.mark.parametrize("max_bytes", [10_000, 1 << 20])
def test_polars_frames_are_read_as_they_are(max_bytes):
    source = open_source(POLARS)
    assert (source.label, source.rows_total, source.replayable) == ("polars.DataFrame", 10_000, True)
    table = read(source, max_bytes)
    assert table.schema.field("v").type == pa.list_(pa.float32(), 4)
    assert table.column("id").to_pylist() == list(range(10_000))
    assert table.column("v").combine_chunks().values.to_numpy().tolist() == VECTORS.ravel().tolist()


def test_lazy_frames_are_collected_in_batches():
    source = open_source(polars_batches())
    assert (source.label, source.rows_total, source.replayable) == ("polars.LazyFrame", None, True)
    assert source.schema.names == ["id", "v", "t"]
    for _ in range(2):
        assert read(source, columns=["id"]).column(0).to_pylist() == list(range(500, 10_000))
    (part,) = source.parts()
    assert max(found.batch.num_rows for found in part.batches(max_bytes=1 << 30)) < 5000


def test_lazy_frames_of_an_older_polars_are_collected_as_a_whole(monkeypatch):
    monkeypatch.delattr(pl.LazyFrame, "collect_batches")
    assert read(open_source(polars_batches())).num_rows == 9_500


def test_an_iterator_of_frames_of_any_kind_is_one_source():
    def frames():
        yield POLARS.head(3)
        yield POLARS.lazy().head(2)
        yield POLARS.head(1).to_pandas()

    assert read(open_source(frames()), columns=["id"]).column(0).to_pylist() == [0, 1, 2, 0, 1, 0]


# pandas


def test_pandas_columns_of_arrays_and_nullable_types_keep_their_nulls():
    frame = pd.DataFrame(
        {
            "v": list(VECTORS[:4]),
            "int": pd.array([1, None, 3, 4], dtype="Int64"),
            "float": pd.array([0.5, None, 1.5, 2.5], dtype="Float64"),
            "bool": pd.array([True, None, False, True], dtype="boolean"),
            "text": pd.array(["a", None, "c", "d"], dtype="string"),
            "class": pd.Categorical(["x", None, "x", "y"]),
        }
    )
    for given in (frame, frame.convert_dtypes(dtype_backend="pyarrow")):
        assert read(open_source(given)).to_pydict() == {
            "v": VECTORS[:4].tolist(),
            "int": [1, None, 3, 4],
            "float": [0.5, None, 1.5, 2.5],
            "bool": [True, None, False, True],
            "text": ["a", None, "c", "d"],
            "class": ["x", None, "x", "y"],
        }


# DuckDB


def test_relations_of_duckdb_are_streams():
    table = pa.table({"id": range(1000), "v": VECTORS[:1000].tolist()})
    with duckdb.connect() as connection:
        connection.register("rows", table)
        source = open_source(connection.sql("select id, v::FLOAT[4] as v from rows where id >= 10 order by id"))
        assert (source.rows_total, source.replayable) == (None, False)
        found = read(source)
    assert found.schema.field("v").type.list_size == 4
    assert found.to_pydict() == table.slice(10).to_pydict()


def test_a_connection_is_refused_with_a_way():
    with duckdb.connect() as connection, pytest.raises(SourceError) as caught:
        open_source(connection.execute("select 1 as id"))
    assert str(caught.value) == (
        "source: expected something that holds rows, found a connection of DuckDB; "
        "give the relation that con.sql(query) returns"
    )


# Hugging Face, by stand-ins: the library is large, and tests/libraries has the real one


class Features:
    arrow_schema = pa.schema([("id", pa.int64()), ("v", pa.list_(pa.float32()))])


class Dataset:
    """What headrace uses of datasets.Dataset."""

    features = Features()

    def __init__(self, rows):
        self._rows = rows

    def __len__(self):
        return self._rows

    def with_format(self, kind):
        assert kind == "arrow"
        return self

    def iter(self, batch_size):
        for start in range(0, self._rows, batch_size):
            stop = min(start + batch_size, self._rows)
            columns = {"id": range(start, stop), "v": VECTORS[start:stop].tolist()}
            yield pa.table(columns, schema=Features.arrow_schema)


class IterableDataset(Dataset):
    features = None
    __len__ = None


class DatasetDict(dict):
    pass


for kind in (Dataset, IterableDataset, DatasetDict):
    kind.__module__ = "datasets.somewhere"


def test_datasets_are_read_from_their_arrow_memory():
    source = open_source(Dataset(5000))
    assert (source.label, source.rows_total, source.replayable) == ("datasets.Dataset", 5000, True)
    for _ in range(2):
        assert read(source).column("v").to_pylist() == VECTORS[:5000].tolist()
    assert read(source, columns=["id"]).column_names == ["id"]


def test_streamed_datasets_are_read_once():
    source = open_source(IterableDataset(3000))
    assert (source.label, source.rows_total, source.replayable) == ("datasets.IterableDataset", None, False)
    assert read(source).column("id").to_pylist() == list(range(3000))


def test_of_several_splits_one_has_to_be_chosen():
    with pytest.raises(SourceError) as caught:
        open_source(DatasetDict(train=Dataset(1), test=Dataset(1)))
    assert str(caught.value) == (
        "source: expected one split of the dataset, found the splits 'train', 'test'; give dataset['train']"
    )


# Tensors, by a stand-in that has nothing but DLPack


class Tensor:
    def __init__(self, array, device=(1, 0)):
        self._array = array
        self._device = device
        self.shape = array.shape

    def __len__(self):
        return len(self._array)

    def __dlpack__(self, **options):
        if self._device[0] != 1:
            raise BufferError("memory of another device")
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device


def test_tensors_come_in_through_dlpack_without_a_copy():
    vectors = VECTORS[:100].copy()
    source = open_source({"id": Tensor(np.arange(100)), "v": Tensor(vectors)})
    found = read(source)
    assert found.column("v").to_pylist() == vectors.tolist()
    assert found.column("v").chunk(0).values.buffers()[1].address == vectors.ctypes.data


def test_tensors_of_another_device_are_refused():
    with pytest.raises(SchemaError, match=r"column 'v': expected a column .*found Tensor \("):
        open_source({"v": Tensor(VECTORS, device=(2, 0))})
