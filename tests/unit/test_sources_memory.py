"""Objects of this process as sources: Arrow data, frames, dicts, rows, iterators."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
import scipy.sparse

from headrace.errors import CellError, SchemaError, SourceError
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.sources import open_source
from tests.source_reading import TABLE, read


class Stream:
    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


CHUNKED = pa.concat_tables([TABLE.slice(0, 300), TABLE.slice(300, 0), TABLE.slice(300)])


# Arrow data


@pytest.mark.parametrize("table", [TABLE, CHUNKED, TABLE.slice(0, 0), TABLE.slice(17, 500)])
@pytest.mark.parametrize("max_bytes", [500, 1 << 20])
def test_tables_are_read_as_they_are(table, max_bytes):
    source = open_source(table)
    assert (source.label, source.rows_total, source.replayable) == ("table", table.num_rows, True)
    assert read(source, max_bytes).equals(table)
    assert read(source, max_bytes).equals(table)


def test_tables_are_not_copied():
    source = open_source(TABLE)
    pieces = [piece.batch for part in source.parts() for piece in part.batches(max_bytes=1000)]
    assert {piece.column(0).buffers()[1].address for piece in pieces} == {TABLE.column(0).chunk(0).buffers()[1].address}


def test_a_record_batch_is_a_source():
    source = open_source(TABLE.to_batches()[0])
    assert source.rows_total == 1000
    assert read(source).equals(TABLE)


def test_a_reader_is_read_once():
    source = open_source(CHUNKED.to_reader())
    assert (source.rows_total, source.replayable, source.schema) == (None, False, TABLE.schema)
    assert read(source, 2000).equals(TABLE)
    with pytest.raises(SourceError) as caught:
        source.parts()
    assert str(caught.value) == (
        "reader: expected a source that was not read yet, found one that was; give a new iterator or reader"
    )


def test_a_producer_of_a_stream_is_read_once():
    source = open_source(Stream(CHUNKED))
    assert source.label.endswith("Stream")
    assert not source.replayable
    assert read(source, columns=["t", "id"]).equals(TABLE.select(["t", "id"]))


def test_datasets_are_read_in_order(tmp_path):
    for name, rows in (("a", slice(0, 400)), ("b", slice(400, 600))):
        pq.write_table(TABLE.slice(rows.start, rows.stop), tmp_path / f"{name}.parquet", row_group_size=100)
    source = open_source(pads.dataset(tmp_path))
    assert (source.label, source.replayable) == ("dataset", True)
    assert read(source, 3000).equals(TABLE)
    assert read(source, columns=["id"]).equals(TABLE.select(["id"]))


def test_pandas_frames_are_read_without_their_index():
    import pandas as pd

    frame = pd.DataFrame({"id": [1, 2, 3], "v": [np.array([1.0, 2.0])] * 3}, index=["x", "y", "z"])
    source = open_source(frame[frame["id"] != 2])
    assert (source.label, source.rows_total) == ("pandas.DataFrame", 2)
    assert read(source).to_pydict() == {"id": [1, 3], "v": [[1.0, 2.0]] * 2}


def test_pandas_columns_of_several_types_are_refused():
    import pandas as pd

    frame = pd.DataFrame({"id": [1, 2], "x": pd.Series([1, b"bytes"], dtype=object)})
    with pytest.raises(SchemaError, match=r"pandas.DataFrame: expected columns of one type each, found .*column x"):
        open_source(frame)


def test_damage_in_a_dataset_is_named_with_its_batch(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path, compression="none", use_dictionary=False)
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"dataset, record batch 0: expected readable batches, found an error \("):
        read(open_source(pads.dataset(path)))


# Dicts and rows


def test_a_dict_of_columns_is_not_copied():
    vectors = np.zeros((100, 8), np.float32)
    matrix = scipy.sparse.random(100, 50, 0.1, format="csr", dtype=np.float32, random_state=1)
    source = open_source({"id": np.arange(100), "v": vectors, "s": matrix})
    assert (source.label, source.rows_total, source.replayable) == ("columns", 100, True)
    pieces = [piece.batch for part in source.parts() for piece in part.batches(max_bytes=1000)]
    assert len(pieces) > 3
    assert {piece.column(1).values.buffers()[1].address for piece in pieces} == {vectors.ctypes.data}
    assert {piece.column(2).values.field(1).buffers()[1].address for piece in pieces} == {matrix.data.ctypes.data}


def test_a_list_of_dicts_is_read_in_bounded_batches():
    rows = [{"id": i, "v": [float(i)] * 100} for i in range(1000)]
    source = open_source(rows)
    assert (source.label, source.rows_total, source.replayable) == ("rows", 1000, True)
    assert source.schema.types == [pa.int64(), pa.list_(pa.float64())]
    for _ in range(2):
        assert read(source, 100_000).to_pylist() == rows
    assert read(source, columns=["id"]).column_names == ["id"]


def test_the_columns_of_rows_are_the_keys_of_all_rows():
    rows = [{"id": i} for i in range(600)]
    rows[500]["late"] = "x"
    source = open_source(rows)
    assert source.schema.field("late").type == pa.string()
    assert read(source, 1 << 20, columns=["id"]).num_rows == 600


def test_rows_are_guided_by_the_collection():
    schema = CollectionSchema(
        [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("j", DataType.JSON, nullable=True)]
    )
    source = open_source([{"id": 1, "j": {"a": 1}}, {"id": 2, "j": {"b": 2}}], schema=schema)
    assert read(source).column("j").to_pylist() == ['{"a":1}', '{"b":2}']


def test_a_bad_cell_is_named_with_its_row_in_the_source():
    rows = [{"id": i, "x": 1} for i in range(700)]
    rows[650]["x"] = "text"
    source = open_source(rows)
    with pytest.raises(CellError) as caught:
        read(source)
    assert (caught.value.source, caught.value.source_row, caught.value.field) == ("rows", 650, "x")
    assert str(caught.value).startswith("rows, row 650, field 'x': expected a value of one type in every row")


def test_rows_with_keys_that_are_no_text_are_refused():
    with pytest.raises(SchemaError, match="row 1: expected a dict of column names and values, found a dict with keys"):
        open_source([{"id": 1}, {2: 1}])


def test_no_rows():
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True)])
    for empty in ([], (), iter([])):
        source = open_source(empty, schema=schema)
        assert (source.rows_total, source.schema.names) == (0, ["id"])
        assert read(source).num_rows == 0
    assert open_source([]).schema.names == []


# Iterators


@pytest.mark.parametrize(
    "items",
    [
        lambda: ({"id": i, "v": [1.0, i]} for i in range(1000)),
        lambda: ([{"id": i, "v": [1.0, i]} for i in range(start, start + 100)] for start in range(0, 1000, 100)),
        lambda: (
            {"id": np.arange(start, start + 100), "v": [[1.0, i] for i in range(start, start + 100)]}
            for start in range(0, 1000, 100)
        ),
        lambda: (
            pa.table({"id": np.arange(start, start + 100), "v": [[1.0, i] for i in range(start, start + 100)]})
            for start in range(0, 1000, 100)
        ),
        lambda: iter(pa.table({"id": range(1000), "v": [[1.0, i] for i in range(1000)]}).to_batches(max_chunksize=64)),
        lambda: [pa.table({"id": range(1000), "v": [[1.0, i] for i in range(1000)]}).to_reader()],
    ],
    ids=["rows", "lists of rows", "dicts of columns", "tables", "batches", "readers"],
)
def test_iterators_of_anything_that_holds_rows(items):
    source = open_source(items())
    assert (source.rows_total, source.replayable) == (None, False)
    assert source.schema.names == ["id", "v"]
    table = read(source, 4000)
    assert table.column("id").to_pylist() == list(range(1000))
    assert table.column("v").to_pylist() == [[1.0, i] for i in range(1000)]
    with pytest.raises(SourceError, match="expected a source that was not read yet"):
        source.parts()


def test_an_iterator_is_asked_for_no_more_than_its_first_item():
    asked = []

    def items():
        for number in range(3):
            asked.append(number)
            yield {"id": [number]}

    source = open_source(items())
    assert asked == [0]
    assert read(source).to_pydict() == {"id": [0, 1, 2]}


def test_rows_and_columns_may_be_mixed_in_an_iterator():
    items = iter([{"id": 1, "t": "a"}, {"id": 2, "t": "b"}, {"id": [3], "t": ["c"]}, {"id": 4, "t": "d"}])
    assert read(open_source(items)).to_pydict() == {"id": [1, 2, 3, 4], "t": ["a", "b", "c", "d"]}


def test_an_item_that_holds_no_rows_is_named():
    source = open_source(iter([{"id": [1]}, 5]))
    with pytest.raises(SourceError) as caught:
        read(source)
    assert str(caught.value).startswith("iterator, item 1: expected rows or columns, found int; give a path")
    assert caught.value.position == "item 1"


def test_columns_that_do_not_go_together_are_named_with_their_item():
    source = open_source(iter([{"id": [1]}, {"id": [1], "v": [1, 2]}]))
    with pytest.raises(SchemaError, match="iterator, item 1: columns: expected the same number of rows in each"):
        read(source)


def test_errors_of_the_iterator_itself_have_their_place_and_stay_the_cause():
    def items():
        yield {"id": [1]}
        raise ZeroDivisionError("by 0")

    batches = next(iter(open_source(items()).parts())).batches(max_bytes=1 << 20)
    assert next(batches).batch.num_rows == 1
    with pytest.raises(SourceError, match="iterator, item 1: expected rows, found ZeroDivisionError: by 0") as caught:
        next(batches)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_iterator_of_paths_is_files(tmp_path):
    for name in ("b", "a"):
        pq.write_table(pa.table({"id": [name]}), tmp_path / f"{name}.parquet")
    source = open_source(tmp_path / name for name in ("b.parquet", "a.parquet"))
    assert [part.label for part in source.parts()] == [str(tmp_path / "b.parquet"), str(tmp_path / "a.parquet")]
    assert source.replayable
