"""A server that takes every write and keeps none, in a process of its own; optionally slow.

with Sink(seconds=0.01) as sink:
    headrace.load(source, collection="c", uri=sink.uri, create=True)
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.fake_milvus import FakeMilvus

ROOT = Path(__file__).parents[1]


class Sink:
    """The server's process; it ends with this one.

    Args:
        seconds: How long it takes for each write; writes do not wait for each other.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._command = [sys.executable, "-m", "benches.sink", "--seconds", str(seconds)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.uri = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve(seconds: float) -> None:
    """Serve until standard input ends."""

    async def late(call):
        await asyncio.sleep(seconds)
        return call.apply()

    with FakeMilvus(null=True, relay=False) as server:
        if seconds:
            server.always("Insert", late)
            server.always("Upsert", late)
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A server that takes every write and keeps none.")
    parser.add_argument("--seconds", type=float, default=0.0)
    serve(parser.parse_args().seconds)
