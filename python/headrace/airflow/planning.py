"""The operator that goes before mapped loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from headrace.airflow.base import MilvusOperator, Source, failure
from headrace.airflow.defaults import most_mapped
from headrace.airflow.hooks import MilvusHook
from headrace.airflow.options import collection_schema
from headrace.config import LoadOptions
from headrace.errors import HeadraceError
from headrace.plans import plan
from headrace.preparing import prepare_collection
from headrace.quantities import number_of

__all__ = ["MilvusPlanOperator"]


class MilvusPlanOperator(MilvusOperator):
    """Divide files into parts for mapped :class:`MilvusLoadOperator` tasks, and create the collection for them.

    Returns the parts as a list, for ``MilvusLoadOperator.partial(...).expand(part=plan.output)``. They are at most as
    many as Airflow maps a task to (``core.max_map_length``). No data goes through XCom: a part names row ranges.

    :param source: paths, globs, directories, URIs or ``ObjectStoragePath``s of the files; one, or a list (templated)
    :param collection: the collection that they are loaded into (templated)
    :param milvus_conn_id: the connection to the server (templated)
    :param source_conn_id: the connection to the object store of the files (templated)
    :param create: create the collection with its indexes where it is missing; first tries of the parts then insert
    :param parts: how many parts; by default as few as there can be with at most ``rows_per_part`` rows each
    :param rows_per_part: most rows of a part (1,000,000)
    :param key: the column that is the primary key (templated)
    :param mapping: how columns become fields, as for :class:`MilvusLoadOperator` (templated)
    :param schema: the schema to create the collection with, as ``describe_collection`` gives it: a dict, or the path of
        a JSON or YAML file; by default one that follows from the columns (templated)
    :param options: other fields of :class:`headrace.LoadOptions`: ``metric``, ``partition_key``, ``dynamic`` ... of the
        collection, ``ids``, ``metadata``, ``source_options`` of the files
    """

    template_fields: Sequence[str] = (
        "source",
        "collection",
        "milvus_conn_id",
        "source_conn_id",
        "key",
        "mapping",
        "schema",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"mapping": "json", "schema": "json"}
    ui_color = "#e8f4fd"
    own_options = ("create", "key")

    def __init__(
        self,
        *,
        source: Source | list[Source],
        collection: str,
        milvus_conn_id: str = MilvusHook.default_conn_name,
        source_conn_id: str | None = None,
        create: bool = False,
        parts: int | None = None,
        rows_per_part: int | None = None,
        key: str | None = None,
        mapping: dict[str, Any] | str | None = None,
        schema: dict[str, Any] | str | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            source=source,
            collection=collection,
            milvus_conn_id=milvus_conn_id,
            source_conn_id=source_conn_id,
            key=key,
            mapping=mapping,
            options=options,
            emits_asset=False,
            **kwargs,
        )
        self.create = create
        self.parts = parts
        self.rows_per_part = rows_per_part
        self.schema = schema

    def execute(self, context: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Make the plan, and the collection where that is asked for.

        Raises:
            AirflowException: If a file cannot be read, or the server not be reached.
            AirflowFailException: If another try cannot help.
        """
        try:
            paths, given = self.given()
            found = plan(paths, parts=self.parts, rows_per_part=self.rows_per_part, **given)
            if len(found.parts) > (most := most_mapped()):
                found = plan(paths, parts=most, **given)
            if self.create:
                made = prepare_collection(
                    found,
                    collection=self.collection,
                    endpoint=self.endpoint,
                    options=LoadOptions(**given),
                    schema=collection_schema(self.schema),
                )
                self.log.info("%s", made.sentence())
        except HeadraceError as error:
            raise failure(error) from error
        rows = "rows unknown" if found.rows is None else number_of(found.rows, "row")
        files, parts = number_of(len(found.files), "file"), number_of(len(found.parts), "part")
        self.log.info("plan %s: %s of %s in %s", found.id, rows, files, parts)
        return [part.to_dict() for part in found.parts]
