"""What a far store costs: reading files of every kind with 50 ms before each answer, against the same files local.

The store is a process that answers what pyarrow asks an S3 server for, after a wait; the same store without a wait
shows what pyarrow and this machine need themselves. With one request at a time the best there could be is one block for
each wait.

    python -m benches.latency [--megabytes 200] [--wait 0.05]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benches.measure import environment, keep
from headrace.config import LoadOptions
from headrace.sources import ahead, open_source

DIM = 384
BATCH_BYTES = 8 << 20


class Answers(SimpleHTTPRequestHandler):
    """The part of S3 that reading one object needs: its size, and ranges of it, each after a wait."""

    protocol_version = "HTTP/1.1"
    folder: Path
    wait: float

    def do_HEAD(self):
        """The size of an object."""
        self._answer(body=False)

    def do_GET(self):
        """A range of an object."""
        self._answer(body=True)

    def log_message(self, *_arguments):
        """Say nothing."""

    def _answer(self, *, body):
        time.sleep(self.wait)
        path = self.folder / Path(self.path.partition("?")[0]).name
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        first, last = 0, size - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2]), size - 1)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
        self.end_headers()
        if body:
            with path.open("rb") as file:
                file.seek(first)
                self.wfile.write(file.read(last - first + 1))


def serve(folder, wait, port):
    """Serve a folder until the process is ended; its port goes into ``port``."""
    Answers.folder, Answers.wait = folder, wait
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    port.put(server.server_port)
    server.serve_forever()


@contextmanager
def store(folder, wait):
    """A store with the files of a folder, in a process of its own; what reaches it."""
    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    process = context.Process(target=serve, args=(folder, wait, port), daemon=True)
    process.start()
    try:
        yield {"endpoint_url": f"http://127.0.0.1:{port.get()}", "anonymous": "true"}
    finally:
        process.terminate()
        process.join()


def write(folder, megabytes):
    rows = megabytes * 10**6 // (4 * DIM)
    vectors = np.random.default_rng(0).standard_normal((rows, DIM), dtype=np.float32)
    table = pa.table({"id": np.arange(rows), "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)})
    pq.write_table(table, folder / "rows.parquet", compression="none", row_group_size=rows // 4, use_dictionary=False)
    np.save(folder / "rows.npy", vectors)
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=5000)
    with (folder / "rows.jsonl").open("w") as file:
        for number, vector in enumerate(vectors[: rows // 20].round(4).tolist()):
            file.write(json.dumps({"id": number, "v": vector}) + "\n")


def read(source, size, options=None):
    """Megabytes a second of a whole file."""
    began = time.monotonic()
    for part in open_source(source, options=LoadOptions(source_options=options or {})).parts():
        for _ in part.batches(max_bytes=BATCH_BYTES):
            pass
    return size / 1e6 / (time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--wait", type=float, default=0.05)
    arguments = parser.parse_args()
    most = ahead.BLOCK_BYTES / 1e6 / arguments.wait
    lines = [
        f"{environment()} Files of {arguments.megabytes} MB ({DIM}-d float32; JSON lines a tenth), MB/s of the file; "
        "a local npy or Arrow file is mapped, and its values are not looked at. "
        f"With {arguments.wait * 1000:.0f} ms before each answer, one request at a time gives at most {most:.0f} MB/s.",
        "",
        "| format | local file | store without a wait | store with it |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, arguments.megabytes)
        with store(folder, 0.0) as near, store(folder, arguments.wait) as far:
            for path in sorted(folder.iterdir()):
                size, uri = path.stat().st_size, f"s3://bucket/{path.name}"
                rates = [read(str(path), size), read(uri, size, near), read(uri, size, far)]
                lines.append(f"| {path.suffix[1:]} | {' | '.join(f'{rate:,.0f}' for rate in rates)} |")
    keep("latency", "A store far away", "\n".join(lines))


if __name__ == "__main__":
    main()
