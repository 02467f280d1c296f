"""An object store that speaks what pyarrow asks of Google's: listings, metadata and ranges of objects; no accounts.

It is a process of its own, because pyarrow keeps Python's lock while it waits for some of the answers.
"""

from __future__ import annotations

import json
import multiprocessing
import re
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.web import RangeHandler

__all__ = ["gcs_server"]

_OBJECTS = "/storage/v1/b/bucket/o"


class _Handler(RangeHandler):
    """The routes of the JSON API for ``bucket``, whose objects are the files of a folder."""

    def do_GET(self):  # noqa: N802 - the name that http.server looks for
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if asked.path == _OBJECTS:
            names = sorted(str(path.relative_to(self.directory)) for path in Path(self.directory).rglob("*"))
            found = [self._object(name) for name in names if name.startswith(query.get("prefix", ""))]
            self._say({"kind": "storage#objects", "items": [item for item in found if item is not None]})
            return
        name = unquote(asked.path.removeprefix(f"{_OBJECTS}/").removeprefix("/bucket/"))
        found = self._object(name)
        if found is None:
            self.send_error(404)
        elif asked.path.startswith(f"{_OBJECTS}/") and query.get("alt") != "media":
            self._say(found)
        else:
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            self.answer((Path(self.directory) / name).read_bytes(), span)

    def _object(self, name):
        path = Path(self.directory) / name
        if not path.is_file():
            return None
        size, updated = str(path.stat().st_size), "2026-01-01T00:00:00Z"
        return {"kind": "storage#object", "bucket": "bucket", "name": name, "size": size, "updated": updated}

    def _say(self, document):
        self.answer(json.dumps(document).encode(), kind="application/json")


def _serve(folder, port):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=folder))
    port.put(server.server_port)
    server.serve_forever()


@contextmanager
def gcs_server(folder):
    """A store until the block ends, whose bucket ``bucket`` holds what is in a folder; the options that reach it."""
    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    process = context.Process(target=_serve, args=(str(folder), port), daemon=True)
    process.start()
    try:
        yield {"endpoint_url": f"http://127.0.0.1:{port.get()}", "anonymous": "true", "retry_time_limit": "20"}
    finally:
        process.terminate()
        process.join()
        port.close()
