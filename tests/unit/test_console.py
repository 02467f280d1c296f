"""Lines and tables for people."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import termios

import click
import pytest

from headrace.cli_options import ByteSize
from headrace.console import Console, table, wrap


def test_a_table_aligns_and_goes_on_below_its_last_column():
    why = "a text\nthat is too long for a line"
    shown = table(("n", "text"), [["1", "short"], ["22", why]], width=30, numbers=(0,))
    assert shown.splitlines() == [
        " n  text",
        "--  --------------------------",
        " 1  short",
        "22  a text that is too long",
        "    for a line",
    ]


def test_a_last_column_without_room_goes_below_its_row():
    shown = table(("column", "text"), [["a" * 20, ""], ["b", "a text that is long (1970-01-01)"]], width=30)
    assert shown.splitlines() == [
        "column",
        "    text",
        "--------------------  --------",
        "a" * 20,
        "b",
        "    a text that is long",
        "    (1970-01-01)",
    ]


@pytest.mark.parametrize("width", [0, 400])
def test_nothing_is_wrapped_where_there_is_room(width):
    assert table(("n", "text"), [["1", "why " * 80]], width=width).splitlines()[2] == "1  " + ("why " * 80).strip()


def test_lines_have_no_end_without_a_terminal():
    assert Console(stream=io.StringIO()).width == 0


def test_lines_are_as_long_as_the_terminal_that_is_written_to(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    # The document goes elsewhere.
    monkeypatch.setattr(sys, "__stdout__", None)
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 97, 0, 0))
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as stream:
        assert Console(stream=stream).width == 97


def test_quiet_hides_lines_but_not_errors():
    stream = io.StringIO()
    console = Console(quiet=True, stream=stream)
    console.line("a line")
    console.error("an\nerror")
    assert stream.getvalue() == "headrace: an error\n"
    assert not console.is_terminal


def test_each_of_several_findings_has_a_line_of_its_own():
    stream = io.StringIO()
    Console(stream=stream).error("they differ in 2\nplaces:\n  one:  this\n\n  two: that\n")
    assert stream.getvalue() == "headrace: they differ in 2 places:\n  one: this\n  two: that\n"


def test_a_stream_that_cannot_show_a_character_shows_its_number():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(stream=stream).line("ü")
    assert stream.buffer.getvalue() == b"\\xfc\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [("4194304", 4 << 20), ("4MiB", 4 << 20), ("4 MB", 4_000_000), ("1.5k", 1500), ("2gib", 2 << 30), ("10B", 10)],
)
def test_sizes_are_read_with_their_units(text, number):
    assert ByteSize().convert(text, None, None) == number


@pytest.mark.parametrize("text", ["", "many", "-1", "0", "4TB", "4 M i B"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="expected a size such as 4MiB"):
        ByteSize().convert(text, None, None)


def test_text_is_wrapped_but_words_are_not_broken():
    assert wrap("one two\nthree", width=9, indent=2) == ["  one two", "  three"]
    assert wrap("see /a/long/path now", width=9) == ["see", "/a/long/path", "now"]
    assert (wrap("one\ntwo", indent=1), wrap("")) == ([" one two"], [])
