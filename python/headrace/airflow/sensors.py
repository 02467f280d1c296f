"""Waits until a collection is as far as a DAG needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from headrace.airflow.compat import AirflowException, BaseSensorOperator
from headrace.airflow.defaults import default_deferrable
from headrace.airflow.hooks import MilvusHook
from headrace.airflow.triggers import MilvusCollectionTrigger
from headrace.calls import drive_sync
from headrace.errors import TransportError
from headrace.finishing import look_at
from headrace.transport import SyncTransport

__all__ = ["MilvusCollectionSensor"]


class MilvusCollectionSensor(BaseSensorOperator):
    """Wait until a collection exists and has so many rows, its indexes built, or is loaded into memory.

    :param collection: the collection's name or alias (templated)
    :param milvus_conn_id: the connection to the server (templated)
    :param rows: how many rows it has at least, strongly consistent; they are counted once it is in memory
    :param indexed: whether every vector field has to have an index, and all indexes have to be built
    :param loaded: whether it has to be in memory, so that it can be searched
    :param deferrable: wait in the triggerer instead of in a worker slot; by default ``operators.default_deferrable``
    """

    template_fields: Sequence[str] = ("collection", "milvus_conn_id")
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        collection: str,
        milvus_conn_id: str = MilvusHook.default_conn_name,
        rows: int | None = None,
        indexed: bool = False,
        loaded: bool = False,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.collection = collection
        self.milvus_conn_id = milvus_conn_id
        self.rows = rows
        self.indexed = indexed
        self.loaded = loaded
        self.deferrable = default_deferrable() if deferrable is None else deferrable

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's signature
        """Whether the collection is so far now."""
        try:
            with SyncTransport(MilvusHook(self.milvus_conn_id).endpoint) as transport:
                state = drive_sync(transport, look_at(self.collection))
        except TransportError as error:
            self.log.warning("the server does not answer: %s", error)
            return False
        self.log.info("collection %s: %s", self.collection, state)
        return state.has(rows=self.rows, indexed=self.indexed, loaded=self.loaded)

    def execute(self, context: Any) -> None:
        """Wait, in the triggerer where the sensor is deferrable."""
        if not self.deferrable:
            super().execute(context)
        elif not self.poke(context):
            trigger = MilvusCollectionTrigger(
                collection=self.collection,
                milvus_conn_id=self.milvus_conn_id,
                rows=self.rows,
                indexed=self.indexed,
                loaded=self.loaded,
                poll_interval=float(self.poke_interval),
            )
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """What follows when the trigger has fired.

        Raises:
            AirflowException: If the server refused.
        """
        if event["status"] != "ready":
            raise AirflowException(event["message"])
        self.log.info("collection %s: %s", self.collection, event["state"])
