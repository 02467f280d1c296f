"""What a server takes: random vectors into a temporary collection, as fast as a load can."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace import operations as ops
from headrace.calls import drive_sync
from headrace.config import Endpoint, LoadOptions
from headrace.errors import HeadraceError
from headrace.job import LoadJob
from headrace.report import EXIT_UNSENT, LoadReport, Progress
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.transport import SyncTransport

__all__ = ["SpeedReport", "SpeedTest"]

#: Bytes of the batch of vectors that is sent over and over, under ever new keys.
BATCH_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """What a server took.

    Attributes:
        uri: The server.
        collection: The temporary collection.
        removed: Whether it is gone again.
        status: How the test ended, in words.
        dim: Elements of a vector (float32).
        seconds: How long was sent.
        rows: Rows that were stored.
        rows_per_second: Rows per second in the second half, when the best setting is found.
        bytes_per_second: Bytes sent per second in the second half.
        concurrency: The best setting found: ``in_flight``, ``request_bytes``, ``request_rows``.
        latency_ms: Milliseconds from sending to acknowledgement: p50, p95, p99.
        retries: Requests sent again, by the class of the answer.
        throttled_seconds: Seconds that the server's answers made the test wait.
        exit_status: 0, 4 where the server did not take everything or the collection is left, 130 and 143 a signal.
    """

    uri: str
    collection: str
    removed: bool
    status: str
    dim: int
    seconds: float
    rows: int
    rows_per_second: float
    bytes_per_second: float
    concurrency: dict[str, int]
    latency_ms: dict[str, float]
    retries: dict[str, int]
    throttled_seconds: float
    exit_status: int

    def to_json(self) -> str:
        """The report as one JSON document."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


class SpeedTest:
    """One test. The collection is removed however it ends, but for a process that is killed.

    Args:
        endpoint: The server.
        dim: Elements of a vector.
        seconds: How long to send.
        progress: As for :func:`headrace.load`.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        dim: int,
        seconds: float,
        progress: Callable[[Progress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.collection = f"headrace_speedtest_{secrets.token_hex(4)}"
        self._endpoint = endpoint
        self._dim = dim
        self._seconds = seconds
        self._progress = progress
        self._clock = clock
        self._job: LoadJob | None = None
        self._stopped: str | None = None

    def stop(self, reason: str) -> None:
        """End early and remove the collection; safe in any thread and in a signal handler."""
        self._stopped = reason
        if self._job is not None:
            self._job.stop(reason)

    def run(self) -> SpeedReport:
        """Test.

        Raises:
            ConnectError: If the server does not answer.
            MilvusException: If it refuses to make the collection.
        """
        with tempfile.TemporaryDirectory(prefix="headrace-") as state:
            self._job = LoadJob(
                self._batches(),
                collection=self.collection,
                endpoint=self._endpoint,
                options=LoadOptions(state_dir=Path(state), searchable="no"),
                schema=_schema(self._dim),
                progress=self._progress,
            )
            if self._stopped is not None:
                self._job.stop(self._stopped)
            try:
                report = self._job.run()
            except BaseException:
                self._remove()
                raise
        return self._report(report, removed=self._remove())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        rows = max(1, BATCH_BYTES // (4 * self._dim))
        values = np.random.default_rng().standard_normal(rows * self._dim, dtype=np.float32)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), self._dim)
        first, began = 0, self._clock()
        while first == 0 or self._clock() - began < self._seconds:
            keys = pa.array(np.arange(first, first + rows))
            yield pa.RecordBatch.from_arrays([keys, vectors], names=["id", "vector"])
            first += rows

    def _remove(self) -> bool:
        try:
            with SyncTransport(self._endpoint) as transport:
                drive_sync(transport, ops.drop_collection(self.collection))
        except HeadraceError:
            return False
        return True

    def _report(self, report: LoadReport, *, removed: bool) -> SpeedReport:
        rows_per_second, bytes_per_second = _second_half(report)
        # The source ends early when it is stopped, and then nothing is wrong.
        status = report.status if removed else f"{report.status}; {self.collection} could not be removed: drop it"
        return SpeedReport(
            uri=report.uri,
            collection=self.collection,
            removed=removed,
            status=status,
            dim=self._dim,
            seconds=report.seconds,
            rows=report.rows_stored,
            rows_per_second=round(rows_per_second, 1),
            bytes_per_second=round(bytes_per_second, 1),
            concurrency=report.concurrency,
            latency_ms=report.latency_ms,
            retries=report.retries,
            throttled_seconds=report.throttled_seconds,
            exit_status=report.exit_status if removed else EXIT_UNSENT,
        )


def _schema(dim: int) -> CollectionSchema:
    key = FieldSchema("id", DataType.INT64, is_primary=True)
    return CollectionSchema([key, FieldSchema("vector", DataType.FLOAT_VECTOR, dim=dim)])


def _second_half(report: LoadReport) -> tuple[float, float]:
    """Rows and bytes per second in the second half of the time in which rows were stored."""
    columns = report.trace["columns"]
    seconds, rows, sent = columns["seconds"], columns["rows_stored"], columns["bytes_sent"]
    last = next((index for index, number in enumerate(rows) if number == rows[-1]), 0)
    middle = last // 2 if last else -1
    before = (seconds[middle], rows[middle], sent[middle]) if middle >= 0 else (0.0, 0, 0)
    elapsed = seconds[last] - before[0]
    return (rows[last] - before[1]) / elapsed, (sent[last] - before[2]) / elapsed
