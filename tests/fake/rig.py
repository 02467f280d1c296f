"""The sending half of a load, from source batches to the account, in virtual time and without a network."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pyarrow as pa

from headrace.attempts import WriteTarget
from headrace.batching import Aim
from headrace.collection_messages import CollectionInfo
from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.feeding import Feeder
from headrace.freshness import LiveSchema
from headrace.journal import Journal
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.rejects import RejectLimit, RejectsFile
from headrace.report import Account, Verdict
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.sending import Sender
from headrace.sources import SourceBatch
from headrace.throttle import Limits, Throttle
from headrace.window import Window
from tests import virtual_time
from tests.fake.wire import Wire

__all__ = ["AUTO_ID", "KEYED", "TIMEOUT", "Rig", "make_ledger", "rows", "run_load"]

KEYED = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", DataType.INT64)], enable_dynamic_field=False
)
AUTO_ID = CollectionSchema(
    [FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True), FieldSchema("v", DataType.INT64)]
)
#: Seconds an attempt may take.
TIMEOUT = 60.0
#: Bytes of a request that holds few rows.
_REQUEST_BYTES = 160


def rows(keys, *, first=0):
    """A batch of rows with these keys; the version of a row is its number in the source."""
    versions = range(first, first + len(keys))
    return pa.record_batch({"id": pa.array(keys, pa.int64()), "v": pa.array(versions, pa.int64())})


class Fates(Journal):
    """A journal that remembers the verdict of every row, each of which may have only one."""

    def __init__(self):
        super().__init__()
        self.fates = {}

    def settle(self, spans, verdict, keys=()):
        super().settle(spans, verdict)
        for span in spans:
            for row in range(span.start, span.start + span.count):
                assert row not in self.fates, f"row {row} was {self.fates[row]}, now it is {verdict}"
                self.fates[row] = verdict


def make_ledger(directory, journal, *, max_rejects=None):
    """A ledger that keeps its rejects in ``directory``."""
    return Ledger(Account(), journal, RejectsFile(directory), RejectLimit(max_rejects), Window(1 << 20))


class Rig:
    """A feeder and a sender over a :class:`Wire`; ``await`` its methods inside :func:`tests.virtual_time.run`.

    Args:
        directory: Where rejects go.
        clock: The loop's time.
        schema: The collection's.
        upsert: Whether every row is upserted.
        limit: Requests in flight.
        budget: Seconds without progress after which the load ends.
        loaded: Whether rows can be counted.
        max_rejects: As in LoadOptions.
        target_bytes: The size of a request.
        wire: The server, where it is not one of its own.
        ledger: Where verdicts go, where it is not one of its own.
        highest_key: As in Resumption.
        **facts: More of a WriteTarget.
    """

    def __init__(
        self,
        directory,
        clock,
        *,
        schema=KEYED,
        upsert=False,
        limit=2,
        budget=600.0,
        loaded=True,
        max_rejects=None,
        target_bytes=_REQUEST_BYTES,
        seed=7,
        wire=None,
        ledger=None,
        highest_key=None,
        **facts,
    ):
        self.clock = clock
        self.wire = wire or Wire(clock, schema, loaded=loaded)
        self.ledger = ledger or make_ledger(directory, Fates(), max_rejects=max_rejects)
        self.rejects = self.ledger.rejects
        key = None if schema.auto_id else "id"
        columns = [field.name for field in schema.sent_fields]
        info = CollectionInfo("c", schema, collection_id=7)
        self.live = LiveSchema("c", info, columns=columns, upsert=upsert)
        self.sender = Sender(
            self.wire,
            WriteTarget("c", key, upsert=upsert, **facts),
            self.live,
            self.ledger,
            throttle=Throttle(
                Limits(in_flight=limit, request_bytes=target_bytes), clock=clock, rng=random.Random(seed)
            ),
            budget=budget,
            rpc_timeout=TIMEOUT,
            clock=clock,
        )
        arrow = pa.schema([(name, pa.int64()) for name in columns])
        self.feeder = Feeder(
            plan_conform(arrow, schema, options=LoadOptions()),
            self.live,
            self.ledger,
            key=key,
            order=lambda partition: KeyOrder(upsert=upsert, before=highest_key, partition=partition),
            upsert=upsert,
            aim=lambda: Aim(target_bytes),
            copy_waiting=False,
            submit=self.submit,
            withdraw=self.sender.withdraw,
        )
        self.columns = columns
        self.keys = []

    def submit(self, request, batch):
        """What the feeder does with a packed request."""
        self.sender.submit(request)

    async def feed(self, keys):
        """Take rows with these keys as the next ones of the source."""
        batch = rows(keys, first=len(self.keys)).select(self.columns)
        source = SourceBatch(batch, "s", len(self.keys))
        self.keys += keys
        await self.reserve_each(self.feeder.feed(source))

    async def flush(self):
        await self.reserve_each(self.feeder.flush())

    async def reserve_each(self, charges):
        """Wait for what a feeder asks for."""
        with contextlib.closing(charges):
            for charge in charges:
                await asyncio.wrap_future(self.ledger.window.reserve(charge, outgoing=True))

    async def load(self, *batches, each=lambda: None):
        """Load the rows of ``batches`` (lists of keys) to the end."""
        running = asyncio.create_task(self.sender.run())
        try:
            for keys in batches:
                each()
                if self.sender.failure is None:
                    await self.feed(keys)
            if self.sender.failure is None:
                await self.flush()
        except Exception:
            if self.sender.failure is None:
                raise
        self.feeder.abandon()
        self.sender.finish()
        await running
        # What the network still holds comes now, too late for anybody to mend.
        await asyncio.sleep(10 * TIMEOUT)
        self.rejects.close()

    @property
    def measured(self):
        return self.ledger.measurements

    def verdicts(self):
        """Rows by verdict; they add up, and nothing is held any more."""
        self.ledger.account.check()
        assert self.ledger.window.used == 0, "every charge is released"
        counts = {verdict: self.ledger.account.rows(verdict) for verdict in Verdict}
        return {verdict.value: count for verdict, count in counts.items() if count}

    @property
    def fates(self):
        """Row number in the source to verdict; the row's version is its number."""
        return self.ledger.journal.fates


def run_load(directory, *batches, prepare=lambda wire: None, **options):
    """Load ``batches`` over a wire that ``prepare`` has been given; returns the rig."""

    async def main(clock):
        rig = Rig(directory, clock, **options)
        prepare(rig.wire)
        await rig.load(*batches)
        return rig

    return virtual_time.run(main)
