"""Milvus 2.3.5 standalone, the real Go server, from the wheel ``milvus``.

In a test::

    with Milvus235({"common.security.authorizationEnabled": "true"}) as server:
        headrace.load(..., uri=server.uri, token="root:Milvus")
        server.kill()      # kill -9
        server.restart()   # same data, same ports

The first use installs the wheel and unpacks its binaries under ``.cache/servers``.
"""

from __future__ import annotations

import json
import time
import urllib.request

from tests.servers.answering import answers
from tests.servers.installing import install, run
from tests.servers.ports import free_ports
from tests.servers.process import PortTakenError, ServerProcess, clean_environment

__all__ = ["ROOT_TOKEN", "Milvus235"]

REQUIREMENT = "milvus==2.3.5"
#: Seconds from its first answer until it must say on its metrics port that it is healthy.
HEALTH_SECONDS = 20.0
#: Seconds for one answer, while it starts.
ANSWER_SECONDS = 5.0
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
ROOT_TOKEN = "root:Milvus"

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


class Milvus235(ServerProcess):
    """A Milvus 2.3.5 server.

    Args:
        settings: Milvus's configuration by dotted key, for example ``{"quotaAndLimits.dml.enabled": "true"}``.
        tls: A directory with ``server.pem`` and ``server.key``, signed by its ``ca.pem``; None for no TLS.
    """

    name = "milvus-2.3.5"

    def __init__(self, settings=None, *, tls=None):
        super().__init__()
        self._settings = dict(settings or {})
        self.ca = None
        if tls is not None:
            self.ca = tls / "ca.pem"
            paths = {"tls.serverPemPath": tls / "server.pem", "tls.serverKeyPath": tls / "server.key"}
            self._settings |= {"common.security.tlsMode": "1", **paths}
        self._ports = {}
        self._healthy_by = None

    @property
    def address(self):
        """``host:port`` of the proxy."""
        return f"127.0.0.1:{self._ports['proxy_port']}"

    @property
    def uri(self):
        """The address as headrace and pymilvus take it."""
        return f"{'http' if self.ca is None else 'https'}://{self.address}"

    def _configure(self):
        self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        # etcd's peer port and the metrics port are not in the wheel's template.
        known = {name: port for name, port in self._ports.items() if name not in ("etcd_peer_port", "metrics_port")}
        try:
            run([_python(_installed()), "-c", _CONFIGURE, str(self.directory), json.dumps(known)], clean_environment())
        except RuntimeError as error:
            if "bind failed" in str(error):
                raise PortTakenError from error
            raise
        etcd = _ETCD.format(data=self.directory, client=self._ports["etcd_port"], peer=self._ports["etcd_peer_port"])
        (self.directory / "configs" / "etcd.yaml").write_text(etcd)

    def _command(self):
        self._healthy_by = None
        binaries = _installed() / "unpacked" / "bin"
        settings = {key.upper().replace(".", "_"): str(value) for key, value in self._settings.items()}
        environ = {
            **clean_environment(),
            **settings,
            "DEPLOY_MODE": "STANDALONE",
            "ETCD_CONFIG_PATH": str(self.directory / "configs" / "etcd.yaml"),
            "HOME": str(self.directory),
            "LD_LIBRARY_PATH": str(binaries),
            "METRICS_PORT": str(self._ports["metrics_port"]),
            "MILVUS_RUN_DIR": str(self.directory),
        }
        return [str(binaries / "milvus"), "run", "standalone"], environ

    def _is_ready(self):
        answering = answers(self.address, timeout=ANSWER_SECONDS, token=ROOT_TOKEN, ca=self.ca)
        if answering and self._is_healthy():
            return True
        if answering and self._healthy_by is None:
            self._healthy_by = time.monotonic() + HEALTH_SECONDS
        if self._healthy_by is not None and time.monotonic() > self._healthy_by:
            # Where the metrics port is taken the server goes on without it, and says nothing.
            raise PortTakenError
        return False

    def _is_healthy(self):
        url = f"http://127.0.0.1:{self._ports['metrics_port']}/healthz"
        try:
            with _OPENER.open(url, timeout=ANSWER_SECONDS) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False


def _python(home):
    return str(home / "venv" / "bin" / "python")


def _installed():
    return install("milvus-2.3.5", REQUIREMENT, finish=_unpack)


def _unpack(home):
    run([_python(home), "-c", _UNPACK, str(home / "unpacked")], clean_environment())
