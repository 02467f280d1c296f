"""JSON lines and CSV: blocks of whole rows, types of the first rows, and lines that are none."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pandas as pd
import pyarrow as pa
import pytest

from headrace.errors import SourceError
from headrace.matching import ignored_columns
from headrace.sources import open_source, text
from tests.source_reading import read

ROWS = [
    {"id": number, "v": [number * 0.1, 1.0], "t": "2024-01-01T00:00:00", "n": None if number < 40 else number}
    for number in range(1000)
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Many blocks of few rows."""
    monkeypatch.setattr(text, "_BLOCK_BYTES", 1500)


def lines_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def csv_of(rows, **options):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", **options)
    writer.writerow(["id", "v", "t"])
    writer.writerows(rows)
    return buffer.getvalue()


CSV_ROWS = [[number, json.dumps([number / 8, 1.0]), f'a "quoted"\nline, {number}'] for number in range(500)]


def failure(path):
    with pytest.raises(SourceError) as caught:
        list(rows_of(open_source(path)))
    assert caught.value.source == str(path)
    return str(caught.value).removeprefix(f"{path}, "), caught.value.position


def rows_of(source):
    for part in source.parts():
        for found in part.batches(max_bytes=1 << 20):
            yield from found.batch.to_pylist()


# JSON lines


@pytest.mark.parametrize("max_bytes", [300, 1 << 20])
@pytest.mark.parametrize("end", ["\n", ""])
def test_json_lines_are_read_in_order(tmp_path, max_bytes, end):
    source = open_source(write(tmp_path / "a.jsonl", lines_of(ROWS).rstrip("\n") + end))
    assert source.rows_total is None
    assert source.schema.field("t").type == pa.string(), "what looks like a time stays text"
    assert [
        row for part in source.parts() for it in part.batches(max_bytes=max_bytes) for row in it.batch.to_pylist()
    ] == ROWS


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a", "a.json"])
def test_packed_json_lines_are_one_part(tmp_path, name):
    source = open_source(write(tmp_path / name, gzip.compress(lines_of(ROWS).encode())))
    (part,) = source.parts()
    assert (part.first_row, part.rows) == (0, None)
    assert list(rows_of(source)) == ROWS


def test_parts_of_plain_text_are_byte_ranges_with_known_rows(tmp_path):
    source = open_source(write(tmp_path / "a.jsonl", lines_of(ROWS)))
    parts = list(source.parts())
    assert len(parts) > 10
    assert sum(part.rows for part in parts) == 1000
    row = parts[7].first_row
    (found,) = parts[7].batches(max_bytes=1 << 20)
    assert found.batch.to_pylist() == ROWS[row : row + parts[7].rows], "a part is read on its own"


def test_blank_lines_byte_marks_and_carriage_returns_are_no_rows(tmp_path):
    data = "\ufeff" + lines_of(ROWS).replace("\n", "\r\n").replace('"n": 500}\r\n', '"n": 500}\r\n\r\n   \n')
    source = open_source(write(tmp_path / "a.jsonl", data))
    assert list(rows_of(source)) == ROWS
    assert [
        row["id"]
        for part in list(source.parts())[:1]
        for it in part.batches(max_bytes=1)
        for row in it.batch.to_pylist()
    ]


def test_columns_of_later_rows_come_with_them(tmp_path):
    later = [*ROWS[:500], {"id": 500, "v": [1.0, 1.0], "t": "x", "n": 1, "new": {"a": "2024-01-01"}}, *ROWS[501:]]
    source = open_source(write(tmp_path / "a.jsonl", lines_of(later)))
    assert source.open_ended
    assert "new" not in source.schema.names
    found = [
        row
        for part in source.parts()
        for it in part.batches(max_bytes=1 << 20, columns=["id"])
        for row in it.batch.to_pylist()
    ]
    assert [row["id"] for row in found] == list(range(1000))
    assert found[500]["new"] == {"a": "2024-01-01"}


def test_missing_columns_are_null(tmp_path):
    fewer = [*ROWS[:500], *({"id": row["id"]} for row in ROWS[500:])]
    found = list(rows_of(open_source(write(tmp_path / "a.jsonl", lines_of(fewer)))))
    assert found[:500] == ROWS[:500]
    assert found[999] == {"id": 999, "v": None, "t": None, "n": None}


def test_numbers_that_widen_later_keep_their_values(tmp_path):
    wider = [*ROWS[:500], {**ROWS[500], "id": 0.5}, *ROWS[501:]]
    found = list(rows_of(open_source(write(tmp_path / "a.jsonl", lines_of(wider)))))
    assert found == wider


def test_sparse_vectors_with_digits_for_keys_are_sparse_rows(tmp_path):
    rows = [{"id": n, "v": {str(n): 0.5, "70000": 1.5}} for n in range(300)]
    source = open_source(write(tmp_path / "a.jsonl", lines_of(rows)))
    assert source.schema.field("v").type == pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float32())]))
    assert [row["v"] for row in rows_of(source)] == [
        [{"index": n, "value": 0.5}, {"index": 70000, "value": 1.5}] for n in range(300)
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"id": 1, "v": [1.0', "one JSON object, found damage (Expecting ',' delimiter at column 20)"),
        ("not json", "one JSON object, found damage (Expecting value at column 1)"),
        ("[1]", "one JSON object, found a JSON list"),
        ("17", "one JSON object, found a JSON number"),
        ('{"id": 1}{"id": 2}', "one JSON object, found damage (Extra data at column 10)"),
        ('{"id": 1, "id": 2}', "one JSON object, found damage ('id' twice in one object)"),
        (b'{"t": "\xff"}', "one JSON object, found damage ('utf-8' codec can't decode byte 0xff in position 7"),
        ("[" * 100_000, "one JSON object, found damage ("),
    ],
)
def test_a_bad_line_in_the_middle_is_named(tmp_path, line, text):
    lines = lines_of(ROWS).encode().split(b"\n")
    lines[499] = line if isinstance(line, bytes) else line.encode()
    message, position = failure(write(tmp_path / "a.jsonl", b"\n".join(lines)))
    assert message.startswith(f"line 500: expected {text}")
    assert message.endswith("; correct the line or leave it out")
    assert position == "line 500"
    packed, _ = failure(write(tmp_path / "b.jsonl.gz", gzip.compress(b"\n".join(lines))))
    assert packed == message


def test_a_value_that_goes_with_no_other_is_named(tmp_path):
    rows = [*ROWS[:500], {**ROWS[500], "v": ["x"]}, *ROWS[501:]]
    message, _ = failure(write(tmp_path / "a.jsonl", lines_of(rows)))
    assert message.startswith("line 501: expected in 'v' a value of one type in every row, found ")


def test_rows_before_a_bad_line_are_read(tmp_path):
    lines = lines_of(ROWS).split("\n")
    lines[499] = "broken"
    rows = rows_of(open_source(write(tmp_path / "a.jsonl", "\n".join(lines))))
    found = [next(rows) for _ in range(480)]
    assert found == ROWS[:480]
    with pytest.raises(SourceError):
        list(rows)


def test_a_json_list_is_refused_with_a_way(tmp_path):
    path = write(tmp_path / "a.json", json.dumps(ROWS))
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert str(caught.value) == (
        f"{path}: expected JSON lines, found one JSON list for the whole file; "
        "write one object a line (with jq: jq -c '.[]')"
    )


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_the_json_of_a_bulk_import_is_refused_with_a_way(tmp_path, indent):
    message, _ = failure(write(tmp_path / "a.json", json.dumps({"rows": ROWS[:3]}, indent=indent)))
    assert message == (
        "line 1: expected JSON lines, found the JSON of Milvus's bulk import, one object for the whole file; "
        "write its rows, one object a line (with jq: jq -c '.rows[]')"
    )


def test_a_column_called_rows_is_a_column(tmp_path):
    rows = [{"rows": [{"a": 1}], "id": 1}, {"rows": [{"a": 2}], "id": 2}]
    assert list(rows_of(open_source(write(tmp_path / "a.jsonl", lines_of(rows))))) == rows


def test_a_row_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_MOST_ROW_BYTES", 1 << 20)
    message, _ = failure(write(tmp_path / "a.jsonl", '{"t": "' + "x" * (2 << 20)))
    assert message == "line 1: expected the end of a row, found none in 1 MiB; write JSON lines, a row a line"


@pytest.mark.parametrize("cut", [10, 200])
def test_truncated_packed_text_is_refused(tmp_path, cut):
    path = write(tmp_path / "a.jsonl.gz", gzip.compress(lines_of(ROWS).encode())[:-cut])
    with pytest.raises(SourceError, match=r"a\.jsonl\.gz"):
        list(rows_of(open_source(path)))


def test_text_that_changed_meanwhile_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", lines_of(ROWS))
    parts = list(open_source(path).parts())
    path.write_bytes(b"{}")
    with pytest.raises(SourceError, match="load files that nobody writes to"):
        list(parts[3].batches(max_bytes=1 << 20))


# CSV


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_csv_is_read_in_order(tmp_path, delimiter, ends):
    data = csv_of(CSV_ROWS, delimiter=delimiter).replace("\n", ends)
    source = open_source(write(tmp_path / "a.csv", data))
    assert [field.type for field in source.schema] == [pa.int64(), pa.string(), pa.string()]
    assert [[*row.values()] for row in rows_of(source)] == [[a, b, c.replace("\n", ends)] for a, b, c in CSV_ROWS]
    assert len(list(source.parts())) > 5


def test_packed_csv_is_read(tmp_path):
    path = write(tmp_path / "a.csv.gz", gzip.compress(csv_of(CSV_ROWS).encode()))
    assert read(open_source(path), columns=["id"]).column(0).to_pylist() == list(range(500))


def test_what_a_number_would_lose_stays_text(tmp_path):
    data = "id,code,big,when,share,none\n1,007,12345678901234567890,2024-01-01,0.5,\n2,8,1,2024-01-02,,\n"
    source = open_source(write(tmp_path / "a.csv", data))
    assert list(rows_of(source)) == [
        {"id": 1, "code": "007", "big": "12345678901234567890", "when": "2024-01-01", "share": 0.5, "none": ""},
        {"id": 2, "code": "8", "big": "1", "when": "2024-01-02", "share": None, "none": ""},
    ]


def test_a_header_alone_has_no_rows(tmp_path):
    for data in ("id,v\n", "id,v"):
        source = open_source(write(tmp_path / "a.csv", data))
        assert source.schema.names == ["id", "v"]
        assert list(rows_of(source)) == []


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("1", "a row of CSV, found damage (Expected 3 columns, got 1: 1); correct the row or leave it out"),
        ("x,[],t", "int64 in 'id', as in the rows before, found invalid value 'x'; correct the row"),
    ],
)
def test_a_bad_row_of_csv_is_named_with_its_line(tmp_path, row, text):
    lines = csv_of(CSV_ROWS).split("\n")
    lines[401:403] = [row]
    message, position = failure(write(tmp_path / "a.csv", "\n".join(lines)))
    assert message == f"line 402: expected {text}"
    assert position == "line 402"


def test_a_quote_that_nobody_closes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_MOST_ROW_BYTES", 1 << 14)
    data = csv_of(CSV_ROWS).split("\n")
    data[300] = '7,"[1]",t'
    path = write(tmp_path / "a.csv", "\n".join(data[:101]) + '\n5,"open\n' + "\n".join(data[101:]))
    with pytest.raises(SourceError, match="line "):
        list(rows_of(open_source(path)))


def test_text_in_utf_16_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", "id,v\n1,2\n".encode("utf-16"))
    with pytest.raises(SourceError, match="expected text in UTF-8, found text in UTF-16; write it in UTF-8"):
        open_source(path)


@pytest.mark.parametrize("data", ["a,a\n1,2\n", "a,,\n1,2,3\n"])
def test_names_that_stand_twice_are_refused(tmp_path, data):
    with pytest.raises(SourceError, match=r"a\.csv: expected each column once"):
        open_source(write(tmp_path / "a.csv", data))


def test_the_index_that_pandas_writes_is_no_column(tmp_path):
    pd.DataFrame({"id": [5, 6], "t": ["a", "b"]}).to_csv(tmp_path / "a.csv")
    schema = open_source(tmp_path / "a.csv").schema
    assert ignored_columns(schema) == ("__index_level_0__",)
    assert schema.names == ["__index_level_0__", "id", "t"]
