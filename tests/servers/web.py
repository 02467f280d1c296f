"""A web server in this process: files of a folder, whole or in ranges, as object stores and file servers give them."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["RangeHandler", "served", "web_server"]


class RangeHandler(SimpleHTTPRequestHandler):
    """Answers GET with the range of a file that is asked for, and lists folders."""

    protocol_version = "HTTP/1.1"
    # An answer is a head and a body: without this the second waits until the first is acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self):
        path = self.translate_path(self.path)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a text that the base class made
                data = file.read()
        except OSError:
            super().do_GET()
            return
        self.answer(data, asked)

    def answer(self, data, asked=None, kind="application/octet-stream"):
        """Send these bytes, or the range of them that was asked for."""
        first, last = 0, len(data) - 1
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def log_message(self, *_arguments):
        """Say nothing."""


@contextmanager
def served(handler):
    """A server that answers with this handler until the block ends; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def web_server(folder):
    """A server of the files of a folder."""
    return served(partial(RangeHandler, directory=str(folder)))
