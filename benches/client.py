"""What the client's calls take of the processor, next to pymilvus's, on one server: ``python -m benches.client [URI]``.

Rows of 768-d float32 vectors, a key and a short text go in and come out again; both libraries do the same in turns.
Without URI the server is the embedded Milvus Lite 3.2, a process of its own, so that what is counted is the client's
alone: CPU time of this process with all of its threads, gRPC's too. Read-back is checked.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pymilvus

import headrace
from benches.measure import environment, keep, require_release_build
from headrace import embedded

DIM, ROWS, NQ, TOPK = 768, 10_000, 100, 100
PARTS = 5


class Bench:
    """A collection with rows, and both clients."""

    def __init__(self, uri):
        self.ours, self.theirs = headrace.MilvusClient(uri), pymilvus.MilvusClient(uri)
        random = np.random.default_rng(0)
        self.vectors = random.standard_normal((ROWS, DIM), dtype=np.float32)
        self.texts = [f"a text of row {row}" for row in range(ROWS)]
        self.queries = random.standard_normal((NQ, DIM), dtype=np.float32)
        self.next_key = 0

    def __enter__(self):
        schema = headrace.CollectionSchema(
            [
                headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
                headrace.FieldSchema("v", headrace.DataType.FLOAT_VECTOR, dim=DIM),
                headrace.FieldSchema("text", headrace.DataType.VARCHAR, max_length=64),
            ]
        )
        for name in ("bench", "sink"):
            self.ours.drop_collection(name)
            self.ours.create_collection(name, schema=schema, consistency_level="Strong")
        index = pymilvus.MilvusClient.prepare_index_params()
        index.add_index("v", index_type="FLAT", metric_type="L2")
        self.theirs.create_index("bench", index)
        self.ours.insert("bench", {"id": np.arange(ROWS), "v": self.vectors, "text": self.texts})
        self.ours.load_collection("bench")
        return self

    def __exit__(self, *exception):
        for name in ("bench", "sink"):
            self.ours.drop_collection(name)
        self.ours.close()
        self.theirs.close()

    def keys(self):
        """The next keys, so that no insert meets a row that is there."""
        self.next_key += ROWS
        return np.arange(self.next_key - ROWS, self.next_key)

    def columns(self):
        """Columns as arrays; pymilvus takes rows only, here with a numpy vector each, which it packs fastest."""
        keys = self.keys()
        mine = {"id": keys, "v": self.vectors, "text": self.texts}
        theirs = self.rows(keys, list(self.vectors))
        return self.insert(mine, theirs)

    def dicts(self):
        """The same rows as dicts with a list of floats each, for both."""
        rows = self.rows(self.keys(), self.vectors.tolist())
        return self.insert(rows, rows)

    def numpy_dicts(self):
        """The same rows as dicts with a numpy vector each, for both."""
        rows = self.rows(self.keys(), list(self.vectors))
        return self.insert(rows, rows)

    def rows(self, keys, vectors):
        """A dict a row."""
        parts = zip(keys.tolist(), vectors, self.texts, strict=True)
        return [{"id": key, "v": vector, "text": text} for key, vector, text in parts]

    def insert(self, mine, theirs):
        """Both inserts; pymilvus is given 2,000 rows at a time, because servers refuse larger requests."""
        step = ROWS // PARTS

        def ours():
            return self.ours.insert("sink", mine)["insert_count"]

        def other():
            parts = (theirs[start : start + step] for start in range(0, ROWS, step))
            return sum(self.theirs.insert("sink", part)["insert_count"] for part in parts)

        return ours, other, lambda count: count == ROWS

    def query(self):
        """Every row with its vector, as one array."""
        asked = {"filter": "id >= 0", "output_fields": ["id", "v"], "limit": ROWS}

        def other():
            return np.array([row["v"] for row in self.theirs.query("bench", **asked)], np.float32)

        return lambda: self.ours.query("bench", **asked).to_numpy("v"), other, self.is_whole

    def query_rows(self):
        """The same as dicts, whose vectors are lists."""
        asked = {"filter": "id >= 0", "output_fields": ["id", "v"], "limit": ROWS}

        def read(client):
            return [row["v"] for row in client.query("bench", **asked)]

        return lambda: read(self.ours), lambda: read(self.theirs), lambda found: len(found) == ROWS

    def is_whole(self, found):
        """Whether these are the stored vectors, in any order."""
        return np.array_equal(np.sort(found[:, 0]), np.sort(self.vectors[:, 0]))

    def search(self):
        """The hits' vectors as one array."""
        asked = {"data": self.queries, "limit": TOPK, "output_fields": ["v"]}

        def other():
            return np.array([hit["entity"]["v"] for hits in self.theirs.search("bench", **asked) for hit in hits], "f4")

        return lambda: self.ours.search("bench", **asked).to_numpy("v"), other, lambda f: f.shape == (NQ * TOPK, DIM)

    def search_hits(self):
        """The hits as dicts, whose vectors are lists."""
        asked = {"data": self.queries, "limit": TOPK, "output_fields": ["v"]}

        def read(client):
            return [hit["entity"]["v"] for hits in client.search("bench", **asked) for hit in hits]

        return lambda: read(self.ours), lambda: read(self.theirs), lambda found: len(found) == NQ * TOPK


CASES = (
    ("insert of columns", Bench.columns, 10),
    ("insert of dicts, a numpy vector each", Bench.numpy_dicts, 2),
    ("insert of dicts, a list of floats each", Bench.dicts, 2),
    ("query of 10,000 vectors, as an array", Bench.query, 10),
    ("query of 10,000 vectors, as dicts", Bench.query_rows, 2),
    ("search nq=100, topk=100 with vectors, as an array", Bench.search, 10),
    ("search nq=100, topk=100 with vectors, as dicts", Bench.search_hits, 2),
)


def measured(call, is_right):
    """CPU seconds of this process, and seconds, of a call whose result is checked."""
    gc.collect()
    cpu, start = time.process_time(), time.perf_counter()
    found = call()
    spent = time.process_time() - cpu, time.perf_counter() - start
    if not is_right(found):
        raise SystemExit("a call did not return what it should")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", nargs="?")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    require_release_build()
    folder = tempfile.TemporaryDirectory()
    lease = None if arguments.uri else embedded.acquire(Path(folder.name) / "bench.db")
    ratios = {}
    lines = [
        "| call | CPU of headrace | of pymilvus | ratio | target | rows/s of headrace | of pymilvus |",
        "|---|---|---|---|---|---|---|",
    ]
    try:
        with Bench(arguments.uri or f"http://{lease.address}") as bench:
            for name, case, target in CASES:
                ours, theirs = [], []
                for turn in range(arguments.turns + 1):
                    mine, other, is_right = case(bench)
                    pair = [(ours, mine), (theirs, other)]
                    for spent, call in pair if turn % 2 else reversed(pair):
                        spent.append(measured(call, is_right))
                # The first turn warms both up.
                lines.append(line(name, target, ours[1:], theirs[1:]))
                ratios[name] = [their[0] / our[0] for our, their in zip(ours[1:], theirs[1:], strict=True)]
                print(lines[-1], flush=True)
    finally:
        if lease is not None:
            lease.release()
        folder.cleanup()
    how = (
        f"{ROWS:,} rows of {DIM}-d float32, a key and a text; {arguments.turns} turns, medians. CPU time is the client "
        f"process's, all threads; rows/s depend on the server as well ({arguments.uri or 'embedded Milvus Lite'}, "
        f"{os.cpu_count()} cores shared with it)."
    )
    keep("client", "The client's calls", f"{environment()} {how}\n\n" + "\n".join(lines), ratios)


def line(name, target, ours, theirs):
    """A row of the table."""
    ratio = median(their[0] / our[0] for our, their in zip(ours, theirs, strict=True))
    cpu = [f"{1e3 * median(spent[0] for spent in side):.0f} ms" for side in (ours, theirs)]
    rates = [f"{ROWS / median(spent[1] for spent in side):,.0f}" for side in (ours, theirs)]
    return f"| {name} | {cpu[0]} | {cpu[1]} | {ratio:.1f} | {target or ''} | {rates[0]} | {rates[1]} |"


if __name__ == "__main__":
    main()
