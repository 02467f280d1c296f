"""JSON objects arrive as they were written, although an Arrow struct could not say them."""

from __future__ import annotations

import json

import pytest

from tests.loader.rows import counts, load

#: Objects with other keys, explicit nulls, values of several types, nesting, and no object at all.
DOCUMENTS = [
    {"a": 1, "b": "x"},
    {"b": "y"},
    {},
    None,
    {"a": None},
    {"c": [{"d": 1}, {"e": {"f": 1}}, {}]},
    {"n": 1.0, "big": 2**62, "t": "2024-01-01T00:00:00"},
    {"a": "text"},
]
MIXED = [*DOCUMENTS, [1, "x"], "text", 5, {"a": 1}]


def rows(documents):
    return [{"id": row, "vector": [1.0, row], "meta": item} for row, item in enumerate(documents)]


def write(path, documents, *, first=0):
    lines = [json.dumps({**row, "id": row["id"] + first}) for row in rows(documents)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def stored(fake, name="meta"):
    return {
        row["id"]: None if row.get(name) is None else json.loads(row[name]) for row in fake.collections["docs"].dicts()
    }


@pytest.mark.parametrize("documents", [DOCUMENTS[:4], DOCUMENTS, MIXED], ids=["keys", "types", "anything"])
@pytest.mark.parametrize("from_file", [True, False])
def test_objects_that_are_not_alike_are_stored_as_they_were_written(fake, tmp_path, documents, from_file):
    source = write(tmp_path / "a.jsonl", documents) if from_file else rows(documents)
    report = load(fake, source, verify="full" if from_file else "sample")
    assert (counts(report), report.verify["status"]) == ({"stored": len(documents)}, "ok")
    assert stored(fake) == dict(enumerate(documents))
    assert not any("headrace.json" in str(line) for line in report.mapping)


def test_the_dynamic_field_has_them_as_they_were_written(fake):
    load(fake, [{"id": 0, "vector": [1.0, 2.0]}], dynamic=True)
    load(fake, [{**row, "id": row["id"] + 1} for row in rows(DOCUMENTS[:3])])
    found = [json.loads(row["$meta"]) for row in fake.collections["docs"].dicts()]
    assert found == [{}, *({"meta": item} for item in DOCUMENTS[:3])]


def test_later_rows_may_have_other_keys_than_the_first(fake, tmp_path):
    documents = [{"a": "x" * 20_000}] * 120 + [{"b": row} for row in range(100)]
    path = write(tmp_path / "a.jsonl", documents)
    assert path.stat().st_size > 2 << 20
    load(fake, path)
    assert stored(fake) == dict(enumerate(documents))


def test_files_whose_objects_have_other_keys_are_one_source(fake, tmp_path):
    write(tmp_path / "a.jsonl", DOCUMENTS[:4])
    write(tmp_path / "b.jsonl", DOCUMENTS[4:], first=4)
    report = load(fake, tmp_path, verify="full")
    assert report.verify["status"] == "ok"
    assert stored(fake) == dict(enumerate(DOCUMENTS))


def test_fields_of_such_objects_can_be_reached_by_path(fake, tmp_path):
    path = write(tmp_path / "a.jsonl", DOCUMENTS[:4])
    load(fake, path, map={"meta.b": "title"})
    found = {row["id"]: row["title"] for row in fake.collections["docs"].dicts()}
    assert found == {0: "x", 1: "y", 2: None, 3: None}
