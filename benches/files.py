"""Whole loads of files, against what their bytes could be decoded and sent at; and of dicts, against pymilvus.

Four limits take turns with a load of a file into a sink: requests that were packed before (the ceiling of
``benches.ingest``), pyarrow that decodes the same file and throws the rows away (numpy for npy), both of these at once,
as threads that never wait for each other, and the same where the requests are packed on the way: all that a load of a
file cannot do without, in the same CPU budget.

    python -m benches.files [--pairs 7] [--megabytes 600] [--only Parquet]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

import headrace
from benches.ingest import sweep
from benches.measure import environment, keep, require_release_build, without_collector
from benches.sink import Sink
from benches.sources import SOURCES, Rows, Source
from benches.ways import Packed, Spent, packed_on_the_way, pymilvus_async, pymilvus_sync, sent_packed, spent
from headrace.packing import make_packer

#: Rows that numpy and pyarrow are asked for at once: about 8 MB of 768-d vectors.
AT_ONCE = 2600
#: JSON lines take ten times as long as the others.
SLOW = 10
DENSE, WORDNET = SOURCES[0], SOURCES[-1]
_numbers = itertools.count()


def parquet(path: Path, rows: Rows) -> None:
    """As pyarrow writes vectors of one length, without a dictionary that would not pay."""
    pq.write_table(rows.table, path, compression="none", use_dictionary=["id"], row_group_size=rows.count // 4)


def parquet_lists(path: Path, rows: Rows) -> None:
    """As others write vectors: lists of any length, and every default of pyarrow."""
    vectors = rows.table["v"].combine_chunks()
    offsets = pa.array(np.arange(rows.count + 1, dtype=np.int32) * vectors.type.list_size)
    pq.write_table(rows.table.set_column(1, "v", pa.ListArray.from_arrays(offsets, vectors.values)), path)


def arrow(path: Path, rows: Rows) -> None:
    """Record batches of 5,000 rows."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.table.schema) as writer:
        writer.write_table(rows.table, max_chunksize=5000)


def npy(path: Path, rows: Rows) -> None:
    """The vectors alone."""
    np.save(path, rows.given["v"])


def jsonl(path: Path, rows: Rows) -> None:
    """Four decimals a number."""
    with path.open("w") as file:
        for number, vector in enumerate(rows.given["v"].round(4).tolist()):
            file.write(json.dumps({"id": number, "v": vector}) + "\n")


def of_parquet(path: Path) -> Iterator[int]:
    """The rows of each batch, decoded by pyarrow."""
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        yield from (batch.num_rows for batch in file.iter_batches(batch_size=AT_ONCE))


def of_arrow(path: Path) -> Iterator[int]:
    """The same of an IPC file."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        yield from (reader.get_batch(at).num_rows for at in range(reader.num_record_batches))


def of_npy(path: Path) -> Iterator[int]:
    """The same by numpy."""
    vectors = np.load(path, mmap_mode="r")
    yield from (len(np.array(vectors[start : start + AT_ONCE])) for start in range(0, len(vectors), AT_ONCE))


def of_jsonl(path: Path) -> Iterator[int]:
    """The same by pyarrow's reader of JSON, with as many threads as it likes."""
    yield from (batch.num_rows for batch in pj.open_json(path, pj.ReadOptions(block_size=2 << 20)))


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    name: str
    source: Source
    write: Callable[[Path, Rows], None]
    decode: Callable[[Path], Iterator[int]]
    suffix: str
    part: int = 1
    """The megabytes are divided by this."""


FORMATS = (
    Format("Parquet, 768-d of fixed size", DENSE, parquet, of_parquet, "parquet"),
    Format("Parquet, 768-d lists, snappy", DENSE, parquet_lists, of_parquet, "parquet"),
    Format("Parquet, wordnet", WORDNET, lambda path, rows: pq.write_table(rows.table, path), of_parquet, "parquet"),
    Format("Arrow IPC, 768-d", DENSE, arrow, of_arrow, "arrow"),
    Format("npy, 768-d", DENSE, npy, of_npy, "npy"),
    Format("JSON lines, 768-d", DENSE, jsonl, of_jsonl, "jsonl", SLOW),
)
#: Of dicts: their vectors as lists of floats, as numpy arrays, and the rows of wordnet with all their columns.
DICTS: Mapping[str, tuple[Source, Callable[[Rows], list[dict[str, Any]]]]] = {
    "dicts, 768-d, a list of floats each": (DENSE, lambda rows: rows.dicts),
    "dicts, 768-d, a numpy vector each": (
        DENSE,
        lambda rows: [{"id": at, "v": vector} for at, vector in enumerate(rows.given["v"])],
    ),
    "dicts, wordnet": (WORDNET, lambda rows: rows.dicts),
}
DICTS_MEGABYTES = 30


def load(uri: str, given: object, rows: Rows, state: str) -> Spent:
    """A load without an option but for the key, which npy files lack."""
    name = f"f{next(_numbers)}"

    def run() -> None:
        report = headrace.load(
            given,
            collection=name,
            uri=uri,
            schema=rows.schema,
            create=True,
            searchable="no",
            state_dir=Path(state),
            key="@row" if isinstance(given, str) and given.endswith(".npy") else None,
            vector=("v",),
        )
        assert report.rows_stored == rows.count

    return spent(rows.count, run)


def decoded(which: Format, path: Path, rows: Rows) -> Spent:
    """What reading a file takes by itself."""

    def run() -> None:
        assert sum(which.decode(path)) == rows.count

    return spent(rows.count, run)


def at_once(rows: Rows, *calls: Callable[[], object]) -> Spent:
    """What calls take that run at the same time, each in a thread."""

    def run() -> None:
        with ThreadPoolExecutor(len(calls)) as pool:
            for call in [pool.submit(call) for call in calls]:
                call.result()

    return spent(rows.count, run)


def in_turns(ways: Mapping[str, Callable[[], Spent]], pairs: int) -> dict[str, list[Spent]]:
    """What each way took, turn by turn, after one that does not count."""
    turns: dict[str, list[Spent]] = {name: [] for name in ways}
    ways["headrace"]()
    with without_collector():
        for turn in range(pairs):
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                turns[name].append(ways[name]())
    return turns


def over(turns: Mapping[str, list[Spent]], name: str, figure: Callable[[Spent], float]) -> list[float]:
    """A figure of headrace by that of another way, in each turn."""
    return [figure(a) / figure(b) for a, b in zip(turns["headrace"], turns[name], strict=True)]


def of_file(sink: Sink, which: Format, pairs: int, megabytes: float, folder: str) -> dict[str, list[Spent]]:
    """Turns of a load of a file, and of its limits."""
    rows = which.source.rows(megabytes / which.part)
    path = Path(folder) / f"rows.{which.suffix}"
    which.write(path, rows)
    channels, in_flight, size = sweep(sink, which.source, megabytes / 3 / which.part)
    packer = make_packer(rows.schema, collection_name="bench")
    some = max(1, int(size * 1e6 / which.source.row_bytes()))
    # Every row once: a few requests over and over would come from a cache, which rows of a file never do.
    batches = list(rows.batches(some))
    requests = Packed(rows.count, [packer.pack_insert(batch) for batch in batches])
    send = partial(sent_packed, sink.uri, requests, channels=channels, in_flight=in_flight)
    pack = partial(packed_on_the_way, sink.uri, rows.schema, batches, channels=channels, in_flight=in_flight)
    decode = partial(decoded, which, path, rows)
    ways = {
        "headrace": lambda: load(sink.uri, str(path), rows, folder),
        "packed": send,
        "decoded": decode,
        "both": lambda: at_once(rows, send, decode),
        "packing": lambda: at_once(rows, pack, decode),
    }
    return in_turns(ways, pairs)


def of_dicts(sink: Sink, name: str, pairs: int, folder: str) -> dict[str, list[Spent]]:
    """Turns of a load of dicts, and of both clients of pymilvus."""
    source, make = DICTS[name]
    rows = source.rows(DICTS_MEGABYTES)
    held = make(rows)
    rows.__dict__["dicts"] = held
    ways = {
        "headrace": lambda: load(sink.uri, held, rows, folder),
        "sync": lambda: pymilvus_sync(sink.uri, rows),
        "async": lambda: pymilvus_async(sink.uri, rows),
    }
    return in_turns(ways, pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--megabytes", type=float, default=600)
    parser.add_argument("--only", default="", help="files and dicts whose names begin so; nothing is kept then")
    arguments = parser.parse_args()
    require_release_build()
    ratios: dict[str, list[float]] = {}
    files = [
        "| file | rows/s | of packed bytes | of pyarrow alone | of the slower | of both at once "
        "| of both, packed on the way | CPU of both by headrace's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    dicts = ["| dicts | rows/s | by pymilvus | by pymilvus, async | its CPU by headrace's |", "|---|---|---|---|---|"]
    with Sink() as sink:
        for which in FORMATS:
            if which.name.startswith(arguments.only):
                with tempfile.TemporaryDirectory() as folder:
                    turns = of_file(sink, which, arguments.pairs, arguments.megabytes, folder)
                packed_, decoded_, both, packing = (
                    over(turns, way, lambda one: one.rate) for way in ("packed", "decoded", "both", "packing")
                )
                slower = [max(pair) for pair in zip(packed_, decoded_, strict=True)]
                cpu = [1 / ratio for ratio in over(turns, "both", lambda one: one.cpu / one.rows)]
                ratios |= {f"{which.name}: of both at once": both, f"{which.name}: CPU of both by headrace's": cpu}
                ratios[f"{which.name}: of both, packed on the way"] = packing
                rate = median(one.rate for one in turns["headrace"])
                figures = " | ".join(f"{median(each):.2f}" for each in (packed_, decoded_, slower, both, packing, cpu))
                files.append(f"| {which.name} | {rate:,.0f} | {figures} |")
                sys.stderr.write(files[-1] + "\n")
        for name in DICTS:
            if name.startswith(arguments.only):
                with tempfile.TemporaryDirectory() as folder:
                    turns = of_dicts(sink, name, arguments.pairs, folder)
                sync, gathered = (over(turns, way, lambda one: one.rate) for way in ("sync", "async"))
                cpu = [1 / ratio for ratio in over(turns, "async", lambda one: one.cpu / one.rows)]
                ratios |= {f"{name}: by pymilvus": sync, f"{name}: by pymilvus, async": gathered}
                ratios[f"{name}: CPU of pymilvus by headrace's"] = cpu
                rate = median(one.rate for one in turns["headrace"])
                figures = " | ".join(f"{median(each):.2f}" for each in (sync, gathered, cpu))
                dicts.append(f"| {name} | {rate:,.0f} | {figures} |")
                sys.stderr.write(dicts[-1] + "\n")
    how = (
        f"Medians of {arguments.pairs} turns of {arguments.megabytes:g} MB of request bytes, of JSON lines "
        f"{arguments.megabytes / SLOW:g}, of dicts {DICTS_MEGABYTES}. CPU is that of the client's process."
    )
    text = f"{environment()} {how}\n\n" + "\n".join(files) + "\n\n" + "\n".join(dicts)
    if arguments.only:
        sys.stdout.write(text + "\n")
    else:
        keep("files", "Whole loads of files and dicts", text, ratios)


if __name__ == "__main__":
    main()
