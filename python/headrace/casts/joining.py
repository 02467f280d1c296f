"""Pieces of a column in one array, also where Arrow cannot join them itself.

Arrow unifies the dictionaries of pieces where their values are plain and none of them is null. Here dictionaries are
put one after the other instead, and the keys, int64 then, moved accordingly: a copy, but nothing is unpacked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import null_mask
from headrace.casts.layouts import is_list
from headrace.casts.lists import open_list
from headrace.casts.plain import is_list_view, plain

__all__ = ["joined"]


def joined(pieces: Sequence[pa.Array]) -> pa.Array:
    """The rows of all pieces, which have one type; the result may have another one of the same values.

    Raises:
        pa.ArrowException: If the pieces are too large for one array.
    """
    kind = pieces[0].type
    if isinstance(kind, pa.BaseExtensionType):
        return joined([piece.storage for piece in pieces])
    if pa.types.is_dictionary(kind):
        return _joined_dictionaries(pieces)
    if is_list_view(kind):
        return joined([plain(piece) for piece in pieces])
    if is_list(kind):
        return _joined_lists(pieces)
    return pa.concat_arrays(pieces)


def _joined_dictionaries(pieces: Sequence[pa.Array]) -> pa.Array:
    starts = np.cumsum([0, *(len(piece.dictionary) for piece in pieces)])
    # What lies under a null is no key and may be anything.
    keys = [
        pc.add(pc.cast(piece.indices, pa.int64(), safe=False), int(start))
        for piece, start in zip(pieces, starts[:-1], strict=True)
    ]
    values = joined([piece.dictionary for piece in pieces])
    return pa.DictionaryArray.from_arrays(pa.concat_arrays(keys), values, safe=False)


def _joined_lists(pieces: Sequence[pa.Array]) -> pa.Array:
    opened = [open_list(piece) for piece in pieces]
    lengths = np.concatenate([np.diff(offsets) for offsets, _ in opened])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    masks = [np.zeros(len(piece), bool) if (mask := null_mask(piece)) is None else mask for piece in pieces]
    values = joined([child for _, child in opened])
    return pa.LargeListArray.from_arrays(pa.array(offsets), values, mask=pa.array(np.concatenate(masks)))
