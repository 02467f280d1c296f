"""What a person sees of a running load, by the load's own clock."""

from __future__ import annotations

import io
import json

import pytest

from headrace.console import Console
from headrace.progress import LineView, QuietView, Rate, TerminalView, describe, view
from headrace.report import FileProgress, Progress


def look(seconds, rows=0, **changes):
    values = {
        "phase": "sending",
        "rows_total": 1000,
        "rows_read": rows,
        "rows_settled": changes.get("rows_stored", rows) + changes.get("rows_rejected", 0),
        "rows_stored": rows,
        "rows_resumed": 0,
        "rows_rejected": 0,
        "bytes_sent": rows * 1000,
        "in_flight": 2,
        "in_flight_bytes": 0,
        "retries": 0,
        "throttled_seconds": 0.0,
        "seconds": seconds,
    }
    return Progress(**{**values, **changes})


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_rates_look_back_over_half_a_minute():
    rate = Rate()
    for second in range(101):
        rate.update(look(float(second), rows=second * 10 if second < 60 else 600 + (second - 60) * 2))
    assert rate.rows == pytest.approx(2.0)
    assert rate.bytes == pytest.approx(2000.0)


def test_the_remaining_time_is_told_where_it_is_known():
    rate = Rate()
    rate.update(look(0.0))
    rate.update(look(10.0, rows=100))
    assert rate.remaining(look(10.0, rows=100)) == pytest.approx(90.0)
    assert rate.remaining(look(10.0, rows=100, rows_total=None)) is None
    assert rate.remaining(look(10.0, rows=100, phase="verifying")) is None


def test_a_look_is_one_line_with_what_matters():
    rate = Rate()
    rate.update(look(0.0))
    now = look(10.0, rows=500, retries=3, throttled_seconds=1.5, rows_rejected=2)
    rate.update(now)
    assert describe(now, rate) == (
        "sending: 500 of 1,000 rows stored, 50 rows/s, 9.9 s left, 2 rejected, 3 retries, throttled 1.5 s, 50 kB/s, "
        "2 in flight"
    )
    done = look(11.0, rows=1000, phase="verifying", rows_total=None)
    assert describe(done, rate) == "verifying: 1,000 rows stored"


def test_a_dry_run_tells_what_it_has_checked():
    rate = Rate()
    now = look(10.0, rows=0, phase="checking", rows_settled=500, rows_rejected=2)
    rate.update(now)
    assert describe(now, rate) == "checking: 500 of 1,000 rows checked, 50 rows/s, 10.0 s left, 2 rejected"


def test_rows_that_are_not_to_be_stored_are_not_waited_for():
    rate = Rate()
    now = look(10.0, rows=100, rows_settled=900)
    rate.update(now)
    assert rate.remaining(now) == pytest.approx(100 / 90)


def test_without_a_terminal_there_is_a_line_every_ten_seconds():
    stream = io.StringIO()
    with LineView(Console(stream=stream)) as shown:
        for tenth in range(251):
            shown(look(tenth / 10, rows=tenth))
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "headrace: sending: 100 of 1",
        "headrace: sending: 200 of 1",
    ]


def test_rows_of_earlier_runs_are_no_speed():
    rate = Rate()
    rate.update(look(0.0))
    rate.update(look(10.0, rows=600, rows_resumed=500))
    assert rate.rows == pytest.approx(10.0)
    assert rate.remaining(look(10.0, rows=600, rows_resumed=500)) == pytest.approx(40.0)


def test_the_remaining_time_does_not_jump_with_a_lull():
    rate = Rate()
    for second in range(141):
        rate.update(look(float(second), rows=min(second, 100), rows_total=200))
    assert rate.rows == 0.0
    assert rate.remaining(look(140.0, rows=100, rows_total=200)) == pytest.approx(140.0)


def test_a_log_for_programs_has_an_object_every_ten_seconds():
    stream = io.StringIO()
    console = Console(stream=stream, log_format="json", clock=lambda: 1_700_000_000.5)
    with view(console) as shown:
        for second in range(26):
            shown(look(float(second), rows=second * 10))
        shown.line("headrace: a line")
    console.error("what\nwent wrong")
    first, second, line, error = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["phase"], first["rows_stored"], first["seconds_left"]) == (
        "progress",
        "sending",
        100,
        90,
    )
    assert (second["seconds"], second["rows_per_second"]) == (20, 10)
    assert line == {"time": 1_700_000_000.5, "event": "line", "message": "headrace: a line"}
    assert (error["event"], error["message"]) == ("error", "what went wrong")


FILES = [FileProgress("a.parquet", 5, 10), FileProgress("b.csv", 7, None)]


def test_files_are_shown_where_somebody_asked_for_them():
    stream = io.StringIO()
    shown = LineView(Console(stream=stream))
    shown.files = lambda: FILES
    shown(look(10.0, rows=100))
    assert stream.getvalue().splitlines()[1:] == ["headrace:   a.parquet: 5 of 10 rows", "headrace:   b.csv: 7 rows"]


def test_files_are_part_of_a_log_for_programs_where_somebody_asked_for_them():
    stream = io.StringIO()
    shown = view(Console(stream=stream, log_format="json"))
    shown.files = lambda: FILES
    shown(look(10.0, rows=100))
    assert json.loads(stream.getvalue())["files"][1] == {"source": "b.csv", "settled": 7, "rows": None}


def test_a_file_tells_its_own_remaining_time():
    stream = io.StringIO()
    shown = LineView(Console(stream=stream))
    for seconds in (10, 20):
        shown.files = lambda settled=seconds * 100: [FileProgress("a.parquet", settled, 5000)]
        shown(look(float(seconds), rows=100))
    assert stream.getvalue().splitlines()[-1] == "headrace:   a.parquet: 2,000 of 5,000 rows, 30.0 s left"


def test_a_file_has_a_line_of_its_own_while_it_is_loaded(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    at_work = [*FILES, FileProgress("/data/of/many/folders/part-0007.parquet", 1000, 2000)]
    with TerminalView(Console(stream=stream)) as shown:
        shown.files = lambda: at_work
        shown(look(1.0, rows=10))
        shown._live.refresh()
        before = stream.getvalue()
        at_work.clear()
        shown(look(2.0, rows=20))
        shown._live.refresh()
        assert "a.parquet" not in stream.getvalue()[len(before) :].rpartition("20 of")[2]
    assert "  a.parquet: 5 of 10 rows" in before
    assert "  ...t-0007.parquet: 1,000 of 2,000 rows" in before


def test_a_terminal_has_a_bar_that_goes_away(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with TerminalView(Console(stream=stream)) as shown:
        shown.line("headrace: a [line] that stays")
        shown(look(1.0, rows=10))
        shown(look(2.0, rows=20))
    text = stream.getvalue()
    assert "a [line] that stays" in text
    assert "20 of 1,000 rows stored" in text
    assert text.endswith(("\x1b[2K", "\x1b[?25h", "\x1b[1A\x1b[2K"))


def test_a_terminal_that_knows_no_other_characters_gets_ascii(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    stream.isatty = lambda: True
    with TerminalView(Console(stream=stream)) as shown:
        shown.files = lambda: [FileProgress("\udcff.parquet", 5, 10)]
        shown(look(1.0, rows=10))
        shown.line("headrace: ü")
    assert b"\\udcff.parquet: 5 of 10 rows" in written.getvalue()
    assert b"headrace: \\xfc" in written.getvalue()


def test_the_view_fits_the_stream(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert type(view(Console(quiet=True, stream=Terminal()))) is QuietView
    assert type(view(Console(stream=io.StringIO()))) is LineView
    assert type(view(Console(stream=Terminal()))) is TerminalView
    monkeypatch.setenv("TERM", "dumb")
    assert type(view(Console(stream=Terminal()))) is LineView
