"""What the command writes into a real terminal."""

from __future__ import annotations

import os
import pty
import threading

from tests.fake.behaviours import ok, stall


def read_all(descriptor):
    """Everything that is written to a pseudo-terminal until its other end is closed."""
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


def test_a_terminal_shows_a_live_bar_and_then_the_account(headrace, fake, source):
    # The second request waits, so that the bar is seen before the load is over.
    fake.script("Insert", ok, stall)
    ours, theirs = pty.openpty()
    arguments = ["load", source, "--collection", "c", "--uri", fake.uri, "--create", "--batch-bytes", "1000"]
    process = headrace.start(*arguments, stderr=theirs)
    os.close(theirs)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(read_all(ours)))
    reader.start()
    fake.wait_for(lambda: len(fake.calls_of("Insert")) >= 2, 30)
    fake.release()
    ended = headrace.wait(process)
    reader.join(30)
    os.close(ours)
    assert ended.status == 0, seen
    assert "headrace: done: 100 of 100 rows" in seen[0]
    assert "\x1b[?25l" in seen[0]  # the cursor is hidden while the bar is shown
    assert seen[0].rindex("\x1b[?25h") > seen[0].rindex("\x1b[?25l")
    assert ended.document["rows_stored"] == 100
