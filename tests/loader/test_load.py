"""``headrace.load`` against the fake server: every ending has an exact account."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
import warnings
from collections import Counter
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import ConfigError, RowsRejectedError, RowsUnsentError, SchemaError, SourceError
from tests.fake.behaviours import abort, apply_then, ok, refuse, refuse_rows, stall, vanish, vanish_and_die
from tests.loader.rows import DIM, table, write_parquet

SMALL = {"batch_bytes": 4096, "rpc_timeout": 20.0}


def load(fake, source, **options):
    options = {"create": True, **SMALL, **options}
    return headrace.load(source, collection="docs", uri=fake.uri, **options)


def counts(report):
    names = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
    verdicts = {name: getattr(report, f"rows_{name}") for name in names}
    assert sum(verdicts.values()) == report.rows_read
    return {name: rows for name, rows in verdicts.items() if rows}


def test_loads_a_parquet_file_and_makes_it_searchable(fake, tmp_path):
    report = load(fake, write_parquet(tmp_path / "a.parquet", 1000), verify="full")
    assert counts(report) == {"stored": 1000}
    assert (report.ok, report.exit_status, report.status) == (True, 0, "done")
    assert (report.created, report.mode, report.rows_total, report.source_exhausted) == (True, "insert", 1000, True)
    assert report.verify["status"] == "ok"
    assert report.verify["checked"] == 1000
    docs = fake.collections["docs"]
    assert docs.keys() == Counter(range(1000))
    assert docs.loaded
    assert set(docs.indexes) == {"dense", "sparse"}
    expected = table(1000).to_pylist()
    for row, stored in zip(expected, sorted(docs.dicts(), key=lambda r: r["id"]), strict=True):
        assert stored["text"] == row["text"]
        assert stored["dense"] == row["dense"]
    assert report.files == [{"source": str(tmp_path / "a.parquet"), "rows": 1000, "stored": 1000}]


def test_the_report_is_kept_privately_in_the_state_directory(fake, tmp_path):
    report = load(fake, table(10), state_dir=tmp_path / "state")
    path = Path(report.state_dir) / "report.json"
    assert path.parent == tmp_path / "state"
    assert json.loads(path.read_text())["rows_stored"] == 10
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


SOURCES = {
    "table": lambda tmp: table(50),
    "record batch": lambda tmp: table(50).combine_chunks().to_batches()[0],
    "reader": lambda tmp: table(50).to_reader(max_chunksize=7),
    "dict of columns": lambda tmp: {
        "id": np.arange(50),
        "text": [f"row {i}" for i in range(50)],
        "dense": np.ones((50, DIM), np.float32),
    },
    "list of dicts": lambda tmp: [
        {"id": i, "text": f"row {i}", "dense": [0.5] * DIM} for i in range(50)
    ],
    "iterator of batches": lambda tmp: iter(table(50).to_batches(max_chunksize=9)),
    "iterator of lists of dicts": lambda tmp: (
        [{"id": i, "dense": [0.5] * DIM} for i in range(start, start + 10)] for start in range(0, 50, 10)
    ),
    "parquet": lambda tmp: write_parquet(tmp / "a.parquet", 50),
    "list of paths": lambda tmp: [
        write_parquet(tmp / "a.parquet", 20),
        str(write_parquet(tmp / "b.parquet", 30, start=20)),
    ],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_loads_every_kind_of_source(fake, tmp_path, kind):
    report = load(fake, SOURCES[kind](tmp_path), vector=("dense",))
    assert counts(report) == {"stored": 50}
    assert fake.collections["docs"].keys() == Counter(range(50))


def test_an_existing_empty_collection_is_inserted_into_and_a_filled_one_upserted(fake):
    load(fake, table(20))
    again = load(fake, table(20, seed=1), create=False)
    assert (again.created, again.mode) == (False, "upsert")
    assert again.mode_reason == "the collection already holds 20 rows"
    assert fake.collections["docs"].keys() == Counter(range(20))
    assert load(fake, table(5, start=100), mode="insert").mode == "insert"


def test_auto_ids_are_made_by_the_server(fake):
    report = load(fake, table(20).drop_columns(["id"]), auto_id=True)
    assert counts(report) == {"stored": 20}
    assert report.mode == "insert"
    assert fake.collections["docs"].schema.auto_id


def test_a_limit_ends_the_source(fake, tmp_path):
    report = load(fake, write_parquet(tmp_path / "a.parquet", 300), limit=123)
    assert counts(report) == {"stored": 123}
    assert (report.rows_total, report.source_exhausted, report.exit_status) == (123, True, 0)


def test_an_empty_source_is_done(fake):
    report = load(fake, table(0))
    assert (report.rows_read, report.exit_status) == (0, 0)


def test_a_dry_run_sends_nothing(fake, tmp_path):
    source = table(100).to_pylist()
    source[3]["dense"][0] = float("nan")
    report = load(fake, source, dry_run=True, vector=("dense",), check=False)
    assert counts(report) == {"skipped": 99, "rejected": 1}
    assert report.dry_run
    assert fake.calls_of("Insert", "Upsert", "CreateCollection") == []


# -- refused before anything is sent ---------------------------------------------------------------------------------


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
        "create it first, or let the load create it from the source's schema with --create"
    )
    assert str(refused.value) == expected


def test_a_full_verification_of_an_iterator_is_refused(fake):
    with pytest.raises(ConfigError, match="read twice"):
        load(fake, iter(table(5).to_batches()), verify="full")


def test_a_wrong_address_is_one_clear_error_within_the_timeout():
    endpoint = headrace.Endpoint(uri="http://127.0.0.1:1", timeout=0.3)
    with pytest.raises(headrace.ConnectError, match=r"127\.0\.0\.1:1"):
        headrace.load(table(5), collection="docs", endpoint=endpoint)


# -- rejected by row -------------------------------------------------------------------------------------------------


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


# -- a server that stalls, refuses or vanishes -----------------------------------------------------------------------


def test_answers_that_pass_are_waited_out(fake):
    fake.script(
        "Insert",
        refuse(8, "rate limit exceeded[rate=1]", legacy=49),
        abort(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses"),
        refuse(1, "service not ready", legacy=56),
    )
    report = load(fake, table(500))
    assert counts(report) == {"stored": 500}
    assert sum(report.retries.values()) == 3
    assert report.retries["throttle"] == 1
    assert report.throttled_seconds > 0


def test_a_lost_answer_does_not_double_a_keyed_row(fake):
    fake.script("Insert", ok, apply_then(vanish), ok)
    report = load(fake, table(300), verify="full")
    assert counts(report) == {"stored": 300}
    assert fake.collections["docs"].keys() == Counter(range(300))
    assert report.retries["ambiguous"] >= 1


def test_a_lost_answer_with_server_made_keys_is_counted(fake):
    fake.script("Insert", apply_then(abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")))
    report = load(fake, table(100).drop_columns(["id"]), auto_id=True, batch_bytes=1 << 20)
    assert counts(report) == {"stored": 100}
    assert report.rows_possibly_duplicated == 100
    assert report.guarantee == "at-least-once"


def test_a_server_that_is_gone_leaves_an_exact_account(fake):
    fake.script("Insert", ok, vanish_and_die)
    report = load(fake, table(1000), give_up_after=1.0, max_in_flight=1, check=False)
    found = counts(report)
    assert report.exit_status == 4
    assert found["stored"] == fake.collections["docs"].count()
    assert found["unknown"] > 0, "the request that was cut off"
    assert "no request succeeded for 1 s" in report.failure
    with pytest.raises(RowsUnsentError, match="load again"):
        headrace.putting.check_report(report)


def test_a_server_that_never_answers_ends_in_unknown_rows(fake):
    fake.always("Insert", abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
    fake.always("Upsert", abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
    report = load(fake, table(50), give_up_after=0.5, check=False)
    assert counts(report) == {"unknown": 50}
    assert report.exit_status == 4


def test_a_stalled_request_times_out_and_goes_again(fake):
    fake.script("Insert", stall)
    report = load(fake, table(50), rpc_timeout=0.3)
    assert counts(report) == {"stored": 50}
    assert report.retries == {"ambiguous": 1}
    fake.release()


def test_a_fatal_refusal_stops_at_once(fake):
    fake.script("Insert", ok, refuse(100, "collection not found[collection=docs]", legacy=4))
    report = load(fake, table(2000), max_in_flight=1, check=False)
    assert report.exit_status == 4
    assert "collection not found" in report.failure
    assert counts(report)["stored"] == fake.collections["docs"].count()


def test_a_source_that_breaks_in_the_middle_keeps_what_was_sent(fake):
    def batches():
        yield from table(100).to_batches()
        raise SourceError("feed.arrow: expected a record batch, found the end; fetch it again", source="feed.arrow")

    report = load(fake, batches(), check=False)
    assert counts(report) == {"stored": 100}
    assert (report.source_exhausted, report.exit_status) == (False, 4)
    assert "feed.arrow" in report.failure


# -- where it is called from -----------------------------------------------------------------------------------------


def test_works_inside_a_running_loop_and_in_other_threads(fake):
    async def notebook():
        return load(fake, table(20))

    assert counts(asyncio.run(notebook())) == {"stored": 20}
    found = []
    thread = threading.Thread(target=lambda: found.append(load(fake, table(20, start=100))))
    thread.start()
    thread.join()
    assert counts(found[0]) == {"stored": 20}


def test_aload_takes_async_iterators_and_leaves_no_tasks(fake):
    async def rows():
        for start in range(0, 100, 10):
            yield table(10, start=start)
            await asyncio.sleep(0)

    async def main():
        report = await headrace.aload(rows(), collection="docs", uri=fake.uri, create=True)
        again = await headrace.aload(table(10, start=500), collection="docs", uri=fake.uri)
        assert len(asyncio.all_tasks()) == 1
        return report, again

    first, second = asyncio.run(main())
    assert counts(first) == {"stored": 100}
    assert counts(second) == {"stored": 10}
    assert fake.collections["docs"].count() == 110


def test_load_takes_an_async_iterator_too(fake):
    async def rows():
        yield table(10)

    assert counts(load(fake, rows())) == {"stored": 10}


def test_a_cancelled_aload_ends_everything(fake):
    fake.always("Insert", stall)

    async def main():
        running = asyncio.create_task(
            headrace.aload(table(5000), collection="docs", uri=fake.uri, create=True, **SMALL)
        )
        await asyncio.to_thread(fake.wait_for, lambda: fake.open_writes > 0)
        running.cancel()
        fake.release()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before


def test_a_passed_endpoint_and_a_uri_together_are_refused(fake):
    with pytest.raises(ConfigError, match="endpoint"):
        headrace.load(table(1), collection="c", uri=fake.uri, endpoint=headrace.Endpoint())


def test_the_token_is_nowhere_in_the_report(tmp_path):
    from tests.fake_milvus import FakeMilvus

    with FakeMilvus(token="root:s3cret") as server, warnings.catch_warnings():
        report = headrace.load(table(5), collection="docs", uri=server.uri, token="root:s3cret", create=True)
        assert "s3cret" not in report.to_json()
        assert "cm9vdDpzM2NyZXQ" not in report.to_json()
        with pytest.raises(headrace.MilvusException) as refused:
            headrace.load(table(5), collection="docs", uri=server.uri, token="root:wr0ng")
        assert "wr0ng" not in str(refused.value)
