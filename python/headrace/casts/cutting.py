"""Text that is too long, cut at a code point."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["cut_text"]


def cut_text(array: pa.Array, most: int) -> tuple[pa.Array, int]:
    """The column with values of at most ``most`` bytes in UTF-8, and how many were longer; itself where none is.

    What is cut loses whole code points, so it stays valid.
    """
    long = pc.greater(pc.binary_length(array), most).fill_null(False)
    rows = np.flatnonzero(long.to_numpy(zero_copy_only=False))
    if not len(rows):
        return array, 0
    kept = [text.as_py().encode()[:most].decode(errors="ignore") for text in array.take(pa.array(rows))]
    return pc.replace_with_mask(array, long, pa.array(kept, array.type)), len(rows)
