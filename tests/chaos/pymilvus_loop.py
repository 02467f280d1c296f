"""A loader as people write it with pymilvus: batches of a file in a loop of inserts.

    python -m tests.chaos.pymilvus_loop URI COLLECTION FILE [RETRIES]

Each insert has ten seconds; one that fails is made up to RETRIES times again, a second later. Ends with the first
batch that fails for good. A second start begins at the first row, as such programs do.
"""

from __future__ import annotations

import sys
import threading

import grpc
import pyarrow.parquet as pq
from pymilvus import DataType, MilvusClient, MilvusException

#: Rows of one insert, in less than 48 KiB.
BATCH = 120
SECONDS = 10.0


def _make(client, collection, dim):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("number", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
    client.create_collection(collection, schema=schema)
    client.create_index(collection, indexes, sync=False)


def _insert(client, collection, rows, retries):
    for attempt in range(retries + 1):
        try:
            client.insert(collection, rows, timeout=SECONDS)
        except (MilvusException, grpc.RpcError):
            if attempt == retries:
                raise
            threading.Event().wait(1.0)
        else:
            return


def main(uri, collection, path, retries="0"):
    table = pq.read_table(path)
    client = MilvusClient(uri)
    if not client.has_collection(collection):
        _make(client, collection, table.schema.field("vector").type.list_size)
    for batch in table.to_batches(max_chunksize=BATCH):
        _insert(client, collection, batch.to_pylist(), int(retries))


if __name__ == "__main__":
    main(*sys.argv[1:])
