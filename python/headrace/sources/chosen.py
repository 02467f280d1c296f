"""Which of a file's columns are loaded, for formats whose files often hold more than the rows.

Such a file has to go together in what is chosen of it only. What is not chosen stays a column, of nulls, so that it can
still be named by the options that leave it out; what it holds, and how much of it, is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.config import LoadOptions

__all__ = ["ALL", "REMEDY", "Chosen"]

#: What to do where a file holds more than the rows.
REMEDY = "choose the rows' columns with --only, or leave the others out with --drop"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The columns that options choose.

    Attributes:
        only: The only ones; empty for all.
        drop: Those that are left out.
        named: Columns, or paths in them, that are loaded in any case.
    """

    only: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @classmethod
    def by(cls, options: LoadOptions) -> Chosen:
        """What ``only``, ``drop``, ``map``, ``key`` and ``partition_column`` choose."""
        named = (name for name in (options.key, options.partition_column) if name is not None)
        return cls(options.only, options.drop, (*options.map, *named))

    def __contains__(self, column: str) -> bool:
        if _is_one_of(column, self.named):
            return True
        return column not in self.drop and (not self.only or _is_one_of(column, self.only))

    def names(self, column: str) -> bool:
        """Whether an option names the column itself."""
        return any(column in names for names in (self.only, self.drop, self.named))


def _is_one_of(column: str, names: tuple[str, ...]) -> bool:
    return any(name == column or name.startswith(f"{column}.") for name in names)


#: Whatever a file has.
ALL = Chosen()
