"""A server that stalls, refuses or vanishes: every ending has an exact account."""

from __future__ import annotations

import shutil
from collections import Counter

import grpc
import pytest

from headrace import RowsUnsentError, SourceError
from headrace.putting import check_report
from tests.fake.behaviours import (
    abort,
    after_release,
    apply_then,
    ok,
    refuse,
    refuse_rows,
    stall,
    vanish,
    vanish_and_die,
)
from tests.loader.rows import counts, load, table


def test_answers_that_pass_are_waited_out(fake):
    fake.script(
        "Insert",
        refuse(8, "rate limit exceeded[rate=1000000]", legacy=49),
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
    report = load(fake, table(300), verify="full", rpc_timeout=2.0)
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
        check_report(report)


def test_a_server_that_never_answers_ends_in_unknown_rows(fake):
    fake.always("Insert", abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
    fake.always("Upsert", abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
    report = load(fake, table(50), give_up_after=0.5, check=False)
    assert counts(report) == {"unknown": 50}
    assert report.exit_status == 4


def test_a_stalled_request_times_out_and_goes_again(fake):
    fake.script("Insert", stall)
    report = load(fake, table(50), rpc_timeout=1.0)
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
    assert report.unreadable == "feed.arrow"


def test_the_same_command_finishes_what_a_failed_one_began(fake):
    fake.script("Insert", ok, vanish_and_die)
    first = load(fake, table(1000), give_up_after=0.5, max_in_flight=1, check=False)
    assert first.exit_status == 4
    fake.revive()
    assert not fake.collections["docs"].loaded
    again = load(fake, table(1000), verify="full")
    assert again.mode == "upsert"
    assert fake.collections["docs"].keys() == Counter(range(1000))
    assert fake.collections["docs"].loaded


def test_a_full_disk_under_the_report_does_not_lose_the_account(fake, tmp_path):
    (tmp_path / "report.json.new").mkdir()
    report = load(fake, table(10), state_dir=tmp_path)
    assert counts(report) == {"stored": 10}
    assert any("could not be kept" in note for note in report.notes)


def test_a_rejects_file_that_cannot_be_written_ends_the_load_with_its_account(fake, tmp_path):
    state = tmp_path / "state"

    async def gone(call):
        shutil.rmtree(state, ignore_errors=True)
        return await refuse_rows(lambda row: row["id"] == 3)(call)

    load(fake, table(1, start=9999))
    fake.always("Upsert", gone)
    report = load(fake, table(100), state_dir=state, check=False)
    assert report.exit_status == 4
    assert report.rows_stored + report.rows_unsent == 100
    assert "a rejects file that can be written" in report.failure


def test_a_progress_callback_that_fails_ends_the_load_and_is_named(fake):
    fake.always("Insert", after_release(ok))

    def broken(progress):
        raise ZeroDivisionError("no rows")

    report = load(fake, table(500), progress=broken, check=False)
    fake.release()
    assert report.exit_status == 4
    assert "the progress callback failed: ZeroDivisionError: no rows" in report.failure
