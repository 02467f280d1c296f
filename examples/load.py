"""Load a file into Milvus from Python.

    python examples/load.py [URI]

URI is a server such as http://localhost:19530, or a path that ends in .db for the embedded Milvus Lite (the default;
needs headrace[lite]).
"""

from __future__ import annotations

import sys
from pathlib import Path

import headrace

SAMPLE = Path(__file__).resolve().parent / "wordnet-2k.parquet"


def main(uri: str = "./load-example.db") -> None:
    # The collection is made from the file's columns, and its vectors are indexed, unless it is there already.
    # An error is raised unless every row is stored and what was read back is what was sent.
    report = headrace.load(SAMPLE, collection="wordnet", uri=uri, create=True, searchable="before", verify="sample")
    print(f"{report.rows_stored} of {report.rows_read} rows stored at {report.rows_per_second:.0f} rows/s")
    print(f"guarantee: {report.guarantee}; mode: {report.mode}, because {report.mode_reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
