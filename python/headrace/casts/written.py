"""Vectors written as text: ``[0.1, 0.2]``, ``0.1 0.2``, ``0.1;0.2``, as CSV files and JSON columns hold them."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.casts.base import Cast, Refusal
from headrace.casts.dense import dense_cast
from headrace.schema import FieldSchema

__all__ = ["misprint", "read_numbers", "written_cast", "written_lengths"]

#: What may stand between and around numbers.
_BETWEEN = r"[\s,;\[\]()]+"
_SHOWN = 40
#: A long array as numpy prints it, and arrays with what libraries print around them.
_SHORTENED = r"^\s*\[[^\]]*\s\.\.\.\s"
_PRINTED = r"(?s)^\s*\[?\s*(tensor|tf\.Tensor|array)\(\s*\[?\s*[-\d.].*\)\s*\]?\s*$"
_TOLIST = "write them with .tolist(), or as Parquet"
#: Text of as many numbers without brackets is taken for a vector without being named.
_SURELY_WRITTEN = 8
_LOOKED_AT_FIRST = 8


def written_cast(field: FieldSchema) -> Cast:
    """The cast of a column of text to a FLOAT_VECTOR field. Rows that are no list of numbers are refused."""
    dense = dense_cast(pa.list_(pa.float32()), field).run

    def run(array: pa.Array) -> tuple[pa.Array, list[Refusal]]:
        lists, bad = read_numbers(array)
        vectors, refused = (lists, []) if dense is None else dense(lists)
        expected, remedy = "numbers, as [0.1, 0.2] or 0.1 0.2", "correct the row or leave it out"
        unread = []
        for row, text in zip(np.flatnonzero(bad).tolist(), array.filter(pa.array(bad)).to_pylist(), strict=True):
            advice = _TOLIST if re.match(_PRINTED, text) else remedy
            unread.append(Refusal(row, field.name, expected, repr(text[:_SHOWN]), advice))
        return vectors, sorted([*refused, *unread], key=lambda cell: cell.row)

    return Cast(run, "text of numbers is read as float", lossless=False)


def read_numbers(array: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Text as lists of float32, and which rows are none: those are null, as null rows are."""
    tokens = pc.split_pattern(pc.utf8_trim(pc.replace_substring_regex(array, _BETWEEN, " "), " "), " ")
    bad = np.zeros(len(array), bool)
    try:
        return tokens.cast(pa.list_(pa.float32())), bad
    except pa.ArrowInvalid:
        rows: list[list[float] | None] = []
        for number, row in enumerate(tokens.to_pylist()):
            try:
                rows.append(None if row is None else [float(token) for token in row])
            except ValueError:
                bad[number] = True
                rows.append(None)
        return pa.array(rows, pa.list_(pa.float32())), bad


def misprint(texts: pa.Array) -> tuple[str, str, str] | None:
    """Expected, found and remedy of vectors that lost elements or digits in being printed; None where none did."""
    if pc.any(pc.match_substring_regex(texts, _SHORTENED)).as_py():
        return "whole vectors", "vectors that numpy shortened when it printed them ('...')", _TOLIST
    if len(texts) and pc.all(pc.match_substring_regex(texts, _PRINTED)).as_py():
        return "vectors written as [0.1, 0.2]", f"{texts[0].as_py()[:_SHOWN]!r}, as a library prints them", _TOLIST
    return None


def written_lengths(texts: pa.Array, *, named: bool) -> dict[int, int]:
    """How many of the vectors that texts without nulls are have each length; empty where some of them are no vectors.

    Two numbers in a text may be anything: unless the column was ``named``, lists in brackets or many numbers are
    meant as a vector.
    """
    # To read prose as numbers takes longer than to load it, and the first rows tell.
    if read_numbers(texts.slice(0, _LOOKED_AT_FIRST))[1].any():
        return {}
    lists, bad = read_numbers(texts)
    if bad.any() or not len(lists):
        return {}
    lengths = Counter(pc.list_value_length(lists).to_pylist())
    least = 2 if pc.all(pc.starts_with(texts, "[")).as_py() else _SURELY_WRITTEN
    return lengths if named or min(lengths) >= least else {}
