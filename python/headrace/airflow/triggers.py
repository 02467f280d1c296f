"""Waits for a collection in Airflow's triggerer, where it holds no worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from headrace.airflow.hooks import MilvusHook
from headrace.calls import drive_async
from headrace.errors import HeadraceError, TransportError
from headrace.finishing import CollectionState, look_at
from headrace.transport import AsyncTransport

__all__ = ["MilvusCollectionTrigger"]


class MilvusCollectionTrigger(BaseTrigger):
    """Fires once a collection exists and has what is asked for.

    The event is ``{"status": "ready", "state": {...}}``, or ``{"status": "error", "message": "..."}`` where the server
    refuses or an index failed. A server that cannot be reached is asked again.

    :param collection: the collection's name or alias
    :param milvus_conn_id: the connection to the server
    :param rows: how many rows it has at least, counted once it is in memory; None for any number
    :param indexed: whether its indexes have to be built
    :param loaded: whether it has to be in memory
    :param poll_interval: seconds between two looks
    """

    def __init__(
        self,
        collection: str,
        milvus_conn_id: str,
        *,
        rows: int | None = None,
        indexed: bool = False,
        loaded: bool = False,
        poll_interval: float = 10.0,
    ) -> None:
        super().__init__()
        self.collection = collection
        self.milvus_conn_id = milvus_conn_id
        self.rows = rows
        self.indexed = indexed
        self.loaded = loaded
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow keeps of it in its database."""
        names = ("collection", "milvus_conn_id", "rows", "indexed", "loaded", "poll_interval")
        return "headrace.airflow.triggers.MilvusCollectionTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again; yields one event."""
        try:
            # Connections come from Airflow by a call that blocks.
            endpoint = await sync_to_async(lambda: MilvusHook(self.milvus_conn_id).endpoint)()
            async with AsyncTransport(endpoint, channels=1) as transport:
                state = await self._wait(transport)
        except HeadraceError as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
        else:
            yield TriggerEvent({"status": "ready", "state": asdict(state)})

    async def _wait(self, transport: AsyncTransport) -> CollectionState:
        while True:
            try:
                state = await drive_async(transport, look_at(self.collection))
            except TransportError as error:
                self.log.warning("the server does not answer: %s", error)
            else:
                if state.has(rows=self.rows, indexed=self.indexed, loaded=self.loaded):
                    return state
            await asyncio.sleep(self.poll_interval)
