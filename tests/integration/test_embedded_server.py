"""The embedded Milvus Lite as a child process: shared, locked, and gone when nobody needs it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headrace import embedded
from headrace.config import Endpoint
from headrace.errors import EmbeddedError, MissingExtraError, RpcError
from headrace.transport import AsyncTransport, SyncTransport


def wait_for_end(pid, timeout=60.0):
    """Wait until a process that need not be our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], timeout)[0], f"process {pid} still runs"
    finally:
        os.close(descriptor)


def program(code, *arguments, **options):
    """A Python process that runs ``code``; its standard input and output are pipes."""
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


HOLD = """
import sys
from pathlib import Path
from headrace import embedded
lease = embedded.acquire(Path(sys.argv[1]))
print(lease.pid, flush=True)
sys.stdin.read()
"""

FORK_AND_HOLD = """
import os, sys
from pathlib import Path
from headrace import embedded
lease = embedded.acquire(Path(sys.argv[1]))
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(lease.pid, flush=True)
sys.stdin.read()
"""


def test_users_of_one_database_share_one_child_and_the_last_ends_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    first = embedded.acquire(tmp_path / "a.db")
    second = embedded.acquire(tmp_path / "link" / "a.db")
    pid = first.pid
    assert (second.pid, second.address) == (pid, first.address)
    first.release()
    first.release()
    assert second.ended == ""
    second.release()
    wait_for_end(pid)


def test_databases_have_a_child_each(tmp_path):
    first, second = embedded.acquire(tmp_path / "a.db"), embedded.acquire(tmp_path / "b.db")
    assert first.pid != second.pid
    assert first.address != second.address
    first.release()
    second.release()


def test_transports_resolve_a_path_and_let_go_of_it(tmp_path):
    async def main():
        async with AsyncTransport(Endpoint(uri=str(tmp_path / "a.db"))) as transport:
            return transport.server_kind, transport._lease.pid

    kind, pid = asyncio.run(main())
    assert kind == "lite"
    wait_for_end(pid)
    with SyncTransport(Endpoint(uri=str(tmp_path / "a.db"))) as transport:
        assert transport.server_version >= (3, 2, 0)
        pid = transport._lease.pid
    wait_for_end(pid)


def test_database_held_by_another_process_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.0)
    path = tmp_path / "a.db"
    with program(HOLD, path) as holder:
        assert holder.stdout.readline()
        with pytest.raises(EmbeddedError) as raised:
            embedded.acquire(path)
        assert str(raised.value) == (
            f"database {path}: expected no other process using it, found one that holds its lock; "
            "end the other process, or run a Milvus server that both can use"
        )
        assert raised.value.path == str(path)
        holder.stdin.close()


def test_database_that_is_just_being_closed_is_waited_for(tmp_path):
    path = tmp_path / "a.db"
    with program(HOLD, path) as holder:
        assert holder.stdout.readline()
        # The holder lets go while the second child already waits, or before: both are right.
        threading.Thread(target=holder.stdin.close).start()
        embedded.acquire(path).release()


@pytest.mark.parametrize("code", [HOLD, FORK_AND_HOLD], ids=["alone", "with-a-forked-copy-of-the-pipe"])
def test_child_ends_with_its_parent_on_kill_9(tmp_path, code):
    with program(code, tmp_path / "a.db") as parent:
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for_end(pid)
        embedded.acquire(tmp_path / "a.db").release()
        parent.stdin.close()


def test_child_outlives_the_thread_that_started_it(tmp_path):
    leases = []
    thread = threading.Thread(target=lambda: leases.append(embedded.acquire(tmp_path / "a.db")))
    thread.start()
    thread.join()
    with SyncTransport(Endpoint(uri=str(tmp_path / "a.db"))) as transport:
        assert transport._lease.pid == leases[0].pid
    leases[0].release()


def test_ctrl_c_in_a_terminal_does_not_reach_the_child(tmp_path):
    lease = embedded.acquire(tmp_path / "a.db")
    assert os.getpgid(lease.pid) != os.getpgid(0)
    lease.release()


def test_forked_process_leaves_its_parents_server_alone(tmp_path):
    code = """
import os, sys
from pathlib import Path
from headrace import embedded
lease = embedded.acquire(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    lease.release()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert lease.ended == "", lease.ended
lease.release()
"""
    with program(code, tmp_path / "a.db") as parent:
        assert parent.wait() == 0


def test_database_is_closed_when_a_program_ends_without_closing(tmp_path):
    code = """
import sys
from pathlib import Path
from headrace import embedded
print(embedded.acquire(Path(sys.argv[1])).pid)
"""
    with program(code, tmp_path / "a.db") as parent:
        pid = int(parent.stdout.read())
        assert parent.wait() == 0
    wait_for_end(pid)


def test_child_that_died_is_named_in_the_error_and_replaced(tmp_path):
    endpoint = Endpoint(uri=str(tmp_path / "a.db"))
    with SyncTransport(endpoint) as transport:
        pid = transport._lease.pid
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        with pytest.raises(RpcError) as raised:
            transport.call("CheckHealth", b"", timeout=10)
        assert raised.value.status == "UNAVAILABLE"
        assert f"; the embedded Milvus Lite at {tmp_path / 'a.db'} ended with signal 9" in str(raised.value)
        with SyncTransport(endpoint) as second:
            assert second._lease.pid != pid


def test_path_that_is_no_database_is_refused_with_the_engines_words(tmp_path):
    path = tmp_path / "a.db"
    path.write_text("a file")
    with pytest.raises(EmbeddedError) as raised:
        embedded.acquire(path)
    text = str(raised.value)
    assert text.startswith(f"database {path}: expected Milvus Lite to start, found FileExistsError: ")
    assert "; check that the path is a Milvus Lite database or does not exist yet" in text


def test_child_that_dies_while_starting_shows_its_last_words(tmp_path, monkeypatch):
    broken = tmp_path / "child.py"
    broken.write_text("print('first words')\nraise SystemExit('last words')\n")
    monkeypatch.setattr(embedded, "_CHILD", broken)
    with pytest.raises(EmbeddedError) as raised:
        embedded.acquire(tmp_path / "a.db")
    assert str(raised.value) == (
        f"database {tmp_path / 'a.db'}: expected Milvus Lite to start, found a child process that ended; "
        "see its output above\n  | first words\n  | last words"
    )


def test_child_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    silent = tmp_path / "child.py"
    silent.write_text("import sys\nsys.stdin.read()\n")
    monkeypatch.setattr(embedded, "_CHILD", silent)
    monkeypatch.setattr(embedded, "START_SECONDS", 0.2)
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.0)
    with pytest.raises(EmbeddedError, match=r"found no answer within 0\.2 s; try again on a less busy machine"):
        embedded.acquire(tmp_path / "a.db")


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_NEEDED", ("milvus_lite", "no_such_package"))
    with pytest.raises(MissingExtraError) as raised:
        embedded.acquire(tmp_path / "a.db")
    assert str(raised.value) == (
        "embedded database: expected the extra headrace[lite], found no package no_such_package; "
        "run: pip install 'headrace[lite]'"
    )


def test_engine_stays_out_of_this_process_and_its_environment(tmp_path, monkeypatch):
    """pymilvus fails to import where MILVUS_URI is a path, and loads a .env it finds."""
    (tmp_path / ".env").write_text("HEADRACE_TEST_DOTENV=loaded\n")
    monkeypatch.setenv("MILVUS_URI", "./a.db")
    code = """
import os, sys
from headrace.config import Endpoint
from headrace.transport import SyncTransport
with SyncTransport(Endpoint.resolve()) as transport:
    assert os.readlink(f"/proc/{transport._lease.pid}/cwd") == "/"
assert not {"pymilvus", "pandas", "milvus_lite"} & set(sys.modules)
assert "HEADRACE_TEST_DOTENV" not in os.environ
"""
    source = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    with program(code, cwd=tmp_path, env=os.environ | {"PYTHONPATH": source}) as process:
        assert process.wait() == 0


def test_abandoned_start_leaves_no_child_behind(tmp_path):
    started = threading.Event()
    leases = []
    acquire, others = embedded.acquire, dict(embedded._registry._servers)

    def slow(path):
        started.set()
        leases.append(acquire(path))
        return leases[-1]

    async def main(monkeypatch):
        monkeypatch.setattr(embedded, "acquire", slow)
        start = asyncio.create_task(embedded.acquire_async(tmp_path / "a.db"))
        await asyncio.to_thread(started.wait)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(main(patch))
    assert leases[0].pid is None
    assert embedded._registry._servers == others


PYMILVUS_WRITES = """
import sys
from pymilvus import MilvusClient
client = MilvusClient(sys.argv[1])
client.create_collection("c", dimension=4)
client.insert("c", [{"id": n, "vector": [n, 1, 2, 3]} for n in range(5)])
client.close()
"""
PYMILVUS_READS = """
import sys
from pymilvus import MilvusClient
client = MilvusClient(sys.argv[1])
client.load_collection("c")
assert client.query("c", filter="", output_fields=["count(*)"])[0]["count(*)"] == 5
rows = client.get("c", ids=[3], output_fields=["vector"])
assert [list(map(float, row["vector"])) for row in rows] == [[3, 1, 2, 3]], rows
client.close()
"""


def test_pymilvus_opens_what_headrace_wrote_and_the_other_way_round(tmp_path):
    from headrace import operations as ops
    from headrace.operations import drive_sync

    path = tmp_path / "a.db"
    run = [sys.executable, "-W", "ignore", "-c"]
    subprocess.run([*run, PYMILVUS_WRITES, str(path)], check=True)
    with SyncTransport(Endpoint(uri=str(path))) as transport:
        drive_sync(transport, ops.load_collection("c"))
        assert drive_sync(transport, ops.count("c")) == 5
        found = drive_sync(transport, ops.get_by_keys("c", "id", [3], ["vector"]))
        assert found.column("vector").to_pylist() == [[3, 1, 2, 3]]
    subprocess.run([*run, PYMILVUS_READS, str(path)], check=True)
