"""An object store that speaks S3, in this process: moto's server in a thread of its own."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pyarrow.fs as pafs
from moto.server import ThreadedMotoServer

__all__ = ["Store", "s3_server"]


class Store:
    """A running store with one bucket.

    Attributes:
        address: Its URL.
        options: What headrace is given to reach it.
        filesystem: The same for pyarrow alone.
    """

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"
        self.options = {"endpoint_url": self.address, "access_key": "key", "secret_key": "secret"}
        self.filesystem = self._connect()
        self.filesystem.create_dir("bucket")

    def _connect(self, **options):
        return pafs.S3FileSystem(
            endpoint_override=self.address.removeprefix("http://"),
            scheme="http",
            access_key="key",
            secret_key="secret",
            region="us-east-1",
            allow_bucket_creation=True,
            **options,
        )

    def put(self, path, name, *, public=False):
        """Upload a local file or directory, which then only those with a key may read, or everybody."""
        acl = "public-read" if public else "private"
        filesystem = self._connect(default_metadata={"ACL": acl})
        pafs.copy_files(str(path), f"bucket/{name}", destination_filesystem=filesystem)


@contextmanager
def s3_server():
    """A store that runs until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Store(server.get_host_and_port()[1])
    finally:
        server.stop()
