"""Input that cannot be loaded: refused before anything is sent, or rejected by row."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import ConfigError, RowsRejectedError, SchemaError, SourceError
from tests.fake.behaviours import refuse_rows
from tests.loader.rows import DIM, counts, load, table


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda tmp: tmp / "missing.parquet", SourceError, ["missing.parquet"]),
        (lambda tmp: tmp / "*.parquet", SourceError, ["*.parquet"]),
        (lambda tmp: junk(tmp / "junk.parquet"), SourceError, ["junk.parquet"]),
        (lambda tmp: table(5).drop_columns(["id"]), SchemaError, ["--key"]),
        (lambda tmp: table(5).drop_columns(["dense", "sparse"]), SchemaError, ["vector"]),
    ],
    ids=["missing file", "empty glob", "not Parquet", "no key", "no vector"],
)
def test_bad_sources_are_refused_before_anything_is_sent(fake, tmp_path, make, error, words):
    with pytest.raises(error) as refused:
        load(fake, make(tmp_path))
    for word in words:
        assert word in str(refused.value)
    assert "expected" in str(refused.value)
    assert fake.calls_of("Insert", "Upsert", "CreateCollection") == []


def junk(path):
    path.write_bytes(b"this is not a Parquet file" * 10)
    return path


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (table(5).append_column("extra", pa.array([1] * 5)), "extra"),
        (table(5).drop_columns(["text"]), "text"),
        (table(5, dim=DIM + 1), "dense"),
    ],
    ids=["unknown column", "missing column", "wrong dimension"],
)
def test_columns_that_do_not_fit_an_existing_collection_are_refused(fake, source, word):
    load(fake, table(5))
    with pytest.raises(SchemaError, match=word):
        load(fake, source)
    assert len(fake.calls_of("Insert", "Upsert")) == 1


def test_a_missing_collection_is_not_created_unasked(fake):
    with pytest.raises(SchemaError) as refused:
        load(fake, table(5), create=False)
    expected = (
        "collection 'docs': expected an existing collection, found none of that name; "
        "check the name and --db, or create it: a load does with --create, from the source's schema"
    )
    assert str(refused.value) == expected


def test_a_full_verification_of_an_iterator_is_refused(fake):
    with pytest.raises(ConfigError, match="read twice"):
        load(fake, iter(table(5).to_batches()), verify="full")


def test_a_wrong_address_is_one_clear_error_within_the_timeout():
    endpoint = headrace.Endpoint(uri="http://127.0.0.1:1", timeout=0.3)
    with pytest.raises(headrace.ConnectError, match=r"127\.0\.0\.1:1"):
        headrace.load(table(5), collection="docs", endpoint=endpoint)


def bad_rows(tmp_path):
    rows = table(300).to_pylist()
    rows[7]["dense"][2] = float("nan")
    rows[150]["text"] = None
    rows[299]["sparse"][1]["value"] = -1.0
    schema = table(1).schema
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=64)
    return path


def test_bad_cells_are_rejected_by_row_with_their_reason(fake, tmp_path):
    load(fake, table(1, start=9999))
    with pytest.raises(RowsRejectedError) as refused:
        load(fake, bad_rows(tmp_path), verify="full")
    report = refused.value.report
    assert counts(report) == {"stored": 297, "rejected": 3}
    assert report.exit_status == 3
    assert report.verify["status"] == "ok"
    rejects = pq.read_table(report.rejects_file).to_pylist()
    assert [(row["_row"], row["_field"], row["id"]) for row in sorted(rejects, key=lambda r: r["_row"])] == [
        (7, "dense", 7),
        (150, "text", 150),
        (299, "sparse", 299),
    ]
    assert all(row["_expected"] and row["_found"] and row["_remedy"] for row in rejects)
    assert fake.collections["docs"].count() == 298


def test_rows_that_only_the_server_refuses_are_found_by_halving(fake):
    load(fake, table(1, start=9999))
    fake.always("Upsert", refuse_rows(lambda row: row["id"] in (3, 44)))
    report = load(fake, table(100), check=False, verify="full")
    assert counts(report) == {"stored": 98, "rejected": 2}
    assert report.verify["status"] == "ok"
    rejects = pq.read_table(report.rejects_file).to_pylist()
    assert sorted((row["_row"], row["id"]) for row in rejects) == [(3, 3), (44, 44)]
    assert "invalid parameter" in rejects[0]["_found"]


def test_too_many_rejects_stop_the_load(fake):
    rows = table(2000).to_pylist()
    for row in rows[:50]:
        row["dense"][0] = float("inf")
    report = load(fake, pa.Table.from_pylist(rows, schema=table(1).schema), max_rejects=10, check=False)
    assert report.exit_status == 4
    assert report.rows_rejected >= 11
    assert "at most 10 refused rows" in report.failure


BAD_CELLS = {
    "a varchar that is too long": {"text": "é" * 40_000},
    "a null where none may be": {"text": None},
    "infinity in a vector": {"dense": [float("inf")] * DIM},
    "a negative sparse value": {"sparse": [{"index": 1, "value": -1.0}]},
    "a negative sparse index": {"sparse": [{"index": -1, "value": 1.0}]},
    "a sparse index twice": {"sparse": [{"index": 1, "value": 1.0}, {"index": 1, "value": 2.0}]},
}


@pytest.mark.parametrize("kind", BAD_CELLS)
def test_one_bad_cell_rejects_its_row_and_no_other(fake, kind):
    load(fake, table(1, start=9999))
    rows = table(30).to_pylist()
    rows[4] |= BAD_CELLS[kind]
    rows[9]["dense"][0] = float("nan")
    report = load(fake, pa.Table.from_pylist(rows, schema=table(1).schema), check=False, verify="full")
    assert counts(report) == {"stored": 28, "rejected": 2}
    assert sorted(row["_row"] for row in pq.read_table(report.rejects_file).to_pylist()) == [4, 9]
    assert report.exit_status == 3


def test_a_given_schema_must_be_that_of_an_existing_collection(fake):
    load(fake, table(5))
    other = headrace.CollectionSchema(
        [
            headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
            headrace.FieldSchema("dense", headrace.DataType.FLOAT_VECTOR, dim=DIM + 1),
        ]
    )
    with pytest.raises(SchemaError, match="other fields"):
        load(fake, table(5), schema=other)


def test_creation_options_that_came_too_late_are_noted(fake):
    load(fake, table(5))
    report = load(fake, table(5), metric="L2")
    assert "metric='L2' is for a new collection; this one exists" in report.notes
