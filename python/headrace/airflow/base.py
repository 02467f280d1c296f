"""What the operators have in common."""

from __future__ import annotations

from typing import Any

from headrace.airflow.assets import collection_asset
from headrace.airflow.compat import AirflowException, AirflowFailException, BaseOperator
from headrace.airflow.hooks import MilvusHook
from headrace.config import Endpoint
from headrace.errors import CellError, ConfigError, HeadraceError, SchemaError

__all__ = ["MilvusOperator", "failure"]

#: What another try of the same task cannot change.
_LASTING = (CellError, ConfigError, SchemaError)


def failure(error: HeadraceError) -> AirflowException:
    """What Airflow is told: AirflowFailException where another try of the task cannot help."""
    kind = AirflowFailException if isinstance(error, _LASTING) else AirflowException
    return kind(f"{type(error).__name__}: {error}")


class MilvusOperator(BaseOperator):
    """What the operators have in common: a connection, an asset, an asset event on success."""

    def __init__(self, *, collection: str, milvus_conn_id: str, emits_asset: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.milvus_conn_id = milvus_conn_id
        templated = any("{{" in str(text) for text in (collection, milvus_conn_id))
        if emits_asset and not kwargs.get("outlets") and not templated:
            self.outlets: list[Any] = [collection_asset(milvus_conn_id, collection)]

    @property
    def endpoint(self) -> Endpoint:
        """The server that the connection means."""
        return MilvusHook(self.milvus_conn_id).endpoint
