"""Where the time of a real batch goes: ``python -m benches.mixed [FILE]``.

Batches of 2,000 WordNet synsets: key, names, definition, 384-d embedding, BM25 weights. Each field is packed by itself,
in turn with a memcpy of its encoded size and with the whole batch. Without FILE, rows of examples/wordnet-2k.parquet,
copied, so that eight sources stand in different places.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from benches.measure import SOURCES, copies_of, environment, in_turn, keep, require_release_build
from headrace.columns import to_batch
from headrace.packing import make_packer
from headrace.schema import CollectionSchema, DataType, FieldSchema

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "wordnet-2k.parquet"
ROWS = 2000
TURNS = 240
SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("lemmas", DataType.ARRAY, element_type=DataType.VARCHAR, max_length=200, max_capacity=64),
        FieldSchema("pos", DataType.VARCHAR, max_length=8),
        FieldSchema("lexfile", DataType.INT8),
        FieldSchema("gloss", DataType.VARCHAR, max_length=2000),
        FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=384),
        FieldSchema("bm25", DataType.SPARSE_FLOAT_VECTOR),
    ]
)


def batches_of(path: Path) -> list[pa.RecordBatch]:
    """Eight batches, each in memory of its own."""
    table = pq.read_table(path)
    starts = [(ROWS * at) % max(table.num_rows - ROWS + 1, 1) for at in range(SOURCES)]
    # Taking rows copies them.
    slices = [table.take(pa.array(range(start, min(start + ROWS, table.num_rows)))) for start in starts]
    return [to_batch(rows.combine_chunks(), SCHEMA) for rows in slices]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=SAMPLE)
    arguments = parser.parse_args()
    require_release_build()
    batches = batches_of(arguments.file)
    names = batches[0].schema.names
    lines = ["| field | KB | share of the bytes | share of the time | GB/s | of memcpy |", "|---|---|---|---|---|---|"]
    rows = []
    for columns in (names, *([name] for name in names)):
        packer = make_packer(SCHEMA, collection_name="bench", columns=columns)
        parts = [batch.select(columns) for batch in batches]
        size = len(packer.pack_insert(parts[0]))
        copies = copies_of(size)
        calls = [lambda at, p=packer, b=parts: p.pack_insert(b[at]), lambda at, c=copies: bytes(c[at])]
        seconds, copied = in_turn(calls, TURNS)
        ratio = median(theirs / ours for ours, theirs in zip(seconds, copied, strict=True))
        rows.append((columns, size, median(seconds), ratio))
        if columns is names:
            ratios = {"all together: of memcpy": [theirs / ours for ours, theirs in zip(seconds, copied, strict=True)]}
    total_size, total_time = (sum(row[at] for row in rows[1:]) for at in (1, 2))
    for (_, size, seconds, ratio), name in zip(rows, ["**all together**", *names], strict=True):
        of = ("", "") if name.startswith("**") else (f"{size / total_size:.0%}", f"{seconds / total_time:.0%}")
        lines.append(f"| {name} | {size / 1e3:.0f} | {of[0]} | {of[1]} | {size / seconds / 1e9:.2f} | {ratio:.2f} |")
    how = (
        f"Batches of {ROWS} rows of {arguments.file.name}, {SOURCES} rotating sources, {TURNS} turns, CPU time of the "
        "thread, the import over the Arrow interface included. A field by itself is a whole request; shares are of the "
        "sum over the fields."
    )
    keep("mixed", "A batch of WordNet", f"{environment()} {how}\n\n" + "\n".join(lines), ratios)


if __name__ == "__main__":
    main()
