"""HDF5 files, with the extra ``headrace[hdf5]`` (h5py): each dataset a column under its path.

Of the files of ann-benchmarks, which hold queries and answers beside the vectors, the vectors (``train``) are read;
where an option names one of its datasets, it is a file like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.columns import to_array
from headrace.errors import CellError, MissingExtraError, SchemaError, SourceError, explain
from headrace.sources.chosen import ALL, REMEDY, Chosen
from headrace.sources.paths import READ_ERRORS, FileRef, damaged
from headrace.sources.ranges import RangeReader

__all__ = ["Hdf5Reader"]

_VECTORS = "train"
#: What makes a file one of ann-benchmarks'.
_BENCHMARK = frozenset({_VECTORS, "test", "neighbors"})
#: RuntimeError: what the library says about damaged data.
_ERRORS = (*READ_ERRORS, RuntimeError, TypeError)


class Hdf5Reader(RangeReader):
    """One HDF5 file, of which only the names, shapes and types were read.

    Args:
        ref: The file.
        name: What the vectors of ann-benchmarks are called.
        chosen: Which datasets are read; the others are columns of nulls.

    Raises:
        MissingExtraError: If h5py is not installed.
        SourceError: If it is damaged, or its chosen datasets do not go together.
    """

    def __init__(self, ref: FileRef, name: str, chosen: Chosen = ALL) -> None:
        self.ref = ref
        with self._open() as file:
            found = _datasets(file)
            if found.keys() >= _BENCHMARK and not any(map(chosen.names, found)):
                self._paths, self._left_out = {name: _VECTORS}, frozenset[str]()
            else:
                self._paths = {path: path for path in found if path in chosen}
                self._left_out = frozenset(found) - self._paths.keys()
            lengths = {path: found[path].shape[0] for path in self._paths.values() if found[path].shape}
            if not lengths or len(set(lengths.values())) > 1 or len(lengths) < len(self._paths):
                shown = ", ".join(f"{path!r} of shape {found[path].shape}" for path in self._paths.values())
                raise self._refused("datasets of as many rows each", shown or "none", REMEDY)
            self.rows = next(iter(lengths.values()))
            self.row_bytes = sum(_row_bytes(found[path]) for path in self._paths.values())
            self.schema = self._batch(file, 0, min(self.rows, 1), [*self._paths, *sorted(self._left_out)]).schema

    def read_rows(
        self, start: int, stop: int, columns: Sequence[str], file: pa.NativeFile | None = None
    ) -> pa.RecordBatch:
        """Rows ``start`` to ``stop`` of these columns."""
        with self._open(f"row {start}", file) as datasets:
            return self._batch(datasets, start, stop, columns)

    def _batch(self, file: Any, start: int, stop: int, columns: Sequence[str]) -> pa.RecordBatch:
        import h5py

        arrays = []
        for name in columns:
            if name in self._left_out:
                arrays.append(pa.nulls(stop - start))
                continue
            dataset = file[self._paths[name]]
            is_text = h5py.check_string_dtype(dataset.dtype) is not None
            values = dataset.asstr()[start:stop] if is_text else dataset[start:stop]
            try:
                arrays.append(to_array(np.asarray(values), name=name))
            except (SchemaError, CellError) as error:
                message = f"{self.ref.label}, dataset {self._paths[name]!r}: {error}"
                raise SourceError(message, source=self.ref.label, position=f"row {start}") from error
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))

    @contextmanager
    def _open(self, position: str | None = None, opened: pa.NativeFile | None = None) -> Iterator[Any]:
        try:
            import h5py
        except ImportError as error:
            remedy = "install headrace[hdf5]"
            raise MissingExtraError(
                explain(self.ref.label, "h5py to read it", "it is not installed", remedy)
            ) from error
        try:
            place = self.ref.path if self.ref.is_local else opened or self.ref.open()
            with h5py.File(place, "r") as file:
                yield file
        except _ERRORS as error:
            raise damaged(self.ref, "a readable HDF5 file", error, position) from error

    def _refused(self, expected: str, found: str, remedy: str) -> SourceError:
        return SourceError(explain(self.ref.label, expected, found, remedy), source=self.ref.label)


def _datasets(file: Any) -> dict[str, Any]:
    """Every dataset by its path."""
    found: dict[str, Any] = {}

    def visit(path: str, item: Any) -> None:
        if hasattr(item, "shape"):
            found[path] = item

    file.visititems(visit)
    return found


def _row_bytes(dataset: Any) -> int:
    return int(dataset.dtype.itemsize * np.prod(dataset.shape[1:], dtype=np.int64))
