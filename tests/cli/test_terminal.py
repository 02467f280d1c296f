"""What the command writes into a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import termios
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace as library
from headrace.console import Console
from headrace.progress import TerminalView
from tests.cli.conftest import table
from tests.fake.behaviours import ok, refuse, stall

#: What is written: escape sequences, control characters, and text; and sequences that give a colour.
_ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
_PIECES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+")
_COLOURS = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


class Terminal:
    """A pseudo-terminal, and everything that was written to it."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        self.text = ""
        self._written = threading.Condition()
        self._reader = threading.Thread(target=self._read)

    def resize(self, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def watch(self):
        """Read from now on; the other end belongs to a process alone."""
        os.close(self.theirs)
        self._reader.start()

    def close(self):
        self._reader.join(30)
        os.close(self.ours)

    def _read(self):
        parts = b""
        while True:
            try:
                part = os.read(self.ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            parts += part
            with self._written:
                self.text = parts.decode(errors="replace")
                self._written.notify_all()

    def screen(self):
        """The lines that a person sees now: what was written, drawn over what was there before."""
        lines, row, column = [""], 0, 0
        for piece in _PIECES.findall(self.text):
            if piece == "\r":
                column = 0
            elif piece == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif piece == "\x1b[1A":
                row -= 1
            elif piece == "\x1b[2K":
                lines[row] = ""
            elif not piece.startswith("\x1b"):
                lines[row] = lines[row].ljust(column)[:column] + piece + lines[row][column + len(piece) :]
                column += len(piece)
        return [line.rstrip() for line in lines]

    def wait_for(self, condition):
        """Return once the text is so that ``condition()`` holds."""
        with self._written:
            assert self._written.wait_for(condition, 100), self.text


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
def loading(headrace, fake, source, terminal):
    """Starts a load whose second request waits, so that the bar is seen before it is over, and ends it."""
    fake.script("Insert", ok, stall)

    def start(*more, columns=100, environ=None):
        terminal.resize(columns)
        arguments = ["load", source, "--collection", "c", "--uri", fake.uri, "--create", "--batch-bytes", "1000", *more]
        process = headrace.start(*arguments, stderr=terminal.theirs, environ=environ)
        terminal.watch()
        fake.wait_for(lambda: len(fake.calls_of("Insert")) >= 2)
        return process

    def end(process):
        fake.release()
        ended = headrace.wait(process)
        terminal.close()
        assert ended.status == 0, terminal.text
        assert ended.document["rows_stored"] == 100
        return terminal.text

    return start, end


def test_a_terminal_shows_a_live_bar_and_then_the_account(loading):
    start, end = loading
    text = end(start())
    assert "headrace: done: 100 of 100 rows" in text
    assert "\x1b[?25l" in text  # the cursor is hidden while the bar is shown
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_person_sees_rows_rate_remaining_time_and_trouble(headrace, fake, terminal, tmp_path, columns):
    vectors = (np.arange(400, dtype=np.float32) + 1).reshape(100, 4)
    vectors[3] = np.nan
    rows = {"id": pa.array(range(100)), "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 4)}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    fake.script("Insert", refuse(8, "rate limit exceeded[rate=1000]", legacy=49), ok, stall)
    terminal.resize(columns)
    where = ("--collection", "c", "--uri", fake.uri, "--create", "--show-files")
    limits = ("--batch-bytes", "500", "--max-in-flight", "1")
    process = headrace.start("load", "rows.parquet", *where, *limits, stderr=terminal.theirs)
    terminal.watch()
    wanted = (" of 100 rows stored", " rows/s", " left", "1 rejected", "1 retries", "throttled ", "B/s", " in flight")
    shown = []

    def whole():
        """Whether a frame with everything is there, not half of it; its last line is the file's."""
        shown[:] = terminal.screen()
        last = re.fullmatch(r"  rows.parquet: \d+ of 100 rows(, .+ left)?", shown[-1])
        return last and all(words in "\n".join(shown) for words in wanted)

    terminal.wait_for(whole)
    fake.release()
    assert headrace.wait(process).status == 3
    terminal.close()
    # Above the bar stay the lines that are longer than a terminal is wide, such as the state directory.
    head = next(number for number, line in enumerate(shown) if re.match(r". sending ", line))
    assert re.fullmatch(r". sending +(\S+ +)?\d+ %, .+ left", shown[head])
    assert re.match(r"  \d+ of 100 rows stored, [\d,]+ rows/s", shown[head + 1])
    assert max(len(line) for line in shown[head:]) <= columns
    assert "sending" not in "\n".join(terminal.screen()), "the bar goes away"


def test_a_dry_run_shows_how_far_it_is(fake, terminal, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal.resize(80)
    stream = os.fdopen(os.dup(terminal.theirs), "w")
    terminal.watch()

    def rows():
        yield table(50)
        terminal.wait_for(lambda: any(re.match(r"  50 rows checked, [\d,]+ rows/s", it) for it in terminal.screen()))
        yield table(50, start=50)

    with stream, TerminalView(Console(stream=stream)) as view:
        options = {"create": True, "dry_run": True, "batch_bytes": 1000, "state_dir": tmp_path}
        report = library.load(rows(), collection="c", uri=fake.uri, progress=view, **options)
    terminal.close()
    assert report.rows_skipped == 100


def test_the_bar_follows_the_size_of_the_terminal(loading, terminal):
    start, end = loading

    def longest():
        """Of the frames that were written whole since the terminal was resized."""
        frames = terminal.text[before:].split("\x1b[2K")[5:-1]
        return max((len(line.strip()) for line in _ESCAPES.sub("", "\n".join(frames)).splitlines()), default=0)

    before = 0
    process = start(columns=100)
    terminal.wait_for(lambda: longest() > 60)
    terminal.resize(40)
    before = len(terminal.text)
    # What was measured before may be read after it.
    terminal.wait_for(lambda: 0 < longest() <= 40)
    end(process)


def test_no_color_is_honoured(loading, terminal):
    start, end = loading
    process = start(environ={"NO_COLOR": "1"})
    terminal.wait_for(lambda: "rows stored" in terminal.text)
    text = end(process)
    assert not _COLOURS.search(text)


def test_a_log_for_programs_has_objects_only_also_in_a_terminal(loading):
    start, end = loading
    lines = [json.loads(line) for line in end(start("--log-format", "json")).splitlines()]
    assert {line["event"] for line in lines} == {"line"}
    assert any(line["message"].startswith("headrace: done: 100 of 100 rows") for line in lines)
