"""``verify(repair=True)``: exactly the rows that are wrong are sent again, accounted for, and looked up once more."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import ConfigError, JournalError, MismatchError, readback, repairing
from headrace.journal_records import JournalReader
from headrace.journal_store import JournalStore
from tests.fake.behaviours import abort, ok, refuse, refuse_rows
from tests.fake.store import Row
from tests.loader.rows import age, counts, interrupted, load, rows_sent, table, write_parquet, writes

DOCS = "docs"


@pytest.fixture
def path(tmp_path):
    return write_parquet(tmp_path / "a.parquet", 300)


def loaded(fake, path, **options):
    report = load(fake, path, **options)
    assert report.exit_status == 0
    return fake.collections[DOCS]


def verify(fake, source, **options):
    return headrace.verify(source, **{"collection": DOCS, "uri": fake.uri, **options})


def store_twice(docs, *keys):
    for key in keys:
        docs.rows[key] = docs.rows[key] * 2


def change(docs, key):
    stored = docs.rows[key][0]
    changed = pa.RecordBatch.from_pylist([{**stored.as_dict(), "text": "changed"}], schema=stored.batch.schema)
    docs.rows[key] = [Row(99, changed, 0)]


def noted(report):
    """What the journal of a load says of its one file: rows by verdict, open rows, and how each run ended."""
    with JournalReader(Path(report.state_dir)) as journal:
        (target,) = journal.targets()
        (file,) = journal.files(target.id)
        rows = {verdict.value: found.intervals() for verdict, found in file.settled.items() if len(found)}
        return rows, file.open.intervals(), [run["status"] for run in journal.runs(target.id)]


def test_exactly_what_is_wrong_is_sent_again(fake, path):
    docs = loaded(fake, path)
    docs.delete([5, 6, 250])
    store_twice(docs, 7, 100)
    change(docs, 42)
    before = len(writes(fake))
    found = verify(fake, path, repair=True)
    sent = writes(fake)[before:]
    assert {call.method for call in sent} == {"Upsert"}
    assert sorted(key for call in sent for key in call.batch().column("id").to_pylist()) == [5, 6, 7, 42, 100, 250]
    assert docs.keys() == Counter(range(300))
    assert [row["text"] for row in docs.dicts()] == [f"row {key}" for key in range(300)]
    assert (found.ok, found.exit_status, found.result.checked) == (True, 0, 300)
    assert found.result.note == "6 rows were sent again"
    repair = found.to_dict()["repair"]
    assert {name: repair[name] for name in ("rows", "missing", "doubled", "different")} == {
        "rows": 6,
        "missing": 3,
        "doubled": 2,
        "different": 1,
    }
    assert counts(found.repair.report) == {"stored": 6}
    assert found.files == [
        {"source": str(path), "rows": 300, "verified": 294, "missing": 3, "doubled": 2, "different": 1}
    ]


def test_a_repair_of_what_is_right_sends_nothing(fake, path):
    loaded(fake, path)
    before = len(writes(fake))
    found = verify(fake, path, repair=True)
    assert (found.ok, found.repair, len(writes(fake)) - before) == (True, None, 0)


def test_by_count_only_missing_and_doubled_rows_are_sent_again(fake, path):
    docs = loaded(fake, path)
    docs.delete([5])
    store_twice(docs, 7)
    change(docs, 42)
    found = verify(fake, path, level="count", repair=True)
    assert (found.ok, len(found.repair.before.differing)) == (True, 2)
    assert docs.rows[42][0].as_dict()["text"] == "changed"


def test_every_doubled_row_is_found_however_many_they_are(fake, path):
    docs = loaded(fake, path)
    store_twice(docs, *range(100, 160))
    found = verify(fake, path, level="count", repair=True)
    assert counts(found.repair.report) == {"stored": 60}
    assert docs.keys() == Counter(range(300))


def test_of_a_key_that_stands_twice_in_the_source_the_last_row_is_sent_again(fake, tmp_path):
    both = pa.concat_tables([table(10, seed=1), table(10, seed=2)])
    pq.write_table(both, tmp_path / "a.parquet", row_group_size=4)
    docs = loaded(fake, tmp_path / "a.parquet")
    docs.delete([3])
    before = len(writes(fake))
    found = verify(fake, tmp_path / "a.parquet", repair=True)
    assert (found.ok, rows_sent(writes(fake)[before:])) == (True, 1)
    assert docs.rows[3][0].as_dict()["dense"] == both.to_pylist()[13]["dense"]


def test_rows_of_several_files_go_back_to_the_same_collection(fake, tmp_path):
    for number in range(3):
        write_parquet(tmp_path / f"{number}.parquet", 100, start=100 * number)
    docs = loaded(fake, tmp_path)
    docs.delete([1, 250])
    found = verify(fake, tmp_path, repair=True)
    assert found.ok
    assert [line.get("missing", 0) for line in found.files] == [1, 0, 1]
    assert [(line["source"][-9:], line["stored"]) for line in found.repair.report.files] == [
        ("0.parquet", 1),
        ("2.parquet", 1),
    ]


def test_a_source_in_memory_is_repaired_too(fake):
    docs = loaded(fake, table(100))
    docs.delete([9])
    assert verify(fake, table(100), repair=True).ok
    rows = [{**row, "sparse": [(it["index"], it["value"]) for it in row["sparse"]]} for row in table(100).to_pylist()]
    assert verify(fake, rows).ok


# -- the journal -------------------------------------------------------------------------------------------------------


def test_the_journal_ends_as_if_nothing_had_happened(fake, path):
    first = load(fake, path)
    fake.collections[DOCS].delete(range(10, 20))
    found = verify(fake, path, repair=True)
    assert found.repair.report.journal == first.journal
    assert noted(first) == ({"stored": [(0, 300)]}, [], ["done", "repaired"])
    again = load(fake, path, verify="full")
    assert (again.already_complete, again.verify["status"]) == (True, "ok")
    assert headrace.verify_journal(collection=DOCS, uri=fake.uri).ok


def test_a_repair_that_ended_early_leaves_its_rows_to_the_next_load(fake, path):
    first = load(fake, path)
    fake.collections[DOCS].delete(range(10, 20))
    fake.script("Upsert", abort(grpc.StatusCode.UNAUTHENTICATED, "revoked"))
    with pytest.raises(MismatchError) as raised:
        verify(fake, path, repair=True)
    found = raised.value.found
    assert (found.exit_status, found.result.status) == (4, "mismatch")
    assert "10 rows were to be sent again, and not all were" in found.result.note
    assert noted(first)[:2] == ({"stored": [(0, 10), (20, 300)]}, [(10, 20)])
    age(first.state_dir)
    report = load(fake, path)
    assert (counts(report), report.rows_resumed) == ({"stored": 300}, 290)
    assert fake.collections[DOCS].keys() == Counter(range(300))


def test_a_repair_that_could_not_be_looked_at_says_so_and_is_run_again(fake, path):
    loaded(fake, path)
    fake.collections[DOCS].delete([3])

    async def then_refuse_reads(call):
        fake.always("Query", refuse(code=100, reason="collection not found", legacy=4))
        return call.apply()

    fake.script("Upsert", then_refuse_reads)
    found = verify(fake, path, repair=True, check=False)
    assert (found.exit_status, found.result.status) == (4, "mismatch")
    assert found.result.note.endswith("1 row was sent again, and could not be looked up once more")
    assert counts(found.repair.report) == {"stored": 1}
    fake.always("Query", ok)
    assert verify(fake, path, repair=True).repair is None


def test_rows_that_an_unfinished_load_left_are_settled_by_a_repair(fake, path):
    report = interrupted(fake, path)
    docs = fake.collections[DOCS]
    docs.loaded = True
    missing = 300 - docs.count()
    found = verify(fake, path, repair=True)
    assert counts(found.repair.report) == {"stored": missing}
    assert docs.keys() == Counter(range(300))
    before = len(writes(fake))
    again = load(fake, path)
    assert counts(again) == {"stored": 300}
    assert rows_sent(writes(fake)[before:]) == 0, noted(report)


def test_a_file_that_the_journal_knows_as_it_was_before_is_repaired_beside_it(fake, path):
    first = load(fake, path)
    pq.write_table(pa.concat_tables([table(300), table(10, start=300)]), path)
    found = verify(fake, path, repair=True)
    assert found.ok
    assert counts(found.repair.report) == {"stored": 10}
    assert any("as it was before" in note for note in found.repair.report.notes)
    assert noted(first)[0] == {"stored": [(0, 300)]}


def test_without_a_journal_nothing_is_noted(fake, path, tmp_path):
    loaded(fake, path, state_dir=tmp_path / "elsewhere")
    fake.collections[DOCS].delete([3])
    found = verify(fake, path, repair=True)
    assert (found.ok, found.repair.report.journal) == (True, None)
    noticed = verify(fake, path, repair=True, state_dir=tmp_path / "elsewhere")
    assert (noticed.ok, noticed.repair) == (True, None)


def test_no_repair_beside_a_loader_at_work(fake, path):
    report = load(fake, path)
    fake.collections[DOCS].delete([3])
    store = JournalStore(Path(report.state_dir))
    try:
        with pytest.raises(JournalError, match="no other loader at work"):
            verify(fake, path, repair=True)
    finally:
        store.close()
    assert verify(fake, path, repair=True).ok


# -- what cannot be repaired -------------------------------------------------------------------------------------------


def test_rows_whose_keys_the_server_makes_cannot_be_repaired(fake, tmp_path):
    pq.write_table(table(50).drop_columns(["id"]), tmp_path / "a.parquet")
    loaded(fake, tmp_path / "a.parquet", auto_id=True)
    before = len(fake.calls)
    with pytest.raises(
        ConfigError, match=r"--repair: expected rows that carry their own key.*load the source into a new"
    ):
        verify(fake, tmp_path / "a.parquet", repair=True)
    assert [call.method for call in fake.calls[before:] if call.method in ("Query", "Upsert", "Insert")] == []


def test_a_sample_and_a_stream_cannot_be_repaired(fake, path):
    loaded(fake, path)
    with pytest.raises(ConfigError, match="a look at every row"):
        verify(fake, path, level="sample", repair=True)
    with pytest.raises(ConfigError, match="can be read twice"):
        verify(fake, iter(table(10).to_batches()), repair=True)


def test_more_rows_than_a_repair_takes_are_refused_before_any_is_sent(fake, path, monkeypatch):
    loaded(fake, path)
    fake.collections[DOCS].delete(range(100))
    for module in (readback, repairing):
        monkeypatch.setattr(module, "REMEMBERED", 50)
    before = len(writes(fake))
    with pytest.raises(ConfigError, match="--again --mode upsert"):
        verify(fake, path, repair=True)
    assert len(writes(fake)) == before


def test_rows_that_the_server_refuses_are_in_the_rejects_file(fake, path):
    docs = loaded(fake, path)
    docs.delete([3, 4])
    fake.always("Upsert", refuse_rows(lambda row: row["id"] == 4))
    found = verify(fake, path, repair=True, check=False)
    assert (found.exit_status, found.result.status) == (5, "mismatch")
    assert counts(found.repair.report) == {"stored": 1, "rejected": 1}
    assert pq.read_table(found.repair.report.rejects_file).column("id").to_pylist() == [4]
    assert [mismatch["key"] for mismatch in found.result.mismatches] == [4]


def test_a_difference_is_raised_or_returned_as_the_caller_likes(fake, path):
    loaded(fake, path)
    fake.collections[DOCS].delete([3])
    with pytest.raises(MismatchError, match="mismatch, 300 rows") as raised:
        verify(fake, path)
    assert pickle.loads(pickle.dumps(raised.value)).found == raised.value.found
    assert verify(fake, path, check=False).exit_status == 5
