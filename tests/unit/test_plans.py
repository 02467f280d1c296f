"""Parts of files: together every row once, each readable by itself, all of them pinned."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, feather

import headrace
from headrace import ConfigError, LoadOptions, Plan, PlanPart, SourceError
from headrace.plans import PART_ROWS, choose_source, open_part

OPTIONS = LoadOptions(key="@file_row")
KINDS = ["parquet", "feather", "stream", "csv", "jsonl"]


def rows(first, count):
    return pa.table({"n": pa.array(np.arange(first, first + count))})


def write(path, table, kind, group):
    """A file of one of the kinds: with as many parts as row groups allow, or with rows that only reading counts."""
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=group)
    elif kind == "feather":
        feather.write_feather(table, path, chunksize=group)
    elif kind == "csv":
        csv.write_csv(table, path)
    elif kind == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    else:
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table, max_chunksize=group)
    return str(path)


def read(part, options=OPTIONS, max_bytes=64):
    """``(file, row in it, value)`` of every row of a part."""
    found = []
    with open_part(part, options) as source:
        for piece in source.parts():
            for batch in piece.batches(max_bytes=max_bytes):
                values = batch.batch.column("n").to_pylist()
                found += [(batch.source, batch.first_row + i, value) for i, value in enumerate(values)]
    return found


@settings(max_examples=30)
@given(
    files=st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 15)),
        min_size=1,
        max_size=4,
    ),
    parts=st.integers(1, 7),
)
def test_the_parts_hold_every_row_exactly_once(tmp_path_factory, files, parts):
    folder, first, expected = tmp_path_factory.mktemp("files"), 0, []
    for number, (kind, count, group) in enumerate(files):
        suffix = f".{kind}" if kind in ("csv", "jsonl") else ""
        path = write(folder / f"{number}{suffix}", rows(first, count), kind, group)
        expected += [(path, row, first + row) for row in range(count)]
        first += count
    plan = headrace.plan(str(folder), parts=parts)
    assert [part.part for part in plan.parts] == list(range(1, parts + 1))
    found = [read(part) for part in plan.parts]
    assert [row for part in found for row in part] == expected, "in the order of the files"
    known = [part.rows for part in plan.parts]
    assert [count for count, part in zip(known, found, strict=True) if count not in (None, len(part))] == []
    again = [choose_source(str(folder), f"{part}/{parts}") for part in range(1, parts + 1)]
    assert [part.ranges for part in again] == [part.ranges for part in plan.parts], "found without the plan too"


def test_parts_are_about_equal(tmp_path):
    path = write(tmp_path / "a", rows(0, 1000), "parquet", 100)
    assert [part.rows for part in headrace.plan(path, parts=3).parts] == [333, 334, 333]
    assert [part.rows for part in headrace.plan(path, rows_per_part=300).parts] == [250] * 4
    assert len(headrace.plan(path).parts) == 1
    assert PART_ROWS == 1_000_000


def test_a_plan_is_a_document(tmp_path):
    write(tmp_path / "a", rows(0, 30), "parquet", 10)
    write(tmp_path / "b", rows(30, 9), "stream", 4)
    plan = headrace.plan(tmp_path, parts=2)
    assert Plan.from_json(plan.to_json()) == plan
    documents = [part.to_dict() for part in plan.parts]
    assert json.loads(json.dumps(documents)) == documents
    assert [PlanPart.from_dict(document) for document in documents] == list(plan.parts)
    (tmp_path / "_plan.json").write_text(plan.to_json())
    assert Plan.read(tmp_path / "_plan.json").rows is None
    document = json.loads(plan.to_json())
    assert document["files"][0]["rows"] == 30
    first = document["parts"][0]["ranges"][0]
    # How many depends on the bytes of the other file, which is counted only where it is read.
    assert first == {"file": f"{tmp_path}/a", "first_row": 0, "rows": first["rows"], "number": 0}
    assert 20 <= first["rows"] < 30
    assert headrace.plan(tmp_path, parts=2).id != plan.id


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"headrace_plan": 99}', '{"headrace_plan": 1, "id": "x"}'])
def test_another_document_is_refused(text):
    with pytest.raises(ConfigError, match="expected a plan of headrace's, found another document"):
        Plan.from_json(text)
    with pytest.raises(ConfigError, match="expected a plan of headrace's"):
        PlanPart.from_dict({"headrace_plan": 1})
    with pytest.raises(ConfigError, match="expected a file"):
        Plan.read("nowhere.json")


def test_rows_keep_the_numbers_that_they_have_in_the_whole(tmp_path):
    write(tmp_path / "a", rows(0, 30), "parquet", 10)
    write(tmp_path / "b", rows(30, 21), "feather", 5)
    keys = []
    for part in headrace.plan(tmp_path, parts=4).parts:
        with open_part(part, LoadOptions(key="@row")) as source:
            for piece in source.parts():
                for batch in piece.batches(max_bytes=100):
                    assert batch.batch.column("@row").equals(batch.batch.column("n"))
                    keys += batch.batch.column("@row").to_pylist()
    assert keys == list(range(51))


def test_rows_without_a_number_have_no_key_of_it(tmp_path):
    write(tmp_path / "a", rows(0, 30), "stream", 10)
    write(tmp_path / "b", rows(30, 30), "parquet", 10)
    second = headrace.plan(tmp_path, parts=2).parts[1]
    with pytest.raises(ConfigError, match="rows before it that only reading counts; use --key @file_row"):
        open_part(second, LoadOptions(key="@row"))


def test_a_file_that_changed_since_is_refused(tmp_path):
    path = tmp_path / "a"
    write(path, rows(0, 30), "parquet", 10)
    part = headrace.plan(path, parts=2).parts[1]
    write(path, rows(1, 30), "parquet", 10)
    with pytest.raises(SourceError, match=r"as it was when the plan was made, found .*; make") as caught:
        open_part(part, OPTIONS)
    assert caught.value.source == str(path)


def test_more_parts_than_rows_leave_some_empty(tmp_path):
    path = write(tmp_path / "a", rows(0, 2), "parquet", 10)
    plan = headrace.plan(path, parts=5)
    assert sorted(part.rows for part in plan.parts) == [0, 0, 0, 1, 1]
    assert [part.files[0].path for part in plan.parts] == [path] * 5


@pytest.mark.parametrize(
    ("part", "found"),
    [("4/3", "'4/3'"), ("0/3", "'0/3'"), ("two", "'two'"), (2, "2"), ("1/0", "'1/0'")],
)
def test_what_names_no_part_is_refused(tmp_path, part, found):
    path = write(tmp_path / "a", rows(0, 2), "parquet", 10)
    with pytest.raises(ConfigError, match=f"expected NUMBER/PARTS, found {found}"):
        choose_source(path, part)


@pytest.mark.parametrize("part", [None, 0, 4, "2/3", True])
def test_a_plan_has_only_its_parts(tmp_path, part):
    plan = headrace.plan(write(tmp_path / "a", rows(0, 9), "parquet", 10), parts=3)
    assert choose_source(plan, "2") == plan.parts[1]
    with pytest.raises(ConfigError, match="expected a number from 1 to 3"):
        choose_source(plan, part)


def test_only_files_have_parts():
    with pytest.raises(ConfigError, match="expected a path, glob, directory, URI or a list of them, found dict"):
        headrace.plan({"id": [1]})
    with pytest.raises(ConfigError, match="found Table"):
        choose_source(pa.table({"id": [1]}), "1/2")
    with pytest.raises(ConfigError, match="found both"):
        headrace.plan("a", parts=1, rows_per_part=1)
    with pytest.raises(ConfigError, match="rows_per_part: expected a number of at least 1"):
        headrace.plan("a", rows_per_part=0)
