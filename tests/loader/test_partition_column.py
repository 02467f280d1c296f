"""Rows whose partition a column names: each in its own, whatever happens on the way."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import ConfigError, SchemaError
from tests.fake.behaviours import vanish_and_die
from tests.loader.rows import age, counts, interrupted, load, table

LANGUAGES = ("en", "de", "fr")
COLUMN = {"partition_column": "lang"}


def language(row):
    return LANGUAGES[row % len(LANGUAGES)]


def rows(number, *, start=0, names=None):
    """Rows of three languages in turn, or of those that are named."""
    names = [language(row) for row in range(start, start + number)] if names is None else names
    return table(number, start=start).append_column("lang", pa.array(names, pa.string()))


def write(path, found):
    pq.write_table(found, path, row_group_size=100)
    return path


def stored(fake):
    """The multiset of keys of each partition, those without rows left out."""
    docs = fake.collections["docs"]
    return {name: keys for name in docs.partitions if (keys := docs.keys_in(name))}


def expected(number):
    return {name: Counter(row for row in range(number) if language(row) == name) for name in LANGUAGES}


def test_each_row_goes_to_the_partition_that_it_names(fake, tmp_path):
    report = load(fake, write(tmp_path / "a.parquet", rows(900)), verify="full", **COLUMN)
    assert (counts(report), report.verify["status"]) == ({"stored": 900}, "ok")
    assert report.partitions == {"en": 300, "de": 300, "fr": 300}
    assert stored(fake) == expected(900)
    assert {(row["lang"], language(row["id"])) for row in fake.collections["docs"].dicts()} == {
        (name, name) for name in LANGUAGES
    }
    assert all(len(set(call.batch()["lang"].to_pylist())) == 1 for call in fake.calls_of("Insert"))
    again = load(fake, tmp_path / "a.parquet", verify="sample", **COLUMN)
    assert (again.already_complete, again.verify["status"]) == (True, "ok")


def test_the_column_is_no_field_where_it_is_left_out_or_the_collection_has_none(fake, tmp_path):
    path = write(tmp_path / "a.parquet", rows(90))
    assert counts(load(fake, path, drop="lang", **COLUMN)) == {"stored": 90}
    assert counts(load(fake, rows(90, start=90), **COLUMN)) == {"stored": 90}
    assert stored(fake) == expected(180)
    assert {"lang" in row for row in fake.collections["docs"].dicts()} == {False}


def test_directories_and_numbers_and_fields_of_structs_name_partitions(fake, tmp_path):
    for name in LANGUAGES:
        (tmp_path / f"lang={name}").mkdir()
        own = [row for row in range(60) if language(row) == name]
        write(tmp_path / f"lang={name}" / "a.parquet", table(60).take(own))
    assert counts(load(fake, tmp_path, **COLUMN)) == {"stored": 60}
    assert stored(fake) == expected(60)
    meta = pa.array([{"year": f"_{2000 + row % 2}"} for row in range(20)])
    nested = table(20, start=60).append_column("meta", meta)
    load(fake, nested, drop="meta", set={"lang": "xx"}, partition_column="meta.year")
    assert {name: keys.total() for name, keys in stored(fake).items() if name[0] == "_"} == {"_2000": 10, "_2001": 10}


def test_an_interrupted_load_is_resumed_without_a_lost_or_doubled_row(fake, tmp_path):
    path = write(tmp_path / "a.parquet", rows(1500))
    first = interrupted(fake, path, after=7, **COLUMN)
    assert 0 < first.rows_stored < 1500
    report = load(fake, path, verify="full", **COLUMN)
    assert (counts(report), report.verify["status"]) == ({"stored": 1500}, "ok")
    assert report.rows_resumed >= first.rows_stored
    assert stored(fake) == expected(1500)


def test_the_journal_of_another_column_is_another_load(fake, tmp_path):
    found = rows(600).append_column("other", pa.array(["x"] * 600))
    path = write(tmp_path / "a.parquet", found)
    age(interrupted(fake, path, **COLUMN).state_dir)
    report = load(fake, path, partition_column="other")
    assert (counts(report), report.rows_resumed) == ({"stored": 600}, 0)
    assert stored(fake)["x"] == Counter(range(600))


def test_a_key_is_one_row_in_each_partition_and_its_last_one_wins_there(fake, tmp_path):
    keys = [1, 2, 1, 1, 2, 3] * 50
    names = ["en", "en", "de", "en", "en", "de"] * 50
    found = (
        rows(300, names=names).set_column(0, "id", pa.array(keys)).set_column(1, "text", pa.array(map(str, range(300))))
    )
    pq.write_table(found, tmp_path / "a.parquet", row_group_size=25)
    report = load(fake, tmp_path / "a.parquet", verify="full", **COLUMN)
    assert report.verify["status"] == "ok"
    assert (report.rows_stored + report.rows_superseded, report.rows_read) == (300, 300)
    assert stored(fake) == {"en": Counter({1: 1, 2: 1}), "de": Counter({1: 1, 3: 1})}
    last = {(row["lang"], row["id"]): row["text"] for row in fake.collections["docs"].dicts()}
    assert last == {("en", 1): "297", ("en", 2): "298", ("de", 1): "296", ("de", 3): "299"}


def test_an_unanswered_request_is_repeated_into_its_own_partition(fake):
    load(fake, rows(30), **COLUMN)
    fake.script("Upsert", vanish_and_die)
    report = load(fake, rows(300), check=False, give_up_after=0.3, **COLUMN)
    assert report.rows_unknown > 0
    fake.revive()
    assert counts(load(fake, rows(300), verify="count", **COLUMN)) == {"stored": 300}
    assert stored(fake) == expected(300)


def test_rows_without_a_partition_are_rejected_with_the_reason_and_can_be_loaded_from_there(fake, tmp_path):
    load(fake, rows(30), **COLUMN)
    names = [None if row == 40 else "it" if row == 41 else "" if row == 42 else language(row) for row in range(30, 60)]
    report = load(fake, rows(30, start=30, names=names), create=False, check=False, **COLUMN)
    assert counts(report) == {"stored": 27, "rejected": 3}
    found = {row["_row"]: row for row in pq.read_table(report.rejects_file).to_pylist()}
    assert [found[row]["_found"] for row in (10, 11, 12)] == ["none", "'it'", "none"]
    assert "--create" in found[11]["_remedy"]
    again = load(fake, report.rejects_file, check=False, **COLUMN)
    assert counts(again) == {"stored": 1, "rejected": 2}
    assert stored(fake)["it"] == Counter([41])


def test_rows_that_a_server_refuses_keep_their_partition_in_the_rejects_file(fake, tmp_path):
    found = rows(30).set_column(1, "text", pa.array(["x" * (70_000 if row == 7 else 5) for row in range(30)]))
    report = load(fake, found, drop="lang", check=False, **COLUMN)
    assert counts(report) == {"stored": 29, "rejected": 1}
    assert pq.read_table(report.rejects_file).to_pylist()[0]["lang"] == language(7)


def test_a_name_that_the_server_refuses_rejects_its_rows_only(fake):
    names = ["so bad!" if row % 10 == 3 else language(row) for row in range(60)]
    report = load(fake, rows(60, names=names), check=False, **COLUMN)
    assert counts(report) == {"stored": 54, "rejected": 6}
    assert any("a name that a partition can have" in reason for reason in report.reject_reasons)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"create": False}, "expected a partition of the collection.*found 'it'.*--create"),
        ({"partition_column": "nope"}, "--partition-column nope: expected a column of the source"),
        ({"partition_column": "dense"}, "expected names of partitions: text or integers"),
    ],
)
def test_what_cannot_be_routed_at_all_is_refused_before_anything_is_sent(fake, options, message):
    load(fake, table(1))
    with pytest.raises(SchemaError, match=message):
        load(fake, rows(30, names=["it"] * 30), drop="lang", **{**COLUMN, **options})
    assert fake.collections["docs"].count() == 1


def test_a_partition_key_or_a_partition_beside_it_is_refused(fake):
    with pytest.raises(SchemaError, match="whose partition key 'lang' chooses the partition; leave the option out"):
        load(fake, rows(30), partition_key="lang", **COLUMN)
    with pytest.raises(ConfigError, match="expected a partition, or a column that names it"):
        load(fake, rows(30), partition_name="x", **COLUMN)


def test_a_dry_run_makes_no_partition(fake):
    load(fake, table(1))
    assert load(fake, rows(30), drop="lang", dry_run=True, **COLUMN).would_store["rows"] == 30
    assert set(fake.collections["docs"].partitions) == {"_default"}


def test_parts_of_a_source_fill_the_same_partitions(fake, tmp_path):
    path = write(tmp_path / "a.parquet", rows(900))
    for part in ("1/3", "2/3", "3/3"):
        assert load(fake, path, part=part, **COLUMN).ok
    assert stored(fake) == expected(900)
    assert headrace.finish(path, collection="docs", uri=fake.uri, verify="full", **COLUMN).verify["status"] == "ok"


def test_a_verification_looks_each_row_up_where_it_belongs_and_mends_it_there(fake, tmp_path):
    path = write(tmp_path / "a.parquet", rows(300))
    load(fake, path, **COLUMN)
    docs = fake.collections["docs"]
    (lost,) = docs.rows[7]
    lost.partition = "fr"
    options = {"collection": "docs", "uri": fake.uri, **COLUMN}
    found = headrace.verify(path, check=False, **options)
    assert (found.result.status, [it["key"] for it in found.result.mismatches]) == ("mismatch", [7])
    assert headrace.verify(path, repair=True, **options).ok
    assert docs.keys_in(language(7))[7] == 1


def test_the_journal_alone_proves_the_number_of_rows(fake, tmp_path):
    found = rows(300).set_column(0, "id", pa.array([row // 3 for row in range(300)]))
    load(fake, write(tmp_path / "a.parquet", found), **COLUMN)
    proof = headrace.verify_journal(collection="docs", uri=fake.uri, partition_name="@lang")
    assert (proof.result.status, proof.result.mismatches) == ("ok", [])
    assert fake.collections["docs"].count() == 300
