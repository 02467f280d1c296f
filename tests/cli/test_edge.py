"""The process edge: every ending becomes a status, a line and a document; in this process."""

from __future__ import annotations

import json
import os
import signal

import click
import pytest

from headrace import errors
from headrace.cli_edge import at_edge, error_status
from headrace.signals import Interrupted, Signals


def ended(capfdbinary, function, **options):
    status = at_edge(function)(quiet=False, **options)
    out, err = capfdbinary.readouterr()
    return status, json.loads(out), err.decode()


def raises(error):
    def function(console, signals):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError("x"), 2),
        (errors.MissingExtraError("x"), 2),
        (errors.SourceError("x"), 2),
        (errors.SchemaError("x"), 2),
        (errors.CellError(row=1, field="f", expected="a", found="b", remedy="c"), 2),
        (errors.EmbeddedError("x"), 2),
        (errors.MilvusException("x", code=1), 2),
        (errors.ConnectError("x"), 4),
        (errors.RpcError("x", status="UNAVAILABLE"), 4),
        (errors.InternalError("x"), 1),
        (ValueError("x"), 1),
        (Interrupted("SIGINT"), 130),
        (Interrupted("SIGTERM"), 143),
    ],
)
def test_every_error_has_its_status(error, status):
    assert error_status(error) == status


def test_an_error_on_purpose_is_its_message(capfdbinary):
    status, document, err = ended(capfdbinary, raises(errors.ConfigError("uri: expected a,\nfound b; c")))
    assert err == "headrace: uri: expected a, found b; c\n"
    assert document == {
        "status": "failed",
        "error": "ConfigError",
        "message": "uri: expected a,\nfound b; c",
        "exit_status": status,
    }


def test_an_unexpected_error_asks_for_a_report_and_shows_no_traceback(capfdbinary, monkeypatch):
    monkeypatch.delenv("HEADRACE_DEBUG", raising=False)
    status, document, err = ended(capfdbinary, raises(KeyError("key")))
    assert status == 1
    assert err == "headrace: unexpected KeyError: 'key'; please report it (HEADRACE_DEBUG=1 shows where)\n"
    assert document["error"] == "KeyError"


def test_the_traceback_of_an_unexpected_error_is_shown_on_request(capfdbinary, monkeypatch):
    monkeypatch.setenv("HEADRACE_DEBUG", "1")
    _, _, err = ended(capfdbinary, raises(KeyError("key")))
    assert "Traceback (most recent call last)" in err


def test_an_error_is_an_object_in_a_log_for_programs(capfdbinary):
    assert at_edge(raises(errors.ConfigError("x")))(quiet=True, log_format="json") == 2
    line = json.loads(capfdbinary.readouterr().err)
    assert (line["event"], line["message"]) == ("error", "x")


def test_a_signal_is_an_object_in_a_log_for_programs(capfdbinary):
    with Signals(log_format="json") as signals:
        signals.stop = lambda name: None
        os.kill(os.getpid(), signal.SIGTERM)
    line = json.loads(capfdbinary.readouterr().err)
    assert line["message"] == "SIGTERM: finishing what is in flight; once more to leave at once"


def test_usage_errors_are_left_to_click():
    with pytest.raises(click.UsageError):
        at_edge(raises(click.UsageError("x")))(quiet=False)


def test_a_signal_before_anything_was_sent_ends_the_command(capfdbinary):
    def function(console, signals):
        os.kill(os.getpid(), signal.SIGTERM)

    status, document, err = ended(capfdbinary, function)
    assert (status, document["error"]) == (143, "Interrupted")
    assert err == "headrace: SIGTERM: stopped before anything was sent\n"


def test_a_signal_is_given_to_who_can_stop_in_order():
    before = signal.getsignal(signal.SIGINT)
    stopped = []
    with Signals(quiet=True) as signals:
        signals.stop = stopped.append
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped == ["SIGINT"]
    assert signal.getsignal(signal.SIGINT) is before


def test_bytes_that_are_no_text_in_a_path_do_not_break_the_document(capfdbinary):
    from headrace.cli_edge import write_document

    write_document(json.dumps({"path": os.fsdecode(b"\xff.parquet")}, ensure_ascii=False))
    assert json.loads(capfdbinary.readouterr().out) == {"path": "\udcff.parquet"}
