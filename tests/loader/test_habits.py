"""How people happen to write and hold their data: it arrives, or a sentence says what to do."""

from __future__ import annotations

import datetime
import json

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import InputError
from tests.loader.rows import counts, load

ROWS = 6
VECTORS = (np.arange(ROWS * 4, dtype=np.float32) + 1).reshape(ROWS, 4)
VECTOR_TEXTS = [json.dumps(vector) for vector in VECTORS.tolist()]
LINES = [f'{row},"{text}"' for row, text in enumerate(VECTOR_TEXTS)]
OBJECTS = [json.dumps({"id": row, "vector": vector}) for row, vector in enumerate(VECTORS.tolist())]
TABLE = pa.table({"id": range(ROWS), "vector": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 4)})


def frame(**columns):
    return pd.DataFrame({"id": range(ROWS), "vector": list(VECTORS), **columns})


def spread(values):
    """A table of these vectors."""
    return pa.table({"id": range(len(values)), "vector": values})


def lists(kind, values=None):
    return pa.array(VECTORS.tolist() if values is None else values, pa.list_(kind))


def stored(fake):
    return {row["id"]: row for row in fake.collections["docs"].dicts()}


TEXTS = {
    "CSV, Windows": ("a.csv", "id,vector\r\n" + "".join(f"{line}\r\n" for line in LINES)),
    "CSV, byte-order mark": ("a.csv", "\ufeffid,vector\n" + "\n".join(LINES)),
    "CSV, numpy's print": ("a.csv", "id,vector\n" + "\n".join(f'{row},"{it}"' for row, it in enumerate(VECTORS))),
    "CSV, blank lines": ("a.csv", "id,vector\n\n" + "\n\n".join(LINES)),
    "CSV, pandas' index": ("a.csv", ",id,vector\n" + "\n".join(f"{row},{line}" for row, line in enumerate(LINES))),
    "CSV, semicolons": ("a.csv", "id;vector\n" + "\n".join(f"{row};{it}" for row, it in enumerate(VECTOR_TEXTS))),
    "JSON lines, Windows": ("a.jsonl", "".join(f"{line}\r\n" for line in OBJECTS)),
    "JSON lines, byte-order mark": ("a.jsonl", "\ufeff" + "\n".join(OBJECTS)),
    "JSON lines, vectors as text": (
        "a.jsonl",
        "\n".join(json.dumps({"id": row, "vector": it}) for row, it in enumerate(VECTOR_TEXTS)),
    ),
    "a name of many kinds of letters": ("Übung mit Leerzeichen #1 %20 [a].jsonl", "\n".join(OBJECTS)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_however_it_was_written(fake, tmp_path, name):
    file, text = TEXTS[name]
    (tmp_path / file).write_bytes(text.encode())
    assert counts(load(fake, tmp_path / file)) == {"stored": ROWS}
    assert {key: row["vector"] for key, row in stored(fake).items()} == dict(enumerate(VECTORS.tolist()))


ARROW = {
    "doubles": lists(pa.float64()),
    "half floats": lists(pa.float16()),
    "large lists": pa.array(VECTORS.tolist(), pa.large_list(pa.float32())),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array(range(ROWS)), lists(pa.float32())),
    "polars List": pl.Series(VECTORS.tolist(), dtype=pl.List(pl.Float32)).to_arrow(),
    "polars Array": pl.Series(VECTORS.tolist(), dtype=pl.Array(pl.Float64, 4)).to_arrow(),
}


@pytest.mark.parametrize("name", ARROW)
def test_vectors_however_they_lie(fake, name):
    assert counts(load(fake, spread(ARROW[name]))) == {"stored": ROWS}
    assert {key: list(row["vector"]) for key, row in stored(fake).items()} == dict(enumerate(VECTORS.tolist()))


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.uint8()])
def test_whole_numbers_are_vectors_where_that_is_said(fake, kind):
    values = [[1, 0, 2, row] for row in range(ROWS)]
    assert counts(load(fake, spread(lists(kind, values)), vector="vector")) == {"stored": ROWS}
    assert fake.collections["docs"].schema.vector_fields[0].dtype.name == "FLOAT_VECTOR"
    assert {key: row["vector"] for key, row in stored(fake).items()} == dict(enumerate(values))


SCALARS = {
    "half floats": (pa.array(np.arange(ROWS, dtype=np.float16)), float),
    "a dictionary": (pa.array([f"t{row}" for row in range(ROWS)]).dictionary_encode(), lambda row: f"t{row}"),
    "dates": (pa.array([datetime.date(2024, 1, 1 + row) for row in range(ROWS)]), lambda row: f"2024-01-0{1 + row}"),
    "lists that are null": (pa.array([[row] if row % 2 else None for row in range(ROWS)]), lambda row: [row]),
}


@pytest.mark.parametrize("name", SCALARS)
def test_other_columns_keep_their_values(fake, name):
    column, value = SCALARS[name]
    assert counts(load(fake, TABLE.append_column("x", column))) == {"stored": ROWS}
    assert {key: row["x"] for key, row in stored(fake).items()} == {
        row: None if column[row].as_py() is None else value(row) for row in range(ROWS)
    }


def test_a_key_in_other_letters_is_taken_and_shown(fake):
    report = load(fake, TABLE.rename_columns(["ID", "Vector"]))
    assert (counts(report), report.mapping[0]["field"]) == ({"stored": ROWS}, "ID")
    assert fake.collections["docs"].key_name == "ID"


def test_row_groups_without_rows_and_files_without_rows(fake, tmp_path):
    with pq.ParquetWriter(tmp_path / "a.parquet", TABLE.schema) as writer:
        for part in (TABLE.slice(0, 2), TABLE.slice(0, 0), TABLE.slice(2)):
            writer.write_table(part)
    pq.write_table(TABLE.slice(0, 0), tmp_path / "b.parquet")
    assert counts(load(fake, tmp_path)) == {"stored": ROWS}


def test_a_frame_s_index_with_a_name_is_a_column(fake):
    assert counts(load(fake, frame().set_index("id"))) == {"stored": ROWS}
    assert sorted(stored(fake)) == list(range(ROWS))


def test_a_frame_s_periods_are_text_and_its_objects_stay_as_they_are(fake):
    objects = [{"a": 1}, {"b": [1, "x"]}, None, {}, {"a": "x"}, float("nan")]
    periods = pd.period_range("2024-01", periods=ROWS, freq="M").insert(0, pd.NaT)[:ROWS]
    assert counts(load(fake, frame(objects=objects, month=periods))) == {"stored": ROWS}
    found = stored(fake)
    kept = [None if row["objects"] is None else json.loads(row["objects"]) for row in found.values()]
    assert kept == [{"a": 1}, {"b": [1, "x"]}, None, {}, {"a": "x"}, None]
    assert [row["month"] for row in found.values()] == [None, *(f"2024-0{month}" for month in range(1, ROWS))]


REFUSED = {
    "CSV, old Macs": ("a.csv", "id,vector\r" + "\r".join(LINES), "carriage returns alone.*convert it"),
    "CSV, no header": ("a.csv", "\n".join(LINES), "expected the names of the columns, found values"),
    "CSV, Latin-1": ("a.csv", "id,text,vector\n0,é,[1 2]".encode("latin-1"), "line 2: expected text in UTF-8.*iconv"),
    "CSV, shortened vectors": ("a.csv", 'id,vector\n0,"[0.1 0.2 ... 0.9]"\n', "vectors that numpy shortened"),
    "bzip2": ("a.jsonl.bz2", b"BZh91AY&SY", "bzip2 data; unpack it first"),
    "text of no kind": ("a.txt", "id\tvector\n", "name it .csv or .tsv"),
    "JSON lines, long numbers": (
        "a.jsonl",
        '{"id": 1, "vector": [1.0, 2.0], "n": 1000000000000000000000000000000}',
        "line 1: expected in 'n' a whole number of 64 bits, found 10{30}; write it as text",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_said_in_a_sentence(fake, tmp_path, name):
    file, data, message = REFUSED[name]
    (tmp_path / file).write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(InputError, match=message):
        load(fake, tmp_path / file)
    assert fake.collections == {}


def test_long_numbers_inside_of_objects_and_large_floats_stay_what_they_are(fake, tmp_path):
    lines = [{"id": row, "vector": [1.0, 2.0], "x": 1e300, "meta": {"n": 10**30}} for row in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    load(fake, tmp_path / "a.jsonl")
    assert {(row["x"], row["meta"]) for row in stored(fake).values()} == {(1e300, f'{{"n":{10**30}}}')}


def test_a_home_directory_in_a_path(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert counts(load(fake, "~/*.parquet")) == {"stored": ROWS}


def test_a_generator_that_fails_leaves_an_account_and_its_reason(fake):
    def batches():
        yield TABLE.slice(0, 3)
        raise RuntimeError("the model ran out of memory")

    report = load(fake, batches(), check=False)
    assert (counts(report), report.exit_status) == ({"stored": 3}, 4)
    assert "item 1: expected rows, found RuntimeError: the model ran out of memory" in report.failure
    with pytest.raises(headrace.RowsUnsentError) as caught:
        load(fake, batches())
    assert isinstance(caught.value.__cause__.__cause__, RuntimeError)


@pytest.mark.parametrize("source", [[], iter([]), {}])
def test_nothing_at_all_is_said_to_be_nothing(fake, source):
    with pytest.raises(InputError, match="expected rows with columns, found none"):
        load(fake, source)


class Tensor:
    """What has DLPack and nothing else of numpy, as tensors of PyTorch and JAX on the CPU have."""

    def __init__(self, values):
        self._values = values
        self.shape = values.shape

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()

    def __len__(self):
        return len(self._values)


def test_rows_of_tensors_come_through_dlpack(fake):
    rows = ({"id": key, "vector": Tensor(vector)} for key, vector in enumerate(VECTORS))
    assert counts(load(fake, rows)) == {"stored": ROWS}
    assert {key: row["vector"] for key, row in stored(fake).items()} == dict(enumerate(VECTORS.tolist()))


@pytest.mark.parametrize("rows", [False, True], ids=["column", "rows"])
def test_tensors_that_numpy_cannot_have_are_refused(fake, rows):
    """numpy has no bfloat16 of its own, and DLPack asks for one."""
    vectors = VECTORS.astype(ml_dtypes.bfloat16)
    vector = [Tensor(row) for row in vectors] if rows else Tensor(vectors)
    with pytest.raises(InputError, match=r"found Tensor \(DLPack only supports .*; (convert|copy) "):
        load(fake, {"id": np.arange(ROWS), "vector": vector})


def test_tensors_come_through_dlpack(fake):
    assert counts(load(fake, {"id": Tensor(np.arange(ROWS)), "vector": Tensor(VECTORS)})) == {"stored": ROWS}
    assert {key: row["vector"] for key, row in stored(fake).items()} == dict(enumerate(VECTORS.tolist()))
