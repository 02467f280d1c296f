"""The options that commands share, with their help."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    SizeType = click.ParamType[int]
    AgeType = click.ParamType[float]
    PairType = click.ParamType[tuple[str, str]]
else:
    # Not subscriptable before click 8.2.
    SizeType = AgeType = PairType = click.ParamType

__all__ = [
    "Age",
    "ByteSize",
    "Pair",
    "create_options",
    "endpoint_options",
    "file_options",
    "load_options",
    "mapping_options",
    "quiet_option",
    "source_options",
    "version_option",
]

F = TypeVar("F", bound=Callable[..., Any])

_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30}
_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": 86_400, "W": 7 * 86_400}
_FILE = click.Path(dir_okay=False, path_type=Path)


class ByteSize(SizeType):
    """A number of bytes: ``4194304``, ``4MB`` (10^6), ``4MiB`` (2^20)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes that ``value`` means; a usage error for anything else or less than one byte."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(|[KMG]I?)B?\s*", str(value).upper())
        number = 0 if match is None else int(float(match[1]) * _FACTORS[match[2]])
        if number < 1:
            self.fail(f"expected a size such as 4MiB or 4194304, found {value!r}", param, ctx)
        return number


class Pair(PairType):
    """Two texts with a sign between them: ``region=eu-central-1``, ``emb:vector``."""

    name = "pair"

    def __init__(self, form: str, sign: str) -> None:
        self._form = form
        self._sign = sign

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The pair that ``value`` means; a usage error where one of the two is missing."""
        if isinstance(value, tuple):
            return value
        # Names may have colons in them; what stands behind the last is none. Values may have "=" in them.
        split = str(value).partition if self._sign == "=" else str(value).rpartition
        name, sign, rest = split(self._sign)
        if not (sign and name.strip()):
            self.fail(f"expected {self._form}, found {value!r}", param, ctx)
        return name.strip(), rest


def _as_dict(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    return dict(pairs)


def _as_values(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    """The pairs with values that are JSON as such, others as the text that they are."""
    import json

    values: dict[str, Any] = {}
    for name, text in pairs:
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values


def _as_limits(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, int | None]:
    limits: dict[str, int | None] = {}
    for text in texts:
        name, sign, number = text.partition("=")
        limits[name.strip()] = ByteSize().convert(number, parameter, context) if sign else None
    return limits


def _as_names(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


class Age(AgeType):
    """A time in seconds: ``90s``, ``30m``, ``12h``, ``7d``, ``4w``."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds that ``value`` means; a usage error for anything else."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([SMHDW])\s*", str(value).upper())
        if match is None:
            self.fail(f"expected an age such as 12h, 7d or 4w, found {value!r}", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    import platform

    from headrace import _core

    build = _core.build_info()
    python = platform.python_version()
    details = f"{build['profile']} build for {build['target']}, arrow {build['arrow']}, Python {python}"
    click.echo(f"headrace {build['version']} ({details})")
    context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    # HEADRACE_VERSION may be anybody's name for something else.
    allow_from_autoenv=False,
    callback=_show_version,
    help="Show the version and how it was built.",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing on standard error but errors.")

file_options: Callable[[F], F] = _all(
    click.option(
        "--ids",
        metavar="PATH",
        help="A file whose one column is the keys of SOURCE, row by row. {part} in both paths pairs several files: "
        "'vectors_{part}.npy' and 'ids_{part}.npy'.",
    ),
    click.option("--metadata", metavar="PATH", help="The same for a file with more columns."),
    click.option(
        "--source-option",
        "source_options",
        multiple=True,
        type=Pair("NAME=VALUE", "="),
        metavar="NAME=VALUE",
        callback=_as_dict,
        help="An option of the object store: endpoint_url, region, anonymous, access_key, secret_key ...; may be given "
        "several times.",
    ),
)

source_options: Callable[[F], F] = _all(
    click.argument("sources", nargs=-1, required=True, metavar="SOURCE..."),
    file_options,
    quiet_option,
)

endpoint_options: Callable[[F], F] = _all(
    click.option(
        "--uri",
        metavar="URI",
        help="http://HOST:PORT, https://HOST:PORT, or a path that ends in .db for the embedded Milvus Lite. "
        "[default: MILVUS_URI, else http://localhost:19530]",
    ),
    click.option(
        "--token",
        metavar="TOKEN",
        help="user:password or an API key. Visible to other users of this machine in the list of processes: "
        "better --token-file or MILVUS_TOKEN.",
    ),
    click.option("--token-file", type=_FILE, metavar="FILE", help="Read the token from this file."),
    click.option(
        "--db", "db_name", metavar="NAME", help="The database. [default: MILVUS_DB, else the server's default]"
    ),
    click.option("--ca-cert", type=_FILE, metavar="FILE", help="Certificate authorities to trust (PEM)."),
    click.option("--client-cert", type=_FILE, metavar="FILE", help="Client certificate for mutual TLS (PEM)."),
    click.option("--client-key", type=_FILE, metavar="FILE", help="Private key of the client certificate (PEM)."),
    click.option("--server-name", metavar="NAME", help="The name in the server's certificate, where it is not HOST."),
    click.option(
        "--connect-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for a connection.",
    ),
)

mapping_options: Callable[[F], F] = _all(
    click.option(
        "--map",
        multiple=True,
        type=Pair("COLUMN:FIELD", ":"),
        callback=_as_dict,
        metavar="COLUMN:FIELD",
        help="Load this column into that field; meta.title is the field title of the struct meta.",
    ),
    click.option("--only", multiple=True, callback=_as_names, metavar="COLUMN,...", help="Load these columns only."),
    click.option("--drop", multiple=True, callback=_as_names, metavar="COLUMN,...", help="Do not load these columns."),
    click.option(
        "--set",
        multiple=True,
        type=Pair("FIELD=VALUE", "="),
        callback=_as_values,
        metavar="FIELD=VALUE",
        help='Give this field the same value in every row: text, or JSON such as 5, true or "007".',
    ),
    click.option(
        "--cast",
        multiple=True,
        type=Pair("COLUMN:TYPE", ":"),
        callback=_as_dict,
        metavar="COLUMN:TYPE",
        help="Cast this column first: bool, int8 to int64, float, double, varchar, uuid, date, timestamp (text), "
        "timestamp[ms] (numbers; s, us and ns alike).",
    ),
    click.option(
        "--truncate",
        multiple=True,
        callback=_as_limits,
        metavar="FIELD[=BYTES]",
        help="Cut text that is longer than the field, or than BYTES, instead of rejecting the row.",
    ),
)

create_options: Callable[[F], F] = _all(
    click.option(
        "--key",
        metavar="COLUMN",
        help="The column that is the primary key; @row (the row's number over all files) or @file_row (path#row) make "
        "one. [default: the collection's key, or a column named id]",
    ),
    click.option(
        "--schema",
        "schema_file",
        type=_FILE,
        metavar="FILE",
        help="Make the collection with this schema (JSON or YAML, as describe_collection gives it) where it does not "
        "exist.",
    ),
    click.option("--auto-id", is_flag=True, default=None, help="Let the server make the keys of a created collection."),
    click.option(
        "--vector",
        multiple=True,
        metavar="COLUMN",
        help="A column of variable-length lists or of text that holds vectors; may be given several times.",
    ),
    click.option(
        "--dim",
        type=click.IntRange(min=1),
        metavar="N",
        help="Dimension of such vectors in a created collection. [default: that of the first rows]",
    ),
    click.option(
        "--metric",
        type=click.Choice(["COSINE", "L2", "IP", "HAMMING", "JACCARD"], case_sensitive=False),
        help="Metric of a created collection's vectors. [default: COSINE; binary vectors HAMMING, sparse IP]",
    ),
    click.option("--num-shards", type=click.IntRange(min=1), metavar="N", help="Shards of a created collection."),
    click.option("--partition-key", metavar="FIELD", help="Partition key of a created collection."),
    click.option(
        "--dynamic/--no-dynamic",
        default=None,
        help="Whether a created collection takes undeclared columns. [default: no]",
    ),
    click.option(
        "--consistency",
        type=click.Choice(["strong", "bounded", "session", "eventually"], case_sensitive=False),
        help="Consistency level of a created collection. [default: the server's]",
    ),
    click.option("--partition", "partition_name", metavar="NAME", help="Load into this partition."),
    click.option(
        "--partition-column",
        metavar="COLUMN",
        help="Load each row into the partition that it names in this column; --create creates those that are missing.",
    ),
)

load_options: Callable[[F], F] = _all(
    click.option(
        "--create", is_flag=True, help="Make the collection from the source's columns where it does not exist."
    ),
    click.option(
        "--mode",
        type=click.Choice(["auto", "insert", "upsert"]),
        help="auto inserts into a collection that is new or empty and upserts otherwise. [default: auto]",
    ),
    click.option(
        "--verify",
        type=click.Choice(["none", "count", "sample", "full"]),
        help="What to prove at the end: the number of rows; random rows bit for bit; every value. [default: none]",
    ),
    click.option(
        "--searchable",
        type=click.Choice(["after", "before", "no"]),
        help="Load a created collection into memory after the last row, before the first, or not. [default: after]",
    ),
    click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Load at most N rows."),
    click.option(
        "--max-rejects",
        metavar="N|P%",
        help="Stop when more rows than this, or a larger share of the rows, are rejected. "
        "[default: the larger of 100 and 0.1%]",
    ),
    click.option(
        "--null-vectors",
        type=click.Choice(["reject", "skip"]),
        help="What becomes of a row with a null in a vector field that takes none. [default: reject]",
    ),
    click.option(
        "--at-most-once",
        is_flag=True,
        default=None,
        help="Where the server makes the keys: leave rows unknown after an unclear answer instead of sending them "
        "again, which may store them twice.",
    ),
    click.option(
        "--bisect-poison",
        is_flag=True,
        default=None,
        help="Take a request that the server does not survive apart instead of setting it aside whole; each step may "
        "cost a restart of the server.",
    ),
    click.option(
        "--nice",
        is_flag=True,
        default=None,
        help="Stay well below what the server can take, for a cluster that serves people meanwhile.",
    ),
    click.option(
        "--max-rows-per-second",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Send at most N rows per second.",
    ),
    click.option(
        "--max-mb-per-second",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="Send at most N megabytes per second.",
    ),
    click.option(
        "--max-in-flight",
        type=click.IntRange(min=1),
        metavar="N",
        help="At most N requests in flight. [default: as many as are best]",
    ),
    click.option(
        "--batch-bytes",
        type=ByteSize(),
        metavar="SIZE",
        help="Size of a request, such as 4MiB. For experts. [default: the size that is best]",
    ),
    click.option(
        "--state-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Where journal, rejects and report go. [default: $XDG_STATE_HOME/headrace/COLLECTION-ID, the same one "
        "for every load into this target]",
    ),
    click.option("--again", is_flag=True, default=None, help="Send every row, also those that are stored already."),
    click.option(
        "--changed",
        type=click.Choice(["refuse", "reload", "skip"]),
        help="What to do with a file that changed since an earlier run began to load it and did not finish. "
        "[default: refuse]",
    ),
    click.option("--dry-run", is_flag=True, help="Read, check and pack everything, and send nothing."),
)
