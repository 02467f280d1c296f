"""What holds for every test: no surroundings, no blocked event loop, no lost task; and the fixtures they share.

As part of the package ``tests`` this file also makes ``tests.fake_milvus`` importable.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

import headrace
from tests.fake_milvus import FakeMilvus

# A busy machine is no fault of the code: examples are bounded by number, never by time.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")

# A shell's background jobs ignore SIGINT, and hand that on to all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_PACKAGE = str(Path(headrace.__file__).parent)
_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def no_blocked_loops():
    """A blocking call (sleep, file, SQLite) that headrace makes inside a running event loop raises BlockingError.

    Locks are left out: a lock that is held for microseconds is no reason to leave the loop. So are sockets: those
    of grpc's poller are read under the frames of headrace's loop thread.
    """
    buster = BlockBuster("headrace")
    for name in [name for name in buster.functions if name.startswith(("threading.", "socket.", "ssl."))]:
        del buster.functions[name]
    for function in buster.functions.values():
        # The version that a handshake tells the server: one small file of the installed package per connection.
        function.can_block_in("headrace/handshake.py", "_sdk_version")
        # Who calls the plain `load` inside a running loop (a notebook) asks to be blocked.
        function.can_block_in("headrace/loader.py", "load")
        # The state directory is made when a loader is built, before anything runs that could wait for it.
        function.can_block_in("headrace/state.py", "open_state_dir")
    buster.activate()
    yield buster
    buster.deactivate()


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path_factory):
    """No MILVUS_* of the developer's shell, and a state directory of the test's own."""
    for name in [name for name in os.environ if name.startswith("MILVUS_")]:
        monkeypatch.delenv(name)
    state = tmp_path_factory.getbasetemp() / f"state-{next(_numbers)}"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))


@pytest.fixture(autouse=True)
def no_lost_tasks(monkeypatch):
    """A task of headrace's that still runs when its asyncio.run returns fails the test."""
    lost = []
    run = asyncio.run

    def checked_run(main, **options):
        async def watched():
            try:
                return await main
            finally:
                tasks = asyncio.all_tasks() - {asyncio.current_task()}
                lost.extend(repr(task) for task in tasks if _is_ours(task.get_coro()))

        return run(watched(), **options)

    monkeypatch.setattr(asyncio, "run", checked_run)
    yield
    assert not lost, "these tasks were never awaited: " + "; ".join(lost)


def _is_ours(coroutine):
    code = getattr(coroutine, "cr_code", None)
    return code is not None and code.co_filename.startswith(_PACKAGE)


@pytest.fixture
def fake():
    """A running fake Milvus server, stopped after the test."""
    with FakeMilvus() as server:
        yield server
