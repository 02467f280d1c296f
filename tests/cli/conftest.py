"""Runs the command as people do: its own process, its own streams, its own environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "headrace"]


@dataclass
class Ended:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on standard output."""
        return json.loads(self.out)


class Commands:
    """Starts ``headrace`` in a directory of its own, with nothing of this machine's settings."""

    def __init__(self, directory):
        self.directory = directory
        self.state = directory / "state"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MILVUS_", "HEADRACE_"))}
        self.started = []
        self.environ = {**kept, "XDG_STATE_HOME": str(self.state), "HOME": str(directory), "TERM": "xterm"}
        for name in ("XDG_CONFIG_HOME", "COLUMNS", "LINES"):
            self.environ.pop(name, None)

    def start(self, *arguments, environ=None, **streams):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.directory,
            env={**self.environ, **(environ or {})},
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )
        self.started.append(process)
        return process

    def run(self, *arguments, environ=None, timeout=200):
        return self.wait(self.start(*arguments, environ=environ), timeout)

    def wait(self, process, timeout=200):
        """Wait until a command ends."""
        out, err = process.communicate(timeout=timeout)
        return Ended(process.returncode, out, err)

    def close(self):
        """End what a failed test left behind."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def headrace(tmp_path):
    commands = Commands(tmp_path)
    yield commands
    commands.close()


def table(rows=100, dim=4, start=0):
    """A small table: id, text, and a vector that is not zero."""
    ids = np.arange(start, start + rows)
    vectors = (np.arange(rows * dim, dtype=np.float32) + 1.0) / (rows * dim)
    return pa.table(
        {
            "id": pa.array(ids),
            "text": pa.array([f"text {i}" for i in ids]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), dim),
        }
    )


@pytest.fixture
def source(tmp_path):
    """A Parquet file of 100 rows."""
    path = tmp_path / "rows.parquet"
    pq.write_table(table(), path)
    return path
