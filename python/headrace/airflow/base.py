"""What the operators have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from headrace.airflow.assets import collection_asset
from headrace.airflow.compat import AirflowException, AirflowFailException, BaseOperator, ObjectStoragePath
from headrace.airflow.hooks import MilvusHook
from headrace.airflow.options import check_names, joined, read_mapping
from headrace.airflow.storage import file_options, plain_paths, split_paths
from headrace.config import Endpoint
from headrace.errors import CellError, ConfigError, HeadraceError, SchemaError

__all__ = ["MilvusOperator", "Source", "failure"]

#: Where files are: a path, glob, directory or URI.
Source: TypeAlias = str | ObjectStoragePath

#: What another try of the same task cannot change.
_LASTING = (CellError, ConfigError, SchemaError)


def failure(error: HeadraceError) -> AirflowException:
    """What Airflow is told: AirflowFailException where another try of the task cannot help."""
    kind = AirflowFailException if isinstance(error, _LASTING) else AirflowException
    return kind(f"{type(error).__name__}: {error}")


class MilvusOperator(BaseOperator):
    """What the operators have in common: files, a collection, a connection to each, an asset event on success."""

    #: The fields of :class:`headrace.LoadOptions` that the operator has arguments for.
    own_options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        source: Source | list[Source] | None,
        collection: str,
        milvus_conn_id: str,
        source_conn_id: str | None,
        key: str | None,
        mapping: dict[str, Any] | str | None,
        options: dict[str, Any] | None,
        emits_asset: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_names(mapping, options, self.own_options)
        self.source = source
        self.collection = collection
        self.milvus_conn_id = milvus_conn_id
        self.source_conn_id = source_conn_id
        self.key = key
        self.mapping = mapping
        self.options = options
        templated = any("{{" in str(text) for text in (collection, milvus_conn_id))
        if emits_asset and not kwargs.get("outlets") and not templated:
            self.outlets: list[Any] = [collection_asset(milvus_conn_id, collection)]

    @property
    def endpoint(self) -> Endpoint:
        """The server that the connection means."""
        return MilvusHook(self.milvus_conn_id).endpoint

    def given(self, **own: Any) -> tuple[Any, dict[str, Any]]:
        """The paths of the source, and the fields of :class:`headrace.LoadOptions` that were given in any way.

        Args:
            **own: Arguments beside ``key``; None and an empty text stand for those that were not given.

        Raises:
            ConfigError: If a field is given twice, or means nothing.
        """
        paths, conn_id = split_paths(self.source, self.source_conn_id)
        arguments: Mapping[str, Any] = {"key": self.key, **own}
        known = {name: value for name, value in arguments.items() if value not in (None, "")}
        options = joined(file_options(conn_id), read_mapping(self.mapping), self.options or {}, known)
        return plain_paths(paths, options), options
