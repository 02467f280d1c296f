"""``headrace load`` against a server that behaves as told: account, streams, exit status."""

from __future__ import annotations

import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import table
from tests.fake.behaviours import apply_some, ok, refuse, refuse_rows, stall, stall_forever

VERDICTS = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")


def account(report):
    """The report's rows by verdict, checked against the rows read."""
    rows = {verdict: report[f"rows_{verdict}"] for verdict in VERDICTS}
    assert report["rows_read"] == sum(rows.values())
    return {verdict: number for verdict, number in rows.items() if number}


def arguments(fake, source, *more):
    return ["load", source, "--collection", "c", "--uri", fake.uri, "--create", *more]


def test_stores_every_row_and_says_so_on_both_streams(headrace, fake, source):
    ended = headrace.run(*arguments(fake, source, "--verify", "full"))
    assert ended.status == 0, ended.err
    report = ended.document
    assert account(report) == {"stored": 100}
    assert report["verify"] == {"level": "full", "status": "ok", "checked": 100, "mismatches": [], "note": ""}
    assert report["exit_status"] == 0
    assert fake.collections["c"].count() == 100
    first, target, header, _, *rest = ended.err.splitlines()
    assert str(headrace.state) in first
    assert target == "headrace: collection 'c' is created with the key 'id', indexed: vector (COSINE)"
    assert header.split() == ["column", "type", "field", "type", "note"]
    assert [line.split()[0] for line in rest[:3]] == ["id", "text", "vector"]
    assert rest[3] == f"headrace: done: 100 of 100 rows in c at {fake.uri}"


def test_quiet_prints_only_the_document(headrace, fake, source):
    ended = headrace.run(*arguments(fake, source, "--quiet"))
    assert (ended.status, ended.err) == (0, "")
    assert account(ended.document) == {"stored": 100}


def test_two_sources_and_a_glob_are_one_load(headrace, fake, tmp_path):
    for number in range(3):
        pq.write_table(table(10, start=number * 10), tmp_path / f"part-{number}.parquet")
    ended = headrace.run(*arguments(fake, "part-[01].parquet", "part-2.parquet"))
    assert ended.status == 0, ended.err
    assert account(ended.document) == {"stored": 30}
    assert len(ended.document["files"]) == 3


def test_a_limit_leaves_the_rest_unread(headrace, fake, source):
    ended = headrace.run(*arguments(fake, source, "--limit", "7"))
    assert ended.status == 0, ended.err
    assert account(ended.document) == {"stored": 7}


def test_a_dry_run_sends_nothing(headrace, fake, source):
    ended = headrace.run(*arguments(fake, source, "--dry-run"))
    assert ended.status == 0, ended.err
    assert account(ended.document) == {"skipped": 100}
    would = ended.document["would_store"]
    assert (would["rows"], would["requests"]) == (100, 1)
    assert f"100 rows in 1 request of {would['bytes'] / 1000:.3g} kB in all" in ended.err
    assert fake.calls_of("Insert", "Upsert", "CreateCollection") == []


def test_a_dry_run_says_what_a_load_would_do(headrace, fake, tmp_path):
    rows = table(200)
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().copy()
    vectors[: 4 * 150] = np.nan
    bad = rows.set_column(2, "vector", pa.FixedSizeListArray.from_arrays(pa.array(vectors), 4))
    pq.write_table(bad, tmp_path / "nan.parquet")
    ended = headrace.run(*arguments(fake, "nan.parquet", "--dry-run", "--max-rejects", "200"))
    assert ended.status == 3, ended.err
    assert f"150 rows would be rejected: 50 of 200 rows would go to c at {fake.uri}" in ended.err
    assert "  rows       200 read = 50 to be stored + 150 rejected" in ended.err
    assert "insert: this load would create the collection" in ended.err
    ended = headrace.run(*arguments(fake, "nan.parquet", "--dry-run", "--max-rejects", "100"))
    assert (ended.status, ended.document["status"][:20]) == (4, "dry run ended early:")
    assert "raise --max-rejects" in ended.err
    assert "run the same command again" not in ended.err


def test_the_token_of_a_file_is_sent(headrace, source, tmp_path):
    from tests.fake_milvus import FakeMilvus

    (tmp_path / "token").write_text("user:secret\n")
    with FakeMilvus(token="user:secret") as fake:
        assert headrace.run(*arguments(fake, source, "--token-file", "token")).status == 0
        refused = headrace.run(*arguments(fake, source, "--token", "user:wrong"))
    assert refused.status == 2
    assert "wrong" not in refused.err + refused.out


def test_rejected_rows_end_with_status_3_and_are_kept(headrace, fake, source):
    fake.always("Insert", refuse_rows(lambda row: row["id"] in (3, 77)))
    ended = headrace.run(*arguments(fake, source))
    assert ended.status == 3, ended.err
    assert account(ended.document) == {"stored": 98, "rejected": 2}
    rejects = pq.read_table(ended.document["rejects_file"])
    assert sorted(rejects["_row"].to_pylist()) == [3, 77]
    assert "2 rows with their reasons in" in ended.err


def test_keys_of_row_numbers_and_rows_without_a_vector(headrace, fake, tmp_path):
    vectors = [[float(row)] * 4 for row in range(20)]
    vectors[7] = None
    columns = {"text": [f"row {row}" for row in range(20)], "vector": pa.array(vectors, pa.list_(pa.float32(), 4))}
    rows = pa.table(columns)
    # Not every pyarrow writes vectors that are null to Parquet.
    with pa.ipc.new_file(tmp_path / "rows.arrow", rows.schema) as file:
        file.write_table(rows)
    options = ("--create", "--key", "@row", "--null-vectors", "skip", "--max-rejects", "0%", "--mode", "insert")
    ended = headrace.run("load", "rows.arrow", "--collection", "c", "--uri", fake.uri, *options)
    assert ended.status == 0, ended.err
    assert (ended.document["rows_stored"], ended.document["rows_skipped"]) == (19, 1)
    assert sorted(fake.collections["c"].keys()) == [*range(7), *range(8, 20)]


def test_a_vector_with_nan_is_rejected_by_row(headrace, fake, tmp_path):
    rows = table(10)
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().copy()
    vectors[4 * 6] = np.nan
    bad = rows.set_column(2, "vector", pa.FixedSizeListArray.from_arrays(pa.array(vectors), 4))
    pq.write_table(bad, tmp_path / "nan.parquet")
    ended = headrace.run(*arguments(fake, "nan.parquet"))
    assert ended.status == 3, ended.err
    assert account(ended.document) == {"stored": 9, "rejected": 1}


def test_a_server_that_refuses_everything_leaves_rows_unsent_or_rejected_never_lost(headrace, fake, source):
    fake.always("Insert", refuse(1401, "permission deny"))
    ended = headrace.run(*arguments(fake, source))
    assert ended.status == 4, ended.err
    assert account(ended.document) == {"unsent": 100}
    assert "Traceback" not in ended.err


def test_rows_that_a_server_only_claims_to_store_end_with_status_5(headrace, fake, source):
    fake.script("Insert", apply_some(lambda row: row != 42, answer_stored))
    ended = headrace.run(*arguments(fake, source, "--verify", "full"))
    assert ended.status == 5, ended.err
    assert ended.document["verify"]["status"] == "mismatch"


async def answer_stored(call):
    """Claim that every row was stored."""
    from headrace._proto import milvus_pb2

    return milvus_pb2.MutationResult(insert_cnt=call.num_rows, succ_index=range(call.num_rows)).SerializeToString()


def wait_until_stopping(process):
    """Read on until the command says that it took the signal; an end of the stream would end this too."""
    for line in process.stderr:
        if "once more to leave at once" in line:
            return
    raise AssertionError("the command ended without a word about the signal")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_load_with_its_account(headrace, fake, source, number, status):
    fake.script("Insert", ok, stall)
    # Requests of a few rows, one at a time: the second waits for its answer.
    process = headrace.start(*arguments(fake, source, "--batch-bytes", "1000", "--max-in-flight", "1"))
    fake.wait_for(lambda: len(fake.calls_of("Insert")) >= 2)
    process.send_signal(number)
    wait_until_stopping(process)
    fake.release()
    ended = headrace.wait(process)
    assert ended.status == status, ended.err
    report = ended.document
    assert report["interrupted"] == number.name
    rows = account(report)
    # What was in flight is finished, and nothing more is sent.
    assert rows["stored"] == fake.collections["c"].count() > 0
    assert set(rows) <= {"stored", "unsent"}
    assert len(fake.calls_of("Insert")) == 2


def test_a_signal_after_the_last_row_ends_the_load_with_all_rows_stored(headrace, fake, source):
    fake.script("LoadCollection", stall_forever)
    process = headrace.start(*arguments(fake, source))
    fake.wait_for(lambda: fake.calls_of("LoadCollection"), 30)
    process.send_signal(signal.SIGTERM)
    ended = headrace.wait(process)
    assert ended.status == 143, ended.err
    assert account(ended.document) == {"stored": 100}
    again = headrace.run(*arguments(fake, source))
    assert (again.status, again.document["already_complete"]) == (0, True)
    assert fake.collections["c"].loaded


def test_a_second_signal_leaves_at_once(headrace, fake, source):
    fake.script("Insert", stall_forever)
    process = headrace.start(*arguments(fake, source))
    fake.wait_for(lambda: len(fake.calls_of("Insert")) >= 1)
    process.send_signal(signal.SIGTERM)
    wait_until_stopping(process)
    process.send_signal(signal.SIGINT)
    ended = headrace.wait(process)
    assert (ended.status, ended.out) == (130, "")
