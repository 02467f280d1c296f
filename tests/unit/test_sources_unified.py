"""Several files as one schema: what is missing, what widens, what directories say, and what does not go together."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.errors import SchemaError, SourceError
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.sources import open_source
from headrace.sources.unified import wider
from tests.source_reading import read


def write(folder, **tables):
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return open_source(folder)


def test_columns_that_a_file_lacks_are_null_there(tmp_path):
    source = write(tmp_path, a={"id": [1], "x": ["a"]}, b={"y": [0.5], "id": [2]}, c={"id": [3], "y": [1.5]})
    assert source.schema.names == ["id", "x", "y"]
    assert read(source).to_pylist() == [
        {"id": 1, "x": "a", "y": None},
        {"id": 2, "x": None, "y": 0.5},
        {"id": 3, "x": None, "y": 1.5},
    ]
    assert read(source, columns=["y"]).to_pydict() == {"y": [None, 0.5, 1.5]}
    assert source.nulls == {"x", "y"}
    assert source.notes == (
        f"column 'x' is not in {tmp_path}/b.parquet and 1 more: null there",
        f"column 'y' is not in {tmp_path}/a.parquet: null there",
    )


def test_a_column_that_a_field_needs_has_to_be_in_every_file(tmp_path):
    schema = write(tmp_path, a={"id": [1], "v": [[1.0, 2.0]]}, b={"id": [2]}).schema
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]
    with pytest.raises(SchemaError) as caught:
        plan_conform(schema, CollectionSchema(fields), options=LoadOptions())
    assert str(caught.value) == (
        "column 'v': expected a column in every file (the field 'v' takes no null), "
        f"found none in {tmp_path}/b.parquet; add it there, leave the file out, or load into a field that takes nulls"
    )


def test_types_widen_to_what_holds_every_value(tmp_path):
    narrow = {
        "n": pa.array([1], pa.int16()),
        "f": pa.array([0.5], pa.float32()),
        "t": pa.array(["a"]).dictionary_encode(),
    }
    wide = {"n": pa.array([1 << 40]), "f": pa.array([0.1]), "t": pa.array(["b"], pa.large_string())}
    lists = {"l": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))}, {"l": pa.array([[0.1, 0.2, 0.3]])}
    source = write(tmp_path, a={**narrow, **lists[0]}, b={**wide, **lists[1]})
    assert [str(field.type) for field in source.schema] == ["int64", "double", "large_string", "list<item: double>"]
    assert read(source).to_pylist() == [
        {"n": 1, "f": 0.5, "t": "a", "l": [1.0, 2.0]},
        {"n": 1 << 40, "f": 0.1, "t": "b", "l": [0.1, 0.2, 0.3]},
    ]
    assert f"column 'n' is int16 in {tmp_path}/a.parquet: widened to int64" in source.notes


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.int8(), pa.uint8(), pa.int16()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int64(), None),
        (pa.float16(), pa.float64(), pa.float64()),
        (pa.int64(), pa.float64(), None),
        (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8())),
        (pa.string(), pa.string_view(), pa.large_string()),
        (pa.string(), pa.binary(), None),
        (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.string()), pa.string()),
        (pa.list_(pa.float32(), 3), pa.list_(pa.float32(), 4), None),
        (pa.list_(pa.float32(), 3), pa.list_(pa.float64(), 3), pa.list_(pa.float64(), 3)),
        (pa.list_(pa.int8()), pa.large_list(pa.int16()), pa.large_list(pa.int16())),
        (pa.list_(pa.string()), pa.list_(pa.int8()), None),
        (pa.bool_(), pa.int8(), None),
    ],
)
def test_which_types_widen(one, other, both):
    assert (wider(one, other), wider(other, one)) == (both, both)


def test_everything_that_does_not_go_together_is_named_by_file(tmp_path):
    with pytest.raises(SourceError) as caught:
        write(tmp_path, a={"x": [1], "y": [1]}, b={"x": ["t"], "y": [1]}, c={"x": [1], "y": [0.5]})
    assert str(caught.value) == (
        "the files differ in 2 places:\n"
        f"  {tmp_path}/b.parquet, column 'x': expected int64, as in {tmp_path}/a.parquet, found string; "
        "write the files with one schema, or load them one by one\n"
        f"  {tmp_path}/c.parquet, column 'y': expected int64, as in {tmp_path}/a.parquet, found double; "
        "write the files with one schema, or load them one by one"
    )


def test_directories_that_name_columns_are_columns(tmp_path):
    table = pa.table({"id": [1, 2, 3, 4], "lang": ["en", "de fr", None, "en"], "year": [2024, 2025, 2025, 7]})
    pads.write_dataset(table, tmp_path, format="parquet", partitioning=["lang", "year"], partitioning_flavor="hive")
    source = open_source(tmp_path)
    assert {field.name: field.type for field in source.schema} == {
        "id": pa.int64(),
        "lang": pa.string(),
        "year": pa.int64(),
    }
    assert sorted(read(source).to_pylist(), key=lambda row: row["id"]) == table.to_pylist()
    one = open_source(f"{tmp_path}/lang=en/year=*")
    assert sorted(one.schema.names) == ["id", "year"], "what is below what was searched"
    (path,) = (tmp_path / "lang=en/year=7").iterdir()
    assert open_source(path).schema.names == ["id"]


def test_a_column_of_the_file_counts_more_than_its_directory(tmp_path):
    (tmp_path / "x=1").mkdir()
    assert read(write(tmp_path / "x=1", a={"x": [5]})).to_pydict() == {"x": [5]}
    assert read(open_source(tmp_path)).to_pydict() == {"x": [5]}


def test_codes_with_leading_zeros_stay_text(tmp_path):
    for code in ("01", "2"):
        (tmp_path / f"d={code}").mkdir()
        pq.write_table(pa.table({"id": [1]}), tmp_path / f"d={code}/a.parquet")
    assert read(open_source(tmp_path)).column("d").to_pylist() == ["01", "2"]


def test_files_of_several_formats_mix(tmp_path):
    columns = {"id": np.arange(3), "v": np.ones((3, 2), np.float32)}
    np.savez(tmp_path / "a.npz", **columns)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(6, np.float32)), 2)
    table = pa.table({"id": pa.array(columns["id"]), "v": vectors})
    pq.write_table(table, tmp_path / "b.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "c.feather"))
    with pa.OSFile(str(tmp_path / "d.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "e.jsonl").write_text(json.dumps({"id": 0, "v": [1.0, 1.0], "later": "x"}) + "\n")
    (tmp_path / "_SUCCESS").touch()
    source = open_source(tmp_path)
    table = read(source)
    assert table.column("id").to_pylist() == [*range(3)] * 4 + [0]
    assert table.column("v").to_pylist() == [[1.0, 1.0]] * 13
    assert table.column("later").to_pylist() == [None] * 12 + ["x"]
    assert source.skipped == (str(tmp_path / "_SUCCESS"),)


def test_a_list_of_files_is_read_in_its_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a={"id": [1]}, b={"id": [2]}, c={"id": [3]})
    (tmp_path / "files.txt").write_text("# the new ones\nc.parquet\n\n  a.*\n")
    assert read(open_source("@files.txt")).to_pydict() == {"id": [3, 1]}
    (tmp_path / "files.txt").write_text("\n")
    with pytest.raises(SourceError, match="expected a text file with a path a line, found no path in it"):
        open_source("@files.txt")
    with pytest.raises(SourceError, match=r"@none\.txt: expected a path or URI that can be read, found"):
        open_source("@none.txt")
