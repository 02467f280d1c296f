"""The harnesses that run real servers: what they start they also end."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import lite251, milvus235
from tests.servers.lite251 import Lite251
from tests.servers.milvus235 import Milvus235
from tests.servers.process import ServerFailedError

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from tests.servers.{module} import {name}
with {name}() as server:
    print(server.pid, server.directory, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("module", "name"), [("milvus235", "Milvus235"), ("lite251", "Lite251")])
def test_a_server_and_its_data_go_when_its_tests_are_killed(module, name):
    command = [sys.executable, "-W", "ignore", "-c", HOLD.format(module=module, name=name)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        pid, directory = holder.stdout.readline().split()
        server = os.pidfd_open(int(pid))
        assert Path(directory).is_dir()
        # The guard ends after it has removed the directory.
        guard = os.pidfd_open(child_named("guard.py", holder.pid))
        holder.kill()
    for process in (server, guard):
        assert select.select([process], [], [], 60)[0]
        os.close(process)
    assert not Path(directory).exists()


def child_named(name, parent):
    """The process id of a child whose command line holds ``name``."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            of = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("PPid:"))
            command = (status.parent / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of) == parent and name in command:
            return int(status.parent.name)
    raise AssertionError(f"no {name} below {parent}")


@pytest.mark.parametrize(
    ("module", "server", "index"),
    [
        (milvus235, Milvus235, milvus235.PORTS.index("proxy_port")),
        (milvus235, Milvus235, milvus235.PORTS.index("etcd_port")),
        (lite251, Lite251, 0),
    ],
    ids=["2.3.5-proxy", "2.3.5-etcd", "lite-2.5.1"],
)
def test_a_port_that_somebody_else_took_costs_one_more_attempt(monkeypatch, module, server, index):
    free_ports = module.free_ports
    attempts = []
    with socket.create_server(("", free_ports(1)[0])) as taken:

        def not_quite_free(count):
            ports = free_ports(count)
            if not attempts:
                ports[index] = taken.getsockname()[1]
            attempts.append(ports)
            return ports

        monkeypatch.setattr(module, "free_ports", not_quite_free)
        with server() as started:
            assert started.running
    assert len(attempts) == 2


def test_a_server_that_ends_while_starting_shows_the_end_of_its_log():
    server = Milvus235({"rocksmq.path": "/proc/nowhere"})
    with pytest.raises(ServerFailedError, match=r"ended with status -6 while starting:\n.*goroutine|created by"):
        server.start()
    assert not server.running
    assert server.directory is None
