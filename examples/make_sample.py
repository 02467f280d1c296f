"""Cut the 2,000-row demo sample out of a larger file of embedded WordNet synsets.

    python examples/make_sample.py wordnet-minilm-20k.parquet examples/wordnet-2k.parquet

The same input gives the same rows: for each topic word its synsets and their nearest neighbours, then every
n-th of the remaining rows. Columns, ids and the order of the rows are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 2_000
NEIGHBOURS = 40
#: Words whose neighbourhoods are worth reading, from several corners of the language.
TOPICS = (
    *("guitar", "trumpet", "orchestra", "novel", "eagle", "horse", "salmon", "spider", "bread", "cheese", "apple"),
    *("bicycle", "rain", "storm", "ocean", "Moon", "star", "money", "bank", "war", "king", "gold", "coffee"),
    *("fever", "sawhorse", "raindrop", "laugh", "swim", "cook", "write", "happy"),
)


def choose(table: pa.Table) -> npt.NDArray[np.int64]:
    """Row numbers of the sample, ascending, int64[ROWS]."""
    dim = table.schema.field("embedding").type.list_size
    flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = flat.astype(np.float64).reshape(-1, dim)
    ids = table["id"].to_numpy()
    chosen: dict[int, None] = {}
    for row, lemmas in enumerate(table["lemmas"].to_pylist()):
        if not any(topic in lemmas for topic in TOPICS):
            continue
        # Rounded, with ties by id, so that another machine's order of summation changes nothing.
        similarity = np.round(vectors @ vectors[row], 6)
        nearest = np.lexsort((ids, -similarity))[: NEIGHBOURS + 1]
        chosen.update(dict.fromkeys(nearest.tolist()))
    kept = list(chosen)[:ROWS]
    rest = np.setdiff1d(np.arange(len(ids)), kept)
    missing = ROWS - len(kept)
    spread = rest[np.arange(missing) * len(rest) // max(missing, 1)]
    return np.sort(np.concatenate([np.asarray(kept, dtype=np.int64), spread]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the larger Parquet file")
    parser.add_argument("target", type=Path, help="the sample to write")
    options = parser.parse_args()
    table = pq.read_table(options.source)
    sample = table.take(choose(table)).combine_chunks()
    pq.write_table(
        sample,
        options.target,
        row_group_size=500,
        compression="zstd",
        compression_level=12,
        use_dictionary=["pos", "lexfile"],
        use_byte_stream_split=["embedding.list.element"],
    )


if __name__ == "__main__":
    main()
