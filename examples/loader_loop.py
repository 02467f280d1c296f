"""Load what a running program makes, such as a model in a loop.

    python examples/loader_loop.py [URI]

The Loader sends from a thread of its own while the loop computes. ``put`` waits while too much is in flight, so memory
stays flat; when it returns, the arrays may be used again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import headrace
from headrace import CollectionSchema, DataType, FieldSchema

DIM = 64
SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("text", DataType.VARCHAR, max_length=200),
        FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=DIM),
    ]
)


def model_outputs(batches: int = 10, rows: int = 200) -> Iterator[dict]:
    """Stands for a model: texts and their embeddings, one batch after the other in the same array."""
    random = np.random.default_rng(0)
    embeddings = np.empty((rows, DIM), dtype=np.float32)
    for batch in range(batches):
        random.standard_normal(out=embeddings, dtype=np.float32)
        ids = np.arange(batch * rows, (batch + 1) * rows)
        yield {"id": ids, "text": [f"text {i}" for i in ids], "embedding": embeddings}


def main(uri: str = "./loop-example.db") -> None:
    with headrace.Loader("texts", uri=uri, schema=SCHEMA, create=True) as loader:
        for number, columns in enumerate(model_outputs()):
            loader.put(columns)
            if number == 4:
                loader.drain()  # a checkpoint: every row put so far is stored, or an error says why not
                print(f"{loader.watermark} rows are settled")
    report = loader.report
    print(f"{report.rows_stored} of {report.rows_read} rows stored; {report.guarantee}")


if __name__ == "__main__":
    main(*sys.argv[1:])
