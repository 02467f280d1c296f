"""Milvus Lite 2.5.1, the engine in C++, from the wheel ``milvus-lite``.

The wheel's Python part starts its program behind a Unix socket; here the program runs without it, behind a TCP port.
The first use installs the wheel under ``.cache/servers``.
"""

from __future__ import annotations

from tests.servers.answering import answers
from tests.servers.installing import install
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess, clean_environment

__all__ = ["Lite251"]

REQUIREMENT = "milvus-lite==2.5.1"
#: Seconds for one answer, while it starts.
ANSWER_SECONDS = 5.0


class Lite251(ServerProcess):
    """A Milvus Lite 2.5.1 with one database in its directory."""

    name = "milvus-lite-2.5.1"

    def __init__(self):
        super().__init__()
        self._port = None

    @property
    def address(self):
        """``host:port``."""
        return f"127.0.0.1:{self._port}"

    def _configure(self):
        (self._port,) = free_ports(1)

    def _command(self):
        (binaries,) = _installed().glob("venv/lib/python*/site-packages/milvus_lite/lib")
        # It ends without a home, and writes more than its log into the directory for temporary files.
        own = {"HOME": str(self.directory), "TMPDIR": str(self.directory)}
        environ = {**clean_environment(), **own, "LD_LIBRARY_PATH": str(binaries)}
        return [str(binaries / "milvus"), str(self.directory / "a.db"), self.address, "ERROR"], environ

    def _is_ready(self):
        return answers(self.address, timeout=ANSWER_SECONDS)


def _installed():
    return install("milvus-lite-2.5.1", REQUIREMENT)
