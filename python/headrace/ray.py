"""A Ray Data sink: every write task of a Dataset loads its blocks into a Milvus collection.

Needs ``pip install headrace[ray]``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from ray.data import Datasink
from ray.data.block import BlockAccessor

from headrace.calls import drive_sync
from headrace.config import Endpoint, LoadOptions, choose_endpoint
from headrace.errors import ConfigError, LoadError, explain
from headrace.finishing import finish_collection
from headrace.merging import MergedReport, merge_reports
from headrace.putting import Loader
from headrace.schema import CollectionSchema
from headrace.transport import SyncTransport

__all__ = ["MilvusDatasink"]

#: Ray's own types of columns that are made of numpy arrays.
_TENSOR = "ray.data.arrow_tensor"
#: How long a collection may take to be loaded into memory.
_LOAD_SECONDS = 3600.0


class MilvusDatasink(Datasink[dict[str, Any]]):
    """Write a Ray Dataset into a Milvus collection, with an account of every row.

    .. code-block:: python

        sink = MilvusDatasink(collection="docs", uri="http://localhost:19530", create=True)
        dataset.write_datasink(sink)
        print(sink.report.rows_stored)

    Each write task is a load of its own: it checks the columns against the collection with its first block (and creates
    the collection then, where that is asked for and nobody was faster), joins and cuts blocks to requests, upserts by
    key, and returns its report. Ray runs a task again whose worker died; its rows then replace themselves. Rows whose
    keys the server makes cannot do that: they may be there twice, and the report says ``at-least-once``.

    When all tasks are done their reports are joined into :attr:`report`, and where not every row is stored
    ``write_datasink`` raises :class:`headrace.LoadError`, whose ``report`` that is. Rejected rows are in files on the
    nodes of the workers that met them (``report.rejects_files``).

    Args:
        collection: The collection's name.
        uri: ``http://host:port`` or ``https://host:port``, reachable from every worker; by default the driver's
            ``MILVUS_URI``, else ``http://localhost:19530``. An embedded database serves one process only.
        token: ``user:password`` or an API key; by default the driver's ``MILVUS_TOKEN``. It is in no repr, log or name.
        user: With ``password``, instead of a token.
        password: With ``user``, instead of a token.
        db_name: The database; by default the driver's ``MILVUS_DB``, else the server's default.
        endpoint: All of the above and TLS, as one value.
        schema: The schema to create the collection with, where it does not exist.
        create: Create the collection from the blocks' columns where it does not exist, and load it into memory at the
            end (unless ``searchable`` is ``"no"``).
        **options: Other fields of :class:`headrace.LoadOptions`.

    Raises:
        ConfigError: If an option cannot be used.
    """

    def __init__(
        self,
        *,
        collection: str,
        uri: str | os.PathLike[str] | None = None,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        db_name: str | None = None,
        endpoint: Endpoint | None = None,
        schema: CollectionSchema | None = None,
        create: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        where = choose_endpoint(endpoint, uri, token=token, user=user, password=password, db_name=db_name)
        if where.is_embedded:
            remedy = "start a server and give its address"
            raise ConfigError(explain("uri", "a server that several workers can reach", repr(where.uri), remedy))
        chosen = LoadOptions(create=create, **options)
        if chosen.verify != "none":
            remedy = "compare with headrace.finish(source, ...) or `headrace verify` afterwards"
            raise ConfigError(explain("verify", "none: others write meanwhile", chosen.verify, remedy))
        self._collection = collection
        self._endpoint = where
        self._schema = schema
        self._searchable = chosen.searchable
        self._options = {**options, "create": create}
        #: The joint account of all tasks, once they are done.
        self.report: MergedReport | None = None

    def __repr__(self) -> str:
        return f"MilvusDatasink({self._collection!r}, uri={self._endpoint.uri!r})"

    def get_name(self) -> str:
        """What Ray calls the write tasks."""
        return "Milvus"

    def write(self, blocks: Iterable[Any], ctx: Any) -> dict[str, Any]:  # noqa: ARG002 - Ray's signature
        """Load the blocks of one task, in a worker; returns the report as plain values.

        Rows that could not be stored are in the report; what makes a load impossible is raised.

        Raises:
            InputError: If a block's columns do not fit the collection.
        """
        loader = Loader(
            self._collection, endpoint=self._endpoint, schema=self._schema, shared=True, check=False, **self._options
        )
        with loader as sink:
            for block in blocks:
                table = BlockAccessor.for_block(block).to_arrow()
                if table.num_rows:
                    sink.put(_plain(table))
        return sink.report.to_dict()

    def on_write_complete(self, write_result: Any) -> None:
        """Join the reports, in the driver, and make a collection that was created searchable.

        Raises:
            LoadError: If not every row is stored.
        """
        reports = [report for report in write_result.write_returns if report is not None]
        if not reports:
            return
        self.report = merge_reports(reports)
        if not self.report.ok:
            expected, remedy = (
                "every row stored",
                "look at the error's report, and write again: rows replace themselves",
            )
            raise LoadError(
                explain(f"write into {self._collection!r}", expected, self.report.sentence(), remedy),
                report=self.report,
            )
        if self._options["create"] and self._searchable != "no":
            with SyncTransport(self._endpoint) as transport:
                operation = finish_collection(self._collection, flush=False, load=True, timeout=_LOAD_SECONDS)
                drive_sync(transport, operation)


def _plain(table: pa.Table) -> pa.Table:
    """The table with Ray's tensor columns as the lists that they are stored as, without a copy."""
    for index, field in enumerate(table.schema):
        name = getattr(field.type, "extension_name", "")
        if name.startswith(_TENSOR):
            chunks = [_lists(chunk, field.type.shape) for chunk in table.column(index).chunks]
            table = table.set_column(index, field.name, pa.chunked_array(chunks))
    return table


def _lists(tensors: Any, shape: tuple[int, ...]) -> pa.Array:
    storage = tensors.storage
    if len(shape) != 1 or storage.null_count:
        return storage
    return pa.FixedSizeListArray.from_arrays(storage.flatten(), shape[0])
