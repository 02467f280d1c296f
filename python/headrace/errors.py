"""Every exception that headrace raises on purpose.

.. code-block:: text

    HeadraceError
    ├── ConfigError             an option, endpoint or environment value that cannot be used
    │   └── MissingExtraError   an optional dependency is not installed
    ├── InputError              refused before anything was sent
    │   ├── SourceError         a source that is missing, damaged or not the format it claims
    │   ├── SchemaError         columns and fields that do not fit each other
    │   └── CellError           one cell that Milvus would refuse (row, field)
    ├── TransportError          no answer from the server
    │   ├── ConnectError        no connection: certainly nothing was sent
    │   └── RpcError            a gRPC status other than OK
    ├── EmbeddedError           the embedded Milvus Lite did not start or is in use
    ├── MilvusException         the server answered with a refusal (code, message)
    ├── LoadError               a load that ended without every row stored (report)
    │   ├── RowsRejectedError   finished; some rows are in the rejects file
    │   ├── RowsUnsentError     ended early; some rows are unsent or unknown
    │   └── VerificationError   what was read back differs from what was sent
    ├── MismatchError           a collection does not hold what it should (found)
    ├── JournalError            the journal is in use, damaged, or cannot be written (path)
    ├── StoppedError            the load was told to stop (a signal, a cancellation)
    └── InternalError           a bug in headrace

Messages read ``where: what was expected, what was found; what to do``. All classes survive pickling with
their attributes; ``retryable`` says whether the same call may succeed later without a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from headrace.merging import MergedReport
    from headrace.recounting import Recount
    from headrace.report import LoadReport
    from headrace.verifying import Verification

__all__ = [
    "CellError",
    "ConfigError",
    "ConnectError",
    "EmbeddedError",
    "HeadraceError",
    "InputError",
    "InternalError",
    "JournalError",
    "LoadError",
    "MilvusException",
    "MismatchError",
    "MissingExtraError",
    "RowsRejectedError",
    "RowsUnsentError",
    "RowsWritten",
    "RpcError",
    "SchemaError",
    "SourceError",
    "StoppedError",
    "TransportError",
    "VerificationError",
    "explain",
]


@dataclass(frozen=True)
class RowsWritten:
    """What became of the rows of an insert or upsert that failed on the way: row numbers of the data that was given.

    Attributes:
        stored: Rows that the server has.
        refused: Rows of requests that it refused whole: certainly not stored.
        unknown: Rows of requests without an answer: stored or not.
        unsent: Rows that were not sent.
    """

    stored: tuple[range, ...] = ()
    refused: tuple[range, ...] = ()
    unknown: tuple[range, ...] = ()
    unsent: tuple[range, ...] = ()

    def __str__(self) -> str:
        said = {
            "stored": self.stored,
            "refused": self.refused,
            "perhaps stored": self.unknown,
            "not sent": self.unsent,
        }
        return "; ".join(f"{what}: {_numbers(rows)}" for what, rows in said.items() if rows)


def _numbers(rows: tuple[range, ...]) -> str:
    return "rows " + ", ".join(f"{part.start} to {part.stop - 1}" for part in rows)


def explain(where: str, expected: str, found: str, remedy: str) -> str:
    """The one form of an error message: ``where: expected X, found Y; what to do``."""
    return f"{where}: expected {expected}, found {found}; {remedy}"


def _rebuild(cls: type[HeadraceError], args: tuple[Any, ...], state: dict[str, Any]) -> HeadraceError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class HeadraceError(Exception):
    """Base of every error that headrace raises on purpose."""

    #: Whether the same call may succeed later without a change by the caller.
    retryable: ClassVar[bool] = False
    #: Of an insert or upsert: what became of its rows; None for every other call.
    rows: RowsWritten | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class ConfigError(HeadraceError):
    """An option, endpoint or environment value that cannot be used."""


class MissingExtraError(ConfigError):
    """An optional dependency is not installed; the message names the extra."""


class InputError(HeadraceError):
    """The input was refused before anything was sent."""


class SourceError(InputError):
    """A source that is missing, damaged or not the format it claims.

    ``source`` is the path, URI or label; ``position`` says where inside it (``"row group 3"``), or None.
    """

    def __init__(self, message: str, *, source: str | None = None, position: str | None = None) -> None:
        super().__init__(message)
        self.source = source
        self.position = position


class SchemaError(InputError):
    """Columns and fields that do not fit each other. ``field`` is the field or column, where there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class CellError(InputError):
    """One cell that Milvus would refuse.

    ``row`` is the 0-based row of the batch that was given, ``field`` the field's name, ``expected`` and
    ``found`` the two sides of the refusal, ``remedy`` what to do. ``source`` is the source's label and
    ``source_row`` the row in it, where they are known.
    """

    def __init__(
        self,
        *,
        row: int,
        field: str,
        expected: str,
        found: str,
        remedy: str,
        source: str | None = None,
        source_row: int | None = None,
    ) -> None:
        where = f"row {row}, field {field!r}"
        if source is not None:
            where = f"{source}, row {row if source_row is None else source_row}, field {field!r}"
        super().__init__(explain(where, expected, found, remedy))
        self.row = row
        self.field = field
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.source = source
        self.source_row = source_row


class TransportError(HeadraceError):
    """No usable answer from the server."""

    retryable = True


class ConnectError(TransportError):
    """No connection could be made: certainly nothing was sent. ``address`` is the server's."""

    def __init__(self, message: str, *, address: str | None = None) -> None:
        super().__init__(message)
        self.address = address


class RpcError(TransportError):
    """An RPC ended with a gRPC status other than OK.

    ``status`` is the gRPC code's name (``"UNAVAILABLE"``), ``details`` the server's or gRPC's text, ``method``
    the RPC's name. Whether the request was applied is a question for :mod:`headrace.retry`.
    """

    def __init__(self, message: str, *, status: str, details: str = "", method: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.details = details
        self.method = method


class EmbeddedError(HeadraceError):
    """The embedded Milvus Lite did not start, or its database is in use by another process."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class MilvusException(HeadraceError):  # noqa: N818 - the name that Milvus users catch
    """The server answered with a refusal.

    ``code`` is Milvus's error code (``common.Status.code``; the legacy ``error_code`` where a server sets only
    that), ``message`` the server's own reason, ``method`` the RPC's name.
    """

    def __init__(self, message: str, *, code: int, method: str = "") -> None:
        where = f"{method}: " if method else ""
        super().__init__(f"{where}the server refused with code {code}: {message}")
        self.code = code
        self.message = message
        self.method = method


class LoadError(HeadraceError):
    """A load ended without every row stored and proven. ``report`` is the whole account."""

    def __init__(self, message: str, *, report: LoadReport | MergedReport) -> None:
        super().__init__(message)
        self.report = report


class RowsRejectedError(LoadError):
    """The source was read to its end, and some rows were refused; they are in ``report.rejects_file``."""


class RowsUnsentError(LoadError):
    """The load ended early, or some answers stayed unknown: not every row is stored."""

    retryable = True


class VerificationError(LoadError):
    """What was read back differs from what was sent; ``report.verify`` has the mismatches."""


class MismatchError(HeadraceError):
    """A collection does not hold what it was asked about; ``found`` is the whole outcome (:func:`headrace.verify`)."""

    def __init__(self, message: str, *, found: Verification | Recount) -> None:
        super().__init__(message)
        self.found = found


class JournalError(HeadraceError):
    """The journal of a load is in use by another loader, damaged, or cannot be written. ``path`` is its file."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class StoppedError(HeadraceError):
    """The load was told to stop: by a signal, a cancellation, or the end of the block that it served."""

    retryable = True


class InternalError(HeadraceError):
    """A bug in headrace: please report it with the message."""
