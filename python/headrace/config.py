"""Where to load to and how: frozen values, checked when built.

Every value has a default that needs no thought; ``MILVUS_URI``, ``MILVUS_TOKEN`` and ``MILVUS_DB`` in the
environment are the defaults of an :class:`Endpoint` made by :meth:`Endpoint.resolve`.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

from headrace.errors import ConfigError, explain

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

__all__ = [
    "DEFAULT_URI",
    "Changed",
    "Endpoint",
    "LoadOptions",
    "Mode",
    "NullVectors",
    "Searchable",
    "VerifyLevel",
    "choose_endpoint",
    "parse_reject_limit",
]

DEFAULT_URI = "http://localhost:19530"
_DEFAULT_PORT = 19530
MIB = 1 << 20

Mode = Literal["auto", "insert", "upsert"]
VerifyLevel = Literal["none", "count", "sample", "full"]
Searchable = Literal["after", "before", "no"]
Changed = Literal["refuse", "reload", "skip"]
NullVectors = Literal["reject", "skip"]

#: What a value may be, and how it is called, by the words of a field's annotation.
_KINDS = {
    "bool": (bool, "True or False"),
    "int": (Integral, "a whole number"),
    "float": (Real, "a number"),
    "str": (str, "a text"),
    "Path": (Path, "a path"),
    "None": (type(None), "None"),
}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One Milvus server, or one embedded database.

    Attributes:
        uri: ``http://host:port``, ``https://host:port`` (TLS), or a path that ends in ``.db``: the embedded
            Milvus Lite.
        token: ``user:password`` or an API key; never shown in a repr, log or report.
        db_name: The database; empty for the server's default.
        ca_cert: PEM file with the certificate authorities to trust; None for the system's.
        client_cert: PEM file with the client's certificate chain, for mutual TLS.
        client_key: PEM file with the client's private key, for mutual TLS.
        server_name: The name to verify the server's certificate against, where it differs from the host.
        timeout: Seconds to establish the connection, and nothing else.

    Raises:
        ConfigError: If a value cannot be used.
    """

    uri: str = DEFAULT_URI
    token: str | None = field(default=None, repr=False)
    db_name: str = ""
    ca_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        seconds: Any = self.timeout
        if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            raise ConfigError(explain("timeout", "seconds above 0", repr(self.timeout), "give a positive number"))
        if (self.client_cert is None) != (self.client_key is None):
            raise ConfigError(
                explain("client certificate", "both a certificate and a key", "one of the two", "give both or neither")
            )
        if not self.is_embedded:
            self._split()
        if not self.tls and (self.ca_cert or self.client_cert or self.server_name):
            found = repr(self.uri)
            raise ConfigError(explain("uri", "https:// with TLS files", found, "use https:// or leave them out"))

    @classmethod
    def resolve(
        cls,
        uri: str | os.PathLike[str] | None = None,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        db_name: str | None = None,
        ca_cert: str | os.PathLike[str] | None = None,
        client_cert: str | os.PathLike[str] | None = None,
        client_key: str | os.PathLike[str] | None = None,
        server_name: str | None = None,
        timeout: float = 10.0,
        environ: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Build an endpoint from what a caller gave, then ``MILVUS_*`` of the environment, then the defaults.

        Raises:
            ConfigError: If both a token and a user are given, or a value cannot be used.
        """
        env = os.environ if environ is None else environ
        if token and (user or password):
            raise ConfigError(explain("credentials", "a token or a user with a password", "both", "give one of them"))
        if user or password:
            token = f"{user or ''}:{password or ''}"
        return cls(
            uri=os.fspath(uri) if uri is not None else env.get("MILVUS_URI") or DEFAULT_URI,
            token=token or env.get("MILVUS_TOKEN") or None,
            db_name=env.get("MILVUS_DB", "") if db_name is None else db_name,
            ca_cert=None if ca_cert is None else Path(ca_cert),
            client_cert=None if client_cert is None else Path(client_cert),
            client_key=None if client_key is None else Path(client_key),
            server_name=server_name,
            timeout=timeout,
        )

    @property
    def is_embedded(self) -> bool:
        """Whether ``uri`` is a path to an embedded database."""
        return "://" not in self.uri and self.uri.endswith(".db")

    @property
    def path(self) -> Path:
        """The embedded database's absolute path."""
        return Path(self.uri).expanduser().absolute()

    def check_exists(self) -> None:
        """Refuse an embedded database that is not there: to connect to it would create it.

        Raises:
            ConfigError: If this is one and its path does not exist.
        """
        if self.is_embedded and not self.path.exists():
            remedy = "check the path; a load with --create makes the database, too"
            raise ConfigError(explain(f"uri {self.uri}", "an embedded database that exists", "none", remedy))

    @property
    def place(self) -> str:
        """The server, or the embedded database, in the one spelling that journals know it by."""
        return str(self.path) if self.is_embedded else self.address.lower()

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.uri.startswith("https://")

    @property
    def address(self) -> str:
        """``host:port``, as gRPC takes it."""
        host, port = self._split()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def authorization(self) -> str | None:
        """The ``authorization`` metadata value: base64 of the token, without a ``Bearer`` prefix."""
        return None if self.token is None else base64.b64encode(self.token.encode()).decode()

    def _split(self) -> tuple[str, int]:
        parts = urlsplit(self.uri)
        remedy = "use http://HOST:PORT, https://HOST:PORT or a path that ends in .db"
        shown = repr(self.uri) if parts.password is None else "a URI with a password in it"
        if parts.username is not None or parts.password is not None:
            raise ConfigError(explain("uri", "no credentials in it", shown, "give them as a token"))
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigError(explain("uri", "a port from 1 to 65535", shown, remedy)) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ConfigError(explain("uri", "a Milvus address", shown, remedy))
        return parts.hostname, port or (443 if parts.scheme == "https" else _DEFAULT_PORT)


def parse_reject_limit(value: int | str) -> int | float:
    """A number of rows as an int, or a share of the rows from 0 to 1 as a float (``"0.5%"`` is 0.005).

    Raises:
        ConfigError: If it is neither.
    """
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%")) / 100.0 if text.endswith("%") else int(text)
    except ValueError:
        number = -1
    if isinstance(value, bool) or number < 0 or (isinstance(number, float) and not number <= 1.0):
        expected = "a number of rows, or a share such as 0.5%"
        raise ConfigError(explain("max_rejects", expected, repr(value), "give 0 or more rows, or 0% to 100%"))
    return number


def choose_endpoint(
    endpoint: Endpoint | None,
    uri: str | os.PathLike[str] | None,
    *,
    token: str | None,
    user: str | None,
    password: str | None,
    db_name: str | None,
) -> Endpoint:
    """The endpoint that was given, or one made of the other arguments.

    Raises:
        ConfigError: If both are given.
    """
    if endpoint is None:
        return Endpoint.resolve(uri, token=token, user=user, password=password, db_name=db_name)
    if any(value is not None for value in (uri, token, user, password, db_name)):
        raise ConfigError(explain("endpoint", "an Endpoint or a uri with credentials", "both", "give one of them"))
    return endpoint


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load. Everything has a default; nothing needs tuning.

    Attributes:
        mode: ``"auto"`` inserts where this load created the collection or a strongly consistent count found it
            empty, else upserts; ``"insert"`` and ``"upsert"`` force it.
        partition_name: The partition to load into; empty for the default one.
        partition_column: The column that names each row's partition, of text or integers; with ``create`` those that
            do not exist are created. A key is one row in each partition then, as Milvus has it. None for none.
        create: Whether to create the collection from the source's schema where it does not exist.
        key: The column that is the primary key; None takes the collection's, or a column named ``id``. ``"@row"`` makes
            keys of the rows' running number over all files (int64), ``"@file_row"`` of path and row (``path#row``).
        auto_id: Whether a created collection's keys are made by the server.
        vector: Columns of variable-length lists that are vectors (needed where there are several candidates); one
            name, or several. A single one is also what the column of a file is called that has no names (``.npy``);
            else that is ``vector``.
        ids: A file whose one column is the keys of the rows, beside files that have none: row by row. With several
            files ``{part}`` in both paths pairs them (``vectors_{part}.npy`` and ``ids_{part}.npy``).
        metadata: The same for files with more columns.
        source_options: Options of the object store: ``endpoint_url``, ``region``, ``anonymous`` ...
        filesystem: A :class:`pyarrow.fs.FileSystem` that every path of the source is on; None for each path's own.
        dim: Dimension of a created collection's vectors that are variable-length lists or text; None: that of the first
            rows.
        only: The only columns to load; None of the others is read.
        drop: Columns that are not loaded.
        map: Columns of the source to names of fields. ``meta.title`` is the field ``title`` of the struct ``meta``.
        cast: Columns to the types they are cast to: ``"int64"``, ``"varchar"``, ``"double"``, ``"timestamp[ms]"`` ...
        set: Names of fields to the value that every row has there.
        truncate: Names of text fields to the bytes beyond which their values are cut, at a code point, instead of being
            rejected; None for the field's own length.
        metric: Metric of created indexes, on vectors that have it; None for COSINE (binary HAMMING, sparse IP).
        num_shards: Shards of a created collection; None for the server's default.
        partition_key: The partition-key field of a created collection, or None.
        dynamic: Whether a created collection keeps undeclared columns in its dynamic field.
        consistency: Consistency level of a created collection; None for the server's default.
        searchable: Load the collection into memory ``"after"`` the last row, ``"before"`` the first, or ``"no"``.
        verify: What to prove at the end: ``"none"``, ``"count"``, ``"sample"`` or ``"full"``.
        limit: Load at most this many rows of the source; None for all.
        dry_run: Read, conform and pack everything and send nothing.
        max_rejects: Rejected rows after which the load stops: a number, or a share of the rows read (``"0.5%"``); None
            for the larger of 100 rows and 0.1 %.
        null_vectors: Whether a row with a null in a vector field that takes none is rejected (``"reject"``) or left
            out and counted as skipped (``"skip"``).
        at_most_once: Whether rows with keys made by the server are left unknown after an unclear answer, instead of
            being sent again and perhaps stored twice.
        bisect_poison: Whether a request that the server does not survive is taken apart, row by row if need be, instead
            of being set aside whole.
        batch_bytes: Aim for requests of about this many bytes; None: the size is found while loading.
        window_bytes: Most memory for source batches, packed requests and gRPC's copies together.
        max_in_flight: Most requests in flight at once; None: how many are best is found while loading.
        max_rows_per_second: Most rows sent per second; None for no cap.
        max_mb_per_second: Most megabytes (10^6 bytes) sent per second; None for no cap.
        nice: Stay well below what the server can take, for a cluster that serves people meanwhile.
        channels: gRPC channels, each with a connection of its own; None: two, and more to a server that is far away.
        rpc_timeout: Seconds after which the outcome of a write counts as unknown, at least; more where the server is
            slow.
        give_up_after: Seconds without any progress after which the load ends with rows unsent.
        changed: What to do with a file that changed after an earlier run had begun and not finished it: ``"refuse"``
            the load, ``"reload"`` all of it, or ``"skip"`` it.
        again: Send every row of the source, also those that earlier runs stored.
        state_dir: Where journal, rejects and report go; None for ``$XDG_STATE_HOME/headrace/<collection>-<id>``, which
            is the same directory for every load of files into one target.

    Raises:
        ConfigError: If a value cannot be used.
    """

    mode: Mode = "auto"
    partition_name: str = ""
    partition_column: str | None = None
    create: bool = False
    key: str | None = None
    auto_id: bool = False
    vector: tuple[str, ...] = ()
    ids: str | os.PathLike[str] | None = None
    metadata: str | os.PathLike[str] | None = None
    source_options: Mapping[str, str] = field(default_factory=dict)
    filesystem: FileSystem | None = None
    dim: int | None = None
    only: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    map: Mapping[str, str] = field(default_factory=dict)
    cast: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, object] = field(default_factory=dict)
    truncate: Mapping[str, int | None] = field(default_factory=dict)
    metric: str | None = None
    num_shards: int | None = None
    partition_key: str | None = None
    dynamic: bool = False
    consistency: str | None = None
    searchable: Searchable = "after"
    verify: VerifyLevel = "none"
    limit: int | None = None
    dry_run: bool = False
    max_rejects: int | str | None = None
    null_vectors: NullVectors = "reject"
    at_most_once: bool = False
    bisect_poison: bool = False
    batch_bytes: int | None = None
    window_bytes: int = 64 * MIB
    max_in_flight: int | None = None
    max_rows_per_second: float | None = None
    max_mb_per_second: float | None = None
    nice: bool = False
    channels: int | None = None
    rpc_timeout: float = 60.0
    give_up_after: float = 120.0
    changed: Changed = "refuse"
    again: bool = False
    state_dir: Path | None = None

    def __post_init__(self) -> None:
        for name in ("vector", "only", "drop"):
            named = getattr(self, name)
            object.__setattr__(self, name, (named,) if isinstance(named, str) else tuple(named))
        if isinstance(self.state_dir, str | os.PathLike):
            object.__setattr__(self, "state_dir", Path(self.state_dir))
        self._check_kinds()
        self._check_partition()
        kinds = {"mode": Mode, "verify": VerifyLevel, "searchable": Searchable}
        choices = {**kinds, "null_vectors": NullVectors, "changed": Changed}.items()
        for name, allowed in choices:
            value = getattr(self, name)
            if value not in get_args(allowed):
                raise ConfigError(explain(name, f"one of {', '.join(get_args(allowed))}", repr(value), "choose one"))
        for name in ("batch_bytes", "window_bytes", "max_in_flight", "channels", "num_shards", "dim"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(explain(name, "a number of at least 1", repr(value), "give a positive number"))
        if self.limit is not None and self.limit < 0:
            raise ConfigError(explain("limit", "a number of at least 0", repr(self.limit), "give 0 or more"))
        if self.max_rejects is not None:
            parse_reject_limit(self.max_rejects)
        for name in ("rpc_timeout", "give_up_after"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(explain(name, "seconds above 0", repr(value), "give a positive number"))
        for name in ("max_rows_per_second", "max_mb_per_second"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(explain(name, "a number above 0", repr(value), "give a positive number"))

    @property
    def place(self) -> str:
        """Where in the collection rows go, as journals know it: a partition's name, or ``@`` and that of a column."""
        # No partition has such a sign in its name.
        return self.partition_name if self.partition_column is None else f"@{self.partition_column}"

    def _check_partition(self) -> None:
        if self.partition_name and self.partition_column is not None:
            found = f"{self.partition_name!r} and the column {self.partition_column!r}"
            raise ConfigError(explain("partition", "a partition, or a column that names it", found, "give one of them"))

    def _check_kinds(self) -> None:
        for item in fields(self):
            words = str(item.type).split(" | ")
            if not all(word in _KINDS for word in words):
                continue
            value = getattr(self, item.name)
            wanted = tuple(_KINDS[word][0] for word in words)
            # A bool is a number to Python, and never one that somebody meant.
            if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
                expected = " or ".join(_KINDS[word][1] for word in words)
                raise ConfigError(explain(item.name, expected, repr(value), "give a value of that kind"))
