"""What ``headrace inspect`` found, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headrace.console import table
from headrace.quantities import count, number_of, size
from headrace.summary import created_text, existing_text, mapping_table

if TYPE_CHECKING:
    from headrace.inspection import Inspection

__all__ = ["inspection_lines"]


def inspection_lines(found: Inspection, *, width: int = 0) -> Iterator[str]:
    """The inspection for a person to read."""
    total = found.rows_about if found.rows is None else found.rows
    rows = "rows unknown" if total is None else f"{'about ' if found.rows is None else ''}{number_of(total, 'row')}"
    yield f"{found.source}: {rows}{_kept(found.files)}"
    if len(found.files) > 1:
        yield ""
        shown = [[entry["path"], _number(entry["rows"]), _size(entry["bytes"])] for entry in found.files]
        yield table(("file", "rows", "bytes"), shown, numbers=(1, 2))
    for path in found.skipped:
        yield f"left out: {path}"
    yield ""
    if found.mapping:
        yield _target(found)
        yield mapping_table(found.mapping, width)
    else:
        yield table(("column", "type"), [[entry["name"], entry["type"]] for entry in found.columns], width=width)
    if found.request_bytes_per_row is not None:
        in_all = "" if total is None else f", {size(found.request_bytes_per_row * total)} in all"
        yield ""
        yield f"about {size(found.request_bytes_per_row)} per row on the wire{in_all}"
    if found.profile:
        yield from _profile_lines(found.profile, total, width)
    for note in found.notes:
        yield f"note: {note}"


def _profile_lines(profile: dict[str, Any], rows: int | None, width: int) -> Iterator[str]:
    size_per_row, repeats = profile["server_bytes_per_row"], profile["key_repeats"]
    if size_per_row is not None and rows is not None:
        yield f"about {size(size_per_row * rows)} in the server's memory: values, and an HNSW index's links"
    yield ""
    rejected = f", {count(profile['rejected'])} of which would be rejected" if profile["rejected"] else ""
    keys = "" if repeats is None else f"; {count(repeats)} of them have a key that stands before"
    yield f"{number_of(profile['rows'], 'row')} looked at{rejected}{keys}"
    shown = [
        [it["field"], it["type"], count(it["nulls"]), count(it["rejected"]), _remarks(it)] for it in profile["fields"]
    ]
    yield table(("field", "type", "nulls", "rejected", "values"), shown, width=width, numbers=(2, 3))
    for entry in profile["fields"]:
        if entry["advice"]:
            yield f"{entry['field']!r} is {entry['advice']}"


def _remarks(entry: dict[str, Any]) -> str:
    parts = []
    if entry["norm"]:
        norm = entry["norm"]
        parts.append(f"length {norm['least']:g} to {norm['largest']:g}, median {norm['median']:g}")
    if entry["not_finite"]:
        parts.append(f"{count(entry['not_finite'])} with NaN or an infinity")
    if entry["zeros"]:
        parts.append(f"{count(entry['zeros'])} of length 0")
    if entry["longest"] is not None:
        parts.append(f"at most {count(entry['longest'])} bytes")
    return "; ".join(parts)


def _kept(files: list[dict[str, Any]]) -> str:
    sizes = [entry["bytes"] for entry in files if entry["bytes"] is not None]
    return f", {number_of(len(files), 'file')} of {size(sum(sizes))}" if sizes else ""


def _size(number: int | None) -> str:
    return "?" if number is None else size(number)


def _number(rows: int | None) -> str:
    return "?" if rows is None else count(rows)


def _target(found: Inspection) -> str:
    if found.exists:
        return existing_text(found.collection, found.rows_before, found.primary_key)
    name = "a collection" if found.collection is None else f"collection {found.collection!r}"
    metrics = {index["field"]: index["metric"] for index in found.indexes}
    if found.like:
        name += f" (there is {', '.join(map(repr, found.like))})"
    return f"--create would make {name} {created_text(found.primary_key, metrics)}"
