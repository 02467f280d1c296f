"""Milvus 2.3.5 standalone, the real Go server, from the wheel ``milvus``.

In a test::

    with Milvus235({"common.security.authorizationEnabled": "true"}) as server:
        headrace.load(..., uri=server.uri, token="root:Milvus")
        server.kill()      # kill -9
        server.restart()   # same data, same ports

The first use installs the wheel and unpacks its binaries under ``.cache/servers``. A server's data lies in a temporary
directory that goes with it, also where the tests are killed.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import grpc

from headrace._proto import milvus_pb2
from tests.servers.guard import Guard
from tests.servers.installing import install, run
from tests.servers.ports import free_ports

__all__ = ["Milvus235", "ServerFailedError"]

REQUIREMENT = "milvus==2.3.5"
#: Seconds until a server must answer.
PATIENCE = 180.0
#: Seconds from its first answer until it must say on its metrics port that it is healthy.
HEALTH_SECONDS = 20.0
#: Seconds for one answer, while it starts.
ANSWER_SECONDS = 5.0
#: Fresh ports are tried so often, each time somebody else was faster.
ATTEMPTS = 5
#: The ports of the wheel's configuration template, and those it does not know.
PORTS = (
    "proxy_port",
    "proxy_internal_port",
    "root_coord_port",
    "query_coord_port",
    "query_node_port",
    "index_coord_port",
    "index_node_port",
    "data_coord_port",
    "data_node_port",
    "etcd_port",
    "etcd_peer_port",
    "metrics_port",
)
#: The account that every server starts with.
ROOT_TOKEN = b"root:Milvus"

# The wheel names its parts by itself; only its own code knows the rest of its configuration.
_UNPACK = "import milvus, sys; milvus._initialize_data_files(sys.argv[1])"
_CONFIGURE = """
import json, sys
from milvus import MilvusServerConfig
config = MilvusServerConfig()
config.update(data_dir=sys.argv[1], **json.loads(sys.argv[2]))
config.resolve()
"""
_ETCD = """
name: default
data-dir: {data}/etcd.data
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerFailedError(RuntimeError):
    """The server did not start, or ended by itself; the message has the end of its log."""


class _PortTakenError(Exception):
    """Somebody else listens on one of the ports that were chosen."""


class Milvus235:
    """A Milvus 2.3.5 server; entering starts it, leaving ends it and removes its data.

    Args:
        settings: Milvus's configuration by dotted key, for example ``{"quotaAndLimits.dml.enabled": "true"}``.

    Attributes:
        directory: Its data, configuration and log; None while there is none.
    """

    def __init__(self, settings=None):
        self._settings = dict(settings or {})
        self._process = None
        self._guard = None
        self.directory = None
        self._ports = {}
        self._lock = threading.Lock()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def address(self):
        """``host:port`` of the proxy."""
        return f"127.0.0.1:{self._ports['proxy_port']}"

    @property
    def uri(self):
        """The address as headrace and pymilvus take it."""
        return f"http://{self.address}"

    @property
    def pid(self):
        """The server's process id."""
        return self._process.pid

    @property
    def running(self):
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def tail(self, lines=40):
        """The end of the server's log."""
        with (self.directory / "milvus.log").open(errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self):
        """Start on fresh data and free ports; returns when the server answers.

        :raises ServerFailedError: if it does not within three minutes.
        """
        home = _installed()
        self.directory = Path(tempfile.mkdtemp(prefix="milvus-2.3.5-"))
        self._guard = Guard(self.directory)
        try:
            self._start_somewhere(home)
        except BaseException:
            self.stop()
            raise

    def kill(self):
        """Kill -9: nothing is finished, nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self):
        """Kill it if it runs, and start it again on the same data and ports; returns when it answers.

        :raises ServerFailedError: if it does not within three minutes.
        """
        self.kill()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._run(_installed())
            except _PortTakenError:
                if time.monotonic() > deadline:
                    raise ServerFailedError(f"a port of {self.address} stays taken:\n{self.tail()}") from None

    def stop(self):
        """End it and remove its data; twice does no harm."""
        with self._lock:
            self.kill()
            self._process = None
            guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()
        self.directory = None

    # -- how ---------------------------------------------------------------------------------------------------------

    def _start_somewhere(self, home):
        for _ in range(ATTEMPTS):
            self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
            try:
                self._configure(home)
                return self._run(home)
            except _PortTakenError:
                continue
        raise ServerFailedError(f"ports were taken {ATTEMPTS} times in a row")

    def _configure(self, home):
        # etcd's peer port and the metrics port are not in the wheel's template.
        known = {name: port for name, port in self._ports.items() if name not in ("etcd_peer_port", "metrics_port")}
        try:
            run([_python(home), "-c", _CONFIGURE, str(self.directory), json.dumps(known)], _clean_environment())
        except RuntimeError as error:
            if "bind failed" in str(error):
                raise _PortTakenError from error
            raise
        etcd = _ETCD.format(data=self.directory, client=self._ports["etcd_port"], peer=self._ports["etcd_peer_port"])
        (self.directory / "configs" / "etcd.yaml").write_text(etcd)

    def _run(self, home):
        binaries = home / "unpacked" / "bin"
        settings = {key.upper().replace(".", "_"): str(value) for key, value in self._settings.items()}
        environ = {
            **_clean_environment(),
            **settings,
            "DEPLOY_MODE": "STANDALONE",
            "ETCD_CONFIG_PATH": str(self.directory / "configs" / "etcd.yaml"),
            "HOME": str(self.directory),
            "LD_LIBRARY_PATH": str(binaries),
            "METRICS_PORT": str(self._ports["metrics_port"]),
            "MILVUS_RUN_DIR": str(self.directory),
        }
        with (self.directory / "milvus.log").open("a") as log:
            began = log.tell()
            self._process = subprocess.Popen(
                [str(binaries / "milvus"), "run", "standalone"],
                cwd=self.directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        try:
            self._wait(began)
        except BaseException:
            self.kill()
            raise

    def _wait(self, began):
        """Return when the server is healthy and answers a call."""
        now = time.monotonic()
        deadline, healthy_by = now + PATIENCE, None
        while not (self._is_healthy() and self._answers()):
            try:
                # As good a pause as any, and it ends with the process.
                status = self._process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            else:
                if b"address already in use" in self._log_since(began):
                    raise _PortTakenError
                raise ServerFailedError(f"ended with status {status} while starting:\n{self.tail()}")
            if now > deadline:
                raise ServerFailedError(f"no answer within {PATIENCE:g} s:\n{self.tail()}")
            if healthy_by is None and self._answers():
                healthy_by = now + HEALTH_SECONDS
            if healthy_by is not None and now > healthy_by:
                # Where the metrics port is taken the server goes on without it, and says nothing.
                raise _PortTakenError

    def _log_since(self, began):
        with (self.directory / "milvus.log").open("rb") as log:
            log.seek(began)
            return log.read()

    def _is_healthy(self):
        url = f"http://127.0.0.1:{self._ports['metrics_port']}/healthz"
        try:
            with _OPENER.open(url, timeout=ANSWER_SECONDS) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False

    def _answers(self):
        metadata = (("authorization", base64.b64encode(ROOT_TOKEN).decode()),)
        # A pool of its own: the shared one waits up to minutes after connections that were refused.
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            call = channel.unary_unary(
                "/milvus.proto.milvus.MilvusService/ShowCollections",
                response_deserializer=milvus_pb2.ShowCollectionsResponse.FromString,
            )
            try:
                return call(b"", timeout=ANSWER_SECONDS, metadata=metadata).status.code == 0
            except grpc.RpcError:
                return False


def _clean_environment():
    """Milvus takes any variable for a setting, so it gets none by accident."""
    return {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}


def _python(home):
    return str(home / "venv" / "bin" / "python")


def _installed():
    return install("milvus-2.3.5", REQUIREMENT, finish=_unpack)


def _unpack(home):
    run([_python(home), "-c", _UNPACK, str(home / "unpacked")], _clean_environment())
