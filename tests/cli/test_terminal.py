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

import pytest

from tests.fake.behaviours import ok, stall

#: Escape sequences that move the cursor, and those that colour the foreground or the background.
_ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
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


def test_the_bar_follows_the_size_of_the_terminal(loading, terminal):
    start, end = loading

    def lengths():
        """Of the frames of the bar that are written whole."""
        return [len(_ESCAPES.sub("", frame).strip("\r\n")) for frame in terminal.text.split("\x1b[2K")[1:-1]]

    process = start(columns=100)
    terminal.wait_for(lambda: "rows stored" in terminal.text and max(lengths(), default=0) > 40)
    terminal.resize(40)
    # What was measured before may be read after it.
    terminal.wait_for(lambda: 0 < max(lengths()[-3:]) <= 40)
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
