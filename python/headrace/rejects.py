"""The rejects file: every refused row, with where it came from and why.

A Parquet file with the source's own columns behind ``_source``, ``_row``, ``_field``, ``_expected``, ``_found``,
``_remedy`` and ``_verdict`` (``rejected``, or ``unknown`` for rows that were set aside and may be stored). Fixed-size
lists are written as variable ones, so that a vector of a wrong length fits too. The file is created with the first
refused row, readable by its owner only. Mended, it can be loaded as it is: :mod:`headrace.matching` knows the columns.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.casts import listed, plain
from headrace.config import parse_reject_limit
from headrace.errors import HeadraceError, explain
from headrace.matching import REJECT_COLUMNS, ignored_columns

__all__ = ["Reject", "RejectLimit", "RejectsFile"]

_REASONS = pa.schema([(name, pa.int64() if name == "_row" else pa.string()) for name in REJECT_COLUMNS])
#: Rows below which a share of them says nothing.
_ENOUGH_FOR_A_SHARE = 10_000
#: Reasons that are counted apart.
_MOST_REASONS = 50


@dataclass(frozen=True, slots=True)
class Reject:
    """Why one row was refused: ``source`` and ``row`` locate it, ``index`` is its row in the batch given with it."""

    index: int
    source: str
    row: int
    field: str
    expected: str
    found: str
    remedy: str
    verdict: str = "rejected"


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """How many refused rows a load bears before it stops.

    Attributes:
        limit: The number, or a share of the rows read as text (``"0.5%"``, of 10,000 rows at least); None for the
            larger of 100 rows and 0.1 %.
    """

    limit: int | str | None = None

    def exceeded(self, rejected: int, read: int) -> str | None:
        """Why the load must stop, or None."""
        allowed = self._allowed(read)
        if rejected <= allowed:
            return None
        return explain(
            "rejects",
            f"at most {allowed:,} refused rows",
            f"{rejected:,}",
            "look into the rejects file, mend the source or raise --max-rejects",
        )

    def _allowed(self, read: int) -> int:
        if self.limit is None:
            return max(100, read // 1000)
        limit = parse_reject_limit(self.limit)
        if isinstance(limit, int):
            return limit
        return int(max(read, _ENOUGH_FOR_A_SHARE) * limit)


class RejectsFile:
    """Collects refused rows in ``rejects.parquet`` of a directory. Thread-safe.

    Rows of another shape than the first ones (as a server's refusal gives them back) go to ``rejects-2.parquet`` and so
    on, because one Parquet file holds one schema; so do those of a later run.
    """

    def __init__(self, directory: Path) -> None:
        #: Why not every refused row is kept, or None: then what was written may not be readable either.
        self.failure: HeadraceError | None = None
        self._directory = directory
        self._reasons: Counter[str] = Counter()
        self._writers: list[tuple[pa.Schema, pq.ParquetWriter, Path]] = []
        self._lock = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The first file, or None while no row was refused."""
        return next(iter(self.paths), None)

    @property
    def paths(self) -> list[Path]:
        """All files; none where one of them failed."""
        return [] if self.failure else [path for _, _, path in self._writers]

    def add(self, batch: pa.RecordBatch, rejects: Sequence[Reject]) -> None:
        """Write the rows of ``batch`` that ``rejects`` name by their ``index``.

        Raises:
            HeadraceError: If they cannot be kept: they are not to be settled then.
        """
        if not rejects:
            return
        rows = pa.array([reject.index for reject in rejects], pa.int64())
        reasons = [
            pa.array([getattr(reject, item.name.removeprefix("_")) for reject in rejects], item.type)
            for item in _REASONS
        ]
        # The reasons of a rejects file that is loaded again have had their day.
        batch = batch.select([name for name in batch.schema.names if name not in ignored_columns(batch.schema)])
        columns = [_storable(column, rows) for column in batch.columns]
        # A source may have a column of such a name.
        names = [f"source.{name}" if name in _REASONS.names else name for name in batch.schema.names]
        schema = pa.schema([*_REASONS, *(pa.field(n, c.type) for n, c in zip(names, columns, strict=True))])
        with self._lock:
            if self.failure is not None:
                raise self.failure
            try:
                self._writer(schema).write_batch(pa.record_batch([*reasons, *columns], schema=schema))
            except OSError as error:
                raise self._failed(error) from error
            for reject in rejects:
                self._count(f"{reject.field or 'row'}: expected {reject.expected}")

    def reasons(self) -> dict[str, int]:
        """Rows by field and expectation, the most frequent first."""
        with self._lock:
            return dict(self._reasons.most_common())

    def close(self) -> None:
        """Finish the files; without this they cannot be read. Twice does no harm; what fails is :attr:`failure`."""
        with self._lock:
            for _, writer, _ in self._writers:
                try:
                    writer.close()
                except OSError as error:
                    self._failed(error)
                    # Or it tries again when it is collected, and tells standard error.
                    writer.is_open = False

    def _failed(self, error: OSError) -> HeadraceError:
        remedy = "free space there and run the same command again: it reads the refused rows again"
        found = error.strerror or str(error)
        self.failure = HeadraceError(explain(str(self._directory), "a rejects file that can be written", found, remedy))
        return self.failure

    def _count(self, reason: str) -> None:
        known = reason in self._reasons or len(self._reasons) < _MOST_REASONS
        self._reasons[reason if known else "other reasons"] += 1

    def _writer(self, schema: pa.Schema) -> pq.ParquetWriter:
        for known, writer, _ in self._writers:
            if known.equals(schema):
                return writer
        path = self._create()
        writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._writers.append((schema, writer, path))
        return writer

    def _create(self) -> Path:
        """A file of a name that was free: what earlier runs refused stays."""
        number = 0
        while True:
            number += 1
            path = self._directory / ("rejects.parquet" if number == 1 else f"rejects-{number}.parquet")
            with contextlib.suppress(FileExistsError):
                # Private: the rows may be anybody's secrets.
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
                return path


def _storable(column: pa.Array, rows: pa.Array) -> pa.Array:
    """The chosen rows of a column in a type that Parquet holds; as JSON text where it holds none."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        return listed(column.take(rows))
    if not _parquet_holds(kind):
        # Views and the like: Arrow cannot take rows of all of them.
        column = plain(column)
    if _parquet_holds(column.type):
        return column.take(rows)
    values = [column[row].as_py() for row in rows.to_pylist()]
    return pa.array([json.dumps(value, default=str) for value in values], pa.string())


def _parquet_holds(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_struct(kind):
        return kind.num_fields > 0 and all(_parquet_holds(kind.field(i).type) for i in range(kind.num_fields))
    if types.is_map(kind):
        return _parquet_holds(kind.key_type) and _parquet_holds(kind.item_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_dictionary(kind):
        return _parquet_holds(kind.value_type)
    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_temporal, types.is_decimal, types.is_null)
    text = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in plain + text)
