"""What is loaded: rows drawn from a seed, as a file, with the options of a load and what must be stored at the end."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["KINDS", "Case"]

DIM = 64
#: Kinds of keys: numbers in order, in any order, with repeats of which the last one counts, and texts.
KINDS = ("ascending", "shuffled", "repeated", "texts")


class Case:
    """A source file, and what a collection holds after it was loaded.

    Attributes:
        path: The file.
        rows: Rows in it.
        size: About how many bytes its requests have.
        options: Options of the command ``headrace load``.
        earlier: A file that is loaded before, undisturbed, with older versions of some rows; or None.
        expected: Key to the row, as ``(number, bytes of the vector)``.

    Args:
        rng: Draws everything.
        directory: Where the files go.
        rows: How many rows.
        plain: Whether keys are in order and the collection is new, so that any loader has an equal chance.
    """

    def __init__(self, rng, directory, rows, *, plain=False):
        self.rows = rows
        self.kind = "ascending" if plain else rng.choice(KINDS)
        self._draw = np.random.default_rng(rng.getrandbits(32))
        table = self._table(self._keys(), version=1)
        self.path = directory / "rows.parquet"
        pq.write_table(table, self.path, row_group_size=rng.choice([700, 3_000, 100_000]))
        self.size = int(table.nbytes * 1.05)
        self.expected = dict(_comparable(table))
        self.earlier = None
        self.options = ["--batch-bytes", rng.choice(["24KiB", "48KiB"])]
        if plain:
            return
        if rng.random() < 0.3:
            # Half of it is there in an older version, beside rows that stay.
            older = self._table(self._earlier_keys(table["id"]), version=0)
            self.earlier = directory / "earlier.parquet"
            pq.write_table(older, self.earlier)
            self.expected = dict(_comparable(older)) | self.expected
        self.options += ["--searchable", rng.choice(["before", "after"])]
        if rng.random() < 0.5:
            self.options += ["--max-in-flight", rng.choice(["1", "2", "6"])]
        if rng.random() < 0.3:
            self.options += ["--mode", "upsert"]

    def _keys(self):
        keys = np.arange(self.rows)
        if self.kind != "ascending":
            self._draw.shuffle(keys)
        if self.kind == "repeated":
            again = self._draw.integers(0, self.rows, self.rows // 20)
            keys[again] = keys[self._draw.permutation(again)]
        if self.kind == "texts":
            return pa.array([f"key {key}" for key in keys])
        return pa.array(keys)

    def _earlier_keys(self, keys):
        some = keys.unique().slice(0, self.rows // 2).to_pylist()
        others = range(self.rows, self.rows + 100)
        return pa.array([*some, *([f"key {key}" for key in others] if self.kind == "texts" else others)])

    def _table(self, keys, *, version):
        rows = len(keys)
        vectors = pa.array(self._draw.standard_normal(rows * DIM, dtype=np.float32))
        numbers = np.arange(rows) * 10 + version
        return pa.table({"id": keys, "number": numbers, "vector": pa.FixedSizeListArray.from_arrays(vectors, DIM)})


def _comparable(table):
    """Key and content of each row, the later rows last."""
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, DIM)
    for key, number, vector in zip(table["id"].to_pylist(), table["number"].to_pylist(), vectors, strict=True):
        yield key, (number, vector.tobytes())
