"""CSV and TSV files with a header, plain or packed.

The first rows say of which type each column is. Text that looks like a time, and numbers that would lose leading zeros
or digits, stay text. Lists of numbers, as ``[0.1, 0.2]`` or ``0.1 0.2``, are text here; a vector field takes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from headrace.errors import SourceError
from headrace.sources.base import unique_names
from headrace.sources.parsing import Block
from headrace.sources.paths import FileRef
from headrace.sources.text import TextReader, textual

__all__ = ["DelimitedReader"]

_DELIMITERS = (",", "\t", ";", "|")
_ROW_NUMBER = re.compile(r"Row #(\d+)")
_COLUMN_NUMBER = re.compile(r"In CSV column #(\d+): (.*)", re.S)
_PANDAS_INDEX = "__index_level_0__"
#: What no name of a column is: numbers, vectors; and of these what is surely none.
_VALUE, _VALUES = re.compile(r"[\d.eE+-]*|\[.*", re.S), re.compile(r"^(\[|[+-]?\d*\.\d)", re.M)
#: Digits that a number would lose.
_CODE = r"^[+-]?(0\d+|\d{19,})$"


class DelimitedReader(TextReader):
    """One CSV file, of which only the first block was read."""

    noun = "CSV with a header"
    has_header = True
    quote = b'"'

    def __init__(self, ref: FileRef, packing: str | None) -> None:
        super().__init__(ref, packing)
        first = next(self.blocks(), None)
        if b"\r" in self.header.rstrip(b"\r\n"):
            found, remedy = "carriage returns alone, as old Macs wrote them", "convert it (tr '\\r' '\\n')"
            raise self.refused(1, "rows that end with a line feed", found, remedy)
        head = Block(self.header.rstrip(b"\r\n") + b"\n", 0, 0, 1, 1)
        self._delimiter = max(_DELIMITERS, key=self.header.decode("utf-8", "replace").count)
        # The header as a row of text: its values are the names.
        row = self._read(head, None, dict.fromkeys(self._read(head, None, {}).schema.names, pa.string()))
        names = [str(column[0].as_py()) for column in row.columns]
        # What pandas writes above a frame's unnamed index.
        index = bool(names) and not names[0]
        names[0] = _PANDAS_INDEX if index else names[0]
        if _VALUES.search("\n".join(names)) and all(map(_VALUE.fullmatch, names)):
            found, remedy = f"values ({', '.join(map(repr, names))[:80]})", "write a line with the names above them"
            raise self.refused(1, "the names of the columns", found, remedy)
        self.schema = pa.schema([(name, pa.string()) for name in names], {"pandas": "{}"} if index else None)
        unique_names(self.schema, ref.label)
        if first is not None:
            self.schema = self._inferred(first, names).with_metadata(self.schema.metadata)

    def parse(self, block: Block, columns: Sequence[str]) -> pa.RecordBatch:
        """A block's rows: these columns in this order."""
        table = self._read(block, self.schema.names, {field.name: field.type for field in self.schema})
        batch = table.combine_chunks().to_batches()[0]
        return batch.select(list(columns)) if columns else batch

    def _inferred(self, block: Block, names: Sequence[str]) -> pa.Schema:
        texts = self._read(block, names, dict.fromkeys(names, pa.string()))
        fields = []
        for field in self._read(block, names, {}).schema:
            kind = pa.string() if pa.types.is_null(field.type) else textual(field.type)
            is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            if is_number and pc.any(pc.match_substring_regex(texts.column(field.name), _CODE)).as_py():
                kind = pa.string()
            fields.append(pa.field(field.name, kind))
        return pa.schema(fields)

    def _read(self, block: Block, names: Sequence[str] | None, kinds: dict[str, pa.DataType]) -> pa.Table:
        try:
            table = pv.read_csv(
                pa.BufferReader(block.data),
                pv.ReadOptions(
                    use_threads=False,
                    block_size=len(block.data) + 1,
                    column_names=names,
                    autogenerate_column_names=names is None,
                ),
                pv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                pv.ConvertOptions(column_types=kinds),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise self._bad_row(block, names or (), error) from error
        if names is not None and table.num_rows != block.rows:
            found = f"{table.num_rows} rows that can be told apart"
            raise self.refused(block.line, f"{block.rows} rows", found, 'close every quote, and double (") inside one')
        return table

    def _bad_row(self, block: Block, names: Sequence[str], error: Exception) -> SourceError:
        text = str(error)
        number = _ROW_NUMBER.search(text)
        line = block.line if number is None else self.line_of(block, int(number[1]) - 1)
        if "UTF8" in text or isinstance(error, UnicodeDecodeError):
            remedy = "convert the file, from Latin-1 with: iconv -f latin1 -t utf-8"
            return self.refused(line, "text in UTF-8", "text in another encoding", remedy)
        column = _COLUMN_NUMBER.search(text)
        if column is not None and names:
            name = names[int(column[1])]
            kind, found = self.schema.field(name).type, column[2].rpartition(": ")[2]
            return self.refused(line, f"{kind} in {name!r}, as in the rows before", found, "correct the row")
        found = f"damage ({_ROW_NUMBER.sub('', text).rpartition('error: ')[2].strip(': ').splitlines()[0]})"
        return self.refused(line, "a row of CSV", found, "correct the row or leave it out")
