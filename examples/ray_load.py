"""Writes a Ray Dataset into a Milvus collection; every write task is a load of its own.

Usage: python examples/ray_load.py [FILES] [URI]

Needs ``pip install 'headrace[ray]'`` and a Milvus server. See docs/ray.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ray

from headrace.ray import MilvusDatasink

SAMPLE = Path(__file__).resolve().with_name("wordnet-2k.parquet")


def main(files: str = str(SAMPLE), uri: str = "http://localhost:19530") -> None:
    dataset = ray.data.read_parquet(files)
    sink = MilvusDatasink(collection="wordnet", uri=uri, create=True, vector="embedding")
    dataset.write_datasink(sink)
    print(f"{sink.report.status}: {sink.report.rows_stored} of {sink.report.rows_read} rows stored")


if __name__ == "__main__":
    main(*sys.argv[1:])
