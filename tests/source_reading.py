"""Reads a whole source while it checks the bookkeeping of parts and batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.sources.base import decoded_bytes


def read(source, max_bytes=1 << 20, columns=None) -> pa.Table:
    """All rows, with the bookkeeping checked on the way."""
    batches = []
    position: dict[str, int] = {}
    for part in source.parts():
        row = part.first_row
        assert row == position.get(part.label, 0)
        for piece in part.batches(max_bytes=max_bytes, columns=columns):
            assert (piece.source, piece.first_row) == (part.label, row)
            assert piece.batch.num_rows > 0
            assert decoded_bytes(piece.batch) <= 17 * max_bytes // 16 or piece.batch.num_rows == 1
            row += piece.batch.num_rows
            batches.append(piece.batch)
        assert part.rows is None or part.rows == row - part.first_row
        position[part.label] = row
    return pa.Table.from_batches(batches, None if batches else source.schema)


TABLE = pa.table({"id": np.arange(1000), "t": pa.array([str(i) * (i % 7) for i in range(1000)])})
